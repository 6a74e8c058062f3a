package fleet

import (
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// TestAShardOfAnotherSizeDoesNotStand: a file whose tail reads back right and
// whose size is not what was put does not count, and with nobody in its place
// the pack is not spread: recovery finds a tail by the end of the file.
func TestAShardOfAnotherSizeDoesNotStand(t *testing.T) {
	for lying := range 3 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			synctest.Wait()
			r.nodes[lying].faulty.SetChoose(backendtest.On(backendtest.Lies, "stat"))
			sp := r.seal(coding("2+1"), 200*kib)
			at, err := r.Scatter(t.Context(), sp.Sealed, nil, (&intents{}).add)
			wantClass(t, "error", err, cairn.ErrUnavailable)
			if len(at) != 2 {
				t.Errorf("%d shards stand", len(at))
			}
			for _, l := range at {
				if l.Node == r.nodes[lying].ID {
					t.Errorf("shard %d counts on the node that lies about its size", l.Index)
				}
			}
		})
	}
}
