package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// states is what keys may hold: what was acknowledged last, or what was
// answered with ErrUnavailable since then.
type states map[string][][]byte // the acknowledged one first; nil bytes: no object

// did notes the answer to a write of data, nil for a delete.
func (s states) did(t *testing.T, key string, data []byte, err error) {
	t.Helper()
	if s[key] == nil {
		s[key] = [][]byte{nil}
	}
	switch {
	case err == nil:
		s[key] = [][]byte{data}
	case errors.Is(err, cairn.ErrUnavailable):
		s[key] = append(s[key], data)
	default:
		t.Fatalf("%s: %v", key, err)
	}
}

// check reads every key, fails where it is none of the allowed, and holds the
// store to what it read: it may not change its mind later.
func (s states) check(t *testing.T, r *rig, when string) {
	t.Helper()
	for key, may := range s {
		got, err := r.get(key)
		found := false
		for _, data := range may {
			if same(got, err, data) {
				s[key], found = [][]byte{data}, true
			}
		}
		if !found {
			t.Fatalf("%s: %s is %d bytes, %v; %d states are allowed", when, key, len(got), err, len(may))
		}
	}
}

// chained fails unless the log packs on the nodes are numbered without gap or
// repetition and each names the one before.
func (r *rig) chained() {
	r.tb.Helper()
	logs := make(map[uint64]seen)
	for id, s := range r.survey() {
		if s.Kind != pack.Log {
			continue
		}
		if other, twice := logs[s.Number]; twice {
			r.tb.Fatalf("log pack %d stands twice, as %v and %v", s.Number, other.ID, id)
		}
		logs[s.Number] = s
	}
	for n := uint64(2); n <= uint64(len(logs)); n++ {
		if logs[n].Number != n || logs[n].Prev != logs[n-1].SealHash() {
			r.tb.Fatalf("of %d log packs number %d is missing or does not name the one before", len(logs), n)
		}
	}
}

// fault breaks one durable step of a run, the at-th that is not Pebble's.
type fault struct {
	fate string
	at   int
	disk *durable.Mem

	mu     sync.Mutex
	n      int
	hit    durable.Step
	syncs  packSyncs
	poison map[string]bool // stages of which a sync of pack bytes failed
	wrong  []string
}

var errFault = errors.New("the disk errs")

func (f *fault) hook() durable.Hook {
	return durable.Hook{Before: f.before, After: f.after}
}

func (f *fault) before(s durable.Step) error {
	if strings.HasPrefix(s.Name, indexDir()) {
		return nil
	}
	packed := f.syncs.is(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.poison[s.Name] && (isPackWrite(s) || packed) {
		f.wrong = append(f.wrong, s.String()+" after a sync of it failed")
	}
	f.n++
	if f.n != f.at {
		return nil
	}
	f.hit = s
	if packed {
		f.poison = map[string]bool{s.Name: true}
	}
	switch f.fate {
	case "fails":
		return errFault
	case "torn":
		return &durable.Torn{Bytes: s.Len / 2, Err: errFault}
	case "lost":
		if s.Op == durable.OpSync {
			_ = f.disk.LoseUnsynced(s.Name) // gone with its name; then there is nothing to lose
		}
		return errFault
	}
	return nil
}

func (f *fault) after(s durable.Step, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.fate == "done" && s.N == f.hit.N && s.Name == f.hit.Name {
		return errFault
	}
	return err
}

// TestOneDurableStepFails lets each durable step of a script fail in turn, with
// nothing done, all done, a part done, or what was written before lost for good,
// and then the power as well. What was acknowledged reads; what was answered 503
// is there whole or not at all, and never again once a later write of its key
// was acknowledged; the store goes on by itself.
func TestOneDurableStepFails(t *testing.T) {
	t.Parallel()
	every := 48
	if os.Getenv("CAIRN_LONG") != "" {
		every = 1
	}
	steps := oneStepFails(t, "none", 0, 0)
	if steps < 100 {
		t.Fatalf("the script has %d durable steps", steps)
	}
	if race.On {
		every *= 3
	}
	for i, fate := range []string{"fails", "done", "torn", "lost"} {
		for at := 1 + i*every/4; at < steps; at += every {
			t.Run(fmt.Sprint(fate, at), func(t *testing.T) { oneStepFails(t, fate, at, []int{0, 50, 100}[(at+i)%3]) })
		}
	}
}

// oneStepFails returns how many durable steps the script has.
func oneStepFails(t *testing.T, fate string, at, percent int) (steps int) {
	simulated(t, 4, settled, func(t *testing.T, r *rig) {
		f := &fault{fate: fate, at: at, disk: r.disk}
		s := make(states)
		put := func(key string, seed uint64, n int) {
			s.did(t, key, content(seed, n), r.put(key, content(seed, n)))
		}
		put("a", 1, 3000)
		r.close()
		r.fs = durable.Watch(r.disk, f.hook())
		if r.tryOpen() != nil { // the fault hit the start; the next one works
			r.open()
		}
		put("a", 2, 4000)
		put("b", 3, 70_000)
		put("b", 4, 200)
		s.did(t, "a", nil, r.Delete(t.Context(), keyOf("a"), Condition{}))
		_ = r.Flush(t.Context()) // may meet the fault
		put("c", 5, 230<<10)
		up := r.uploaded(t, "u", content(11, 230<<10), content(12, 500))
		put("a", 6, 100)
		up.complete(t, s)
		s.check(t, r, "in the same life")
		r.shut()
		if r.tryOpen() != nil {
			r.open()
		}
		s.check(t, r, "after a restart")
		up.complete(t, s)
		put("b", 7, 66_000)
		put("c", 8, 100)
		r.pass(soon)
		put("d", 9, 100)
		f.mu.Lock()
		steps = f.n
		f.mu.Unlock()
		r.crash(percent, uint64(at))
		r.open()
		what := fmt.Sprintf("%v %s, power lost with %d %% kept", f.hit, fate, percent)
		s.check(t, r, what)
		up.complete(t, s)
		put("a", 10, 1000)
		r.pass(time.Minute)
		if err := r.Flush(t.Context()); err != nil {
			t.Fatalf("%s: flush: %v", what, err)
		}
		r.chained()
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Errorf("%s: %d stages are left: %v", what, n, r.phases())
		}
		r.reopen()
		s.check(t, r, what+", later")
		for _, w := range f.wrong {
			t.Error(w)
		}
	})
	return steps
}

// stubborn is an upload whose client tries once more where it is told that the
// store is not available, and then expects to be heard.
type stubborn struct {
	r     *rig
	key   string
	id    string
	parts [][]byte
}

func twice(do func() error) error {
	err := do()
	if errors.Is(err, cairn.ErrUnavailable) {
		err = do()
	}
	return err
}

// uploaded begins an upload of key and sends its parts.
func (r *rig) uploaded(t *testing.T, key string, parts ...[]byte) *stubborn {
	t.Helper()
	u := &stubborn{r: r, key: key, parts: parts}
	must(t, twice(func() error {
		up, err := r.CreateUpload(t.Context(), Upload{Key: keyOf(key)})
		u.id = up.ID
		return err
	}))
	for i, p := range parts {
		must(t, twice(func() error { return r.part(key, u.id, i+1, p) }))
	}
	return u
}

// complete completes it, or is answered as before.
func (u *stubborn) complete(t *testing.T, s states) {
	t.Helper()
	must(t, twice(func() error { _, err := u.r.complete(u.key, u.id, u.parts...); return err }))
	s.did(t, u.key, slices.Concat(u.parts...), nil)
}
