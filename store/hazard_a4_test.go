package store

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// A stage goes only after an index flush that covers its records and its
// placement. The index is flushed once before, so that a rebuild from the nodes
// cannot hide the loss.
func TestHazardA4(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		must(t, r.put("first", content(1, 100)))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		for i := range uint64(5) {
			must(t, r.put(fmt.Sprint("k", i), content(i, 9000)))
		}
		must(t, r.put("big", content(9, 300<<10)))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Fatalf("%d stages are left", n)
		}
		r.crash(0, 1)
		_, err := r.fs.Size(indexDir() + "-damaged")
		if !errors.Is(err, cairn.ErrNotExist) {
			t.Fatal("the index is to be rebuilt, this test would see nothing")
		}
		r.open()
		for i := range uint64(5) {
			r.want(fmt.Sprint("k", i), content(i, 9000))
		}
		r.want("big", content(9, 300<<10))
	})
}

// A version overwritten by one that stands nowhere yet is still what the nodes
// tell of: no record leaves before the bytes that it names, a copy's included.
// So when the gateway is lost the old version is found.
func TestHazardA5H1(t *testing.T) { hazardA5(t, false, false) }

func TestHazardA5H2(t *testing.T) {
	hazardA5(t, true, false)
	hazardA5(t, false, true)
	hazardA5(t, true, true)
}

func hazardA5(t *testing.T, byCopy, restart bool) {
	simulated(t, 4, coded("2+1"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 5000)))
		must(t, r.Flush(t.Context()))
		r.fates(backendtest.On(backendtest.Fails, backends.OpPut))
		must(t, r.put("opens the log", nil)) // before the packs that it will name
		must(t, r.put("big", content(2, 500<<10)))
		if byCopy {
			must(t, r.closeNow(t))
			_, err := r.Copy(t.Context(), Copy{From: keyOf("big"), To: keyOf("x")})
			must(t, err)
		} else {
			must(t, r.put("x", content(2, 500<<10)))
		}
		want := r.packsOf("x")
		stuck := want[1]
		if restart {
			r.crash(0, 1)
			r.open()
		}
		r.fates(without(stuck)) // one of the packs of x v2 waits for a slow node
		if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("flush: %v", err)
		}
		r.pass(5 * time.Minute)
		known := make(map[cairn.PackID]bool)
		for id, s := range r.survey() {
			known[id] = true
			for _, rec := range s.Records {
				if p, ok := rec.Body.(pack.Put); ok && p.Size == 500<<10 {
					t.Errorf("the record of %s left before pack %v that it names", p.Key, stuck)
				}
			}
		}
		if !known[want[0]] || known[stuck] {
			t.Fatal("the packs of x did not divide as this test wants")
		}
		r.loseDisk()
		r.open()
		r.want("x", content(1, 5000))
	})
}

// loseDisk leaves what a gateway has that is made anew from its kit: the life it
// knows of and the nodes.
func (r *rig) loseDisk() {
	r.tb.Helper()
	r.shut()
	fresh := durable.NewMem()
	for _, name := range []string{"/s/stage/life", "/s/secrets/nodes"} {
		b, err := durable.ReadFile(r.disk, name, 1<<20)
		must(r.tb, err)
		must(r.tb, fresh.MkdirAll(name[:strings.LastIndex(name, "/")]))
		must(r.tb, durable.WriteFile(fresh, name, b))
	}
	r.disk, r.fs = fresh, fresh
}

// closeNow ends the open log pack without waiting for nodes.
func (r *rig) closeNow(t *testing.T) error { return r.com.closeNow(t.Context()) }

// A copy keeps its source's bytes alive when the source is gone.
func TestHazardA6H1(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		for key, n := range map[string]int{"x": 5000, "big": 300 << 10} {
			must(t, r.put(key, content(1, n)))
			packs := r.packsOf(key)
			must(t, r.Flush(t.Context()))
			_, err := r.Copy(t.Context(), Copy{From: keyOf(key), To: keyOf(key + "2")})
			must(t, err)
			must(t, r.Delete(t.Context(), keyOf(key), Condition{}))
			check := func(when string) {
				t.Helper()
				r.want(key+"2", content(1, n))
				for _, id := range packs {
					if is, err := r.idx.Referenced(id); err != nil || !is {
						t.Errorf("%s: nothing refers to pack %v of %s2: %v", when, id, key, err)
					}
				}
			}
			check("at once")
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			check("released")
			r.reopen()
			check("after a restart")
			must(t, r.Delete(t.Context(), keyOf(key+"2"), Condition{}))
			for _, id := range packs {
				if is, err := r.idx.Referenced(id); err != nil || is {
					t.Errorf("%s: pack %v is still referred to: %v", key, id, err)
				}
			}
		}
	})
}

