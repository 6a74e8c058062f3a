package fleet

import (
	"context"

	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/semaphore"
)

// repairMemory bounds the bytes that all shards being made again or moved take at
// once: three packs of 16 MiB coded 4+3 that are being read, and more that are
// being put.
const repairMemory = 64 << 20

// ration is memory that one repair or copy may take. All of it is asked for at
// once, before anything is read, so that no two wait for each other.
type ration struct {
	of   *semaphore.Weighted
	left int64
}

// ration waits for n bytes, or for the end of ctx. What is more than there ever
// is waits until nothing else has any.
func (f *Fleet) ration(ctx context.Context, n int64) (*ration, error) {
	n = min(n, repairMemory)
	if err := f.rations.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return &ration{f.rations, n}, nil
}

// keep gives back all but n bytes.
func (r *ration) keep(n int64) {
	if n < r.left {
		r.of.Release(r.left - n)
		r.left = n
	}
}

// windowsMemory is what the windows of one rebuild take.
func windowsMemory(p pack.Params) int64 {
	return repairWindow * int64(p.Coding.K) * int64(min(repairAhead, pack.Blocks(p.Length)))
}
