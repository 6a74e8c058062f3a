package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// lose drops the files of the shards from their nodes.
func (r *rig) lose(sp *spread, shards ...uint8) {
	for _, i := range shards {
		n, name := r.holder(sp, i)
		if !n.mem.Drop(name) {
			r.tb.Errorf("shard %d does not stand", i)
		}
	}
}

// without is where shards other than these stand.
func (sp *spread) without(shards ...uint8) []cairn.Location {
	return slices.DeleteFunc(slices.Clone(sp.where), func(l cairn.Location) bool { return slices.Contains(shards, l.Index) })
}

// checkMade holds that just the missing shards were made, as they were sealed.
func checkMade(t *testing.T, r *rig, sp *spread, made []cairn.Location, missing ...uint8) {
	t.Helper()
	var got []uint8
	for _, l := range made {
		got = append(got, l.Index)
		b, _ := r.at(l.Node).mem.Bytes(layout.Path(l.Name(sp.ID)))
		if !bytes.Equal(b, sp.Files[l.Index]) {
			t.Errorf("shard %d on %s is not the file that was sealed", l.Index, r.at(l.Node).Name)
		}
		if slices.Contains(sp.where, l) {
			t.Errorf("the name of shard %d is used again", l.Index)
		}
	}
	if slices.Sort(got); !slices.Equal(got, missing) {
		t.Errorf("made shards %d, missing were %d", got, missing)
	}
}

// TestRepairMakesEveryLossPattern again: any m of n, data and parity, in one
// pass, reading k shards' worth whatever is missing.
func TestRepairMakesEveryLossPattern(t *testing.T) {
	for _, c := range []string{"1+1", "1+2", "2+1", "2+2", "3+2", "4+3"} {
		c := coding(c)
		for lost := 1; lost < 1<<c.N(); lost++ {
			if bits.OnesCount(uint(lost)) > c.M || !race.Few(lost-1, 1<<c.N()-1, 12) {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2*c.N(), unwatched)
				known := &intents{}
				sp := r.seal(c, 3*c.K*64*kib+777)
				var err error
				sp.where, err = r.Scatter(t.Context(), sp.Sealed, nil, known.add)
				must(t, err)
				var missing []uint8
				for i := range uint8(c.N()) {
					if lost>>i&1 == 1 {
						missing = append(missing, i)
					}
				}
				r.lose(sp, missing...)
				made, cost, err := r.Repair(t.Context(), sp.Params, sp.where, missing, known.add)
				if err != nil {
					t.Fatalf("%v lost %b: %v", c, lost, err)
				}
				checkMade(t, r, sp, made, missing...)
				known.check(t, r, sp)
				checkPlaces(t, r, sp, append(sp.without(missing...), made...))
				tails, contents := sp.TailSize(), int64(sp.Contents)
				least := int64(c.K)*int64(sp.Length) + contents + int64(len(missing))*tails // the tails of what was put
				if cost.Read < least || cost.Read > least+int64(c.N())*tails || cost.Written != int64(len(missing))*sp.FileSize() {
					t.Errorf("%v lost %b: %+v, k shards are %d", c, lost, cost, int64(c.K)*int64(sp.Length))
				}
			})
		}
	}
}

// TestRepairReadsAreSpread: every survivor gives the same, no block is read
// twice, and all of it is at most 5 % over k shards.
func TestRepairReadsAreSpread(t *testing.T) {
	for _, missing := range [][]uint8{{0}, {5}, {1, 6}, {0, 1, 2}, {4, 5, 6}} {
		t.Run(fmt.Sprint(missing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 14, unwatched)
				sp := r.spread(coding("4+3"), 16<<20)
				r.lose(sp, missing...)
				for _, n := range r.nodes {
					n.take("")
				}
				_, cost, err := r.Repair(t.Context(), sp.Params, sp.without(missing...), missing, noIntent)
				must(t, err)
				theory := 4 * int64(sp.Length)
				if float64(cost.Read) > 1.05*float64(theory) {
					t.Errorf("%d bytes read, k shards are %d", cost.Read, theory)
				}
				share := float64(theory) / float64(7-len(missing))
				for _, l := range sp.without(missing...) {
					n := r.at(l.Node)
					n.mu.Lock()
					var bytes, reads int
					for _, c := range n.calls {
						if c.Op == backends.OpRead && strings.HasPrefix(c.Name, layout.PacksDir) && c.Bytes > 4*pack.MinPadded {
							bytes += c.Bytes
							reads++
						}
					}
					n.mu.Unlock()
					if float64(bytes) > 1.1*share || float64(bytes) < .9*share {
						t.Errorf("shard %d gave %d bytes in %d reads, its share is %.0f", l.Index, bytes, reads, share)
					}
				}
			})
		})
	}
}

