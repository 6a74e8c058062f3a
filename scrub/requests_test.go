package scrub

import (
	"path"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// asked counts what nodes are asked for: the calls of backends.Remote. A listing
// is one of them, and on SFTP a few turns for each directory below it.
type asked struct {
	mu    sync.Mutex
	calls map[string]int // by operation
}

func (a *asked) count(r *rig) {
	a.calls = make(map[string]int)
	for _, n := range r.nodes {
		n.faulty.SetChoose(func(op, _ string, _ int) backendtest.Fate {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.calls[op]++
			return backendtest.Works
		})
	}
}

// take returns the calls since the last take: listings, and all others.
func (a *asked) take() (lists, others int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for op, n := range a.calls {
		if op == backends.OpList {
			lists += n
		} else {
			others += n
		}
	}
	clear(a.calls)
	return lists, others
}

// directories is in how many the shards of all nodes lie, those above included.
func (r *rig) directories() (n int) {
	for _, o := range r.nodes {
		seen := make(map[string]bool)
		for _, name := range o.mem.Names() {
			if _, err := layout.ParsePath(name); err != nil {
				continue
			}
			for d := path.Dir(name); d != "." && !seen[d]; d = path.Dir(d) {
				seen[d] = true
			}
		}
		n += len(seen)
	}
	return n
}

// daily lists every node as the background does once a day, and is the requests
// that took: the listings, and all others.
func (r *rig) daily(a *asked) (lists, others int) {
	r.tb.Helper()
	a.take()
	for _, n := range r.nodes {
		rep, err := r.presence(r.tb.Context(), n.ID)
		must(r.tb, err)
		if rep.Missing+rep.Lost+rep.Wrong+rep.Unread+rep.Unknown+rep.Extra != 0 {
			r.tb.Errorf("%s: %+v", n.Name, rep)
		}
	}
	return a.take()
}

// whole reads every byte, as the background does in 30 days, and is the requests
// that took beside listings.
func (r *rig) whole(a *asked) int {
	r.tb.Helper()
	r.daily(a)
	rep, err := r.Scrub.Scrub(r.tb.Context(), Request{Full: true}, nil)
	must(r.tb, err)
	if rep.Missing+rep.Lost+rep.Wrong+rep.Unread != 0 {
		r.tb.Errorf("%+v", rep)
	}
	lists, others := a.take()
	return others - lists // the marker after each listing
}

// TestAScrubAsksForPacksAndNotForObjects: a day's listings ask each node twice,
// however many packs it holds, and a round of reading asks for each shard as
// often as its length says.
func TestAScrubAsksForPacksAndNotForObjects(t *testing.T) {
	var a asked
	for _, packs := range []int{10, 80} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 7)
			for range packs {
				r.spread("4+3", 5_000)
			}
			synctest.Wait() // the fleet looks at new nodes once
			a.count(r)
			lists, others := r.daily(&a)
			if lists != 7 || others != 7 {
				t.Errorf("%d packs: %d listings and %d other requests a day, want one and one of each node", packs, lists, others)
			}
			// Size, tail, contents, and one window of 1 MiB.
			if got, want := r.whole(&a), packs*7*4; got != want {
				t.Errorf("%d packs: %d requests to read all of them, want %d", packs, got, want)
			}
		})
	}
}

// tenMillion is the packs of 10 million objects of 20 KiB, sealed, at the default
// pack size.
const tenMillion = 10_000_000 * (20<<10 + 16) / (16 << 20)

// BenchmarkRequestsOfTenMillionObjects prints what nodes are asked for in one
// daily pass over all packs, here of a few bytes each since a listing does not
// look at them, and in one round of reading, for packs of the true size, of which
// a few tell: each is read alike.
//
//	go test -run '^$' -bench RequestsOfTenMillion -benchtime 1x ./scrub
func BenchmarkRequestsOfTenMillionObjects(b *testing.B) {
	var a asked
	b.Run("presence", func(b *testing.B) {
		r := newRig(b, 7)
		for range tenMillion {
			r.spread("4+3", 100)
			r.packs[len(r.packs)-1].Files = nil // the nodes have them
		}
		a.count(r)
		var lists, others int
		for b.Loop() {
			lists, others = r.daily(&a)
		}
		b.ReportMetric(tenMillion, "packs")
		b.ReportMetric(float64(lists), "listings")
		b.ReportMetric(float64(others), "other-requests")
		b.ReportMetric(float64(r.directories()), "directories")
		b.ReportMetric(float64(r.directories()+others)/tenMillion, "requests/pack")
	})
	b.Run("walk", func(b *testing.B) {
		const packs = 12
		r := newRig(b, 7)
		for range packs {
			r.spread("4+3", 16<<20-1<<10)
		}
		a.count(r)
		requests := 0
		for b.Loop() {
			requests = r.whole(&a)
		}
		b.ReportMetric(float64(requests)/packs, "requests/pack")
		b.ReportMetric(float64(requests)/packs*tenMillion, "requests/round")
		b.ReportMetric(float64(requests)/packs*tenMillion/30/86400/7, "requests/s-and-node")
	})
}
