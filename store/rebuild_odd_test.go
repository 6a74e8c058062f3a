package store

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

// TestAnIndexMadeAgainKnowsItsCheckpoint: the packs that an index came from have
// rows in it, wherever they were found, so that they are mended and the next
// checkpoint can say where they stand. The checkpoint itself was written before
// them and names none.
func TestAnIndexMadeAgainKnowsItsCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name    string
		release bool // it has left the stage
		silent  bool // the nodes do not list, though they answer reads
	}{
		{"staged", false, false}, {"listed", true, false}, {"on nodes that do not list", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tune, roots := rooted("2+1")
			simulated(t, 4, tune, func(t *testing.T, r *rig) {
				r.many(t, 0, 20)
				must(t, r.Flush(t.Context()))
				r.checkpoint()
				if c.release {
					r.releaseAll()
				}
				b, _ := roots.Body()
				id := b.Runs[0].Packs[0].Params.ID
				was := r.state()
				r.close()
				must(t, index.Destroy(r.fs, indexDir()))
				r.fates(func(op, _ string, _ int) backendtest.Fate {
					if op == backends.OpList && c.silent {
						return backendtest.Fails
					}
					return backendtest.Works
				})
				r.open()
				r.fates(nil)
				r.wantState(c.name, was)
				r.pass(eon)
				row, err := r.Pack(id)
				if err != nil || row.State != index.Spread || len(row.At) != 3 {
					t.Errorf("the checkpoint's pack: %v, %d places, %v", row.State, len(row.At), err)
				}
				must(t, r.put("after", content(9, 9)))
				if out := r.checkpoint(); out.Full {
					t.Errorf("the next checkpoint has all rows: %+v", out)
				}
			})
		})
	}
}

// TestTheLastNodeThatListsAPackIsWaitedFor: of 1+1 one node lost everything, and
// the other does not answer reads for a while. What it lists may be the end of the
// log: a start without it would hide what was acknowledged, and give its number
// away.
func TestTheLastNodeThatListsAPackIsWaitedFor(t *testing.T) {
	tune, _ := rooted("1+1")
	simulated(t, 2, tune, func(t *testing.T, r *rig) {
		want := r.many(t, 0, 20)
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		r.close()
		for _, name := range r.nodes[0].mem.Names() {
			if _, err := layout.ParsePath(name); err == nil {
				must(t, r.nodes[0].mem.Delete(t.Context(), name))
			}
		}
		must(t, index.Destroy(r.fs, indexDir()))
		r.fates(func(op, name string, _ int) backendtest.Fate {
			if op != backends.OpList && strings.HasPrefix(name, layout.PacksDir) {
				return backendtest.Fails
			}
			return backendtest.Works
		})
		if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("it started: %v", err)
		}
		r.fates(nil)
		r.open()
		for key, data := range want {
			r.want(key, data)
		}
	})
}

// TestWrongBytesAreNotTheLastWordWhileNodesAreSilent: where the only node that
// answers has wrong bytes, the index waits for the others, and says so: that is
// ErrUnavailable, which passes, and not ErrCorrupt, which does not.
func TestWrongBytesAreNotTheLastWordWhileNodesAreSilent(t *testing.T) {
	tune, _ := rooted("1+1")
	simulated(t, 2, tune, func(t *testing.T, r *rig) {
		want := r.many(t, 0, 20)
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		last := r.nodes[len(r.nodes)-1]
		for id := range r.shards() {
			r.rot(id, last)
		}
		r.close()
		must(t, index.Destroy(r.fs, indexDir()))
		r.down(1)
		err := r.tryOpen()
		if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, cairn.ErrCorrupt) || !strings.Contains(err.Error(), "start again when more nodes are there") {
			t.Fatalf("with one node silent and one wrong: %v", err)
		}
		r.down(0)
		r.open()
		for key, data := range want {
			r.want(key, data)
		}
	})
}

// TestALostIndexIsNotMadeWithoutTheEndOfTheLog: while the nodes that have it are
// silent the gateway does not start, and then everything is there. Else what was
// acknowledged would be hidden, and its log numbers given away.
func TestALostIndexIsNotMadeWithoutTheEndOfTheLog(t *testing.T) {
	for _, c := range []struct {
		name        string
		checkpoint  bool // there is one, from before
		lists       bool // the nodes answer reads and do not list; else they are down
		wiped, lost int  // nodes that have lost all files; nodes that are silent
	}{
		{"all down", false, false, 0, 2}, {"none lists", false, true, 0, 2}, {"all down, a checkpoint", true, false, 0, 2}, {"none lists, a checkpoint", true, true, 0, 2},
		{"one wiped, the other down", false, false, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tune, _ := rooted("1+1")
			simulated(t, 2, tune, func(t *testing.T, r *rig) {
				want := make(map[string][]byte)
				if c.checkpoint {
					want = r.many(t, 100, 20)
					must(t, r.Flush(t.Context()))
					r.checkpoint()
				}
				maps.Copy(want, r.many(t, 0, 20))
				must(t, r.Flush(t.Context()))
				r.releaseAll()
				was := r.state()
				r.close()
				must(t, index.Destroy(r.fs, indexDir()))
				for i := len(r.nodes) - c.wiped; i < len(r.nodes); i++ {
					for _, name := range r.nodes[i].mem.Names() {
						if _, err := layout.ParsePath(name); err == nil {
							must(t, r.nodes[i].mem.Delete(t.Context(), name))
						}
					}
				}
				if c.lists {
					r.fates(func(op, _ string, _ int) backendtest.Fate {
						if op == backends.OpList {
							return backendtest.Fails
						}
						return backendtest.Works
					})
				} else {
					r.down(c.lost)
				}
				if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("it started: %v", err)
				}
				r.down(0)
				r.fates(nil)
				r.open()
				r.wantState(c.name, was)
				for key, data := range want {
					r.want(key, data)
				}
			})
		})
	}
}

// TestWhatLeftTheStageIsNotedAgain: a note that is gone or damaged is made anew
// from the index, and never goes back.
func TestWhatLeftTheStageIsNotedAgain(t *testing.T) {
	simulated(t, 2, nil, func(t *testing.T, r *rig) {
		r.many(t, 0, 20)
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		noted := func() uint64 {
			n, err := r.c.readReleased()
			must(t, err)
			return n
		}
		was := noted()
		if was == 0 {
			t.Fatal("nothing is noted")
		}
		for _, spoil := range []func(name string){
			func(string) {},
			func(name string) { must(t, r.fs.Remove(name)) },
			func(name string) { must(t, durable.WriteFile(r.fs, name, []byte("cairnrel and nonsense"))) },
		} {
			name := r.c.releasedName()
			r.close()
			spoil(name)
			r.open()
			if got := noted(); got != was {
				t.Errorf("%d is noted, not %d", got, was)
			}
		}
	})
}