// A copy that waits for its turn behind an overwrite of its source copies the
// new version, not what it saw when it came; behind a delete it finds none.
func TestHazardA6H3(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			must(t, r.put("x", content(1, 100)))
			hold, held := make(chan struct{}), make(chan struct{})
			var once atomic.Bool
			r.watch(onPackSync(func(durable.Step) error {
				if once.CompareAndSwap(false, true) {
					close(held)
					<-hold
				}
				return nil
			}))
			first := make(chan error, 1)
			go func() {
				if deleted {
					first <- r.Delete(t.Context(), keyOf("x"), Condition{})
				} else {
					first <- r.put("x", content(2, 200))
				}
			}()
			<-held
			second := make(chan error, 1)
			go func() {
				_, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf("y")})
				second <- err
			}()
			r.pass(0) // the copy has seen version 1 and waits
			close(hold)
			must(t, <-first)
			err := <-second
			if deleted {
				if !errors.Is(err, cairn.ErrNotExist) {
					t.Errorf("copy of a deleted object: %v", err)
				}
				return
			}
			must(t, err)
			r.want("y", content(2, 200))
		})
	}
}

// Shards that were placed long ago are read again before they count, and
// nothing is deleted for being unknown: four of seven nodes took shards of a
// pack, lost them, and only then the others came.
func TestHazardA7H1(t *testing.T) {
	for _, restart := range []bool{false, true} {
		simulated(t, 7, func(c *Config) { c.Coding, c.Settle = "4+3", releaseTick }, func(t *testing.T, r *rig) {
			r.fates(func(op, name string, _ int) backendtest.Fate {
				if op == backends.OpDelete {
					t.Errorf("%s is deleted", name)
				}
				return backendtest.Works
			})
			r.down(3)
			must(t, r.put("x", content(1, 30_000)))
			id := r.packsOf("x")[0]
			if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
				t.Fatalf("flush: %v", err)
			}
			r.pass(recheck + time.Minute)
			at := r.shards()[id]
			if len(at) != 4 {
				t.Fatalf("%d shards stand, want 4", len(at))
			}
			for _, l := range at {
				for _, n := range r.nodes {
					if n.ID == l.Node {
						must(t, n.mem.Delete(t.Context(), layout.Path(l.Name(id))))
					}
				}
			}
			if restart {
				r.reopen()
			}
			r.down(0)
			r.pass(5 * time.Minute)
			row, err := r.idx.Pack(id)
			must(t, err)
			if row.State != index.Spread || len(row.At) != 7 || len(r.shards()[id]) != 7 {
				t.Errorf("the index tells of %d shards, %v; %d stand", len(row.At), row.State, len(r.shards()[id]))
			}
			if n := len(stageFiles(t, r.fs)); n != 0 {
				t.Fatalf("%d stages are left", n)
			}
			r.want("x", content(1, 30_000))
		})
	}
}

// No name on a node is written twice, whatever becomes of a put: one that worked
// but said that it failed is found by a read, one that failed is tried under
// another name.
func TestHazardA8(t *testing.T) {
	for _, fate := range []backendtest.Fate{backendtest.Fails, backendtest.WorksButFails, backendtest.Lies} {
		simulated(t, 5, coded("2+2"), func(t *testing.T, r *rig) {
			var names notes
			twice := func(op, name string, _ int) bool {
				return op == backends.OpPut && strings.HasPrefix(name, layout.PacksDir) && names.add("%s", name) > 1
			}
			for i, n := range r.nodes {
				n.faulty.SetChoose(func(op, name string, attempt int) backendtest.Fate {
					if twice(op, name, attempt) {
						t.Errorf("%v: %s is written twice", fate, name)
					}
					if op == backends.OpPut && i < 2 && len(names.all())%2 == 0 {
						return fate
					}
					return backendtest.Works
				})
			}
			for i := range uint64(6) {
				must(t, r.put(fmt.Sprint("k", i), content(i, 5000)))
				_ = r.Flush(t.Context())
				if i == 3 {
					r.crash(0, i)
					r.open()
				}
			}
			r.pass(5 * time.Minute)
			must(t, r.Flush(t.Context()))
			for i := range uint64(6) {
				r.want(fmt.Sprint("k", i), content(i, 5000))
			}
			for id, s := range r.survey() {
				row, err := r.idx.Pack(id)
				must(t, err)
				if len(row.At) != s.Coding.N() {
					t.Errorf("%v: %d shards of pack %v are recorded, want %d", fate, len(row.At), id, s.Coding.N())
				}
			}
		})
	}
}
