package store

import (
	"testing"

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
