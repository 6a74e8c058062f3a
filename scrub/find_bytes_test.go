package scrub

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAScrubLeavesClientsTheMachine: while clients are served a node rests three
// times as long as the reading of a shard took, and no rest is longer than a second.
func TestAScrubLeavesClientsTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		var here atomic.Bool
		r.c.Clients = here.Load
		r.start()
		for range 20 {
			r.spread("2+1", 4_000)
		}
		took := func(look time.Duration) time.Duration {
			r.fleet.mu.Lock()
			r.fleet.before = func() { <-time.After(look) }
			r.fleet.mu.Unlock()
			began := time.Now()
			rep := r.full()
			if rep.Shards != 2*60 { // listed and read
				t.Errorf("%d shards were read", rep.Shards)
			}
			return time.Since(began)
		}
		alone := took(100 * time.Millisecond)
		here.Store(true)
		if with := took(100 * time.Millisecond); with < alone+20*300*time.Millisecond || with > alone+21*300*time.Millisecond {
			t.Errorf("alone it took %v, beside clients %v", alone, with)
		}
		if with := took(10 * time.Second); with > 20*11*time.Second+alone {
			t.Errorf("where a shard takes 10 s, it took %v", with)
		}
	})
}
