package scrub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

// run has the repair loop run for d of observed time.
func (r *rig) run(loop func(context.Context), d time.Duration) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(r.tb.Context(), d)
	defer cancel()
	loop(ctx)
}

// moved is how many shards of a pack do not stand where they were put at first.
func (r *rig) moved(at []cairn.Location, id cairn.PackID) (n int) {
	for _, l := range r.row(id) {
		if !slices.Contains(at, l) {
			n++
		}
	}
	return n
}

func TestRepairWaitsForGraces(t *testing.T) {
	for _, c := range []struct {
		what  string
		harm  func(r *rig)
		after time.Duration
		made  int
	}{
		{"one node down for 23 hours", func(r *rig) { r.nodes[0].faulty.SetDown(true) }, 23 * time.Hour, 0},
		{"one node down for 25 hours", func(r *rig) { r.nodes[0].faulty.SetDown(true) }, 25 * time.Hour, 1},
		{"two down leave k+1: for 5 minutes", func(r *rig) { r.down(0, 1) }, 5 * time.Minute, 0},
		{"two down leave k+1: for 20 minutes", func(r *rig) { r.down(0, 1) }, 20 * time.Minute, 2},
		{"one given up", func(r *rig) { r.state(r.nodes[0], "gone") }, 2 * time.Minute, 1},
		{"one not in the fleet any more", func(r *rig) {
			all, _ := r.rows.Nodes()
			must(r.tb, r.fleet.SetNodes(r.tb.Context(), all[1:]))
		}, 2 * time.Minute, 1},
		{"one unmounted for 25 hours", func(r *rig) { r.nodes[0].mem.Drop(layout.MarkerName); r.nodes[0].mem.Drop(r.name(0)) }, 25 * time.Hour, 1},
		{"one unmounted for 20 hours", func(r *rig) { r.nodes[0].mem.Drop(layout.MarkerName); r.nodes[0].mem.Drop(r.name(0)) }, 20 * time.Hour, 0},
		{"nothing at all", func(r *rig) {}, 48 * time.Hour, 0},
		{"a shard known to be wrong", func(r *rig) { r.corrupt(r.packs[0], 2); r.full() }, 2 * time.Minute, 1},
		{"a shard known to be wrong, and several nodes lie", func(r *rig) { r.corrupt(r.packs[0], 2); r.full(); r.fleet.alarm = "several" }, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 9)
			p := r.spread("4+3", 5_000)
			r.listed()
			before := r.row(p.ID)
			c.harm(r)
			r.touch()
			r.run(r.repairLoop, c.after)
			if got := r.moved(before, p.ID); got != c.made {
				t.Errorf("%s: %d shards were made again, want %d", c.what, got, c.made)
			}
		})
	}
}

// touch has the fleet notice what became of nodes.
func (r *rig) touch() {
	for range 5 { // one failure is no outage
		for _, p := range r.packs {
			r.fleet.Verify(r.tb.Context(), p.Params, r.row(p.ID))
		}
	}
}

func (r *rig) down(nodes ...int) {
	for _, i := range nodes {
		r.nodes[i].faulty.SetDown(true)
	}
}

// name is the file of the first pack's shard on the i-th node.
func (r *rig) name(i int) string { _, name := r.file(r.packs[0], i); return name }

func (r *rig) full() Report {
	r.tb.Helper()
	rep, err := r.Scrub.Scrub(r.tb.Context(), Request{Full: true}, nil)
	must(r.tb, err)
	return rep
}

func TestHazardB17AGraceIsObservedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		r.listed()
		before := r.row(p.ID)
		r.down(0)
		r.touch()
		r.run(r.repairLoop, 12*time.Hour)
		r.save(t.Context())
		// The process is gone for days of the calendar, which nobody observed.
		r.clock.before = r.clock.Now()
		r.pass(4 * 24 * time.Hour)
		r.clock.start = time.Now()
		r.start()
		r.run(r.repairLoop, 11*time.Hour)
		if n := r.moved(before, p.ID); n != 0 {
			t.Errorf("%d shards were made again after 23 observed hours", n)
		}
		r.run(r.repairLoop, 2*time.Hour)
		if n := r.moved(before, p.ID); n != 1 {
			t.Errorf("%d shards were made again after 25 observed hours over a restart", n)
		}
	})
}

