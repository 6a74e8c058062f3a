package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/store"
)

// Rotated is what a rotation of keys came to.
type Rotated struct {
	Epoch  uint32   `json:"epoch"`  // that new packs are sealed under
	Closed []uint32 `json:"closed"` // epochs that nothing new is believed of
	Begun  bool     `json:"begun"`  // false: one that was cut off was finished instead
	// Of a rotation that seals anew: what that came to, and how many packs with
	// live bytes are still of earlier epochs, since uploads in progress hold them.
	Sealed *store.Compacted `json:"sealed,omitempty"`
	Left   int              `json:"left"`
}

// RotateKeys begins a new epoch, seals new packs under it, and closes those
// before; with now all live bytes of earlier epochs are sealed anew, too. A
// rotation that was cut off is finished in place of a new one. It returns when a
// checkpoint stands that names every pack of the closed epochs.
//
// Order: the key on the nodes and in use (changeKeys); what was sealed under
// the old one spread, with now moved to packs of the new one; a checkpoint that
// names it; only then the old epochs are closed, since a pack of a closed epoch
// that no checkpoint names is never adopted. What was moved is moved: cut off
// there, it goes on with the rest.
func (e *Engine) RotateKeys(ctx context.Context, now bool, report func(Progress)) (Rotated, error) {
	if report == nil {
		report = func(Progress) {}
	}
	progress := func(text string) { report(Progress{Text: text}) }
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
	if now {
		if err := e.sealAnew(ctx, s.epoch, &out, report); err != nil {
			return out, fmt.Errorf("epoch %d is in use, and not all is sealed under it yet; `cairn key rotate --now` goes on: %w", s.epoch, err)
		}
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

// sealAnew moves all live bytes of packs before epoch into new ones.
func (e *Engine) sealAnew(ctx context.Context, epoch uint32, out *Rotated, report func(Progress)) error {
	old := func(row index.PackRow, _ uint64) bool { return row.Params.Epoch < epoch }
	c, err := e.Store.Compact(ctx, store.Compaction{Want: old}, func(c store.Compacted) {
		report(Progress{Text: "sealing anew", Done: c.Live, Of: c.LiveOf})
	})
	out.Sealed = &c
	if err != nil {
		return err
	}
	if err := e.Store.Flush(ctx); err != nil {
		return err
	}
	left, err := e.Store.Compact(ctx, store.Compaction{Want: old, DryRun: true}, nil)
	out.Left = left.Of + left.Waiting
	return err
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
