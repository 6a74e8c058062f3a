package scrub

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

func TestAListingThatOmitsIsAHintOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		for range 6 {
			r.spread("4+3", 5_000)
		}
		r.nodes[1].faulty.SetChoose(backendtest.On(backendtest.Lies, backends.OpList))
		for range 3 {
			if rep := r.find(); rep.Missing+rep.Lost != 0 {
				t.Errorf("%+v", rep)
			}
			r.pass(2 * time.Hour)
		}
		if n := r.fleet.looked(); n == 0 || n > 3*6 {
			t.Errorf("%d direct looks", n)
		}
		r.wantWhole("after the listings")
	})
}

func TestAnExtraCopyGoesOnlyWhenAllOthersWereJustVerified(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(r *rig, p *pack.Sealed)
		goes bool
	}{
		{"all n verify", func(*rig, *pack.Sealed) {}, true},
		{"one shard is silently gone", func(r *rig, p *pack.Sealed) { n, name := r.file(p, 6); n.mem.Drop(name) }, false},
		{"one shard's tail is wrong", func(r *rig, p *pack.Sealed) {
			n, name := r.file(p, 6)
			b, _ := n.mem.Bytes(name)
			b[len(b)-80] ^= 1
			n.mem.SetBytes(name, b)
		}, false},
		{"one node does not answer", func(r *rig, p *pack.Sealed) { r.nodes[5].faulty.SetDown(true) }, false},
		{"the row lacks a shard", func(r *rig, p *pack.Sealed) { r.rows.set(p.ID, func(row *index.PackRow) { row.At = row.At[:6] }) }, false},
		{"the pack is retiring", func(r *rig, p *pack.Sealed) {
			r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Retiring })
		}, false},
		{"several nodes lie at once", func(r *rig, p *pack.Sealed) { r.fleet.alarm = "several" }, false},
		{"it is being put right now", func(r *rig, p *pack.Sealed) {
			must(r.tb, r.intend(r.tb.Context(), p.ID, []cairn.Location{{Index: 2, Node: r.nodes[7].ID, Write: 99}}))
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 8)
			p := r.spread("4+3", 5_000)
			n, name := r.extraOf(p, 2, 7)
			r.find()
			if _, ok := n.mem.Bytes(name); !ok {
				t.Fatalf("%s: gone within the hour", c.what)
			}
			c.do(r, p)
			r.pass(61 * time.Minute)
			_, err := r.Scrub.Scrub(t.Context(), Request{}, nil)
			must(t, err)
			if _, ok := n.mem.Bytes(name); ok == c.goes {
				t.Errorf("%s: removed %v, want %v", c.what, !ok, c.goes)
			}
			if c.goes {
				r.wantWhole(c.what)
			}
		})
	}
}

func TestAnExtraCopyStandsInForOneOnANodeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		r.extraOf(p, 2, 7)
		r.find()
		r.state(r.nodes[2], "gone")
		r.pass(61 * time.Minute)
		if rep := r.find(); rep.Found != 1 {
			t.Errorf("%+v", rep)
		}
		r.wantWhole("taken up")
	})
}

func TestAnExtraFileBesideAnotherShardIsTakenUpOnlyInNeed(t *testing.T) {
	for _, gone := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 8)
			p := r.spread("4+3", 5_000)
			r.extraOf(p, 0, 6) // which holds shard 6
			for i := range gone {
				n, name := r.file(p, i)
				n.mem.Drop(name)
			}
			r.rows.set(p.ID, func(row *index.PackRow) { row.At = row.At[gone:] })
			r.find()
			r.pass(61 * time.Minute)
			found := r.find().Found
			if want := int64(gone / 4); found != want {
				t.Fatalf("%d shards gone: %d taken up, want %d", gone, found, want)
			}
			if gone > 1 {
				return
			}
			rep, err := r.Repair(t.Context(), Request{}, nil)
			must(t, err)
			if rep.Made != 1 {
				t.Errorf("%+v", rep)
			}
			r.wantWhole("made elsewhere")
			if rep := r.find(); rep.Removed != 1 {
				t.Errorf("the extra file stays: %+v", rep)
			}
		})
	}
}

func TestAnExtraFileWithWrongBytesIsNotTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		n, name := r.extraOf(p, 2, 7)
		b, _ := n.mem.Bytes(name)
		b[9] ^= 1
		n.mem.SetBytes(name, b)
		lost, there := r.file(p, 2)
		lost.mem.Drop(there)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At = slices.Delete(row.At, 2, 3) })
		r.find()
		r.pass(61 * time.Minute)
		r.find()
		if len(r.row(p.ID)) != 6 {
			t.Errorf("row %v", r.row(p.ID))
		}
		if _, ok := n.mem.Bytes(name); !ok {
			t.Error("it was removed, and nobody said that it may be")
		}
	})
}

func TestHazardA7UnknownPacksAreTakenUpAndNeverRemoved(t *testing.T) {
	for _, c := range []struct {
		what  string
		hide  int // shards that do not stand
		adopt bool
	}{{"whole", 0, true}, {"k shards", 3, true}, {"fewer than k", 4, false}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 7)
			var adopted []cairn.Location
			r.c.Adopt = func(_ context.Context, id cairn.PackID, at []cairn.Location) (string, error) {
				adopted = at
				return "log pack 9", nil
			}
			r.start()
			p := r.spread("4+3", 5_000)
			at := r.row(p.ID)
			for i := range c.hide {
				n, name := r.file(p, i)
				n.mem.Drop(name)
			}
			r.rows.mu.Lock()
			delete(r.rows.rows, p.ID)
			r.rows.mu.Unlock()
			before := r.files()
			rep := r.find()
			if rep.Unknown != int64(7-c.hide) || adopted != nil {
				t.Errorf("%s: at once: %+v, adopted %v", c.what, rep, adopted)
			}
			r.pass(61 * time.Minute)
			_, err := r.Scrub.Scrub(t.Context(), Request{}, nil)
			must(t, err)
			if c.adopt != (adopted != nil) || c.adopt && !slices.Equal(adopted, at[c.hide:]) {
				t.Errorf("%s: adopted at %v", c.what, adopted)
			}
			for range 2 {
				r.pass(25 * time.Hour)
				r.find()
			}
			if r.files() != before {
				t.Errorf("%s: %d of %d files are left", c.what, r.files(), before)
			}
		})
	}
}

func TestNamesThatANodeInventsAreNotTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.c.Adopt = func(context.Context, cairn.PackID, []cairn.Location) (string, error) {
			t.Error("adopted")
			return "", nil
		}
		r.start()
		for i := range 50 {
			l := cairn.Location{Index: uint8(i % 7), Write: uint32(i)}
			r.nodes[0].mem.SetBytes(layout.Path(l.Name(cairn.NewPackID(uint64(i), [10]byte{1}))), random(uint64(i), 9000))
		}
		r.find()
		r.pass(2 * time.Hour)
		r.find()
	})
}

func TestAPackThatGotItsRowMeanwhileIsNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		r.c.Adopt = func(context.Context, cairn.PackID, []cairn.Location) (string, error) {
			return "", errors.New("it is known")
		}
		r.start()
		p := r.spread("4+3", 5_000)
		row, _ := r.rows.Pack(p.ID)
		r.rows.mu.Lock()
		delete(r.rows.rows, p.ID)
		r.rows.mu.Unlock()
		r.find()
		r.rows.set(p.ID, func(o *index.PackRow) { *o = row })
		r.pass(2 * time.Hour)
		r.find()
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.marks.of[stranger]); n != 0 {
			t.Errorf("%d marks are left", n)
		}
	})
}
