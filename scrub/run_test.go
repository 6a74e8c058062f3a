package scrub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
)

// background runs everything until the returned function ends it.
func (r *rig) background() (end func()) {
	ctx, cancel := context.WithCancel(r.tb.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return func() { cancel(); <-done }
}

// TestANodeThatDripsItsListingHoldsUpNobody: what other nodes lost is found and
// made again meanwhile.
func TestANodeThatDripsItsListingHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		for range 5 {
			r.spread("4+3", 5_000)
		}
		r.listed()
		r.nodes[0].faulty.SetChoose(backendtest.On(backendtest.Hangs, backends.OpList))
		n, name := r.file(r.packs[3], 4)
		n.mem.Drop(name)
		end := r.background()
		defer end()
		r.pass(26 * time.Hour)
		r.wantWhole("a day later")
	})
}

func TestAPersonsDrainTakesThePlaceOfTheBackgrounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		for range 30 {
			r.spread("4+3", 5_000)
		}
		r.listed()
		for _, n := range r.nodes {
			n.faulty.SetChoose(backendtest.On(backendtest.Drips, backends.OpPut))
		}
		n := r.nodes[2]
		r.state(n, "draining")
		end := r.background()
		defer end()
		r.pass(time.Minute) // it is at it
		for _, n := range r.nodes {
			n.faulty.SetChoose(nil)
		}
		rep, err := r.Drain(t.Context(), n.ID, Request{}, nil)
		must(t, err)
		if !rep.MayRemove || rep.Made == 0 {
			t.Errorf("%+v", rep)
		}
	})
}

// TestAnExtraFileOfARetiredPackIsHandedToTheStore, which deletes it when it may.
func TestAnExtraFileOfARetiredPackIsHandedToTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		var got []cairn.Location
		r.c.Adopt = func(_ context.Context, _ cairn.PackID, at []cairn.Location) (string, error) {
			got = at
			return "retired", nil
		}
		r.start()
		p := r.spread("4+3", 5_000)
		r.extraOf(p, 2, 7)
		r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Retired })
		r.find()
		r.pass(61 * time.Minute)
		r.find()
		if len(got) != 1 || got[0].Node != r.nodes[7].ID || r.files() != 8 || len(r.fleet.removed) != 0 {
			t.Errorf("handed on %v, %d files, removed %v", got, r.files(), r.fleet.removed)
		}
	})
}

func TestVisitIsCalledWithEveryRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		visits := 0
		r.c.Visit = func(context.Context) error { visits++; return nil }
		r.start()
		end := r.background()
		r.pass(49 * time.Hour)
		end()
		if visits != 3 {
			t.Errorf("%d visits in 49 hours", visits)
		}
		r.find()
		if visits != 4 {
			t.Errorf("%d visits, a person's scrub among them", visits)
		}
	})
}

// TestWeeksOfTrouble: nodes vanish, come back, lose files, lie and crash the
// process, never more than m at a time; people scrub, repair and drain in
// between. Nothing is ever lost, and when it is over everything stands.
func TestWeeksOfTrouble(t *testing.T) {
	seeds, steps := uint64(1), 6
	if os.Getenv("CAIRN_LONG") != "" {
		seeds, steps = 30, 25
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { weeks(t, seed, steps) })
	}
}

func weeks(t *testing.T, seed uint64, steps int) {
	dice := rand.New(rand.NewPCG(seed, 7))
	r := newRig(t, 11)
	for range 8 {
		r.spread("4+3", 70_000)
	}
	r.c.Every, r.c.Audits, r.c.List = 40*time.Hour, 20, 12*time.Hour
	r.start()
	end := r.background()
	for step := range steps {
		n := r.nodes[dice.IntN(len(r.nodes))]
		what := fmt.Sprintf("seed %d, step %d, %s: ", seed, step, n.Name)
		switch dice.IntN(7) {
		case 0:
			what += "is away for 30 hours"
			n.faulty.SetDown(true)
			r.pass(30 * time.Hour)
			n.faulty.SetDown(false)
		case 1:
			what += "loses two files"
			for _, name := range n.mem.Names() {
				if strings.HasPrefix(name, layout.PacksDir) && dice.IntN(3) == 0 {
					n.mem.Drop(name)
				}
			}
		case 2:
			what += "flips bits"
			for _, name := range n.mem.Names() {
				if strings.HasPrefix(name, layout.PacksDir) && dice.IntN(3) == 0 {
					b, _ := n.mem.Bytes(name)
					b[dice.IntN(len(b))] ^= 1
					n.mem.SetBytes(name, b)
				}
			}
			r.pass(45 * time.Hour)
			must(t, r.fleet.Reset(n.ID))
		case 3:
			what += "the process is killed"
			end()
			r.start()
			end = r.background()
		case 4:
			what += "is drained"
			r.state(n, "draining")
			_, _ = r.Drain(t.Context(), n.ID, Request{}, nil)
			r.state(n, "ok")
		case 5:
			what += "a repair"
			_, _ = r.Repair(t.Context(), Request{}, nil)
		case 6:
			what += "a scrub, deletes that fail"
			n.faulty.SetChoose(backendtest.On(backendtest.WorksButFails, backends.OpDelete, backends.OpPut))
			_, _ = r.Scrub.Scrub(t.Context(), Request{Full: true, Repair: true}, nil)
			n.faulty.SetChoose(nil)
		}
		r.pass(6 * time.Hour)
		r.good(r.packs[0], 4, what)
		if t.Failed() {
			end()
			return
		}
	}
	r.pass(45 * time.Hour)
	end()
	r.wantWhole(fmt.Sprint("seed ", seed))
	if n := r.files(); n > 7*8+8 {
		t.Errorf("seed %d: %d files stand for %d shards", seed, n, 7*8)
	}
}
