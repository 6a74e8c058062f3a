package store

import (
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// TestIdle: what is stored now depends on packs that something refers to, and on
// records that no checkpoint has; on nothing else.
func TestIdle(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("a", content(1, tinyPack)))
		must(t, r.put("b", content(2, 100)))
		r.rest()
		of := func() (data, log map[cairn.PackID]bool) {
			data, log = make(map[cairn.PackID]bool), make(map[cairn.PackID]bool)
			for row, err := range r.Packs(cairn.PackID{}) {
				must(t, err)
				idle, err := r.Idle(row)
				must(t, err)
				switch row.Kind {
				case pack.Data:
					data[row.Params.ID] = idle
				case pack.Log:
					log[row.Params.ID] = idle
				}
			}
			return data, log
		}
		data, log := of()
		for id, idle := range data {
			if idle {
				t.Errorf("%v is idle, and an object lies in it", id)
			}
		}
		for id, idle := range log {
			if idle {
				t.Errorf("log pack %v is idle before any checkpoint", id)
			}
		}
		if len(data) == 0 || len(log) == 0 {
			t.Fatalf("%d data and %d log packs", len(data), len(log))
		}
		must(t, r.Delete(t.Context(), keyOf("a"), Condition{}))
		must(t, r.Delete(t.Context(), keyOf("b"), Condition{}))
		r.rest()
		r.checkpoint()
		r.rest()
		now, after := of()
		for id := range data {
			if idle, there := now[id]; there && !idle {
				t.Errorf("%v is not idle once its object is deleted", id)
			}
		}
		for id := range log {
			if idle, there := after[id]; there && !idle {
				t.Errorf("log pack %v is not idle once a checkpoint has its records", id)
			}
		}
	})
}

// TestAnIdleStoreWritesNothing: a store that nobody writes to is silent for 24
// times as long as lies between checkpoints; what its own log and checkpoint packs leave to be collected goes then.
func TestAnIdleStoreWritesNothing(t *testing.T) {
	tune, _ := rooted("1+1")
	simulated(t, 3, func(c *Config) { tune(c); c.Settle, c.Grace, c.CheckpointEvery = time.Minute, time.Hour, time.Hour }, func(t *testing.T, r *rig) {
		for i := range 8 { // checkpoints and roots for the older to go
			must(t, r.put("a", content(uint64(i), tinyPack)))
			r.pass(time.Hour)
		}
		r.pass(4 * time.Hour) // for what is deleted to go
		written := func() (logs uint64, checkpoint time.Time) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.chain.next, r.ckpt.base.written
		}
		packs := func() (n int) {
			for _, err := range r.Packs(cairn.PackID{}) {
				must(t, err)
				n++
			}
			return n
		}
		logs, at := written()
		if logs < 2 || at.IsZero() {
			t.Fatalf("%d log packs, a checkpoint of %v", logs, at)
		}
		r.pass(8 * time.Hour)
		if l, c := written(); l != logs || !c.Equal(at) {
			t.Errorf("idle for eight hours, the store wrote %d log packs, and a checkpoint of %v after that of %v", l-logs, c, at)
		}
		files := packs()
		r.pass(32 * time.Hour)
		if l, _ := written(); l == logs || l > logs+3 {
			t.Errorf("%d log packs in 32 more hours", l-logs)
		}
		if n := packs(); n > files {
			t.Errorf("idle, it went from %d packs to %d", files, n)
		}
	})
}
