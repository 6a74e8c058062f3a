package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// lister is a node whose listings are made up.
type lister struct {
	backends.Remote
	entries func(yield func(backends.Entry, error) bool)
}

func (l lister) List(context.Context, string) iter.Seq2[backends.Entry, error] { return l.entries }
func (l lister) Unwrap() backends.Remote                                       { return l.Remote }

// invented is the path of a shard that nobody wrote.
func invented(seq uint64, index uint8, write uint32) string {
	return layout.Path(cairn.ShardName{Pack: cairn.NewPackID(seq, [10]byte{66}), Index: index, Write: write})
}

// TestHazardC6ListingsThatLie harm neither what honest nodes say nor memory.
func TestHazardC6ListingsThatLie(t *testing.T) {
	const size = 100 << 10
	for _, x := range []struct {
		what    string
		entries func(yield func(backends.Entry, error) bool)
		extra   int // packs that are believed to be listed
		most    int // places of one pack on that node
		ok      bool
	}{
		{"foreign names, then ErrForeign: complete", func(yield func(backends.Entry, error) bool) {
			_ = yield(backends.Entry{Name: invented(5, 1, 1), Size: size}, nil) && yield(backends.Entry{Name: "lost+found/x", Size: size}, nil)
		}, 1, 1, true},
		{"names that are no shards", func(yield func(backends.Entry, error) bool) {
			for _, name := range []string{"packs/readme", "packs/00/00/00/00/x", "packs/00/00/00/01" + invented(5, 1, 1)[len("packs/00/00/00/00"):]} {
				if !yield(backends.Entry{Name: name, Size: size}, nil) {
					return
				}
			}
		}, 0, 0, true},
		{"files too small for a shard", func(yield func(backends.Entry, error) bool) {
			_ = yield(backends.Entry{Name: invented(5, 1, 1), Size: 100}, nil) && yield(backends.Entry{Name: invented(5, 2, 1), Size: 0}, nil)
		}, 0, 0, true},
		{"one name again and again", func(yield func(backends.Entry, error) bool) {
			for range 100 {
				if !yield(backends.Entry{Name: invented(5, 1, 1), Size: size}, nil) {
					return
				}
			}
		}, 1, 1, true},
		{"many files of one pack", func(yield func(backends.Entry, error) bool) {
			for i := range uint32(200) {
				if !yield(backends.Entry{Name: invented(5, 1, i), Size: size}, nil) {
					return
				}
			}
		}, 1, layout.MaxPerNode, true},
		{"more in a directory than can be", func(yield func(backends.Entry, error) bool) {
			for i := uint32(0); ; i++ {
				if !yield(backends.Entry{Name: invented(5, 1, i), Size: size}, nil) {
					return
				}
			}
		}, 0, 0, false}, // nothing of it is believed
		{"foreign names without end", func(yield func(backends.Entry, error) bool) {
			for i := 0; yield(backends.Entry{Name: fmt.Sprintf("x/%d", i), Size: size}, nil); i++ {
			}
		}, 0, 0, false},
		{"it breaks off", func(yield func(backends.Entry, error) bool) {
			_ = yield(backends.Entry{Name: invented(5, 1, 1), Size: size}, nil) && yield(backends.Entry{}, cairn.ErrUnavailable)
		}, 1, 1, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 4, func(c *Config) {
					open := c.Open
					c.Open = func(ctx context.Context, n pack.Node) (backends.Remote, error) {
						inner, err := open(ctx, n)
						if n.Name == "n4" {
							inner = lister{inner, x.entries}
						}
						return backends.Guard(inner, backends.Bounds{Files: 1 << 12}), err
					}
				})
				liar := r.nodes[3]
				liar.State = "draining" // no honest shard lies there
				r.set(r.nodes...)
				sp := r.spread(coding("2+1"), 100*kib)
				found, err := r.Survey(t.Context())
				if (err == nil) != x.ok || err != nil && (!strings.Contains(err.Error(), "n4") || strings.Contains(err.Error(), "n1")) {
					t.Errorf("error %v", err)
				}
				if len(found) != 1+x.extra || len(found[sp.ID]) != 3 {
					t.Errorf("%d packs, %v", len(found), found[sp.ID])
				}
				if got := found[cairn.NewPackID(5, [10]byte{66})]; len(got) != x.most {
					t.Errorf("%d places of one pack: %v", len(got), got)
				}
				if s := r.state(liar); s.State != "draining" && x.ok {
					t.Errorf("a node that lists nonsense answers: %+v", s)
				}
			})
		})
	}
}

