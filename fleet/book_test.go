package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
)

// kept makes a fleet remember in fs.
func kept(fs durable.FS) tune {
	return func(c *Config) { c.FS, c.Dir, c.Watch = fs, "state/nodes", time.Minute }
}

// restart closes the fleet of r and makes another over the same nodes.
func (r *rig) restart(t *testing.T, tunes ...tune) *rig {
	t.Helper()
	must(t, r.Fleet.Close())
	return r.again(t, tunes...)
}

// again makes another fleet over the nodes of r.
func (r *rig) again(t *testing.T, tunes ...tune) *rig {
	t.Helper()
	next := newRig(t, 0, tunes...)
	next.seq, next.nodes = r.seq, r.nodes
	next.set(next.nodes...)
	synctest.Wait()
	return next
}

// TestConductSurvivesARestart: state and since when, reputation, wrong replies,
// quarantine, the month's traffic, how long a node is away, and the evidence.
func TestConductSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		r := newRig(t, 5, kept(fs))
		sp := r.spread(coding("2+1"), 100*kib)
		liar := rot(r, sp, 0, 5)
		r.read(sp, 0, 1000, 0)
		wait(time.Second)
		var idle []*rigNode
		for _, n := range r.nodes {
			if !slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == n.ID }) {
				idle = append(idle, n)
			}
		}
		away, doubted := idle[0], idle[1]
		away.faulty.SetDown(true)
		for range 40 {
			r.Judge(doubted.ID, Missing)
		}
		wait(5 * 24 * time.Hour)
		before, _ := r.Status()
		evidence, err := r.Evidence(liar.ID)
		must(t, err)
		if len(evidence) != 1 || !evidence[0].Confirmed {
			t.Fatalf("%+v", evidence)
		}
		for _, what := range []string{"orderly", "after a power loss"} {
			if what == "orderly" {
				r = r.restart(t, kept(fs))
			} else {
				fs = fs.Crash(0, 1)
				r = r.again(t, kept(fs))
			}
			after, _ := r.Status()
			for i, s := range after {
				was := before[i]
				want := was.State
				if want == "down" {
					want = "new" // until it was tried
				}
				if s.State != want || s.Wrong != was.Wrong || s.Looks != was.Looks || s.Good != was.Good || s.Traffic != was.Traffic {
					t.Errorf("%s: %+v, was %+v", what, s, was)
				}
				if s.State != "new" && !s.StateSince.Equal(was.StateSince) {
					t.Errorf("%s: %s since %v, was since %v", what, s.State, s.StateSince, was.StateSince)
				}
			}
			if again, err := r.Evidence(liar.ID); err != nil || !reflect.DeepEqual(again, evidence) {
				t.Errorf("%s: %v, %+v, was %+v", what, err, again, evidence)
			}
			if s := r.state(liar); s.State != "quarantined" {
				t.Errorf("%s: %+v", what, s)
			}
			if s := r.state(doubted); s.State != "suspect" {
				t.Errorf("%s: %+v", what, s)
			}
		}
		wait(2*24*time.Hour + time.Hour) // the five days before count
		if s := r.state(away); s.State != "gone" {
			t.Errorf("%+v", s)
		}
		must(t, r.Reset(liar.ID))
		r = r.restart(t, kept(fs))
		if s := r.state(liar); s.State != "ok" || s.Wrong != 0 {
			t.Errorf("reset: %+v", s)
		}
		if again, _ := r.Evidence(liar.ID); !reflect.DeepEqual(again, evidence) {
			t.Errorf("evidence went with the reset: %+v", again)
		}
	})
}

// TestConductSurvivesLeavingAndAnotherAddress: who is taken out and added again,
// or moves, has the same past.
func TestConductSurvivesLeavingAndAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		r := newRig(t, 3, kept(fs))
		sp := r.spread(coding("2+1"), 100*kib)
		liar := rot(r, sp, 0, 5)
		r.read(sp, 0, 1000, 0)
		wait(time.Second)
		liar.Remote = "mem:elsewhere"
		r.set(r.nodes...)
		wait(time.Second)
		if s := r.state(liar); s.State != "quarantined" {
			t.Errorf("moved: %+v", s)
		}
		others := slices.DeleteFunc(slices.Clone(r.nodes), func(n *rigNode) bool { return n == liar })
		r.set(others...)
		wait(time.Hour)
		if es, err := r.Evidence(liar.ID); err != nil || len(es) != 1 {
			t.Errorf("of a node that left: %v, %v", es, err)
		}
		r = r.restart(t, kept(fs))
		if s := r.state(liar); s.State != "quarantined" {
			t.Errorf("back: %+v", s)
		}
		if _, err := r.Evidence(cairn.NodeID{99}); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("of no node: %v", err)
		}
	})
}

