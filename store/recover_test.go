package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// many puts n small objects and returns them.
func (r *rig) many(t *testing.T, from, n int) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	for i := from; i < from+n; i++ {
		key, data := fmt.Sprintf("k%04d", i), content(uint64(i), 100+i*37%5000)
		must(t, r.put(key, data))
		out[key] = data
	}
	return out
}

// The gateway burns and everything that was spread comes back exactly: from
// checkpoint and log, from checkpoints alone, merged many times over, from the
// log alone, with nodes away, and with all roots gone.
func TestRecoverBringsBackEverything(t *testing.T) {
	for i, c := range []struct {
		name   string
		rounds int  // of writing, each but the last followed by a checkpoint
		last   bool // the last as well
		roots  bool // they are not lost
		down   int
	}{
		{"no checkpoint", 1, false, true, 0},
		{"a checkpoint alone", 1, true, true, 0},
		{"a checkpoint and a log", 2, false, true, 0},
		{"many checkpoints", 9, false, true, 0},
		{"many checkpoints and no roots", 9, false, false, 0},
		{"no checkpoint and no roots", 2, false, false, 0},
		{"m nodes away", 3, false, true, 2},
		{"m nodes away and no checkpoint", 1, false, true, 2},
		{"m nodes away and no roots", 3, false, false, 2},
	} {
		if !race.Few(i, 9, 4) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			tune, roots := rooted("2+2")
			simulated(t, 5, tune, func(t *testing.T, r *rig) {
				ctx := t.Context()
				want := make(map[string][]byte)
				_, err := r.CreateAccess(ctx, "one", []Grant{{Bucket: "bbb", Level: Write}})
				must(t, err)
				gone, err := r.CreateAccess(ctx, "two", nil)
				must(t, err)
				for i := range c.rounds {
					maps.Copy(want, r.many(t, i*30, 40)) // some overwritten
					want["big"] = content(uint64(900+i), 300<<10)
					must(t, r.put("big", want["big"]))
					for j := range 5 {
						key := fmt.Sprintf("k%04d", i*30+j)
						must(t, r.Delete(ctx, keyOf(key), Condition{}))
						delete(want, key)
					}
					must(t, r.CreateBucket(ctx, fmt.Sprint("more", i)))
					if i > 0 {
						must(t, r.DeleteBucket(ctx, fmt.Sprint("more", i-1)))
					}
					if i == 1 {
						must(t, r.RevokeAccess(ctx, gone.ID))
						must(t, r.SetCoding(ctx, "3+2"))
					}
					if i+1 < c.rounds || c.last {
						if got := r.checkpoint(); got.Rows == 0 || got.Packs == 0 || got.Bytes == 0 || i == 0 && !got.Full {
							t.Errorf("checkpoint %d: %+v", i, got)
						}
					}
				}
				up, err := r.CreateUpload(ctx, Upload{Key: keyOf("open")})
				must(t, err)
				part := content(77, 70_000)
				_, err = r.PutPart(ctx, PutPart{Key: keyOf("open"), Upload: up.ID, Number: 3, Body: bytes.NewReader(part), Size: int64(len(part))})
				must(t, err)
				must(t, r.Flush(ctx))
				was := r.state()
				b := r.base(roots)
				r.burn()
				r.down(c.down)
				b.AcceptLoss = c.down > 0
				if !c.roots {
					b.CutOff, b.Runs, b.Life = pack.CutOff{}, nil, 0
					r.bare(func(conf Config) {
						must(t, conf.Nodes.SetNodes(ctx, b.Nodes))
						b.CutOff, b.Runs, err = FindCheckpoint(ctx, conf)
					})
					if (c.rounds == 1 || c.name == "no checkpoint and no roots") && !c.last && !errors.Is(err, cairn.ErrNotExist) && len(b.Runs) == 0 {
						t.Errorf("a checkpoint was found: %v", err)
					}
				}
				out := r.recover(b)
				r.wantState(c.name, was)
				for key, data := range want {
					r.want(key, data)
				}
				if len(out.Silent) != c.down || len(out.Holes) > 0 || out.LostCount > 0 || out.Objects != uint64(len(want)) {
					t.Errorf("report: %+v", out)
				}
				r.down(0)
				must(t, r.put("after", content(7, 700)))
				again := r.checkpoint()
				if again.Full && c.rounds > 3 {
					t.Errorf("the first checkpoint after a recovery has everything: %+v", again)
				}
				want["after"] = content(7, 700)
				was = r.state()
				b = r.base(roots)
				r.burn()
				r.recover(b)
				r.wantState("again", was)
				for key, data := range want {
					r.want(key, data)
				}
			})
		})
	}
}

// A checkpoint is made after its time, and after many log packs, and not where
// nothing changed.
func TestCheckpointsComeByThemselves(t *testing.T) {
	roots := &rootFile{}
	simulated(t, 3, func(c *Config) { c.Coding, c.Roots, c.FlushAge = "1+1", roots, 30*time.Second }, func(t *testing.T, r *rig) {
		cut := func() uint64 {
			b, _ := roots.Body()
			return b.CutOff.Number
		}
		r.pass(50 * time.Minute)
		if cut() != 0 {
			t.Fatalf("a checkpoint came early, cut-off %d", cut())
		}
		r.pass(11 * time.Minute)
		first := cut()
		if first == 0 {
			t.Fatal("no checkpoint after an hour")
		}
		n := roots.count()
		r.pass(5 * time.Hour)
		if roots.count() != n {
			t.Errorf("%d roots were written of a store where nothing changes", roots.count()-n)
		}
		must(t, r.put("a", content(1, 10)))
		r.pass(2 * time.Minute)
		if cut() != first+1 {
			t.Errorf("what changed after hours of rest waits: cut-off %d after %d", cut(), first)
		}
		for i := range checkpointPacks + 1 {
			must(t, r.put("a", content(uint64(i), 10)))
			must(t, r.com.closeNow(t.Context()))
		}
		r.pass(time.Minute)
		if cut() < first+checkpointPacks {
			t.Errorf("%d log packs make no checkpoint, cut-off %d", checkpointPacks+1, cut())
		}
	})
}

