package fleet

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/pack"
)

// TestReadsOfTheBackgroundTouchNoClients: what they read is in no cache, nobody
// waits for their answer, and that it comes late says nothing of the node.
func TestReadsOfTheBackgroundTouchNoClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, unwatched, cacheOf(8<<20))
		sp := r.spread(coding("2+1"), 400*kib)
		for _, n := range r.nodes {
			n.setDelay(usual(10 * time.Millisecond))
		}
		warm(r, sp)
		behind := backends.Background(t.Context())
		read := func(ctx context.Context, off int) {
			t.Helper()
			b := make([]byte, 70*kib)
			must(t, r.Read(ctx, sp.Params, sp.where, uint64(off), b, 0))
			if !bytes.Equal(b, sp.bytes[off:off+len(b)]) {
				t.Errorf("wrong bytes at %d", off)
			}
		}
		asked := func() (n int) {
			for _, x := range r.nodes {
				calls, _ := x.take(backends.OpRead)
				n += len(calls)
			}
			return n
		}
		read(behind, 1000)
		asked()
		read(t.Context(), 1000)
		if asked() == 0 {
			t.Error("what the background read was cached")
		}
		read(behind, 1000)
		if n := asked(); n != 0 {
			t.Errorf("what is cached was asked for: %d requests", n)
		}
		own, _ := r.holder(sp, 0)
		own.setInstead(func(ctx context.Context, c backends.Call) error { // the background waits, clients do not
			if backends.IsBackground(ctx) && c.Op == backends.OpRead {
				return pause(ctx, time.Second, nil)
			}
			return nil
		})
		far := 2 * pack.BlockSize
		done := make(chan struct{})
		go func() { defer close(done); read(behind, far) }()
		synctest.Wait()
		began := time.Now()
		read(t.Context(), far)
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("a client waited %v behind the background", took)
		}
		<-done
		if n := asked(); n > 2 { // one each: tails are known
			t.Errorf("%d requests: the background hedged what only waited", n)
		}
		if rank := r.node(own.ID).rank(); rank != 3 {
			t.Errorf("the node's rank is %d", rank)
		}
	})
}