// TestHazardB12SurvivesARestart: a second node that falls within the hour of the
// first still makes an alarm and no quarantine.
func TestHazardB12SurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		r := newRig(t, 4, kept(fs))
		sp := r.spread(coding("2+2"), 300*kib)
		rot(r, sp, 0, 5)
		r.read(sp, 0, 1000, 0)
		wait(10 * time.Minute)
		r = r.restart(t, kept(fs))
		rot(r, sp, 1, 5)
		r.read(sp, int(sp.Length), 1000, 0)
		wait(time.Second)
		all, alarm := r.Status()
		for _, s := range all {
			if s.State == "quarantined" {
				t.Errorf("%s is quarantined", s.Name)
			}
		}
		if alarm == "" {
			t.Error("no alarm")
		}
	})
}

// TestConductAtEveryCrashPoint loses the power before, in and after each step of
// writing what is remembered; done but said failed, too. What a new life knows is
// what was written before or what is written now, of each file, and it starts.
func TestConductAtEveryCrashPoint(t *testing.T) {
	every := uint64(1)
	if race.On {
		every = 3
	}
	for i, where := range []string{"before", "torn", "after", "said failed"} {
		points := 0
		for at := 1 + uint64(i)%every; ; at += every {
			done := false
			synctest.Test(t, func(t *testing.T) {
				disk := durable.NewMem()
				r := newRig(t, 3, kept(disk))
				sp := r.spread(coding("2+1"), 100*kib)
				liar := rot(r, sp, 0, 5)
				wait(time.Minute)
				must(t, r.Fleet.Close()) // the old: well, nothing against it
				reached := false
				watched := durable.Watch(disk, durable.Hook{
					Before: func(s durable.Step) error {
						switch {
						case s.N != at:
							return nil
						case where == "before":
							reached = true
							return durable.ErrCrashed
						case where == "torn":
							reached = true
							return &durable.Torn{Bytes: 40, Err: durable.ErrCrashed}
						}
						return nil
					},
					After: func(s durable.Step, err error) error {
						if s.N == at && (where == "after" || where == "said failed") {
							reached = true
							if where == "after" {
								return durable.ErrCrashed
							}
							return errors.New("input/output error")
						}
						return err
					},
				})
				r = r.again(t, kept(watched))
				r.read(sp, 0, 1000, 0)
				wait(time.Minute)
				if s := r.state(liar); s.State != "quarantined" {
					t.Fatalf("the disk is no reason not to see it: %+v", s)
				}
				if where == "said failed" {
					wait(2 * keepEvery) // it is tried again
				}
				done = !reached
				left := []*durable.Mem{disk.Crash(0, at), disk.Crash(50, at), disk.Crash(100, at)}
				for i, m := range left {
					next := r.again(t, kept(m))
					s := next.state(liar)
					es, err := next.Evidence(liar.ID)
					must(t, err)
					// Or between: seen once, not followed up yet.
					old, fresh := s.State == "ok" && s.Wrong <= 1, s.State == "quarantined" && s.Wrong == 1
					if !old && !fresh || fresh && len(es) != 1 || len(es) > 1 {
						t.Errorf("%s step %d, %d: %+v, evidence %+v", where, at, i, s, es)
					}
					if (done || where == "said failed") && !fresh {
						t.Errorf("%s step %d, %d: forgotten: %+v", where, at, i, s)
					}
					must(t, next.Fleet.Close())
				}
			})
			if done || t.Failed() {
				break
			}
			points++
		}
		if points < 10 {
			t.Errorf("%s: only %d crash points", where, points)
		}
	}
}

// TestWhatCannotBeUnderstoodIsForgotten, file by file, with a line in the log, and
// replaced by what is known then.
func TestWhatCannotBeUnderstoodIsForgotten(t *testing.T) {
	id := cairn.NodeID{1}.String()
	good, err := json.Marshal(memo{Version: memoVersion, Quarantined: true, Wrong: 3})
	must(t, err)
	for what, content := range map[string]string{
		"empty":             "",
		"torn":              string(good[:len(good)/2]),
		"zeros":             strings.Repeat("\x00", 100),
		"of a later cairn":  `{"version": 2, "quarantined": true}`,
		"reputation beyond": `{"version": 1, "quarantined": true, "good": 1e300}`,
		"time backwards":    `{"version": 1, "quarantined": true, "away_ns": -1}`,
		"not a table":       `[1]`,
		"too long":          `{"version": 1, "quarantined": true, "name": "` + strings.Repeat("x", memoMost) + `"}`,
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := durable.NewMem()
				must(t, fs.MkdirAll("state/nodes"))
				for name, b := range map[string]string{id + memoSuffix: content, id + evidenceSuffix: content, "readme.txt": "?", "x.json": "{}",
					cairn.NodeID{2}.String() + memoSuffix: string(good)} {
					must(t, durable.WriteFile(fs, "state/nodes/"+name, []byte(b)))
				}
				r := newRig(t, 2, kept(fs))
				synctest.Wait()
				if s := r.state(r.nodes[0]); s.State != "ok" || s.Wrong != 0 {
					t.Errorf("%+v", s)
				}
				if s := r.state(r.nodes[1]); s.State != "quarantined" || s.Wrong != 3 {
					t.Errorf("the other is forgotten, too: %+v", s)
				}
				must(t, r.Fleet.Close())
				var m memo
				b, err := durable.ReadFile(fs, "state/nodes/"+id+memoSuffix, memoMost)
				must(t, err)
				must(t, json.Unmarshal(b, &m))
				if !m.sane() || m.State != "ok" {
					t.Errorf("%+v", m)
				}
			})
		})
	}
}

