package fleet

import (
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// TestTailsAreBoundedInBytes: tails of large shards are large.
func TestTailsAreBoundedInBytes(t *testing.T) {
	const most = 1 << 20
	ts := newTails(most)
	params := func(i int) pack.Params { return pack.Params{ID: cairn.NewPackID(uint64(i), [10]byte{})} }
	for i := range 300 {
		tail := &pack.Tail{Blocks: make([]crypt.Hash, 1+i*40)}
		tail.Params = params(i)
		for range 2 { // twice is once
			ts.put(tail)
		}
		held := 0
		for _, key := range ts.lru.Keys() {
			kept, _ := ts.lru.Peek(key)
			held += tailCost(kept)
		}
		if ts.used != held || held > most {
			t.Fatalf("after %d: %d bytes counted, %d held", i, ts.used, held)
		}
	}
	if ts.get(params(299), 0) == nil || ts.get(params(0), 0) != nil {
		t.Error("not the oldest left")
	}
	other := params(299)
	other.Epoch = 7
	if ts.get(other, 0) != nil {
		t.Error("a tail of other parameters is given")
	}
}

// TestFailuresTellNodesAndCauses in one line, and have one class.
func TestFailuresTellNodesAndCauses(t *testing.T) {
	r := newRig(t, 2)
	sp := r.spread(coding("1+1"), 10*kib)
	down(r, r.nodes[0])
	rot(r, sp, 0, 5)
	rot(r, sp, 1, 5)
	err := r.tryRead(sp, 0, 10, 0)
	wantClass(t, "read", err, cairn.ErrUnavailable)
	for _, word := range []string{sp.ID.String(), "n1:", "n2:", cairn.ErrCorrupt.Error()} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not tell %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	t.Log(err)
}
