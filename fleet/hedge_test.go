package fleet

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// usual gives every read of a node the same time.
func usual(d time.Duration) func(backends.Call) time.Duration {
	return func(c backends.Call) time.Duration {
		if c.Op == backends.OpRead {
			return d
		}
		return 0
	}
}

// warm lets every node's usual time be known.
func warm(r *rig, sp *spread) {
	for _, l := range sp.where {
		for range 20 {
			must(r.tb, r.node(l.Node).readAt(r.tb.Context(), layout.Path(l.Name(sp.ID)), make([]byte, 10), 0))
		}
	}
	for _, n := range r.nodes {
		n.take("")
	}
}

// TestHedgesFollowTheNodesOwnP95: a node that always takes a second is not late
// after 500 ms, one that takes 20 ms is late soon after.
func TestHedgesFollowTheNodesOwnP95(t *testing.T) {
	for _, x := range []struct {
		usual, now time.Duration
		most       time.Duration // the read takes
		hedged     bool
	}{
		{time.Second, time.Second, time.Second, false},
		{time.Second, time.Hour, 1250*time.Millisecond + time.Second, true},
		{20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, false},
		{20 * time.Millisecond, time.Hour, hedgeLeast + 20*time.Millisecond, true},
		{100 * time.Millisecond, 120 * time.Millisecond, 120 * time.Millisecond, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			sp := r.spread(coding("2+1"), 200*kib)
			for _, n := range r.nodes {
				n.setDelay(usual(x.usual))
			}
			warm(r, sp)
			own, _ := r.holder(sp, 0)
			own.setDelay(usual(x.now))
			began := time.Now()
			r.read(sp, 0, 1000, 0)
			if took := time.Since(began); took > x.most {
				t.Errorf("%+v: took %v", x, took)
			}
			asked := 0
			for _, n := range r.nodes {
				calls, _ := n.take(backends.OpRead)
				asked += len(calls)
			}
			if (asked > 1) != x.hedged {
				t.Errorf("%+v: %d requests", x, asked)
			}
		})
	}
}

// TestANodeThatHangsIsSoonNotAskedFirst: few reads pay for it, and when it is
// well again it is asked again.
func TestANodeThatHangsIsSoonNotAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		sp := r.spread(coding("4+3"), 200*kib)
		for _, n := range r.nodes {
			n.setDelay(usual(20 * time.Millisecond))
		}
		warm(r, sp)
		own, _ := r.holder(sp, 0)
		own.setDelay(func(backends.Call) time.Duration { return time.Hour })
		slow := 0
		for range 100 {
			began := time.Now()
			r.read(sp, 0, 1000, 0)
			if time.Since(began) > 25*time.Millisecond {
				slow++
			}
		}
		if slow > 3 {
			t.Errorf("%d of 100 reads within 2 s waited for a node that hangs", slow)
		}
		own.setDelay(usual(20 * time.Millisecond))
		wait(2 * time.Minute)
		r.read(sp, 0, 1000, 0)
		own.take("")
		r.read(sp, 0, 1000, 0)
		if calls, _ := own.take(backends.OpRead); len(calls) != 1 {
			t.Errorf("well again, and asked %d times", len(calls))
		}
	})
}

// TestHelpersThatHangAreReplaced: decoding waits for none of them either.
func TestHelpersThatHangAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		sp := r.spread(coding("4+3"), 200*kib)
		for _, n := range r.nodes {
			n.setDelay(usual(20 * time.Millisecond))
		}
		warm(r, sp)
		own, name := r.holder(sp, 0)
		own.mem.Drop(name)
		for _, i := range []uint8{1, 2} { // asked first among equals
			n, _ := r.holder(sp, i)
			n.setDelay(func(backends.Call) time.Duration { return time.Hour })
		}
		began := time.Now()
		r.read(sp, 0, 1000, 0)
		if took := time.Since(began); took > 3*20*time.Millisecond+hedgeLeast {
			t.Errorf("took %v", took)
		}
	})
}

// TestHedgesKeepTheirBudget: of reads that are late now and then, not many more
// than the saved ones and 5 percent are raced.
func TestHedgesKeepTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		sp := r.spread(coding("2+1"), 200*kib)
		for _, n := range r.nodes {
			n.setDelay(usual(20 * time.Millisecond))
		}
		warm(r, sp)
		own, _ := r.holder(sp, 0)
		const reads = 400
		for i := range reads {
			d := 20 * time.Millisecond
			if i%2 == 0 { // never twice in a row, so it is still asked first
				d = 28 * time.Millisecond * time.Duration(1+i%3*4)
			}
			own.setDelay(usual(d))
			r.read(sp, 0, 1000, 0)
		}
		asked := 0
		for _, n := range r.nodes {
			calls, _ := n.take(backends.OpRead)
			asked += len(calls)
		}
		if extra := asked - reads; extra < hedgeBurst/2 || float64(extra) > hedgeBurst+2*hedgeShare*reads {
			t.Errorf("%d requests more than %d reads", extra, reads)
		}
	})
}

