package store

import (
	"testing"
	"time"
)

// TestNoTimeToSettleIsNotTheDefaultTime.
func TestNoTimeToSettleIsNotTheDefaultTime(t *testing.T) {
	for settle, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, -1: 0, time.Second: time.Second} {
		r := newRig(t, 1, func(c *Config) { c.Settle = settle })
		if got := r.Store.c.Settle; got != want {
			t.Errorf("%v: a spread pack stays for %v, want %v", settle, got, want)
		}
		r.close()
	}
}
