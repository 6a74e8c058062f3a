package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/race"
)

// compactStep compacts, collects, makes checkpoints or lets graces pass, with
// whatever else happens in the middle of it.
func (w *world) compactStep() {
	// Nodes that ail and a disk that is dead are waited for by those who ask.
	ctx, cancel := context.WithTimeout(w.t.Context(), 12*time.Minute)
	defer cancel()
	switch w.dice.IntN(6) {
	case 0, 1:
		chosen := w.dice.Uint64()
		want := func(row index.PackRow, _ uint64) bool { return (row.Params.ID.Seq()^chosen)%3 != 0 }
		_, err := w.Compact(ctx, Compaction{Want: want}, func(Compacted) {
			if w.dice.IntN(3) == 0 && !w.dead() {
				w.meddle()
			}
		})
		w.did("compact: %v", err)
	case 2:
		out, err := w.Collect(ctx)
		w.did("collect: %+v, %v", out, err)
	case 3:
		out, err := w.Checkpoint(ctx)
		w.did("checkpoint: %+v, %v", out, err)
	case 4:
		w.did("a grace passes")
		w.pass(eon)
	case 5:
		w.did("dead packs are retired")
		w.well()
		w.pass(70 * time.Second)
		for range 3 {
			_ = w.Flush(ctx) // may meet the end
			w.pass(soon)
			_, _ = w.Collect(ctx)
			_, _ = w.Checkpoint(ctx)
		}
	}
}

// meddle writes, deletes or copies.
func (w *world) meddle() {
	key := fmt.Sprint("k", w.dice.IntN(7))
	switch w.dice.IntN(4) {
	case 0, 1:
		data := content(w.dice.Uint64(), w.size())
		err := w.put(key, data)
		w.did("  put %s, %d bytes: %v", key, len(data), err)
		w.s.did(w.t, key, data, err)
	case 2:
		err := w.Delete(w.t.Context(), keyOf(key), Condition{})
		w.did("  delete %s: %v", key, err)
		w.s.did(w.t, key, nil, err)
	case 3:
		w.copyOne(key)
	}
}

// TestWhateverIsCompacted plays random histories, as TestWhateverHappens does,
// in which packs are compacted, retired and deleted all the time. Whatever is
// acknowledged reads at every moment, from the nodes and the newest root alone at
// the end, and when all is collected nothing is left that nobody needs.
func TestWhateverIsCompacted(t *testing.T) {
	t.Parallel()
	seeds := 12
	if os.Getenv("CAIRN_LONG") != "" {
		seeds = 1000
	}
	for seed := range uint64(seeds) {
		if only := os.Getenv("CAIRN_SEED"); only != "" && only != fmt.Sprint(seed) || only == "" && !race.Few(int(seed), seeds, max(2, seeds/50)) {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			collecting(t, 5, "2+2", func(t *testing.T, r *rig, roots *rootFile) {
				roots.set(2+int(seed%3), 0)
				w := &world{rig: r, t: t, dice: rand.New(rand.NewPCG(seed, 7)), s: make(states)}
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("the history, to be played again with CAIRN_SEED=%d:\n%s", seed, strings.Join(w.ops, "\n"))
					}
				})
				w.playCompacted(roots)
			})
		})
	}
}

func (w *world) playCompacted(roots *rootFile) {
	w.restart()
	for range 24 {
		if w.dice.IntN(2) == 0 {
			w.step()
			continue
		}
		w.compactStep()
		if w.dead() {
			w.did("power lost")
			w.restart()
		}
	}
	w.well()
	w.shut()
	if w.dead() {
		w.disk = w.after
	}
	w.fs = w.disk
	w.open()
	w.check("at the end")
	w.pass(2 * time.Minute)
	w.completeAll()
	w.rest()
	must(w.t, func() error { _, err := w.Compact(w.t.Context(), Compaction{Want: everything}, nil); return err }())
	for i := range 4 {
		must(w.t, w.put("last", content(uint64(i), 100)))
		w.rest()
		w.checkpoint()
	}
	w.s.did(w.t, "last", content(3, 100), nil)
	for range 2 {
		w.retireAll()
		w.pass(4 * eon)
	}
	w.check("compacted and collected")
	w.nothingUnneeded("nothing")
	w.booked()
	base := w.base(roots)
	w.burn()
	w.recover(base)
	w.check("from a root and the nodes")
	w.booked()
	var none cairn.PackID
	for row, err := range w.idx.Packs(none) {
		must(w.t, err)
		if len(row.At) < row.Params.Coding.K && row.State == index.Spread {
			if used, err := w.idx.Referenced(row.Params.ID); err != nil || used {
				w.t.Errorf("pack %v is needed and has %d shards, %v", row.Params.ID, len(row.At), err)
			}
		}
	}
}
