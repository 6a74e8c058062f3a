package store

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// TestFsyncsPerObject counts every fsync of the store, those of stages, seals,
// intents and the index included, for objects as a Nix cache has them. Writers
// that come together share one, on a fast disk and more so on a slow one. Who
// comes together is a matter of time, which is simulated: on a busy machine
// writers come late.
func TestFsyncsPerObject(t *testing.T) {
	const fast = 50 * time.Microsecond // not 0: without a disk to wait for, writers need no company
	objects := int64(300)
	if os.Getenv("CAIRN_LONG") != "" {
		objects = 2000
	}
	for _, c := range []struct {
		writers int
		delay   time.Duration // of each sync
		most    float64
	}{
		{1, fast, 1.3}, // alone: one each, and what packs cost
		{8, fast, 0.3},
		{50, fast, 0.2},
		{50, 20 * time.Millisecond, 0.05},
	} {
		t.Run(fmt.Sprint(c.writers, " writers, ", c.delay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, func(c *Config) { c.Coding, c.FlushAge = "2+1", 0 })
				r.close()
				var of sync.Map // kind of file -> *atomic.Int64
				counting, counter := durable.Count(durable.Watch(r.disk, durable.Hook{Before: func(s durable.Step) error {
					if s.Op == durable.OpSync && isStage(s) { // no others: Pebble syncs with mutexes held, for which no simulated time passes
						time.Sleep(c.delay)
					}
					return nil
				}, After: func(s durable.Step, err error) error {
					if s.Op == durable.OpSync || s.Op == durable.OpSyncDir {
						n, _ := of.LoadOrStore(kindOf(s), new(atomic.Int64))
						n.(*atomic.Int64).Add(1)
					}
					return err
				}}))
				r.fs = counting
				r.open()
				data := content(1, 26<<10)
				before := counter.Counts()
				var next atomic.Int64
				var wg sync.WaitGroup
				for range c.writers {
					wg.Go(func() {
						for i := next.Add(1); i <= objects; i = next.Add(1) {
							if err := r.put(fmt.Sprint("k", i), data); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				syncs := counter.Counts().Sub(before).Fsyncs()
				st, err := r.Status(t.Context())
				must(t, err)
				each := float64(syncs) / float64(objects)
				t.Logf("%.3f fsyncs an object: %d for %d objects in %d groups", each, syncs, objects, st.Groups)
				of.Range(func(kind, n any) bool { t.Logf("%6d %v", n.(*atomic.Int64).Load(), kind); return true })
				if each > c.most {
					t.Errorf("%.3f fsyncs an object, at most %.2f are allowed", each, c.most)
				}
				if st.Writes != uint64(objects) {
					t.Errorf("%d writes are counted, want %d", st.Writes, objects)
				}
			})
		})
	}
}

// kindOf says what a sync is for.
func kindOf(s durable.Step) string {
	switch {
	case s.Op == durable.OpSyncDir:
		return "directory " + s.Name
	case isStage(s):
		return "stage"
	case len(s.Name) > len(indexDir()) && s.Name[:len(indexDir())] == indexDir():
		return "index"
	}
	return s.Name
}
