package store

import (
	"testing"

	"github.com/cairn-storage/cairn/index"
)

// TestACheckpointThatIsLostIsMadeAnew: while the gateway lives nothing of it is
// lost, and it must not wait for a change.
func TestACheckpointThatIsLostIsMadeAnew(t *testing.T) {
	collecting(t, 4, "2+1", func(t *testing.T, r *rig, roots *rootFile) {
		r.many(t, 0, 20)
		r.rest()
		r.checkpoint()
		r.rest()
		r.releaseAll()
		was := r.state()
		first, _ := roots.Body()
		if out := r.checkpoint(); out.Packs != 0 && out.CutOff != first.CutOff.Number {
			t.Fatalf("another one without a change: %+v", out)
		}
		id := first.Runs[0].Packs[0].Params.ID
		r.lose(id, 1)
		must(t, r.Placed(id, func(row *index.PackRow) error { row.At = row.At[:1]; return nil }))
		r.collect()
		r.mu.Lock()
		due := r.ckpt.renew
		r.mu.Unlock()
		if !due {
			t.Error("a collection does not see it")
		}
		if out := r.checkpoint(); !out.Full {
			t.Errorf("%+v", out)
		}
		newest, _ := roots.Body()
		if len(newest.Runs) == 0 || newest.Runs[0].Packs[0].Params.ID == id {
			t.Fatal("the checkpoint that is lost is still the newest")
		}
		base := r.base(roots)
		r.burn()
		r.recover(base)
		r.wantState("burnt", was)
	})
}