// TestTrailerOfPlacesAlone: found by listing, whatever else the places hold.
func TestTrailerOfPlacesAlone(t *testing.T) {
	for _, size := range []int{1, 100 * kib, 3 << 20} {
		r := newRig(t, 4)
		sp := r.spread(coding("2+1"), size)
		found, err := r.Survey(t.Context())
		must(t, err)
		at := append([]cairn.Location{
			{Index: 0, Node: r.nodes[0].ID, Write: 1}, // invented
			{Index: 31, Node: r.nodes[1].ID, Write: 1},
			{Index: 0, Node: cairn.NodeID{99}}, // of a node that left
		}, found[sp.ID]...)
		got, err := r.Trailer(t.Context(), sp.ID, at)
		must(t, err)
		if got.SealHash() != sp.SealHash() || got.Params != sp.Params {
			t.Errorf("another trailer")
		}
		b, err := r.Contents(t.Context(), got.Params, at)
		must(t, err)
		if string(b) != string(sp.Files[0][sp.Length:sp.TailOffset()]) {
			t.Error("other contents")
		}
		if size > pack.FrameSize { // places that were only listed do not disturb reads
			at[1].Index = 1
			b := make([]byte, 100)
			must(t, r.Read(t.Context(), got.Params, at, sp.Length, b, 0))
			if string(b) != string(sp.bytes[sp.Length:sp.Length+100]) {
				t.Error("other bytes")
			}
		}
	}
}

// TestALongTailIsReadInTwo: unknownRead does not hold every tail there can be.
func TestALongTailIsReadInTwo(t *testing.T) {
	if tailOf([]byte(strings.Repeat("x", 100))) != 0 || tailOf(make([]byte, pack.FooterSize)) != 0 {
		t.Error("a tail where there is none")
	}
	r := newRig(t, 1)
	sp := r.seal(coding("1+0"), 1<<20)
	file := sp.Files[0]
	if got := tailOf(file[len(file)-pack.TrailerSize(1):]); got != int(sp.TailSize()) {
		t.Errorf("the trailer alone tells a tail of %d bytes, want %d", got, sp.TailSize())
	}
}

// TestTrailerSaysWhetherAnyoneAnswered: an invented pack is told from one that
// cannot be reached.
func TestTrailerSaysWhetherAnyoneAnswered(t *testing.T) {
	r := newRig(t, 3)
	sp := r.spread(coding("2+1"), 100*kib)
	id := cairn.NewPackID(77, [10]byte{1})
	at := []cairn.Location{{Index: 0, Node: r.nodes[0].ID}, {Index: 1, Node: r.nodes[1].ID}}
	_, err := r.Trailer(t.Context(), id, at)
	wantClass(t, "all say not found", err, cairn.ErrCorrupt)
	r.nodes[0].faulty.SetDown(true)
	_, err = r.Trailer(t.Context(), id, at)
	wantClass(t, "one does not answer", err, cairn.ErrUnavailable)
	_, err = r.Trailer(t.Context(), id, nil)
	wantClass(t, "no place", err, cairn.ErrLost)
	r.nodes[0].faulty.SetDown(false)

	other := r.spread(coding("2+1"), 50*kib) // its shard under a name of sp
	n, _ := r.holder(sp, 0)
	l := cairn.Location{Index: 0, Node: n.ID, Write: 9}
	n.mem.SetBytes(layout.Path(l.Name(sp.ID)), other.Files[0])
	_, err = r.Trailer(t.Context(), sp.ID, []cairn.Location{l})
	wantClass(t, "a shard of another pack", err, cairn.ErrCorrupt)
	for _, size := range []int64{-5, 0, 7, 1 << 60} {
		n.setInstead(nil)
		_, err := (&Fleet{c: r.c, m: r.m}).unknownTail(t.Context(), withSize(r, n, size), sp.ID, sp.where[0])
		if err == nil {
			t.Errorf("size %d is believed", size)
		}
	}
}

// withSize is the node of n with Stats that give size.
func withSize(r *rig, n *rigNode, size int64) *node {
	l := &link{remote: liar{n.mem, size}, marked: true}
	return &node{Node: n.Node, f: r.Fleet, link: l}
}

// TestHazardC19TruncatedShardsDoNotCount: a put that broke off under its final
// name, as on remotes without rename.
func TestHazardC19TruncatedShardsDoNotCount(t *testing.T) {
	for _, keep := range []int{0, 1, 50 * kib, 51 * kib} {
		for _, says := range []error{nil, cairn.ErrUnavailable} {
			r := newRig(t, 4)
			for _, n := range r.nodes[:1] {
				n.setInstead(func(_ context.Context, c backends.Call) error {
					if c.Op == backends.OpPut {
						n.mem.SetBytes(c.Name, make([]byte, keep))
						return errors.Join(errPut, says)
					}
					return nil
				})
			}
			sp := r.seal(coding("2+1"), 100*kib)
			if says == nil {
				short := r.nodes[0]
				short.faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
					if op == backends.OpPut {
						short.mem.SetBytes(name, make([]byte, keep))
						return backendtest.Lies
					}
					return backendtest.Works
				})
				short.setInstead(nil)
			}
			at, err := r.Scatter(t.Context(), sp.Sealed, nil, noIntent)
			must(t, err)
			checkPlaces(t, r, sp, at)
			for _, name := range r.nodes[0].mem.Names() {
				s, err := layout.ParsePath(name)
				if err != nil {
					continue
				}
				l := cairn.Location{Index: s.Index, Node: r.nodes[0].ID, Write: s.Write}
				if got := r.Verify(t.Context(), sp.Params, []cairn.Location{l}); len(got) != 0 {
					t.Errorf("%d bytes of a shard verify", keep)
				}
			}
		}
	}
}

var errPut = errors.New("broke off")