// TestHazardB22UnknownIsNotMissing: after a recovery with two nodes away their
// shards are in no row. They are not made again until every node was listed or
// given up, and when the nodes return the shards are taken up.
func TestHazardB22UnknownIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		for range 3 {
			r.spread("4+3", 5_000)
		}
		for _, p := range r.packs {
			r.rows.set(p.ID, func(row *index.PackRow) { row.At = row.At[2:] })
		}
		r.down(0, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		r.pass(50 * time.Hour)
		for _, p := range r.packs {
			if n := len(r.row(p.ID)); n != 5 {
				t.Errorf("pack %v has %d places: what is unknown was made again", p.ID, n)
			}
		}
		if h := r.Health(); h.Shards.Unknown != 6 || h.Shards.Missing != 0 || h.BacklogPacks != 0 {
			t.Errorf("%+v", h.Shards)
		}
		for _, n := range r.nodes[:2] {
			n.faulty.SetDown(false)
		}
		r.pass(3 * time.Hour)
		cancel()
		<-done
		r.wantWhole("the nodes are back")
		if r.files() != 21 {
			t.Errorf("%d files stand, want 21", r.files())
		}
	})
}

// TestHazardB22ANodeNeverListedIsNotMissed: the rows come from a checkpoint, the
// nodes they name were not seen since the recovery.
func TestHazardB22ANodeNeverListedIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		p := r.spread("4+3", 5_000)
		before := r.row(p.ID)
		r.down(0, 1)
		r.touch()
		r.find()
		r.run(r.repairLoop, 50*time.Hour)
		if n := r.moved(before, p.ID); n != 0 {
			t.Errorf("%d shards on nodes never listed were made again", n)
		}
		if h := r.Health(); h.Shards.Unknown != 2 || h.Worst != 1 {
			t.Errorf("%+v", h)
		}
	})
}

// TestShardsThatShareANodeAreParted: a stray that was taken up where another of
// its pack stands is made again elsewhere, as soon as a node without one is there.
func TestShardsThatShareANodeAreParted(t *testing.T) {
	for nodes, made := range map[int]int64{3: 0, 4: 1} { // of three, one is given up and two hold all
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nodes)
			p := r.spread("2+1", 5_000)
			r.listed()
			n, name := r.file(p, 1)
			b, _ := n.mem.Bytes(name)
			must(t, n.mem.Delete(t.Context(), name))
			l := cairn.Location{Index: 1, Node: r.nodes[0].ID, Write: 77}
			r.nodes[0].mem.SetBytes(layout.Path(l.Name(p.ID)), b)
			r.rows.set(p.ID, func(row *index.PackRow) { row.At[1] = l })
			if made == 0 {
				r.state(r.nodes[1], "gone")
			} else {
				r.state(r.nodes[1], "draining")
			}
			if h := r.Health(); h.BacklogShards != made {
				t.Errorf("with %d nodes: %+v", nodes, h)
			}
			rep, err := r.Repair(t.Context(), Request{}, nil)
			must(t, err)
			if rep.Made != made {
				t.Errorf("with %d nodes %d shards were made, not %d: %+v", nodes, rep.Made, made, rep)
			}
			if made > 0 {
				r.wantWhole("parted")
			}
		})
	}
}

func TestHazardB22AfterANodeIsGivenUpWhatIsInNoRowIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		p := r.spread("4+3", 5_000)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At = row.At[2:] })
		r.down(0, 1)
		r.find()
		rep, err := r.Repair(t.Context(), Request{}, nil)
		must(t, err)
		if rep.Made != 0 {
			t.Errorf("made %d while two nodes were never listed", rep.Made)
		}
		r.state(r.nodes[0], "gone")
		r.state(r.nodes[1], "gone")
		rep, err = r.Repair(t.Context(), Request{}, nil)
		must(t, err)
		if rep.Made != 2 {
			t.Errorf("%+v", rep)
		}
		r.wantWhole("given up")
	})
}