// TestAFullDiskForgetsNothing that is known, and stops nobody.
func TestAFullDiskForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		r := newRig(t, 3, kept(fs))
		sp := r.spread(coding("2+1"), 100*kib)
		wait(10 * time.Minute)
		fs.SetCapacity(1)
		liar := rot(r, sp, 0, 5)
		r.read(sp, 0, 1000, 0)
		wait(time.Hour)
		if s := r.state(liar); s.State != "quarantined" {
			t.Errorf("%+v", s)
		}
		fs.SetCapacity(1 << 30)
		wait(time.Hour)
		r = r.again(t, kept(fs.Crash(0, 1)))
		if s := r.state(liar); s.State != "quarantined" {
			t.Errorf("not written once there was room: %+v", s)
		}
	})
}

// TestWhatWasConfirmedStays: what a node's quarantine stands on is not forgotten
// for a thousand later pieces that nobody read twice.
func TestWhatWasConfirmedStays(t *testing.T) {
	all := []Evidence{{Block: 0}, {Block: 1, Confirmed: true}}
	for i := range evidenceMost + 500 {
		all = newestOf(append(all, Evidence{Block: uint64(2 + i)}))
	}
	if len(all) != evidenceMost || !all[0].Confirmed || all[1].Block != 503 || all[evidenceMost-1].Block != evidenceMost+501 {
		t.Errorf("%d pieces, from %+v and %+v", len(all), all[0], all[1])
	}
}

// TestEvidence names file, block, what was expected and what came; it is told
// once however often it is read, newest first, and at most 1,000 pieces of it.
func TestEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		r := newRig(t, 3, kept(fs))
		sp := r.spread(coding("2+1"), 2<<20)
		n, name := r.holder(sp, 1)
		file, _ := n.mem.Bytes(name)
		for _, at := range []int{3*64*kib + 9, 5 * 64 * kib, int(sp.Length) + 7} {
			file[at] ^= 1
		}
		n.mem.SetBytes(name, file)
		var l cairn.Location
		for _, l = range sp.where {
			if l.Index == 1 {
				break
			}
		}
		for range 3 {
			_, err := r.Examine(t.Context(), sp.Params, l, 0, 1<<20)
			wantClass(t, "examine", err, cairn.ErrCorrupt)
			_, err = r.Examine(t.Context(), sp.Params, l, 0, 0)
			wantClass(t, "examine", err, cairn.ErrCorrupt)
			wait(time.Second)
		}
		es, err := r.Evidence(n.ID)
		must(t, err)
		got := map[string]Evidence{}
		for _, e := range es {
			got[fmt.Sprint(e.Part, e.Block)] = e
			if e.Pack != sp.ID || e.Index != 1 || e.File != name || e.When.IsZero() || len(e.Expected) != 64 || len(e.Got) != 64 || e.Expected == e.Got {
				t.Errorf("%+v", e)
			}
		}
		if want := []string{"block3", "block5", "contents0"}; !slices.Equal(slices.Sorted(maps.Keys(got)), want) || len(es) != 3 {
			t.Errorf("evidence of %v", slices.Collect(maps.Keys(got)))
		}
		if tail := r.tails.get(sp.Params, 1); got["block3"].Expected != fmt.Sprintf("%x", tail.Blocks[3]) || !got["block3"].Confirmed || !got["block5"].Confirmed {
			t.Errorf("%+v", got)
		}
		for i := range 250 { // each with another bit: other bytes came
			at := 64*kib*(i%16) + i
			file[at] ^= 4
			n.mem.SetBytes(name, file)
			for range 5 {
				file[at+1]++
				n.mem.SetBytes(name, file)
				_, _ = r.Examine(t.Context(), sp.Params, l, uint64(at), 1)
			}
			wait(time.Second)
		}
		es, err = r.Evidence(n.ID)
		must(t, err)
		if len(es) != evidenceMost || es[0].Block != 249%16 || !slices.IsSortedFunc(es, func(a, b Evidence) int { return b.When.Compare(a.When) }) {
			t.Errorf("%d pieces, the newest of block %d", len(es), es[0].Block)
		}
		must(t, r.Fleet.Close())
		next := r.again(t, kept(fs))
		file, err = durable.ReadFile(fs, "state/nodes/"+n.ID.String()+evidenceSuffix, evidenceBytes)
		must(t, err)
		if !strings.Contains(string(file), `"pack": "`+sp.ID.String()+`"`) {
			t.Errorf("a person cannot find the pack: %.400s", file)
		}
		if again, err := next.Evidence(n.ID); err != nil || !reflect.DeepEqual(again, es) {
			t.Errorf("%d pieces after a restart, %v", len(again), err)
		}
	})
}