// TestRepairFindsWhoWasWrong: what is read is not proven while what is made of it
// is right; a wrong block costs one more reading, and its node is named.
func TestRepairFindsWhoWasWrong(t *testing.T) {
	for i, wrong := range [][]uint8{nil, {0}, {3}, {6}} {
		if !race.Few(i, 4, 2) {
			continue
		}
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 10, unwatched)
				sp := r.spread(coding("4+3"), 16<<20)
				r.lose(sp, 2)
				var liars []*rigNode
				for _, i := range wrong {
					for at := 9; at < int(sp.Length); at += pack.BlockSize {
						rot(r, sp, i, at)
					}
					n, _ := r.holder(sp, i)
					liars = append(liars, n)
				}
				made, cost, err := r.Repair(t.Context(), sp.Params, sp.without(2), []uint8{2}, noIntent)
				must(t, err)
				checkMade(t, r, sp, made, 2)
				times := 1.05
				if len(wrong) > 0 {
					times = 2.4 // and the windows that were wrong, from others
				}
				if theory := 4 * float64(sp.Length); float64(cost.Read) > times*theory {
					t.Errorf("%d bytes read, k shards are %.0f", cost.Read, theory)
				}
				wait(time.Second)
				for _, n := range r.nodes {
					want := "ok"
					if slices.Contains(liars, n) {
						want = "quarantined"
					}
					if s := r.state(n); s.State != want {
						t.Errorf("%s is %s, want %s", n.Name, s.State, want)
					}
				}
			})
		})
	}
}

// TestRepair is what becomes of one repair when nodes misbehave.
func TestRepair(t *testing.T) {
	always, on := backendtest.Always, backendtest.On
	for _, x := range []struct {
		what    string
		coding  string
		nodes   int
		missing []uint8
		choose  map[uint8]backendtest.Choose // of the holders of shards
		rot     map[uint8]string             // part of a file that is wrong
		spare   backendtest.Choose           // of nodes that hold nothing
		warm    bool                         // tails are known
		class   error
	}{
		{what: "all is well", coding: "4+3", nodes: 10, missing: []uint8{2}},
		{what: "survivors that are down are left out", coding: "4+3", nodes: 10, missing: []uint8{2}, choose: map[uint8]backendtest.Choose{0: always(backendtest.Fails), 6: always(backendtest.Fails)}},
		{what: "survivors with a wrong block are left out", coding: "4+3", nodes: 10, missing: []uint8{2}, rot: map[uint8]string{0: "block", 5: "block"}},
		{what: "survivors with a wrong tail are left out", coding: "4+3", nodes: 10, missing: []uint8{2}, rot: map[uint8]string{0: "tail", 5: "tail"}},
		{what: "contents come from whoever has them", coding: "2+2", nodes: 6, missing: []uint8{2}, rot: map[uint8]string{0: "contents", 1: "contents"}},
		{what: "survivors that lie now and then are left out", coding: "4+3", nodes: 10, missing: []uint8{6}, choose: map[uint8]backendtest.Choose{1: on(backendtest.Lies, "read"), 2: on(backendtest.Lies, "read")}},
		{what: "survivors that hang are left out", coding: "4+3", nodes: 10, missing: []uint8{0}, choose: map[uint8]backendtest.Choose{1: on(backendtest.Hangs, "read"), 5: on(backendtest.Hangs, "read")}},
		{what: "survivors that hang when their tails are known", coding: "4+3", nodes: 10, missing: []uint8{0}, choose: map[uint8]backendtest.Choose{1: on(backendtest.Hangs, "read"), 5: on(backendtest.Hangs, "read")}, warm: true},
		{what: "survivors that are down when their tails are known", coding: "4+3", nodes: 10, missing: []uint8{0}, choose: map[uint8]backendtest.Choose{1: always(backendtest.Fails), 5: always(backendtest.Fails)}, warm: true},
		{what: "bad ones in different places still make k", coding: "2+2", nodes: 6, missing: []uint8{3}, rot: map[uint8]string{0: "block"}},
		{what: "fewer than k survive", coding: "2+2", nodes: 6, missing: []uint8{3}, choose: map[uint8]backendtest.Choose{0: always(backendtest.Fails), 1: always(backendtest.Fails)}, class: cairn.ErrUnavailable},
		{what: "fewer than k are right", coding: "2+2", nodes: 6, missing: []uint8{3}, rot: map[uint8]string{0: "block", 1: "block"}, class: cairn.ErrUnavailable},
		{what: "nobody has the contents", coding: "2+1", nodes: 4, missing: []uint8{2}, rot: map[uint8]string{0: "contents", 1: "contents"}, class: cairn.ErrUnavailable},
		{what: "puts that failed but worked count", coding: "2+2", nodes: 6, missing: []uint8{0, 3}, spare: on(backendtest.WorksButFails, "put")},
		{what: "puts that lied do not count", coding: "2+2", nodes: 6, missing: []uint8{0}, spare: on(backendtest.Lies, "put"), class: cairn.ErrUnavailable},
		{what: "no node takes it", coding: "2+2", nodes: 6, missing: []uint8{0}, spare: on(backendtest.Fails, "put"), class: cairn.ErrUnavailable},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, x.nodes, unwatched)
				sp := r.spread(coding(x.coding), 16*64*kib*coding(x.coding).K)
				r.lose(sp, x.missing...)
				for i, choose := range x.choose {
					n, _ := r.holder(sp, i)
					n.faulty.SetChoose(choose)
				}
				for i, part := range x.rot {
					rot(r, sp, i, map[string]int{"block": int(sp.Length) / 2, "contents": int(sp.Length) + 5, "tail": int(sp.TailOffset()) + 5}[part])
				}
				if x.spare != nil {
					for _, n := range r.nodes {
						if !slices.ContainsFunc(sp.without(x.missing...), func(l cairn.Location) bool { return l.Node == n.ID }) {
							n.faulty.SetChoose(x.spare)
						}
					}
				}
				if !x.warm {
					r.coolTails()
				}
				began := time.Now()
				made, _, err := r.Repair(t.Context(), sp.Params, sp.where, x.missing, noIntent)
				if x.class != nil {
					wantClass(t, "repair", err, x.class)
					if len(made) > 0 {
						t.Errorf("made %v", made)
					}
				} else {
					must(t, err)
					checkMade(t, r, sp, made, x.missing...)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				for _, n := range r.nodes {
					if calls, _ := n.take(backends.OpDelete); len(calls) > 0 {
						t.Errorf("deleted %v", calls)
					}
				}
			})
		})
	}
}

