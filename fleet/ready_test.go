package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/backends/backendtest"
)

// TestReady: who has just started waits for nodes to be admitted, and for no
// longer than it takes.
func TestReady(t *testing.T) {
	for _, x := range []struct {
		what  string
		admit time.Duration // 0 for never
		down  bool          // the node that is not admitted does not answer
		ctx   time.Duration
		want  time.Duration
	}{
		{"nodes are admitted", 3 * time.Second, false, time.Hour, 3 * time.Second},
		{"one is not", 0, false, time.Hour, readyWait},
		{"one is not and does not answer", 0, true, time.Hour, 0},
		{"the caller has no time", 0, false, time.Second, time.Second},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 2, func(c *Config) { c.Hold = true })
				synctest.Wait()
				if x.down {
					r.nodes[1].faulty.SetChoose(backendtest.Always(backendtest.Fails))
				}
				r.Admit(r.nodes[0].Node)
				began := time.Now()
				if x.admit > 0 {
					defer time.AfterFunc(x.admit, func() { r.Admit(r.nodes[1].Node) }).Stop()
				}
				if x.down {
					_, _ = r.Survey(t.Context())
					<-time.After(time.Minute) // it is noticed
					began = time.Now()
				}
				ctx, cancel := context.WithTimeout(t.Context(), x.ctx)
				defer cancel()
				r.Ready(ctx)
				if took := time.Since(began); took != x.want {
					t.Errorf("took %v, want %v", took, x.want)
				}
			})
		})
	}
}
