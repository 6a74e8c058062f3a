package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// TestFiles lists what has the name of a shard, and ends with an error unless the
// whole of a mounted disk was seen.
func TestFiles(t *testing.T) {
	for _, x := range []struct {
		what  string
		do    func(*rig, *rigNode)
		files int
		class error
	}{
		{"all is well", func(*rig, *rigNode) {}, 20, nil},
		{"other files are left out", func(_ *rig, n *rigNode) {
			n.mem.SetBytes(layout.PacksDir+"/00/readme", []byte("x"))
			n.mem.SetBytes("tmp/1", []byte("x"))
		}, 20, nil},
		{"a file cut short is listed with its size", func(_ *rig, n *rigNode) {
			n.mem.SetBytes(layout.Path(cairn.ShardName{Pack: cairn.NewPackID(7, [10]byte{1})}), []byte("x"))
		}, 21, nil},
		{"B7: an unmounted disk has no files and says so", func(r *rig, n *rigNode) { unmounted(r, nil, n, "") }, 0, cairn.ErrUnavailable},
		{"B7: a disk that goes while it is listed", func(r *rig, n *rigNode) {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpList {
					n.mem.Drop(layout.MarkerName)
				}
				return nil
			})
		}, 20, cairn.ErrUnavailable},
		{"another disk", func(_ *rig, n *rigNode) {
			m, _ := layout.Marker{Version: 1, Store: testStore, Node: cairn.NodeID{99}}.Encode()
			n.mem.SetBytes(layout.MarkerName, m)
		}, 20, cairn.ErrUnavailable},
		{"a listing that breaks", func(_ *rig, n *rigNode) { n.faulty.SetChoose(backendtest.On(backendtest.WorksButFails, "list")) }, 20, cairn.ErrUnavailable},
		{"a listing that fails", func(_ *rig, n *rigNode) { n.faulty.SetChoose(backendtest.On(backendtest.Fails, "list")) }, 0, cairn.ErrUnavailable},
		{"a listing that is refused", func(_ *rig, n *rigNode) {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpList {
					return cairn.ErrDenied
				}
				return nil
			})
		}, 0, cairn.ErrUnavailable},
		{"a listing that hangs", func(_ *rig, n *rigNode) { n.faulty.SetChoose(backendtest.On(backendtest.Hangs, "list")) }, 0, cairn.ErrUnavailable},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1, unwatched)
				for range 20 {
					r.spread(coding("1+0"), 10*kib)
				}
				n := r.nodes[0]
				x.do(r, n)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got, last := 0, error(nil)
				for f, err := range r.Files(ctx, n.ID) {
					if last != nil {
						t.Error("the error was not the last pair")
					}
					if last = err; err != nil {
						continue
					}
					if b, ok := n.mem.Bytes(layout.Path(f.Shard)); !ok && n.mem.Used() > 0 || ok && int64(len(b)) != f.Size {
						t.Errorf("%v", f)
					}
					got++
				}
				if got != x.files {
					t.Errorf("%d files, want %d", got, x.files)
				}
				if x.class != nil {
					wantClass(t, "files", last, x.class)
				} else if last != nil {
					t.Error(last)
				}
				for range r.Files(ctx, n.ID) {
					break // a consumer may stop
				}
			})
		})
	}
}

// TestRemove believes only the node's own word, given afterwards beside a good
// marker, that the file is not there.
func TestRemove(t *testing.T) {
	on := backendtest.On
	for _, x := range []struct {
		what   string
		choose backendtest.Choose
		do     func(*rigNode, string)
		gone   bool // nil is returned
		stays  bool // the file
	}{
		{what: "it works", gone: true},
		{what: "works but says it failed", choose: on(backendtest.WorksButFails, "delete"), gone: true},
		{what: "says it worked but lied", choose: on(backendtest.Lies, "delete"), stays: true},
		{what: "fails", choose: on(backendtest.Fails, "delete"), stays: true},
		{what: "hangs", choose: on(backendtest.Hangs, "delete"), stays: true},
		{what: "is refused", do: func(n *rigNode, _ string) {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpDelete {
					return cairn.ErrDenied
				}
				return nil
			})
		}, stays: true},
		{what: "the answer hangs", choose: on(backendtest.Hangs, "stat")},
		{what: "the answer fails", choose: on(backendtest.Fails, "stat")},
		{what: "the answer is a lie", choose: on(backendtest.Lies, "stat")},
		{what: "it was not there", do: func(n *rigNode, name string) { n.mem.Drop(name) }, gone: true},
		{what: "B7: the disk is not mounted", do: func(n *rigNode, _ string) { unmounted(nil, nil, n, "") }},
		{what: "B7: the disk goes between", do: func(n *rigNode, name string) {
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpDelete {
					unmounted(nil, nil, n, "")
				}
				return nil
			})
		}},
	} {
		for _, what := range []string{"a shard", "a temporary"} {
			t.Run(x.what+": "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 3, unwatched)
					sp := r.spread(coding("2+1"), 100*kib)
					l := sp.where[0]
					n, name := r.at(l.Node), layout.Path(l.Name(sp.ID))
					second := l // another file of the same shard beside it
					second.Write++
					n.mem.SetBytes(layout.Path(second.Name(sp.ID)), sp.Files[l.Index])
					do := func(ctx context.Context) error { return r.Remove(ctx, sp.ID, l) }
					if what == "a temporary" {
						name = layout.TempPrefix + "1234"
						n.mem.SetBytes(name, []byte("half a shard"))
						do = func(ctx context.Context) error { return r.RemoveTemporary(ctx, n.ID, name) }
					}
					before := n.mem.Names()
					n.faulty.SetChoose(x.choose)
					if x.do != nil {
						x.do(n, name)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					err := do(ctx)
					if (err == nil) != x.gone {
						t.Errorf("remove: %v", err)
					}
					if err != nil {
						wantClass(t, "remove", err, cairn.ErrUnavailable)
						if !strings.Contains(err.Error(), n.Name) || !strings.Contains(err.Error(), name) {
							t.Errorf("%v does not say where", err)
						}
					}
					if _, ok := n.mem.Bytes(name); ok != x.stays {
						t.Errorf("the file stands: %v", ok)
					}
					if n.mem.Used() > 0 {
						left := slices.DeleteFunc(n.mem.Names(), func(s string) bool { return s == name })
						if want := slices.DeleteFunc(before, func(s string) bool { return s == name }); !slices.Equal(left, want) {
							t.Errorf("others went too: %v, before %v", left, want)
						}
					}
				})
			})
		}
	}
}

// TestTemporaries are listed and removed, and nothing else can be by that way.
func TestTemporaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, unwatched)
		sp := r.spread(coding("1+1"), 10*kib)
		n := r.nodes[0]
		n.mem.SetBytes("tmp/a", []byte("1"))
		n.mem.SetBytes("tmp/b", []byte("22"))
		var got []string
		for e, err := range r.Temporaries(t.Context(), n.ID) {
			must(t, err)
			got = append(got, e.Name)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"tmp/a", "tmp/b"}) {
			t.Errorf("%v", got)
		}
		_, name := r.holder(sp, 0)
		for _, bad := range []string{name, layout.MarkerName, "tmp", "tmp/", "", "tmp/../cairn.json", "tmp/./a"} {
			if err := r.RemoveTemporary(t.Context(), n.ID, bad); !errors.Is(err, cairn.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		n.mem.Drop(layout.MarkerName)
		last := error(nil)
		for _, err := range r.Temporaries(t.Context(), n.ID) {
			last = err
		}
		wantClass(t, "without a marker", last, cairn.ErrUnavailable)
	})
}
