package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
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

// TestANodeThatMakesUpPacksAndHangsIsAskedForAFew: what one node of several alone
// lists, and does not show, keeps no gateway from starting, nor makes it wait for
// each.
func TestANodeThatMakesUpPacksAndHangsIsAskedForAFew(t *testing.T) {
	tune, _ := rooted("2+1")
	simulated(t, 4, tune, func(t *testing.T, r *rig) {
		want := r.many(t, 0, 20)
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		r.close()
		made := "0000000000ee"
		for i := range 1000 {
			id, err := cairn.ParsePackID(fmt.Sprintf("%s%020x", made, i))
			must(t, err)
			r.nodes[0].mem.SetBytes(layout.Path(cairn.ShardName{Pack: id, Write: uint32(i)}), make([]byte, 64<<10))
		}
		var asked atomic.Int64
		r.fates(func(op, name string, _ int) backendtest.Fate {
			if !strings.Contains(name, made) || op == backends.OpList {
				return backendtest.Works
			}
			if asked.Add(1)%2 == 0 { // else it answers: nobody takes it for down
				return backendtest.Works
			}
			<-time.After(20 * time.Second) // of the bubble
			return backendtest.Fails
		})
		must(t, index.Destroy(r.fs, indexDir()))
		began := time.Now() // of the bubble
		r.open()
		if n, took := asked.Load(), time.Since(began); n == 0 || took > 5*time.Minute {
			t.Errorf("it was asked %d times, for %v", n, took)
		}
		for key, data := range want {
			r.want(key, data)
		}
	})
}
