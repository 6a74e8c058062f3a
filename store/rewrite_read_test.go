package store

import (
	"fmt"
	"testing"
)

// TestCompactionReadsManyExtentsAtOnce: small objects that lie in one block cost
// one read of it, and what lies between far ones is not read.
func TestCompactionReadsManyExtentsAtOnce(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		want := make(map[string][]byte)
		for i := range 100 {
			key := fmt.Sprintf("%03d", i)
			want[key] = content(uint64(i), 1000)
			must(t, r.put(key, want[key]))
		}
		r.rest()
		r.reopen() // nothing is cached
		a := &allowed{}
		out := r.compact(Compaction{Traffic: a})
		sum := int64(0)
		for _, n := range a.reads {
			sum += n
		}
		if sum < out.Live || sum > 3*out.Live {
			t.Errorf("read %d bytes for %d live ones", sum, out.Live)
		}
		r.reopen()
		r.wantAll(want)
	})
}
