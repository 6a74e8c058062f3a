package engine

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/internal/durable"
)

// Recoverable is what of the store would come back, were this machine gone.
type Recoverable struct {
	Root    uint64   `json:"root"` // number of the newest; 0 before there is one
	RootAge float64  `json:"root_age_s"`
	RootOn  int      `json:"root_on"`     // nodes that have it
	RootOf  int      `json:"root_of"`     // nodes that it names
	Stands  bool     `json:"root_stands"` // on enough of them
	Forks   []string `json:"forks"`       // what showed that another gateway writes
	Back    []string `json:"rolled_back"` // nodes that show less than they confirmed
	Pending bool     `json:"keys_pending"`

	Checkpoint    bool    `json:"checkpoint"` // there is one
	CheckpointAge float64 `json:"checkpoint_age_s"`

	Kit       KitState     `json:"kit"`
	Rehearsed *Rehearsal   `json:"rehearsed"` // the last; null when never
	Kept      []keep.State `json:"kept"`
	Advice    []string     `json:"advice"` // what is not wrong, and yet to be done
}

// Rehearsal is a recovery that was tried.
type Rehearsal struct {
	At      time.Time `json:"at"`
	Took    float64   `json:"took_s"`
	Objects int64     `json:"objects"`
	Read    int       `json:"read"`   // of them, to see that they can be
	Failed  int       `json:"failed"` // of those
}

const (
	rehearsedFile = "rehearsed" // below the state directory
	// rehearseEvery is how old a rehearsal may be before status says so.
	rehearseEvery = 90 * 24 * time.Hour
)

// NoteRehearsal remembers a rehearsal in the state directory, for status.
func NoteRehearsal(fs durable.FS, dir string, r Rehearsal) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(fs, filepath.Join(dir, rehearsedFile), append(b, '\n')); err != nil {
		return fmt.Errorf("note the rehearsal: %w", err)
	}
	return nil
}

// lastRehearsal is nil for none; one whose note cannot be read is none.
func lastRehearsal(fs durable.FS, dir string) *Rehearsal {
	b, err := durable.ReadFile(fs, filepath.Join(dir, rehearsedFile), maxSecretsFile)
	var r Rehearsal
	if err != nil || json.Unmarshal(b, &r) != nil {
		return nil
	}
	return &r
}

// recoverable is that part of Status.
func (e *Engine) recoverable() Recoverable {
	out := Recoverable{Pending: e.hasPending(), Rehearsed: lastRehearsal(e.c.FS, e.c.File.Dir), Forks: []string{}, Back: []string{}, Kept: e.kept.State(), Kit: e.kit.state()}
	if e.keeper == nil {
		return out
	}
	s := e.keeper.Status()
	out.Root, out.Stands, out.RootOf = s.Sequence, s.Stands, len(s.Nodes)
	out.Forks = append(out.Forks, s.Forks...)
	if s.Sequence > 0 {
		out.RootAge = time.Since(s.Written).Seconds()
	}
	for _, n := range s.Nodes {
		if s.Sequence > 0 && n.Sequence >= s.Sequence {
			out.RootOn++
		}
		if n.State == "rolled back" {
			out.Back = append(out.Back, fmt.Sprintf("node %s: %s", n.Name, n.Why))
		}
	}
	return out
}

// advise fills in Advice, and what is wrong in Wrong.
func advise(s *Status) {
	r := &s.Recoverable
	r.Advice = []string{}
	advise := func(format string, args ...any) { r.Advice = append(r.Advice, fmt.Sprintf(format, args...)) }
	for _, fork := range r.Forks {
		s.Wrong = append(s.Wrong, "another gateway writes to this store: "+fork)
	}
	s.Wrong = append(s.Wrong, r.Back...)
	for _, k := range r.Kept {
		if k.Error != "" {
			s.Wrong = append(s.Wrong, k.Error)
		}
	}
	if r.Kit.Error != "" {
		s.Wrong = append(s.Wrong, r.Kit.Error)
	}
	if r.Pending {
		advise("a change of owners or keys was cut off and is not in use: give its command again")
	}
	if len(s.Nodes) == 0 {
		return // nothing is anywhere else to come back from
	}
	switch {
	case r.Kit.At.IsZero():
		advise("no recovery kit was ever written: cairn key kit --out FILE, or kit = PATH in cairn.toml")
	case r.Kit.Stale:
		advise("nodes or owners changed since the recovery kit was written: cairn key kit --out FILE")
	}
	switch {
	case r.Rehearsed == nil:
		advise("a recovery was never rehearsed: cairn recover --rehearse --kit FILE --identity FILE")
	case r.Rehearsed.Failed > 0:
		advise("the last rehearsal could not read %d of %d objects", r.Rehearsed.Failed, r.Rehearsed.Read)
	case time.Since(r.Rehearsed.At) > rehearseEvery:
		advise("the last rehearsal of a recovery is %.0f days ago: cairn recover --rehearse", time.Since(r.Rehearsed.At).Hours()/24)
	}
}
