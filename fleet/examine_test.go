package fleet

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// TestExamine tells proven, wrong, missing and not found out apart, whatever the
// node does, and whatever is asked for.
func TestExamine(t *testing.T) {
	flip := func(part string) func(*rig, *spread, *rigNode, string) {
		return func(r *rig, sp *spread, _ *rigNode, _ string) {
			rot(r, sp, 1, map[string]int{"first": 5, "last": int(sp.Length) - 1, "contents": int(sp.Length) + 5, "hashes": int(sp.TailOffset()) + 5, "trailer": int(sp.FileSize()) - 60}[part])
		}
	}
	fate := func(f backendtest.Fate, ops ...string) func(*rig, *spread, *rigNode, string) {
		return func(_ *rig, _ *spread, n *rigNode, _ string) { n.faulty.SetChoose(backendtest.On(f, ops...)) }
	}
	size := func(grow int) func(*rig, *spread, *rigNode, string) {
		return func(_ *rig, sp *spread, n *rigNode, name string) {
			b := append(append([]byte(nil), sp.Files[1]...), make([]byte, 1)...)
			n.mem.SetBytes(name, b[:len(sp.Files[1])+grow])
		}
	}
	refuse := func(class error) func(*rig, *spread, *rigNode, string) {
		return func(_ *rig, _ *spread, n *rigNode, _ string) {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpRead && c.Name != layout.MarkerName {
					return class
				}
				return nil
			})
		}
	}
	nothing := func(*rig, *spread, *rigNode, string) {}
	const block = 64 * kib
	for _, x := range []struct {
		what   string
		do     func(*rig, *spread, *rigNode, string)
		off, n uint64
		class  error
	}{
		{"all is well: whole", nothing, 0, 0, nil},
		{"all is well: a range", nothing, 3*block - 1, 2, nil},
		{"all is well: the last byte", nothing, 40*block - 1, 1, nil},
		{"whole: a bit of the first block", flip("first"), 0, 0, cairn.ErrCorrupt},
		{"whole: a bit of the last block", flip("last"), 0, 0, cairn.ErrCorrupt},
		{"whole: a bit of the contents", flip("contents"), 0, 0, cairn.ErrCorrupt},
		{"whole: a bit of the hashes", flip("hashes"), 0, 0, cairn.ErrCorrupt},
		{"whole: a bit of the trailer", flip("trailer"), 0, 0, cairn.ErrCorrupt},
		{"whole: a byte too few", size(-1), 0, 0, cairn.ErrCorrupt},
		{"whole: a byte too many", size(+1), 0, 0, cairn.ErrCorrupt},
		{"a range: in it", flip("first"), 100, 5, cairn.ErrCorrupt},
		{"a range: elsewhere", flip("last"), 100, 5, nil},
		{"whole: replies are spoilt", fate(backendtest.Lies, "read"), 0, 0, cairn.ErrCorrupt},
		{"no such file: whole", func(_ *rig, _ *spread, n *rigNode, name string) { n.mem.Drop(name) }, 0, 0, cairn.ErrNotExist},
		{"no such file: a range", func(_ *rig, _ *spread, n *rigNode, name string) { n.mem.Drop(name) }, 5, 5, cairn.ErrNotExist},
		{"B7: an unmounted disk: whole", unmounted, 0, 0, cairn.ErrUnavailable},
		{"B7: an unmounted disk: a range", unmounted, 5, 5, cairn.ErrUnavailable},
		{"the node does not answer", fate(backendtest.Fails, "read", "stat"), 0, 0, cairn.ErrUnavailable},
		{"the node refuses", refuse(cairn.ErrDenied), 5, 5, cairn.ErrUnavailable},
		{"the node is out of its mind", refuse(cairn.ErrFull), 5, 5, cairn.ErrUnavailable},
		{"the node hangs", fate(backendtest.Hangs, "read"), 5, 5, cairn.ErrUnavailable},
		{"beyond the end", nothing, 40 * block, 1, cairn.ErrInvalid},
		{"over the end", nothing, 40*block - 1, 2, cairn.ErrInvalid},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 4, unwatched)
				sp := r.spread(coding("2+1"), 80*block)
				if sp.Length != 40*block {
					t.Fatal(sp.Length)
				}
				n, name := r.holder(sp, 1)
				r.coolTails()
				x.do(r, sp, n, name)
				for _, n := range r.nodes {
					n.take("")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var l cairn.Location
				for _, at := range sp.where {
					if at.Index == 1 {
						l = at
					}
				}
				cost, err := r.Examine(ctx, sp.Params, l, x.off, x.n)
				switch {
				case x.class != nil:
					wantClass(t, "examine", err, x.class)
				case err != nil:
					t.Errorf("examine: %v", err)
				case x.n == 0 && (cost.Read != sp.FileSize() || cost.Requests != 6): // size, tail, contents, 3 windows
					t.Errorf("%+v for %d bytes", cost, sp.FileSize())
				case x.n > 0 && (cost.Read > int64(2*block+sp.TailSize()) || cost.Requests != 2):
					t.Errorf("%+v for %d bytes", cost, x.n)
				}
				for _, o := range r.nodes {
					if calls, _ := o.take(backends.OpRead); o != n && len(calls) > 0 {
						t.Errorf("%s was asked too", o.Name)
					}
				}
			})
		})
	}
}

// unmounted is a node whose disk is not there: it lists nothing, has nothing,
// and says so without an error.
func unmounted(_ *rig, _ *spread, n *rigNode, _ string) {
	for _, name := range n.mem.Names() {
		n.mem.Drop(name)
	}
}

// TestExamineOfANodeThatLeft: a place on a node that left is not
// found out, and not missing.
func TestExamineOfANodeThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, unwatched)
		sp := r.spread(coding("2+1"), 100*kib)
		l := sp.where[0]
		r.nodes = append(r.nodes, r.at(l.Node))
		var left []*rigNode
		for _, n := range r.nodes {
			if n.ID != l.Node {
				left = append(left, n)
			}
		}
		r.set(left...)
		_, err := r.Examine(t.Context(), sp.Params, l, 0, 0)
		wantClass(t, "examine", err, cairn.ErrUnavailable)
		for f, err := range r.Files(t.Context(), l.Node) {
			wantClass(t, "files", err, cairn.ErrUnavailable)
			if f != (File{}) {
				t.Errorf("%v", f)
			}
		}
		wantClass(t, "remove", r.Remove(t.Context(), sp.ID, l), cairn.ErrUnavailable)
		if err := r.Remove(t.Context(), sp.ID, l); errors.Is(err, cairn.ErrNotExist) {
			t.Error("it counts as removed")
		}
	})
}
