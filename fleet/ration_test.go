package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// TestRepairsShareTheirMemory: one that does not fit waits before it reads
// anything, goes on when others end, and takes nothing with it when it fails.
func TestRepairsShareTheirMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8, unwatched)
		sp := r.spread(coding("4+3"), 16*64*kib*4)
		r.lose(sp, 2)
		at := sp.without(2)
		others, err := r.ration(t.Context(), 2*repairMemory) // more than there is: all of it
		must(t, err)
		for _, n := range r.nodes {
			n.take("")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err = r.Repair(ctx, sp.Params, at, []uint8{2}, noIntent)
		wantClass(t, "repair without memory", err, cairn.ErrUnavailable)
		_, _, err = r.Copy(ctx, sp.Params, at, at[0], noIntent)
		wantClass(t, "copy without memory", err, cairn.ErrUnavailable)
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpRead); len(calls) > 0 {
				t.Errorf("%s was read meanwhile: %v", n.Name, calls)
			}
		}
		go func() {
			<-time.After(time.Minute)
			others.keep(0)
		}()
		made, _, err := r.Repair(t.Context(), sp.Params, at, []uint8{2}, noIntent)
		must(t, err)
		checkMade(t, r, sp, made, 2)
		whole, err := r.ration(t.Context(), repairMemory) // all was given back
		must(t, err)
		whole.keep(0)
	})
}
