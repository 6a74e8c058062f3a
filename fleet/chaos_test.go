package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/pack"
)

// TestChaos scatters and reads over nodes of which each call meets a fate drawn
// from a seed. No byte is ever wrong, no error is of another class, and what
// was said to stand does.
func TestChaos(t *testing.T) {
	seeds := uint64(4)
	if os.Getenv("CAIRN_LONG") == "1" {
		seeds = 1000
	}
	rates := backendtest.Rates{backendtest.Fails: 0.1, backendtest.WorksButFails: 0.05, backendtest.Lies: 0.05, backendtest.Hangs: 0.03, backendtest.Drips: 0.02}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 9, cacheOf(int64(seed%2)<<20), func(c *Config) {
					open := c.Open
					c.Open = func(ctx context.Context, n pack.Node) (backends.Remote, error) {
						inner, err := open(ctx, n)
						inner = backends.Deadline(backends.Guard(inner, backends.Bounds{}), backends.DeadlineConfig{Small: 5 * time.Second})
						return backends.Retry(backends.Limit(inner, 8), backends.RetryConfig{}), err
					}
				})
				for _, n := range r.nodes {
					n.faulty.SetChoose(backendtest.Seeded(seed, n.Name, rates))
				}
				for range 3 {
					sp := r.seal(coding("4+3"), 300*kib)
					for range 20 {
						at, err := r.Scatter(t.Context(), sp.Sealed, sp.where, noIntent)
						sp.where = at
						if err == nil {
							break
						}
						wantClass(t, "scatter", err, cairn.ErrUnavailable)
						wait(10 * time.Second)
					}
					checkPlaces(t, r, sp, sp.where)
					if len(sp.where) != 7 {
						t.Errorf("%d shards stand after 20 tries", len(sp.where))
						continue
					}
					done, good := make(chan error, 20), 0
					for i := range 20 {
						go func() { done <- r.tryRead(sp, i*14_000, 30_000, i%3*100*kib) }()
					}
					for range 20 {
						err := <-done
						if err == nil {
							good++
						} else if !errors.Is(err, cairn.ErrUnavailable) || cairn.Class(err) != cairn.ErrUnavailable {
							t.Errorf("read: %v", err)
						}
					}
					if good < 15 {
						t.Errorf("only %d of 20 reads succeeded", good)
					}
				}
			})
		})
	}
}
