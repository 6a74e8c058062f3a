package store

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// TestCostOfCheckpointAndRecovery prints what a recovery takes, of objects that
// were put one by one, without a checkpoint and with one, and what a checkpoint
// after a change of one in a hundred moves, which must be under 5 % of a full
// one. 100,000 objects take half a minute: they are for the long run, as are
// 1,000,000 with CAIRN_LONG=2.
func TestCostOfCheckpointAndRecovery(t *testing.T) {
	n := race.Some(10_000, 4)
	switch os.Getenv("CAIRN_LONG") {
	case "":
	case "2":
		n = 1_000_000
	default:
		n = 100_000
	}
	roots := &rootFile{}
	r := newRig(t, 7, func(c *Config) {
		c.Coding, c.Roots, c.CheckpointEvery, c.FlushAge, c.Settle = "4+3", roots, 1000*time.Hour, time.Hour, time.Second
		c.IndexCache, c.GroupCount = 64<<20, 64
	})
	r.puts(t, 0, n, "v1")
	must(t, r.Flush(t.Context()))
	plain := r.base(roots)
	plain.CutOff, plain.Runs = pack.CutOff{}, nil // those made on the way are not used
	r.cost(t, fmt.Sprintf("recovery of %d objects without a checkpoint", n), func(c Config) (Recovered, error) { return Recover(t.Context(), c, plain) })
	r.open()
	began := time.Now()
	full := r.checkpoint()
	t.Logf("full checkpoint: %d rows, %d KiB, %d packs, %v", full.Rows, full.Bytes>>10, full.Packs, time.Since(began).Round(time.Millisecond))
	r.puts(t, n/2, n/100, "v2")
	began = time.Now()
	some := r.checkpoint()
	t.Logf("checkpoint after 1 %%: %d rows, %d KiB, %.1f %% of the full one, %v", some.Rows, some.Bytes>>10, 100*float64(some.Bytes)/float64(full.Bytes), time.Since(began).Round(time.Millisecond))
	if !full.Full || some.Full || 20*some.Bytes > full.Bytes {
		t.Errorf("a checkpoint after 1 %% is %+v, a full one %+v", some, full)
	}
	b := r.base(roots)
	was := r.idx.Totals()
	out := r.cost(t, fmt.Sprintf("recovery of %d objects from a checkpoint", n), func(c Config) (Recovered, error) { return Recover(t.Context(), c, b) })
	if out.Objects != was.Objects || out.Bytes != was.Bytes || out.Objects != uint64(n) {
		t.Errorf("%d objects of %d bytes, want %+v", out.Objects, out.Bytes, was.Count)
	}
	r.open()
	r.want(benchKey(n/2), benchData(n/2, "v2"))
	r.want(benchKey(n-1), benchData(n-1, "v1"))
	r.close()
}

func benchKey(i int) string { return fmt.Sprintf("nar/%08x/%d.nar", uint32(i)*2654435761, i) }

func benchData(i int, v string) []byte { return fmt.Appendf(nil, "%s of object %d", v, i) }

func (r *rig) puts(t *testing.T, from, n int, v string) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := r.put(benchKey(from+i), benchData(from+i, v)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cost burns the gateway, recovers, and prints what that took.
func (r *rig) cost(t *testing.T, what string, do func(Config) (Recovered, error)) (out Recovered) {
	t.Helper()
	r.burn()
	var calls atomic.Int64
	r.fates(func(_, _ string, _ int) backendtest.Fate {
		calls.Add(1)
		return backendtest.Works
	})
	began := time.Now()
	r.bare(func(c Config) {
		var err error
		out, err = do(c)
		must(t, err)
	})
	var read uint64
	for _, s := range out.Steps {
		read += s.Bytes
	}
	t.Logf("%s: %.2f s, %d requests, %.1f MiB", what, time.Since(began).Seconds(), calls.Load(), float64(read)/(1<<20))
	for _, s := range out.Steps {
		t.Logf("  %-10s %8d objects %6d packs %6d KiB %v", s.Name, s.Objects, s.Packs, s.Bytes>>10, s.Took.Round(time.Millisecond))
	}
	r.fates(nil)
	return out
}