// TestRepairGoesWhereItShould: not to a node that holds one, not to the operator
// of another, back to the one that lost it only when nobody else is left.
func TestRepairGoesWhereItShould(t *testing.T) {
	for _, x := range []struct {
		what  string
		state map[int]string // of nodes; 0 to 3 hold shards 0 to 3
		extra []int          // the nodes from 4 on: whose operator is theirs
		to    int            // -1: nowhere
	}{
		{"to the node without one", nil, []int{1}, 4},
		{"to the operator without one", nil, []int{1, 5}, 5},
		{"to the operator without one, also where the other's node is down", map[int]string{1: "down"}, []int{1, 5}, 5},
		{"to the operator without one, also where the other's node takes none", map[int]string{1: "paused"}, []int{1, 5}, 5},
		{"to the operator whose other node drains", map[int]string{1: "draining"}, []int{1, 2}, 4},
		{"to the operator whose other node is given up", map[int]string{1: "gone"}, []int{1, 2}, 4},
		{"back where it was lost when all others have one", nil, nil, 0},
		{"not back to a node that drains", map[int]string{0: "draining"}, nil, -1},
		{"not to one that drains", map[int]string{4: "draining"}, []int{1}, 0},
	} {
		t.Run(x.what, func(t *testing.T) {
			for range 8 { // chance decides among equals
				synctest.Test(t, func(t *testing.T) { goesTo(t, x.state, x.extra, x.to) })
			}
		})
	}
}