// TestHazardB12ShardsOnQuarantinedNodesStillServe: five of seven nodes sent
// wrong bytes once; what they hold is read from all the same.
func TestHazardB12ShardsOnQuarantinedNodesStillServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		row, err := r.rows.Pack(p.ID)
		must(t, err)
		v := r.view()
		for i := range 5 {
			n := v.nodes[r.nodes[i].ID]
			n.is = condemned
			v.nodes[r.nodes[i].ID] = n
		}
		v.all = true
		a := r.assess(v, row)
		todo := a.toMake(byGrace)
		make, from := r.plan(&a, todo)
		if len(todo) != 5 || len(make) != 3 || len(from) != 4 {
			t.Errorf("of %d to make again %d are made from %d", len(todo), len(make), len(from))
		}
		if a.tooFew(); a.mayCome() != 7 {
			t.Errorf("%+v", a)
		}
	})
}

func TestWorstPacksFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 12)
		for range 6 {
			r.spread("4+3", 5_000)
		}
		r.listed()
		r.c.Parallel = 1
		r.start()
		r.listed()
		lose := func(i, n int) {
			r.rows.set(r.packs[i].ID, func(row *index.PackRow) { row.At = row.At[n:] })
		}
		lose(0, 1)
		lose(2, 3)
		lose(5, 3)
		lose(1, 2)
		lose(4, 2)
		// Of the two with five left, the second stands on two nodes of one operator.
		r.nodes[3].Operator = r.nodes[4].Operator
		p := r.packs[1]
		r.rows.set(p.ID, func(row *index.PackRow) { row.At[1].Node = r.nodes[7].ID })
		l := r.row(p.ID)[1]
		r.nodes[7].mem.SetBytes(layout.Path(l.Name(p.ID)), p.Files[l.Index])
		r.set()
		c, err := r.take(t.Context(), r.view(), byGrace, func(cairn.PackID) bool { return false }, 0)
		must(t, err)
		var got []uint64
		for _, x := range c.worst {
			got = append(got, x.id.Seq())
		}
		if !slices.Equal(got, []uint64{3, 6, 5, 2, 1}) {
			t.Errorf("order %d", got)
		}
	})
}

func TestALostPackIsSaidAndTheOthersAreMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		gone, sick := r.spread("4+3", 5_000), r.spread("4+3", 5_000)
		r.listed()
		r.rows.set(gone.ID, func(row *index.PackRow) { row.At = row.At[4:] })
		r.rows.set(sick.ID, func(row *index.PackRow) { row.At = row.At[1:] })
		rep, err := r.Repair(t.Context(), Request{}, nil)
		must(t, err)
		if rep.Made != 1 || rep.Left != 1 || len(rep.Stuck) != 1 || !rep.Stuck[0].Lost || !strings.Contains(rep.Stuck[0].Why, "lost: 3 of the 4") {
			t.Errorf("%+v", rep)
		}
		if h := r.Health(); h.Lost != 1 || h.Worst != -1 || len(h.Stuck) != 1 || h.Unreadable != 0 {
			t.Errorf("%+v", h)
		}
	})
}

// TestALostPackThatNothingNeedsIsNoLoss: a log pack whose records a checkpoint
// has, say, that older roots keep from being collected.
func TestALostPackThatNothingNeedsIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		idle, gone, sick := r.spread("4+3", 5_000), r.spread("4+3", 5_000), r.spread("4+3", 5_000)
		r.listed()
		r.Scrub.c.Idle = func(row index.PackRow) (bool, error) {
			return row.Params.ID == idle.ID || row.Params.ID == sick.ID, nil
		}
		for _, id := range []cairn.PackID{idle.ID, gone.ID} {
			r.rows.set(id, func(row *index.PackRow) { row.At = row.At[4:] })
		}
		r.rows.set(sick.ID, func(row *index.PackRow) { row.At = row.At[1:] })
		rep, err := r.Repair(t.Context(), Request{}, nil)
		must(t, err)
		if rep.Made != 1 || len(rep.Stuck) != 1 || rep.Stuck[0].Pack != gone.ID {
			t.Errorf("%+v", rep)
		}
		if h := r.Health(); h.Lost != 1 || len(h.Stuck) != 1 || h.Stuck[0].Pack != gone.ID {
			t.Errorf("%+v", h)
		}
	})
}

