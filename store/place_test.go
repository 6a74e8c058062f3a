package store

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
)

// booked fails unless the books of the nodes are the sum of all rows.
func (r *rig) booked() {
	r.tb.Helper()
	want := make(map[cairn.NodeID]int64)
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		must(r.tb, err)
		if row.State == index.Staged {
			continue
		}
		for _, l := range row.At {
			want[l.Node] += row.Params.FileSize()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(want, r.onNodes) {
		r.tb.Fatalf("the books of the nodes say %v, the rows %v", r.onNodes, want)
	}
}

// moveShard stands for a repair: the file of l under another name on another
// node.
func (r *rig) moveShard(id cairn.PackID, l cairn.Location, to cairn.NodeID) cairn.Location {
	r.tb.Helper()
	next := cairn.Location{Index: l.Index, Node: to, Write: l.Write + 1}
	var b []byte
	for _, n := range r.nodes {
		if n.ID == l.Node {
			b, _ = n.mem.Bytes(layout.Path(l.Name(id)))
		}
	}
	if b == nil {
		r.tb.Fatalf("no file of %v at %v", id, l)
	}
	for _, n := range r.nodes {
		if n.ID == to {
			must(r.tb, n.mem.Put(r.tb.Context(), layout.Path(next.Name(id)), b))
		}
	}
	return next
}

func TestPlacedIsDurableAndBooked(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, func(c *Config) { c.PackSize, c.Coding = minPack, "1+1" })
	data := content(1, 230<<10)
	must(t, r.put("a", data))
	must(t, r.Flush(t.Context()))
	r.releaseAll()
	r.booked()
	id := r.packsOf("a")[0]
	row, err := r.Pack(id)
	must(t, err)
	other := slices.IndexFunc(r.nodes, func(n *rigNode) bool {
		return !slices.ContainsFunc(row.At, func(l cairn.Location) bool { return l.Node == n.ID })
	})
	moved := r.moveShard(id, row.At[0], r.nodes[other].ID)
	no := errors.New("no")
	if err := r.Placed(id, func(*index.PackRow) error { return no }); err != no {
		t.Errorf("the change's own error comes as %v", err)
	}
	must(t, r.Placed(id, func(row *index.PackRow) error {
		row.At[0], row.State, row.Bytes = moved, index.Retired, 1 // only places change
		return nil
	}))
	for _, bad := range []cairn.Location{{Index: 2, Node: moved.Node}, {Index: 0}, moved} {
		err := r.Placed(id, func(row *index.PackRow) error { row.At = append(row.At, bad); return nil })
		if !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("a shard at %v: %v", bad, err)
		}
	}
	r.booked()
	r.crash(0, 1) // what it returned nil for survives
	r.open()
	r.booked()
	got, err := r.Pack(id)
	must(t, err)
	if got.State != index.Spread || got.Bytes != row.Bytes || got.At[0] != moved || !slices.Equal(got.At[1:], row.At[1:]) {
		t.Errorf("the row is %+v", got)
	}
	r.want("a", data)
	packs := 0
	for _, err := range r.Packs(cairn.PackID{}) {
		must(t, err)
		packs++
	}
	if packs != len(r.shards()) {
		t.Errorf("%d rows, %d packs stand", packs, len(r.shards()))
	}
}

// TestHazardB20PlacedOnlyWhileSpread: placement is committed by compare-and-set
// on the pack's state; what retires or is staged is left alone.
func TestHazardB20PlacedOnlyWhileSpread(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *Config) { c.PackSize, c.Coding = minPack, "1+1" })
	must(t, r.put("a", content(1, 100)))
	must(t, r.Flush(t.Context()))
	id := r.packsOf("a")[0]
	same := func(*index.PackRow) error { return nil }
	if err := r.Placed(id, same); !errors.Is(err, cairn.ErrPrecondition) {
		t.Errorf("of a staged pack: %v", err)
	}
	seen := func(want bool) {
		t.Helper()
		if got := r.Staged(id); got != want {
			t.Errorf("staged: %v, want %v", got, want)
		}
	}
	seen(true)
	r.releaseAll()
	seen(false)
	must(t, r.Placed(id, same))
	must(t, r.idx.UpdatePack(id, func(row *index.PackRow) error { row.State = index.Retiring; return nil }))
	if err := r.Placed(id, same); !errors.Is(err, cairn.ErrPrecondition) {
		t.Errorf("of a retiring pack: %v", err)
	}
	if err := r.Placed(cairn.PackID{1}, same); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("of no pack: %v", err)
	}
}
