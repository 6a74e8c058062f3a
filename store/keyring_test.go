package store

import (
	"testing"
	"time"

	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// An epoch that begins in a running store seals what is written from then on,
// earlier packs stay readable, and the next checkpoint, which comes although
// nothing changed, is of the new epoch whole, also when a restart comes between.
func TestAnEpochBegins(t *testing.T) {
	for _, restart := range []bool{false, true} {
		tune, roots := rooted("1+1")
		keys := map[uint32]crypt.EpochKey{1: {9}}
		simulated(t, 3, func(c *Config) {
			tune(c)
			c.Epochs = keys
			c.CheckpointEvery = 30 * time.Minute
			c.Epoch = uint32(len(keys))
		}, func(t *testing.T, r *rig) {
			want := r.many(t, 0, 50)
			r.checkpoint()
			must(t, r.put("x", content(1, 300<<10)))
			was := r.checkpoint()
			if was.Full {
				t.Fatal("this test would see nothing")
			}
			r.SetEpoch(2, crypt.EpochKey{8})
			keys[2] = crypt.EpochKey{8}
			if restart {
				r.reopen()
			}
			n := roots.count()
			if restart {
				r.pass(35 * time.Minute)
			} else if out := r.checkpoint(); !out.Full {
				t.Errorf("the checkpoint goes on from an earlier epoch: %+v", out)
			}
			b, _ := roots.Body()
			if roots.count() == n || len(b.Runs) != 1 || b.CutOff.Number < was.CutOff {
				t.Fatalf("restart %v: no checkpoint came: %+v", restart, b.Runs)
			}
			for _, p := range b.Runs[0].Packs {
				if p.Params.Epoch != 2 {
					t.Errorf("pack %v of the checkpoint is of epoch %d", p.Params.ID, p.Params.Epoch)
				}
			}
			must(t, r.put("y", content(2, 300<<10)))
			must(t, r.Flush(t.Context()))
			for _, id := range r.packsOf("y") {
				if row, err := r.idx.Pack(id); err != nil || row.Params.Epoch != 2 || row.Kind != pack.Data {
					t.Errorf("%+v, %v", row, err)
				}
			}
			n = roots.count()
			r.pass(2 * time.Hour)
			if n+1 < roots.count() {
				t.Errorf("%d roots more", roots.count()-n)
			}
			base := r.base(roots)
			r.burn()
			r.recover(base)
			for key, data := range want {
				r.want(key, data)
			}
			r.want("x", content(1, 300<<10))
			r.want("y", content(2, 300<<10))
			r.pass(time.Second)
		})
	}
}