func TestRepairOfWrongBytesRemovesTheOldFileLast(t *testing.T) {
	for _, spare := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 7+spare)
			p := r.spread("4+3", 150_000)
			r.listed()
			before := r.row(p.ID)
			r.corrupt(p, 2)
			n, name := r.file(p, 2)
			r.full()
			r.pass(time.Minute) // the second look is over
			if spare == 0 {
				must(t, r.fleet.Reset(n.ID)) // a person looked at the disk; it goes back there
			}
			old, placed := true, false
			r.rows.fail = func(string) error {
				_, old = n.mem.Bytes(name)
				placed = true
				return nil
			}
			rep, err := r.Repair(t.Context(), Request{}, nil)
			must(t, err)
			if !placed || !old {
				t.Error("the old file was gone before the new one was recorded")
			}
			if _, ok := n.mem.Bytes(name); ok || rep.Made != 1 || rep.Removed != 1 {
				t.Errorf("%d spare: old file still there %v: %+v", spare, ok, rep)
			}
			r.wantWhole("wrong bytes")
			if r.moved(before, p.ID) != 1 || r.files() != 7 {
				t.Errorf("%d moved, %d files", r.moved(before, p.ID), r.files())
			}
			if h := r.Health(); h.Shards.Wrong != 0 || h.Shards.Good != 7 {
				t.Errorf("%+v", h.Shards)
			}
		})
	}
}

// TestHazardA8ACrashAnywhereInRepairLosesNothing: each step fails, or is done and
// said to have failed, or the process dies there. Never fewer good shards than
// before, and once all is well again n of them, and no file more.
func TestHazardA8ACrashAnywhereInRepairLosesNothing(t *testing.T) {
	errDead := errors.New("killed")
	for _, c := range []struct {
		what string
		harm func(r *rig, ctx context.CancelFunc)
	}{
		{"before the intent", func(r *rig, die context.CancelFunc) {
			r.fs = durable.Watch(r.disk, durable.Hook{Before: func(s durable.Step) error {
				if strings.Contains(s.Name, intentsName) {
					die()
					return durable.ErrCrashed
				}
				return nil
			}})
		}},
		{"after the intent", func(r *rig, die context.CancelFunc) {
			r.fs = durable.Watch(r.disk, durable.Hook{After: func(s durable.Step, err error) error {
				if s.Op == durable.OpRename && strings.Contains(s.To, intentsName) {
					die()
				}
				return err
			}})
		}},
		{"while putting", func(r *rig, die context.CancelFunc) {
			for _, n := range r.nodes {
				n.faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
					if op == backends.OpPut && strings.HasPrefix(name, layout.PacksDir) {
						die()
						return backendtest.WorksButFails
					}
					return backendtest.Works
				})
			}
		}},
		{"puts that are lies", func(r *rig, _ context.CancelFunc) {
			for _, n := range r.nodes {
				n.faulty.SetChoose(backendtest.On(backendtest.Lies, backends.OpPut))
			}
		}},
		{"before it is recorded", func(r *rig, die context.CancelFunc) {
			r.rows.fail = func(string) error { die(); return errDead }
		}},
		{"recorded, then killed", func(r *rig, die context.CancelFunc) {
			r.rows.fail = func(string) error { die(); return nil }
		}},
		{"the old one is not removed", func(r *rig, _ context.CancelFunc) {
			for _, n := range r.nodes {
				n.faulty.SetChoose(backendtest.On(backendtest.Fails, backends.OpDelete))
			}
		}},
		{"the delete is a lie", func(r *rig, _ context.CancelFunc) {
			for _, n := range r.nodes {
				n.faulty.SetChoose(backendtest.On(backendtest.Lies, backends.OpDelete))
			}
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 9)
			p := r.spread("4+3", 150_000)
			r.listed()
			r.corrupt(p, 2)
			r.full()
			lost, name := r.file(p, 5)
			lost.mem.Drop(name)
			r.rows.set(p.ID, func(row *index.PackRow) { row.At = slices.Delete(row.At, 5, 6) })
			r.save(t.Context())
			ctx, die := context.WithCancel(t.Context())
			c.harm(r, die)
			r.start()
			_, _ = r.Repair(ctx, Request{}, nil)
			die()
			r.good(p, 5, c.what)
			// Another life, in which everything works.
			r.fs, r.rows.fail = r.disk, nil
			for _, n := range r.nodes {
				n.faulty.SetChoose(nil)
			}
			r.c.List, r.c.Again = 2*time.Hour, 10*time.Minute
			r.start()
			r.run(func(ctx context.Context) { _ = r.Run(ctx) }, 5*time.Hour)
			r.wantWhole(c.what)
			if n := r.files(); n != 7 {
				t.Errorf("%s: %d files stand", c.what, n)
			}
		})
	}
}

