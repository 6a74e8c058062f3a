package engine

import (
	"context"
	"fmt"
	"slices"
)

// Rotated is what a rotation of keys came to.
type Rotated struct {
	Epoch  uint32   `json:"epoch"`  // that new packs are sealed under
	Closed []uint32 `json:"closed"` // epochs that nothing new is believed of
	Begun  bool     `json:"begun"`  // false: one that was cut off was finished instead
}

// RotateKeys begins a new epoch, seals new packs under it, and closes those
// before. A rotation that was cut off is finished in place of a new one. It
// returns when a checkpoint stands that names every pack of the closed epochs.
//
// Order: the key on the nodes and in use (changeKeys); what was sealed under
// the old one spread; a checkpoint that names it; only then the old epochs are
// closed, since a pack of a closed epoch that no checkpoint names is never
// adopted.
func (e *Engine) RotateKeys(ctx context.Context, progress func(string)) (Rotated, error) {
	if progress == nil {
		progress = func(string) {}
	}
	var out Rotated
	if e.hasPending() {
		progress("going on with a change of keys that was cut off")
	}
	before := e.secretsNow().epoch
	if err := e.changeKeys(ctx, e.wantedOwners(), false); err != nil {
		return out, err
	}
	if s := e.secretsNow(); s.epoch == before && len(openBefore(s)) == 0 {
		progress(fmt.Sprintf("epoch %d: its key on the nodes", s.epoch+1))
		if err := e.changeKeys(ctx, s.owners, true); err != nil {
			return out, err
		}
		out.Begun = true
	}
	s := e.secretsNow()
	out.Epoch = s.epoch
	old := openBefore(s)
	progress(fmt.Sprintf("epoch %d: new packs are sealed under it; sending what the old key sealed", s.epoch))
	if err := e.Store.Flush(ctx); err != nil {
		return out, fmt.Errorf("epoch %d is in use, and those before are not closed yet; `cairn key rotate` goes on: %w", s.epoch, err)
	}
	progress("checkpoint")
	if _, err := e.Store.Checkpoint(ctx); err != nil {
		return out, fmt.Errorf("epoch %d is in use, and those before are not closed yet; `cairn key rotate` goes on: %w", s.epoch, err)
	}
	s.closed = append(slices.Clone(s.closed), old...)
	if err := e.tellKeys(ctx, s); err != nil {
		return out, fmt.Errorf("epoch %d is in use, and those before are not closed yet; `cairn key rotate` goes on: %w", s.epoch, err)
	}
	e.mu.Lock()
	e.secrets.closed = s.closed
	e.mu.Unlock()
	out.Closed = s.closed
	return out, nil
}

// openBefore are the epochs before the newest that are not closed.
func openBefore(s secrets) (open []uint32) {
	for n := range s.epochs {
		if n != s.epoch && !slices.Contains(s.closed, n) {
			open = append(open, n)
		}
	}
	slices.Sort(open)
	return open
}