// The index alone is lost, the stage is there: it is made again from the newest
// checkpoint and what lies above, not from all log packs, also where the records
// above are staged still.
func TestALostIndexBeginsFromTheCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name    string
		release bool // what is spread has left the stage
		damaged bool // the checkpoint cannot be read
	}{
		{"staged", false, false}, {"released", true, false}, {"a checkpoint that is gone", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tune, roots := rooted("2+1")
			simulated(t, 4, tune, func(t *testing.T, r *rig) {
				want := make(map[string][]byte)
				for i := range 12 {
					maps.Copy(want, r.many(t, 20*i, 20))
					must(t, r.Flush(t.Context()))
				}
				must(t, r.Delete(t.Context(), keyOf("k0003"), Condition{}))
				delete(want, "k0003")
				r.checkpoint()
				maps.Copy(want, r.many(t, 10, 5))
				must(t, r.Flush(t.Context()))
				maps.Copy(want, r.many(t, 500, 5))
				if c.release {
					r.releaseAll()
				}
				was := r.state()
				b, _ := roots.Body()
				cut := r.logPack(1)
				r.close()
				if c.damaged {
					r.lose(b.Runs[0].Packs[0].Params.ID, 0)
				}
				must(t, index.Destroy(r.fs, indexDir()))
				var early atomic.Int64 // reads of log pack 1, which the checkpoint covers
				r.fates(func(op, name string, _ int) backendtest.Fate {
					if op == backends.OpRead && strings.Contains(name, cut.String()) {
						early.Add(1)
					}
					return backendtest.Works
				})
				r.open()
				if c.release && (early.Load() > 0) != c.damaged {
					t.Errorf("log pack 1 was read %d times", early.Load())
				}
				r.wantState(c.name, was)
				for key, data := range want {
					r.want(key, data)
				}
				must(t, r.put("after", content(9, 9)))
				was = r.state()
				r.checkpoint()
				base := r.base(roots)
				r.burn()
				r.recover(base)
				r.wantState("burnt", was)
			})
		})
	}
}

// TestALostIndexBeginsFromAnOlderCheckpoint: where the newest cannot be read, what
// an older root that is kept names brings everything exact, also when log packs
// below its cut-off are long gone.
func TestALostIndexBeginsFromAnOlderCheckpoint(t *testing.T) {
	collecting(t, 4, "2+1", func(t *testing.T, r *rig, roots *rootFile) {
		roots.set(2, 0)
		for i := range 6 {
			must(t, r.put(fmt.Sprint("old", i), content(uint64(i), 2*tinyPack)))
			must(t, r.Flush(t.Context()))
		}
		r.rest()
		first := r.logPack(1)
		for i := range 3 {
			must(t, r.Delete(t.Context(), keyOf(fmt.Sprint("old", i)), Condition{}))
		}
		for i := range 3 { // log packs that no root needs any more go
			r.checkpoint()
			must(t, r.put("tick", content(uint64(30+i), 100)))
			r.rest()
			r.retireAll()
			r.pass(2 * eon)
		}
		if n := r.fileCount(first); n != 0 {
			t.Fatalf("%d files of log pack 1 are left", n)
		}
		must(t, r.put("between", content(20, 2*tinyPack)))
		must(t, r.Delete(t.Context(), keyOf("old3"), Condition{}))
		r.rest()
		r.checkpoint()
		must(t, r.put("since", content(21, 100)))
		r.rest()
		r.releaseAll()
		was := r.state()
		newest, _ := roots.Body()
		older := roots.Older()
		if len(older) == 0 || older[0].CutOff == newest.CutOff {
			t.Fatal("there is no older checkpoint")
		}
		needed := make(map[cairn.PackID]bool)
		for _, run := range older[0].Runs {
			for _, p := range run.Packs {
				needed[p.Params.ID] = true
			}
		}
		r.close()
		lost := 0
		for _, run := range newest.Runs {
			for _, p := range run.Packs {
				if !needed[p.Params.ID] {
					r.lose(p.Params.ID, 0)
					lost++
				}
			}
		}
		if lost == 0 {
			t.Fatal("nothing of the newest checkpoint is its own")
		}
		must(t, index.Destroy(r.fs, indexDir()))
		r.open()
		r.wantState("from an older checkpoint", was)
		r.want("between", content(20, 2*tinyPack))
		r.want("since", content(21, 100))
		r.want("old5", content(5, 2*tinyPack))
		r.wantErr("old3", cairn.ErrNotExist)
		must(t, r.put("after", content(22, 100)))
		was = r.state()
		r.checkpoint()
		base := r.base(roots)
		r.burn()
		r.recover(base)
		r.wantState("burnt", was)
	})
}