// good fails unless at least want shards of p stand where the row says.
func (r *rig) good(p interface{ FileSize() int64 }, want int, what string) {
	r.tb.Helper()
	for _, s := range r.packs {
		n := 0
		for _, l := range r.row(s.ID) {
			b, _ := r.node(l.Node).mem.Bytes(layout.Path(l.Name(s.ID)))
			if string(b) == string(s.Files[l.Index]) {
				n++
			}
		}
		if n < want {
			r.tb.Errorf("%s: %d good shards are left, there were %d", what, n, want)
		}
	}
}

func TestHazardB20APackThatIsRetiringIsLeftAlone(t *testing.T) {
	for _, when := range []string{"before", "while"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 9)
			p := r.spread("4+3", 5_000)
			r.listed()
			r.rows.set(p.ID, func(row *index.PackRow) { row.At = row.At[1:] })
			before := r.row(p.ID)
			retire := func() { r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Retiring }) }
			if when == "before" {
				retire()
			} else {
				for _, n := range r.nodes {
					n.faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
						if op == backends.OpPut {
							retire()
						}
						return backendtest.Works
					})
				}
			}
			for range 2 {
				_, err := r.Repair(t.Context(), Request{}, nil)
				must(t, err)
			}
			if !slices.Equal(r.row(p.ID), before) || r.files() != 7 {
				t.Errorf("%s: row %v, %d files", when, r.row(p.ID), r.files())
			}
		})
	}
}

func TestTwoVerbsOfAKindDoNotRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		_, end, err := r.begin(t.Context(), "repair", false)
		must(t, err)
		_, err = r.Repair(t.Context(), Request{}, nil)
		wantClass(t, "a second repair", err, cairn.ErrUnavailable)
		end()
		_, err = r.Repair(t.Context(), Request{}, nil)
		must(t, err)
	})
}

func TestARepairTellsHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		for range 10 {
			r.spread("4+3", 5_000)
		}
		r.listed()
		r.state(r.nodes[0], "gone")
		dry, err := r.Repair(t.Context(), Request{DryRun: true}, nil)
		must(t, err)
		if dry.Left != 10 || dry.Packs != 10 || dry.LeftSize == 0 || r.files() != 70 {
			t.Errorf("%+v, %d files", dry, r.files())
		}
		var last Progress
		rep, err := r.Repair(t.Context(), Request{}, func(p Progress) { last = p })
		must(t, err)
		if last.Packs != 10 || last.OfPacks != 10 || last.Bytes != dry.LeftSize || rep.Made != 10 {
			t.Errorf("%+v, %+v", last, rep)
		}
		if fmt.Sprint(rep.Says) != "[10 shards made again in 10 packs]" {
			t.Errorf("%q", rep.Says)
		}
	})
}

// TestPlacesThatChangedMeanwhileAreNotOverwritten: by whoever else changes rows.
func TestPlacesThatChangedMeanwhileAreNotOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		p := r.spread("4+3", 5_000)
		row, err := r.rows.Pack(p.ID)
		must(t, err)
		a := r.assess(r.view(), row)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At[2].Node = r.nodes[8].ID })
		changed := r.row(p.ID)
		_, err = r.place(p.ID, &a, []cairn.Location{{Index: 2, Node: r.nodes[7].ID, Write: 5}})
		wantClass(t, "a row that changed", err, cairn.ErrPrecondition)
		if !slices.Equal(r.row(p.ID), changed) {
			t.Errorf("row %v", r.row(p.ID))
		}
	})
}
