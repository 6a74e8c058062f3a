package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// fetchers is a rig whose reads take a second, and a pack of one shard.
func fetchers(t *testing.T, memory int64) (*rig, *spread, *rigNode) {
	r := newRig(t, 1, cacheOf(memory))
	sp := r.spread(coding("1+0"), 2<<20)
	n := r.nodes[0]
	synctest.Wait()
	n.setDelay(func(c backends.Call) time.Duration {
		if c.Op == backends.OpRead {
			return time.Second
		}
		return 0
	})
	n.take("")
	return r, sp, n
}

// TestReadsOfTheSameBlocksShareOneRequest, whether or not anything is cached.
func TestReadsOfTheSameBlocksShareOneRequest(t *testing.T) {
	for _, memory := range []int64{0, 64 << 20} {
		t.Run(fmt.Sprintf("cache=%d", memory), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, sp, n := fetchers(t, memory)
				done := make(chan error, 20)
				for i := range 20 {
					go func() { done <- r.tryRead(sp, i*1000, 64*kib, 4*pack.BlockSize) }()
				}
				began := time.Now()
				for range 20 {
					must(t, <-done)
				}
				calls, _ := n.take(backends.OpRead)
				// The first brings all that any of them wants, where it reads ahead;
				// one that began with another block may have been faster.
				if len(calls) > 3 || time.Since(began) > 3*time.Second {
					t.Errorf("%d requests, %v", len(calls), time.Since(began))
				}
			})
		})
	}
}

// TestOneReadersEndIsNotTheOthers: what becomes of the read that fetches does
// not become of those that wait for it.
func TestOneReadersEndIsNotTheOthers(t *testing.T) {
	for _, x := range []struct {
		what  string
		first func(n *rigNode, cancel func())
	}{
		{"it is cancelled", func(_ *rigNode, cancel func()) { cancel() }},
		{"it fails", func(n *rigNode, _ func()) {
			var reads atomic.Int32
			n.setInstead(func(_ context.Context, c backends.Call) error {
				if c.Op == backends.OpRead && strings.HasPrefix(c.Name, "packs/") && reads.Add(1) == 1 {
					return fmt.Errorf("as told: %w", cairn.ErrUnavailable)
				}
				return nil
			})
		}},
	} {
		for _, memory := range []int64{0, 64 << 20} {
			t.Run(fmt.Sprintf("%s/cache=%d", x.what, memory), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, sp, n := fetchers(t, memory)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					firstDone := make(chan error, 1)
					go func() {
						firstDone <- r.Read(ctx, sp.Params, sp.where, 0, make([]byte, 4*pack.BlockSize), 0)
					}()
					<-time.After(time.Millisecond)
					done := make(chan error, 5)
					for i := range 5 {
						go func() { done <- r.tryRead(sp, i*pack.BlockSize, pack.BlockSize, 0) }()
					}
					<-time.After(time.Millisecond)
					synctest.Wait()
					x.first(n, cancel)
					err := <-firstDone
					if err == nil {
						t.Error("the first read succeeded")
					}
					wantClass(t, "first", err, cairn.ErrUnavailable)
					for range 5 {
						must(t, <-done)
					}
					if len(r.flights) != 0 {
						t.Errorf("%d blocks stay claimed", len(r.flights))
					}
				})
			})
		}
	}
}

// TestOverlappingWindows reads every run of blocks at once, so that claims meet
// in all ways.
func TestOverlappingWindows(t *testing.T) {
	for _, memory := range []int64{0, 64 << 20} {
		synctest.Test(t, func(t *testing.T) {
			r, sp, _ := fetchers(t, memory)
			done := make(chan error, 1000)
			reads := 0
			for from := range 10 {
				for n := 1; n < 10; n += 4 {
					for _, ahead := range []int{0, 6 * pack.BlockSize} {
						reads++
						go func() { done <- r.tryRead(sp, from*pack.BlockSize+7, n*pack.BlockSize, ahead) }()
					}
				}
			}
			for range reads {
				must(t, <-done)
			}
		})
	}
}

// TestNeighboursDoNotWaitForEachOther: the windows of a reader share the blocks
// that they meet in; all come in the time of one, and no block is asked for
// twice.
func TestNeighboursDoNotWaitForEachOther(t *testing.T) {
	for _, memory := range []int64{0, 64 << 20} {
		synctest.Test(t, func(t *testing.T) {
			r, sp, n := fetchers(t, memory)
			const window = 4*pack.BlockSize + 1000
			done := make(chan error, 7)
			began := time.Now()
			for i := range 7 {
				go func() { done <- r.tryRead(sp, i*window, window, 0) }()
			}
			for range 7 {
				must(t, <-done)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("they took %v, and one takes a second", took)
			}
			calls, _ := n.take(backends.OpRead)
			asked := 0
			for _, c := range calls {
				if c.Bytes >= pack.BlockSize { // not a tail
					asked += c.Bytes
				}
			}
			if want := pack.Blocks(7*window) * pack.BlockSize; asked != want {
				t.Errorf("%d bytes of blocks were asked for, want %d", asked, want)
			}
		})
	}
}

// TestAWaitingReaderCanGiveUp though what it waits for never ends.
func TestAWaitingReaderCanGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sp, n := fetchers(t, 0)
		n.setDelay(func(backends.Call) time.Duration { return time.Hour })
		first, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = r.Read(first, sp.Params, sp.where, 0, make([]byte, 10), 0) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b := []byte("untouched")
		err := r.Read(ctx, sp.Params, sp.where, 0, b, 0)
		if !errors.Is(err, context.DeadlineExceeded) || !bytes.Equal(b, []byte("untouched")) {
			t.Errorf("%v, %q", err, b)
		}
		wantClass(t, "gave up", err, cairn.ErrUnavailable)
	})
}
