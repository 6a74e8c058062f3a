package index

import (
	"testing"

	"github.com/cairn-storage/cairn"
)

// TestWhatMayReturnIsKept: after DropTombstones a record that is not below may
// still be taken back. What it displaced is current again then, whether that is
// below or not.
func TestWhatMayReturnIsKept(t *testing.T) {
	for _, x := range []struct {
		what   string
		first  []Change
		below  cairn.Stamp
		takes  []cairn.Stamp // what is taken back after it, one by one
		leaves []cairn.Stamp // the current version after each, zero for none
	}{
		{"a version above another that is not below", []Change{putRec(st(1, 2), "x", "A"), putRec(st(1, 4), "x", "B"), putRec(st(1, 6), "x", "C")},
			st(1, 3), []cairn.Stamp{st(1, 6), st(1, 4)}, []cairn.Stamp{st(1, 4), st(1, 2)}},
		{"a version above one that is below", []Change{putRec(st(1, 2), "x", "A"), putRec(st(1, 4), "x", "B")},
			st(1, 3), []cairn.Stamp{st(1, 4)}, []cairn.Stamp{st(1, 2)}},
		{"a delete above a version below", []Change{putRec(st(1, 2), "x", "A"), delRec(st(1, 4), "x")},
			st(1, 3), []cairn.Stamp{st(1, 4)}, []cairn.Stamp{st(1, 2)}},
		{"a delete above a version that is not below", []Change{putRec(st(1, 4), "x", "A"), delRec(st(1, 6), "x")},
			st(1, 3), []cairn.Stamp{st(1, 6)}, []cairn.Stamp{st(1, 4)}},
		{"a version above a delete below", []Change{putRec(st(1, 1), "x", "A"), delRec(st(1, 2), "x"), putRec(st(1, 4), "x", "B")},
			st(1, 3), []cairn.Stamp{st(1, 4)}, []cairn.Stamp{{}}},
		{"a version above a delete that is not below", []Change{putRec(st(1, 2), "x", "A"), delRec(st(1, 4), "x"), putRec(st(1, 6), "x", "B")},
			st(1, 3), []cairn.Stamp{st(1, 6), st(1, 4)}, []cairn.Stamp{{}, st(1, 2)}},
	} {
		t.Run(x.what, func(t *testing.T) {
			ix := fresh(t)
			must(t, ix.Apply(x.first))
			last := x.first[len(x.first)-1].Record.Stamp
			must(t, ix.DropTombstones(x.below))
			for i, of := range x.takes {
				by := st(1, last.LSN+10+uint64(i))
				must(t, ix.Apply([]Change{voidRec(by, of)}))
				if got := stampOf(t, ix, "x"); got != x.leaves[i] {
					t.Errorf("%v taken back: x is of %v, want %v", of, got, x.leaves[i])
				}
				for _, c := range x.first { // nor does it count when it comes again
					must(t, ix.Apply([]Change{c}))
				}
				if got := stampOf(t, ix, "x"); got != x.leaves[i] {
					t.Errorf("%v taken back and all applied again: x is of %v, want %v", of, got, x.leaves[i])
				}
			}
			must(t, ix.DropTombstones(st(100, 0)))
			if n := rows(t, ix, tableShadow) + rows(t, ix, tableHistory) + rows(t, ix, tableVoid); n != 0 {
				t.Errorf("%d rows are left at the end", n)
			}
			must(t, ix.Close())
		})
	}
}