// TestTwoPlacesOfOneShard are both used before anything is decoded.
func TestTwoPlacesOfOneShard(t *testing.T) {
	hang := func(n *rigNode, _ string) {
		n.setDelay(func(backends.Call) time.Duration { return time.Hour })
	}
	for _, x := range []struct {
		what  string
		first func(n *rigNode, name string)
	}{
		{"the first does not answer", func(n *rigNode, _ string) { n.faulty.SetDown(true) }},
		{"the first is not there", func(n *rigNode, name string) { n.mem.Drop(name) }},
		{"the first is wrong", func(n *rigNode, name string) { n.mem.SetBytes(name, make([]byte, 1<<20)) }},
		{"the first hangs", hang},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 4)
				sp := r.spread(coding("2+1"), 200*kib)
				var spare *rigNode
				for _, n := range r.nodes {
					if !slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == n.ID }) {
						spare = n
					}
				}
				second := cairn.Location{Index: 0, Node: spare.ID, Write: 4}
				spare.mem.SetBytes(layout.Path(second.Name(sp.ID)), sp.Files[0])
				sp.where = append(sp.where, second)
				warm(r, sp)
				r.coolTails()
				x.first(r.holder(sp, 0))
				r.read(sp, 0, 1000, 0)
				for _, l := range sp.where {
					if calls, _ := r.at(l.Node).take(backends.OpRead); l.Index != 0 && len(calls) > 0 {
						t.Errorf("shard %d was asked for though shard 0 stands twice", l.Index)
					}
				}
			})
		})
	}
}

// TestTwoPlacesHelpToDecode though each has a bad block of its own.
func TestTwoPlacesHelpToDecode(t *testing.T) {
	r := newRig(t, 4)
	sp := r.spread(coding("2+1"), 400*kib)
	n, name := r.holder(sp, 1)
	bad := slices.Clone(sp.Files[1])
	bad[0] ^= 1
	n.mem.SetBytes(name, bad)
	for _, o := range r.nodes {
		l := cairn.Location{Index: 1, Node: o.ID, Write: 4}
		if !slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == o.ID }) {
			bad := slices.Clone(sp.Files[1])
			bad[2*pack.BlockSize] ^= 1
			o.mem.SetBytes(layout.Path(l.Name(sp.ID)), bad)
			sp.where = append(sp.where, l)
		}
	}
	gone, _ := r.holder(sp, 0)
	gone.faulty.SetDown(true)
	r.read(sp, 0, 3*pack.BlockSize, 0)
}

// TestHazardC17NotFoundAsksAgainWhereItIs before anything is decoded: the shard
// moved after the read was told its place.
func TestHazardC17NotFoundAsksAgainWhereItIs(t *testing.T) {
	for _, moved := range []int{1, 3} { // shards of three
		var now []cairn.Location
		asked := 0
		r := newRig(t, 6, func(c *Config) {
			c.Where = func(cairn.PackID) ([]cairn.Location, error) {
				asked++
				return now, nil
			}
		})
		sp := r.spread(coding("2+1"), 200*kib)
		slices.SortFunc(sp.where, func(a, b cairn.Location) int { return int(a.Index) - int(b.Index) })
		now = slices.Clone(sp.where)
		for i := range now[:moved] {
			now[i].Write++
			n, name := r.holder(sp, now[i].Index)
			n.mem.Drop(name)
			n.mem.SetBytes(layout.Path(now[i].Name(sp.ID)), sp.Files[now[i].Index])
		}
		for _, n := range r.nodes {
			n.take("")
		}
		r.read(sp, 0, 1000, 0)
		others := 0
		for _, l := range sp.where {
			calls, _ := r.at(l.Node).take(backends.OpRead)
			others += bit(l.Index != 0 && len(calls) > 0)
		}
		if asked != 1 || others > 0 {
			t.Errorf("asked again %d times, %d other shards read", asked, others)
		}
	}
}

// TestReadsHonourTheirContext: the caller gives up and has its answer at once.
func TestReadsHonourTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		sp := r.spread(coding("4+3"), 400*kib)
		for _, n := range r.nodes {
			n.setDelay(usual(time.Hour))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		began := time.Now()
		err := r.Read(ctx, sp.Params, sp.where, 0, make([]byte, len(sp.bytes)), 0)
		wantClass(t, "read", err, cairn.ErrUnavailable)
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("after %v", took)
		}
	})
}
