package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// fill puts objects until one is refused, and returns how many were kept.
func (r *rig) fill(t *testing.T, size int) (kept int, err error) {
	t.Helper()
	for ; kept < 200; kept++ {
		if err = r.put(fmt.Sprint("fill", kept), content(uint64(kept), size)); err != nil {
			return kept, err
		}
	}
	t.Fatal("nothing is ever refused")
	return 0, nil
}

// While the nodes are away the stage fills up to its limit and no further; then
// PUTs wait, are told to slow down, and deletes and reads go on. The first room
// lets those that wait go on at once.
func TestAFullStageSlowsDownAndRecovers(t *testing.T) {
	for _, size := range []int{20_000, tinySmall, tinyPack + 5000} {
		tune := func(c *Config) {
			c.Coding, c.StageLimit, c.SlowWait, c.Settle = "1+1", 3<<20, 20*time.Second, releaseTick
		}
		simulated(t, 3, tune, func(t *testing.T, r *rig) {
			r.down(3)
			start := time.Now()
			kept, err := r.fill(t, size)
			if !errors.Is(err, cairn.ErrSlowDown) {
				t.Fatalf("put %d: %v", kept, err)
			}
			if took := time.Since(start); took < 20*time.Second || took > 25*time.Second {
				t.Errorf("it was refused after %v, want 20 s", took)
			}
			r.mu.Lock()
			if r.used > r.c.StageLimit || r.used < r.c.StageLimit/2 {
				t.Errorf("%d KiB are staged of %d", r.used>>10, r.c.StageLimit>>10)
			}
			r.mu.Unlock()
			must(t, r.Delete(t.Context(), keyOf("fill0"), Condition{}))
			must(t, r.CreateBucket(t.Context(), "another"))
			r.wantErr("fill0", cairn.ErrNotExist)
			r.want("fill1", content(1, size))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := r.Put(ctx, putOf("late", content(1, size))); !errors.Is(err, cairn.ErrSlowDown) {
				t.Errorf("a put whose context ends while it waits: %v", err)
			}
			cancel()
			done := make(chan error, 1)
			go func() { done <- r.put("waited", content(7, size)) }()
			r.pass(time.Second)
			r.down(0)
			must(t, <-done)
			r.pass(2 * time.Minute)
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			if r.used != 0 {
				t.Errorf("%d bytes are staged, want none: %v", r.used, r.phases())
			}
			r.want("waited", content(7, size))
			for i := 1; i < kept; i++ {
				r.want(fmt.Sprint("fill", i), content(uint64(i), size))
			}
		})
	}
}

// used is what a disk holds.
func used(t *testing.T, disk *durable.Mem) int64 {
	t.Helper()
	free, total, err := disk.Free("/")
	must(t, err)
	return int64(total - free)
}

// A disk that fills up refuses user data as full, keeps room for deletes, and
// what is refused leaves nothing; when there is room again all goes on.
func TestAFullDiskIsFullAndRecovers(t *testing.T) {
	cases := map[string]struct {
		free  int64 // bytes left
		large bool  // body of several packs
		put   error
	}{
		"room above the reserve":  {diskReserve + 4<<20, false, nil},
		"room for part of a body": {diskReserve + minPack + minPack/2, true, nil},
		"at the reserve":          {diskReserve, false, cairn.ErrFull},
		"almost nothing":          {minPack / 2, false, cairn.ErrFull},
		"nothing at all":          {0, true, cairn.ErrFull},
	}
	for what, c := range cases {
		simulated(t, 2, coded("1+1"), func(t *testing.T, r *rig) {
			for i := range 4 {
				must(t, r.put(fmt.Sprint("k", i), content(uint64(i), 1000)))
			}
			size := 1000
			if c.large {
				size = 3 * tinyPack
			}
			for round := range 2 { // with a log stage open, and without
				r.disk.SetCapacity(used(t, r.disk) + c.free)
				if err := r.put("x", content(5, size)); !errors.Is(err, c.put) {
					t.Errorf("%s: put: %v", what, err)
				}
				if err := r.Delete(t.Context(), keyOf(fmt.Sprint("k", round)), Condition{}); err != nil {
					t.Errorf("%s: delete: %v", what, err)
				}
				r.disk.SetCapacity(1 << 40)
				must(t, r.put("x", content(6, size)))
				r.want("x", content(6, size))
				must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
				must(t, r.closeNow(t))
			}
			r.crash(0, 1)
			r.open()
			for i := range 4 {
				if i < 2 {
					r.wantErr(fmt.Sprint("k", i), cairn.ErrNotExist)
				} else {
					r.want(fmt.Sprint("k", i), content(uint64(i), 1000))
				}
			}
			must(t, r.Flush(t.Context()))
			r.releaseAll()
			if n := len(stageFiles(t, r.fs)); n != 0 {
				t.Errorf("%s: %d stages are left: %v", what, n, r.phases())
			}
		})
	}
}

// The disk fills while a large body comes: the write is refused as full and
// what it had staged goes.
func TestADiskThatFillsUnderAPut(t *testing.T) {
	simulated(t, 2, settled, func(t *testing.T, r *rig) {
		up := r.upload("x", -1)
		up.give(content(1, 2*tinyPack))
		r.disk.SetCapacity(used(t, r.disk) + minPack/2)
		up.give(content(2, 2*tinyPack))
		if err := up.end(nil); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("put: %v", err)
		}
		r.disk.SetCapacity(1 << 40)
		r.wantErr("x", cairn.ErrNotExist)
		r.nothingLeft(t, "after a full disk")
	})
}