func goesTo(t *testing.T, state map[int]string, extra []int, to int) {
	r := newRig(t, 4, unwatched)
	sp := r.spread(coding("2+2"), 300*kib)
	nodes := slices.Clone(r.nodes)
	for i := range uint8(4) {
		nodes[i], _ = r.holder(sp, i)
	}
	r.nodes = nodes
	for i, of := range extra {
		n := r.addNode()
		n.Operator = "another"
		if of != 4+i {
			n.Operator = r.nodes[of].Operator
		}
	}
	for i, s := range state {
		if s != "down" {
			r.nodes[i].State = s
		}
	}
	r.set(r.nodes...)
	synctest.Wait()
	for i, s := range state {
		if s == "down" {
			down(r, r.nodes[i])
		}
	}
	r.lose(sp, 0)
	for _, n := range r.nodes {
		n.take("")
	}
	made, _, err := r.Repair(t.Context(), sp.Params, sp.where, []uint8{0}, noIntent)
	if to < 0 {
		wantClass(t, "repair", err, cairn.ErrUnavailable)
		if !errors.Is(err, ErrNowhere) || !strings.Contains(err.Error(), "add a node") {
			t.Errorf("%v", err)
		}
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpRead); len(calls) > 0 {
				t.Error("read for nothing")
			}
		}
		return
	}
	must(t, err)
	checkMade(t, r, sp, made, 0)
	if made[0].Node != r.nodes[to].ID {
		t.Errorf("it came to %s", r.at(made[0].Node).Name)
	}
}

// TestRepairSaysWhatIsFull, and makes what there is room for.
func TestRepairSaysWhatIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, unwatched)
		sp := r.spread(coding("2+2"), 300*kib)
		spare := r.nodes[slices.IndexFunc(r.nodes, func(n *rigNode) bool {
			return !slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == n.ID })
		})]
		two := sp.without(0, 3)
		left := []*rigNode{spare}
		for _, l := range two {
			left = append(left, r.at(l.Node))
		}
		r.set(left...) // those of 0 and 3 left
		made, _, err := r.Repair(t.Context(), sp.Params, two, []uint8{0, 3}, noIntent)
		if len(made) != 1 || !errors.Is(err, ErrNowhere) {
			t.Errorf("made %v, %v", made, err)
		}
		wantClass(t, "one of two", err, cairn.ErrUnavailable)
		r.node(spare.ID).link.setFull(time.Now())
		made, cost, err := r.Repair(t.Context(), sp.Params, two, []uint8{0, 3}, noIntent)
		if len(made) != 0 || !errors.Is(err, ErrNowhere) || cost != (Moved{}) {
			t.Errorf("made %v for %+v, %v", made, cost, err)
		}
		wantClass(t, "full", err, cairn.ErrFull)
	})
}

// TestRepairPutsNothingThatIsNotKnown: what intend refuses is not put.
func TestRepairPutsNothingThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, unwatched)
		sp := r.spread(coding("2+2"), 300*kib)
		r.lose(sp, 1)
		for _, n := range r.nodes {
			n.take("")
		}
		refuse := fmt.Errorf("retired meanwhile: %w", cairn.ErrPrecondition)
		_, _, err := r.Repair(t.Context(), sp.Params, sp.where, []uint8{1}, func([]cairn.Location) error { return refuse })
		if !errors.Is(err, refuse) {
			t.Errorf("%v", err)
		}
		_, _, err = r.Copy(t.Context(), sp.Params, sp.where, sp.without(1)[0], func([]cairn.Location) error { return refuse })
		if !errors.Is(err, refuse) {
			t.Errorf("%v", err)
		}
		for _, n := range r.nodes {
			if calls, _ := n.take(backends.OpPut); len(calls) > 0 {
				t.Errorf("put %v", calls)
			}
		}
	})
}

// TestHazardB1RepairFailsOnTheRoot: shards of two sealings, or of a sealing whose
// parity was made by a machine that errs, all with good signatures, are never
// made into one more.
func TestHazardB1RepairFailsOnTheRoot(t *testing.T) {
	t.Run("two sealings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 8, unwatched)
			sp := r.spread(coding("4+3"), 300*kib)
			other := r.resealed(sp, random(77, 300*kib))
			for i := range uint8(3) { // 3 of another generation, 4 of this
				n, name := r.holder(sp, i)
				n.mem.SetBytes(name, other.Files[i])
			}
			for range 8 { // whichever answers first
				r.coolTails()
				made, _, err := r.Repair(t.Context(), sp.Params, sp.without(0), []uint8{0}, noIntent)
				must(t, err) // by the four of one generation
				checkMade(t, r, sp, made, 0)
				for _, l := range made {
					r.at(l.Node).mem.Drop(layout.Path(l.Name(sp.ID)))
				}
			}
			n, name := r.holder(sp, 3)
			n.mem.SetBytes(name, other.Files[3])
			r.coolTails()
			made, _, err := r.Repair(t.Context(), sp.Params, sp.without(0), []uint8{0}, noIntent)
			if len(made) > 0 {
				t.Errorf("made of 3 and 3 of two generations: %v", made)
			}
			wantClass(t, "mixed", err, cairn.ErrCorrupt)
		})
	})
	t.Run("parity that was wrong when it was signed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 8, unwatched)
			r.flip = true
			sp := r.spread(coding("4+3"), 300*kib)
			made, _, err := r.Repair(t.Context(), sp.Params, sp.without(0), []uint8{0}, noIntent)
			for i := uint8(1); i < 4 && err == nil; i++ { // whichever take turns
				made, _, err = r.Repair(t.Context(), sp.Params, sp.without(0, 1, i), []uint8{0}, noIntent)
			}
			if len(made) > 0 {
				t.Errorf("made %v", made)
			}
			wantClass(t, "wrong parity", err, cairn.ErrCorrupt)
		})
	})
}

