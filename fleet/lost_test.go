package fleet

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// TestLostOrOnlyAway: only nodes that a person gave up make a pack lost.
func TestLostOrOnlyAway(t *testing.T) {
	for _, x := range []struct {
		what               string
		left, gone         int // nodes out of the fleet; declared gone but still named
		down, empty, wrong int // of the others
		class              error
	}{
		{what: "three left", left: 3},
		{what: "four left", left: 4, class: cairn.ErrLost},
		{what: "all left", left: 7, class: cairn.ErrLost},
		{what: "two left, two gone", left: 2, gone: 2, class: cairn.ErrLost},
		{what: "four gone, but they still answer", gone: 4},
		{what: "four down", down: 4, class: cairn.ErrUnavailable},
		{what: "three left, one down", left: 3, down: 1, class: cairn.ErrUnavailable},
		{what: "three left, one says not found", left: 3, empty: 1, class: cairn.ErrUnavailable},
		{what: "three left, one lies", left: 3, wrong: 1, class: cairn.ErrUnavailable},
		{what: "four left, the others down too", left: 4, down: 3, class: cairn.ErrLost},
		{what: "all lie", wrong: 7, class: cairn.ErrUnavailable},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 7)
				sp := r.spread(coding("4+3"), 200*kib)
				var stay []*rigNode
				for i, n := range r.nodes {
					switch {
					case i < x.left:
						continue
					case i < x.left+x.gone:
						n.State = "gone"
						if x.class != nil {
							n.faulty.SetDown(true)
						}
					case i < x.left+x.gone+x.down:
						n.faulty.SetDown(true)
					case i < x.left+x.gone+x.down+x.empty:
						for _, f := range n.mem.Names() {
							if strings.HasPrefix(f, "packs/") {
								n.mem.Drop(f)
							}
						}
					case i < x.left+x.gone+x.down+x.empty+x.wrong:
						n.faulty.SetChoose(backendtest.On(backendtest.Lies, backends.OpRead))
					}
					stay = append(stay, n)
				}
				r.set(stay...)
				err := r.tryRead(sp, 0, len(sp.bytes), 0)
				if x.class == nil {
					must(t, err)
					return
				}
				wantClass(t, "read", err, x.class)
				if x.down+x.empty+x.wrong > 0 && x.class != cairn.ErrLost {
					named := 0
					for _, n := range stay {
						named += bit(strings.Contains(err.Error(), n.Name+":"))
					}
					if named == 0 || !strings.Contains(err.Error(), sp.ID.String()) {
						t.Errorf("neither pack nor node is named: %v", err)
					}
				}
			})
		})
	}
}

// TestBeforeTheNodesAreToldNothingIsLost: a fleet that does not know its nodes
// yet must not call a pack lost.
func TestBeforeTheNodesAreToldNothingIsLost(t *testing.T) {
	r := newRig(t, 1)
	sp := r.spread(coding("1+0"), 100*kib)
	f, err := New(t.Context(), r.c)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	wantClass(t, "read", f.Read(t.Context(), sp.Params, sp.where, 0, make([]byte, 1), 0), cairn.ErrUnavailable)
	_, err = f.Contents(t.Context(), sp.Params, sp.where)
	wantClass(t, "contents", err, cairn.ErrUnavailable)
	must(t, f.SetNodes(t.Context(), nil))
	wantClass(t, "read", f.Read(t.Context(), sp.Params, sp.where, 0, make([]byte, 1), 0), cairn.ErrLost)
	_, err = f.Contents(t.Context(), sp.Params, sp.where)
	wantClass(t, "contents", err, cairn.ErrLost)
}
