package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn/internal/durable"
)

// TestAStageGoesOnlyWithAFlushOfItsOwn: where the index was flushed some time
// before, a stage is still released only after one that covers it. TestHazardA4
// would see a flush that comes too late, and not one that never comes: an index
// that was never flushed is made again from the nodes.
func TestAStageGoesOnlyWithAFlushOfItsOwn(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		var gone atomic.Int32
		must(t, r.put("first", content(1, 100)))
		must(t, r.Flush(t.Context()))
		r.watch(durable.Hook{Before: func(s durable.Step) error { // closing flushes the index
			if s.Op == durable.OpRemove && strings.HasSuffix(s.Name, ".stage") {
				gone.Add(1)
			}
			return nil
		}})
		for i := range uint64(5) {
			must(t, r.put(fmt.Sprint("k", i), content(i, 9000)))
		}
		must(t, r.put("big", content(9, 300<<10)))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 || gone.Load() < 2 {
			t.Fatalf("%d stages are left, %d were removed", n, gone.Load())
		}
		r.crash(0, 1)
		for _, n := range r.nodes { // nothing can be made again from them
			n.faulty.SetDown(true)
		}
		r.open()
		for _, n := range r.nodes {
			n.faulty.SetDown(false)
		}
		for i := range uint64(5) {
			r.want(fmt.Sprint("k", i), content(i, 9000))
		}
		r.want("big", content(9, 300<<10))
	})
}