// resealed is another sealing under the id of sp, as a gateway that errs would
// make it.
func (r *rig) resealed(sp *spread, b []byte) *pack.Sealed {
	r.tb.Helper()
	code, err := erasure.New(sp.Coding)
	must(r.tb, err)
	s, err := pack.Seal(code, r.key.Pack(sp.ID, sp.Prefix), sp.Params, b, random(78, int(sp.Contents)), r.sign, 1)
	must(r.tb, err)
	return s
}

// TestHazardA8RepairNeverReusesAName, also where it repairs again and again.
func TestHazardA8RepairNeverReusesAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, unwatched)
		sp := r.spread(coding("2+2"), 100*kib)
		used := map[string]bool{}
		note := func() {
			for _, n := range r.nodes {
				calls, _ := n.take(backends.OpPut)
				for _, c := range calls {
					if used[c.Name] {
						t.Errorf("%s is used twice", c.Name)
					}
					used[c.Name] = true
				}
			}
		}
		note()
		for range layout.MaxPerNode + 2 {
			made, _, err := r.Repair(t.Context(), sp.Params, sp.where, []uint8{1}, noIntent)
			sp.where = append(sp.where, made...)
			note()
			if err != nil {
				wantClass(t, "a full leaf", err, cairn.ErrUnavailable)
				break
			}
		}
		if n := len(used); n != 4+layout.MaxPerNode-1 {
			t.Errorf("%d names", n)
		}
	})
}

// TestCopyMovesNothing: one shard read once, proven, and put once more.
func TestCopyMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, unwatched)
		sp := r.spread(coding("2+2"), 4<<20)
		from := sp.where[1]
		r.at(from.Node).State = "draining"
		r.set(r.nodes...)
		synctest.Wait()
		made, cost, err := r.Copy(t.Context(), sp.Params, sp.where, from, noIntent)
		must(t, err)
		checkMade(t, r, sp, []cairn.Location{made}, from.Index)
		if slices.ContainsFunc(sp.where, func(l cairn.Location) bool { return l.Node == made.Node }) {
			t.Errorf("it came to %s, which holds one", r.at(made.Node).Name)
		}
		if most := sp.FileSize() + sp.TailSize(); cost.Read > most || cost.Written != sp.FileSize() {
			t.Errorf("%+v, the file has %d bytes", cost, sp.FileSize())
		}
		if _, ok := r.at(from.Node).mem.Bytes(layout.Path(from.Name(sp.ID))); !ok {
			t.Error("the old one went")
		}
		for _, x := range []struct {
			what  string
			do    func(n *rigNode, name string)
			class error
		}{
			{"what is wrong is not copied", func(n *rigNode, name string) { rot(r, sp, from.Index, 9) }, cairn.ErrCorrupt},
			{"what is not there", func(n *rigNode, name string) { n.mem.Drop(name) }, cairn.ErrNotExist},
			{"an unmounted disk lacks nothing", func(n *rigNode, name string) { n.mem.Drop(layout.MarkerName) }, cairn.ErrUnavailable},
		} {
			n := r.at(from.Node)
			x.do(n, layout.Path(from.Name(sp.ID)))
			if made, _, err := r.Copy(t.Context(), sp.Params, sp.where, from, noIntent); err == nil {
				t.Errorf("%s: %v", x.what, made)
			} else {
				wantClass(t, x.what, err, x.class)
			}
		}
		_, cost, err = r.Copy(t.Context(), sp.Params, append(slices.Clone(sp.where), made), from, noIntent)
		if !errors.Is(err, ErrNowhere) || cost.Read > 0 {
			t.Errorf("a second copy has somewhere to go: %+v, %v", cost, err)
		}
	})
}
