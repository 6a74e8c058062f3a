package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// unseen is what a recovery went on without: log packs that no node showed, and
// nodes that did not answer. Until all of that was seen or is gone, nothing is
// found dead: what seems unreferenced may be referred to by a record that only a
// silent node has. Tombstones that such a record may need are kept, too.
type unseen struct {
	fs   durable.FS
	name string

	mu    sync.Mutex
	text  unseenText // guarded by mu
	tried time.Time  // of the last survey; guarded by mu
}

type unseenText struct {
	Nodes []string `json:"nodes"` // names of those that were silent
	Holes []Hole   `json:"holes"`
}

// Nodes are surveyed for it every unseenEvery, and unseenAfter after one came
// back, went or changed.
const (
	unseenEvery = time.Hour
	unseenAfter = 10 * time.Second
)

const unseenMost = 4 << 20 // bytes of the file

func (c *Config) unseenName() string { return filepath.Join(c.Dir, "unseen") }

// loadUnseen reads the file; none: everything was seen. One that does not parse
// is an error: nothing may be deleted on what it does not say.
func loadUnseen(fs durable.FS, name string) (*unseen, error) {
	u := &unseen{fs: fs, name: name}
	b, err := durable.ReadFile(fs, name, unseenMost)
	if errors.Is(err, cairn.ErrNotExist) {
		return u, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &u.text)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s, which says what a recovery has not seen yet: %w: %w; remove it when every node has answered", name, err, cairn.ErrCorrupt)
	}
	return u, nil
}

// writeUnseen keeps what a recovery went on without.
func (c *Config) writeUnseen(r *Recovered) error {
	if len(r.Silent) == 0 && len(r.Holes) == 0 {
		return removeFile(c.FS, c.unseenName())
	}
	b, err := json.Marshal(unseenText{r.Silent, r.Holes})
	if err != nil {
		panic("store: " + err.Error()) // unreachable: strings and numbers
	}
	return durable.WriteFile(c.FS, c.unseenName(), b)
}

func removeFile(fs durable.FS, name string) error {
	if err := fs.Remove(name); err != nil {
		if errors.Is(err, cairn.ErrNotExist) {
			return nil
		}
		return err
	}
	return fs.SyncDir(filepath.Dir(name))
}

// nothing reports that everything was seen.
func (u *unseen) nothing() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.text.Nodes) == 0 && len(u.text.Holes) == 0
}

// missing reports that log pack number was not seen.
func (u *unseen) missing(number uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.ContainsFunc(u.text.Holes, func(h Hole) bool { return h.First <= number && number <= h.Last })
}

// after is a stamp at or below every record that may be missing; false for none.
func (u *unseen) after() (low cairn.Stamp, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, h := range u.text.Holes {
		if i == 0 || h.After.Compare(low) < 0 {
			low, ok = h.After, true
		}
	}
	return low, ok
}

// found takes log pack number out of what is missing.
func (u *unseen) found(number uint64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var next []Hole
	for _, h := range u.text.Holes {
		if number < h.First || h.Last < number {
			next = append(next, h)
			continue
		}
		if h.First < number {
			next = append(next, Hole{First: h.First, Last: number - 1, After: h.After, Before: h.Before})
		}
		if number < h.Last {
			next = append(next, Hole{First: number + 1, Last: h.Last, After: h.After, Before: h.Before})
		}
	}
	text := unseenText{u.text.Nodes, next}
	b, err := json.Marshal(text)
	if err == nil {
		err = durable.WriteFile(u.fs, u.name, b)
	}
	if err == nil {
		u.text = text
	}
	return err
}

// lines say what was not seen, for people.
func (u *unseen) lines() (out []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.text.Nodes {
		out = append(out, "node "+n)
	}
	for _, h := range u.text.Holes {
		out = append(out, h.String())
	}
	return out
}

// hurry makes the next survey due.
func (u *unseen) hurry() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tried = time.Time{}
}

// due reports whether it is time for a survey, and takes it as begun.
func (u *unseen) due(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.tried.IsZero() && now.Sub(u.tried) < unseenEvery {
		return false
	}
	u.tried = now
	return true
}

// end says that everything was seen, or will never be.
func (u *unseen) end() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := removeFile(u.fs, u.name); err != nil {
		return err
	}
	u.text = unseenText{}
	return nil
}

// Seen is what became of what a recovery went on without.
type Seen struct {
	Packs   int    `json:"packs"`   // that came back
	Records int    `json:"records"` // of log packs among them, which count now
	Refused int    `json:"refused"` // packs that are there and do not count, see Adopt
	Left    string `json:"left"`    // why not everything was seen; empty: it was
}

// SeeUnseen looks at once for what a recovery went on without, as a collection
// does within the hour: it surveys the nodes and adopts what the index does not
// know. The zero Seen when there is nothing. The errors are those of Adopt.
func (s *Store) SeeUnseen(ctx context.Context) (Seen, error) {
	if s.unseen.nothing() {
		return Seen{}, nil
	}
	if err := s.writable(); err != nil {
		return Seen{}, err
	}
	select { // one round at a time, and no collection beside
	case s.collecting <- struct{}{}:
		defer func() { <-s.collecting }()
	case <-ctx.Done():
		return Seen{}, fmt.Errorf("store: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	case <-s.pub.Done():
		return Seen{}, s.ended()
	}
	return s.lookForUnseen(ctx)
}

// seeUnseen does it where it is due, and reports whether there is nothing unseen.
func (s *Store) seeUnseen(ctx context.Context) (bool, error) {
	if s.unseen.nothing() {
		return true, nil
	}
	if !s.unseen.due(time.Now()) {
		return false, nil
	}
	seen, err := s.lookForUnseen(ctx)
	return err == nil && seen.Left == "", err
}

// lookForUnseen surveys all nodes and adopts what the index does not know. When
// every node that is not gone has answered, and nothing is left to adopt, what is
// still missing is missing for good.
func (s *Store) lookForUnseen(ctx context.Context) (seen Seen, err error) {
	found, silent := s.c.Nodes.Survey(ctx)
	if err := ctx.Err(); err != nil {
		return seen, err
	}
	var unknown []cairn.PackID
	for id := range found {
		if _, err := s.idx.Pack(id); errors.Is(err, cairn.ErrNotExist) && !s.Staged(id) {
			unknown = append(unknown, id)
		} else if err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return seen, s.indexError("pack", err)
		}
	}
	slices.SortFunc(unknown, func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) })
	left := silent
	for range 2 { // a log pack may name packs that come after it
		var again []cairn.PackID
		left = silent
		for _, id := range unknown {
			out, err := s.Adopt(ctx, id, found[id])
			switch {
			case errors.Is(err, cairn.ErrCorrupt): // a name that somebody made up
			case err != nil:
				again, left = append(again, id), cmp.Or(left, err)
			case out.As == "refused":
				seen.Refused++
				s.c.Log.Warn("a pack that a recovery had not seen does not count", "pack", id, "why", out.Why)
			default:
				seen.Packs++
				seen.Records += out.Records
				s.c.Log.Info("a pack that a recovery had not seen", "pack", id, "as", out.As)
			}
		}
		if unknown = again; len(again) == 0 {
			break
		}
	}
	if left != nil {
		seen.Left = left.Error()
		s.c.Log.Info("not everything was seen since the recovery; nothing is found dead until then", "err", left)
		return seen, nil
	}
	if err := s.unseen.end(); err != nil {
		return seen, fmt.Errorf("store: %w", err)
	}
	s.c.Log.Info("every node was seen since the recovery")
	return seen, nil
}
