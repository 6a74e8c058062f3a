package fleet

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
)

// TestSpendRefusesWhatTheMonthDoesNotAllow, counting all traffic with the node,
// and begins anew with the next.
func TestSpendRefusesWhatTheMonthDoesNotAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on the first of January 2000
		r := newRig(t, 2, unwatched)
		n := r.nodes[0]
		n.Option = map[string]string{OptionTraffic: "10M/month"}
		r.set(r.nodes...)
		must(t, r.Spend(t.Context(), n.ID, 10e6))
		sp := r.spread(coding("1+1"), 1000*kib)
		moved := r.state(n).Traffic
		if least := sp.FileSize() + sp.TailSize(); moved != least {
			t.Errorf("%d bytes this month, want %d", moved, least)
		}
		for i, l := range sp.where {
			if l.Node == n.ID {
				cost, err := r.Examine(t.Context(), sp.Params, sp.where[i], 0, 0)
				must(t, err)
				if s := r.state(n); s.Traffic != moved+cost.Read || s.TrafficLimit != 10e6 {
					t.Errorf("%d bytes of %d", s.Traffic, s.TrafficLimit)
				}
				moved += cost.Read
			}
		}
		must(t, r.Spend(t.Context(), n.ID, 10e6-moved))
		err := r.Spend(t.Context(), n.ID, 10e6-moved+1)
		wantClass(t, "over the month's", err, cairn.ErrFull)
		if !errors.Is(err, ErrBudget) {
			t.Errorf("%v", err)
		}
		must(t, r.Spend(t.Context(), r.nodes[1].ID, 1<<40)) // no limit
		r.read(sp, 0, 1000, 0)                              // people are served all the same
		wait(31 * 24 * time.Hour)
		must(t, r.Spend(t.Context(), n.ID, 10e6))
		if s := r.state(n); s.Traffic != 0 {
			t.Errorf("%d bytes in a new month", s.Traffic)
		}
		wantClass(t, "a node that is not there", r.Spend(t.Context(), cairn.NodeID{99}, 1), cairn.ErrUnavailable)
	})
}

// TestSpendWaitsForTheNodesHours, and goes on when they change.
func TestSpendWaitsForTheNodesHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		r := newRig(t, 1, unwatched)
		n := r.nodes[0]
		set := func(hours string) {
			n.Option = map[string]string{OptionHours: hours}
			r.set(n)
		}
		now := time.Now()
		at := func(d time.Duration) string { return now.Add(d).Format("15:04") }
		set(at(3*time.Hour) + "-" + at(4*time.Hour))
		must(t, r.Spend(t.Context(), n.ID, 1))
		if took := time.Since(now); took != 3*time.Hour {
			t.Errorf("waited %v", took)
		}
		must(t, r.Spend(t.Context(), n.ID, 1))
		wait(time.Hour)
		go func() {
			<-time.After(5 * time.Hour)
			set("")
		}()
		must(t, r.Spend(t.Context(), n.ID, 1))
		if took := time.Since(now); took != 9*time.Hour {
			t.Errorf("waited %v", took)
		}
		set(at(8*time.Hour) + "-" + at(9*time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.Spend(ctx, n.ID, 1)
		wantClass(t, "ctx", err, cairn.ErrUnavailable)
		set("at night") // what is spelt wrong bounds nothing
		must(t, r.Spend(t.Context(), n.ID, 1))
		left := make(chan error)
		set(at(8*time.Hour) + "-" + at(9*time.Hour))
		go func() { left <- r.Spend(t.Context(), n.ID, 1) }()
		synctest.Wait()
		r.set()
		wantClass(t, "a node that leaves", <-left, cairn.ErrUnavailable)
	})
}

// TestSpendKeepsThePaceOfAllNodesTogether.
func TestSpendKeepsThePaceOfAllNodesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, unwatched, func(c *Config) { c.Bwlimit = func(time.Time) int64 { return 1 << 20 } })
		began := time.Now()
		for i := range 10 {
			must(t, r.Spend(t.Context(), r.nodes[i%2].ID, 1<<20))
		}
		if took := time.Since(began); took < 9*time.Second || took > 9*time.Second+time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// TestBudgetsAreNoChangeOfTheNode: its connection goes on.
func TestBudgetsAreNoChangeOfTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, unwatched)
		synctest.Wait()
		n := r.nodes[0]
		before := n.opened
		n.Option = map[string]string{OptionTraffic: "1G", OptionHours: "22:00-07:00"}
		r.set(n)
		wait(time.Second)
		r.spread(coding("1+0"), 10*kib)
		if n.opened != before {
			t.Error("connected anew for a budget")
		}
		n.Option = map[string]string{"other": "x"}
		r.set(n)
		wait(time.Second)
		if n.opened == before {
			t.Error("an option of the backend changed nothing")
		}
	})
}
