package fleet

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// puts notes when the puts of a fleet begin, and how many at once there are.
type puts struct {
	mu    sync.Mutex
	now   int
	most  int
	began []time.Time
}

// during has every put take so long, that to hang for ever.
func (p *puts) during(r *rig, took time.Duration, hang *rigNode) {
	for _, n := range r.nodes {
		n.setInstead(func(ctx context.Context, c backends.Call) error {
			if c.Op != backends.OpPut {
				return nil
			}
			p.mu.Lock()
			p.now++
			p.most = max(p.most, p.now)
			p.began = append(p.began, time.Now())
			p.mu.Unlock()
			defer func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.now--
			}()
			if n == hang {
				<-ctx.Done()
				return ctx.Err()
			}
			return pause(ctx, took, nil)
		})
	}
}

// TestShardsOfTheBackgroundArePutInTurn, each after a rest that is longer than
// the one before took; a client's pack goes to all nodes at once.
func TestShardsOfTheBackgroundArePutInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, unwatched)
		var p puts
		p.during(r, 100*time.Millisecond, nil)
		sp := r.seal(coding("2+2"), 200*kib)
		began := time.Now()
		at, err := r.Scatter(backends.Background(t.Context()), sp.Sealed, nil, noIntent)
		must(t, err)
		checkPlaces(t, r, sp, at)
		if took := time.Since(began); p.most != 1 || took < 1300*time.Millisecond || took > 1400*time.Millisecond {
			t.Errorf("%d at once, in %v", p.most, took)
		}
		for i := range p.began[1:] {
			if after := p.began[i+1].Sub(p.began[i]); after < 400*time.Millisecond {
				t.Errorf("put %d began %v after the one before, which took 100 ms", i+1, after)
			}
		}
		p.most = 0
		began = time.Now()
		_, err = r.Scatter(t.Context(), r.seal(coding("2+2"), 200*kib).Sealed, nil, noIntent)
		must(t, err)
		if took := time.Since(began); p.most != 4 || took > 150*time.Millisecond {
			t.Errorf("a client's pack: %d at once, in %v", p.most, took)
		}
	})
}

// TestAHangingTurnKeepsNoOtherWaiting: the next begins soon all the same, a node
// that fails is replaced, and the end of the context ends all.
func TestAHangingTurnKeepsNoOtherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, unwatched)
		var p puts
		p.during(r, 0, r.nodes[1])
		r.nodes[2].setInstead(func(_ context.Context, c backends.Call) error {
			if c.Op == backends.OpPut {
				return cairn.ErrDenied
			}
			return nil
		})
		sp := r.seal(coding("2+2"), 200*kib)
		ctx, cancel := context.WithTimeout(backends.Background(t.Context()), 5*turnMost)
		defer cancel()
		began := time.Now()
		at, err := r.Scatter(ctx, sp.Sealed, nil, noIntent)
		wantClass(t, "one hangs, one refuses", err, cairn.ErrUnavailable)
		if took := time.Since(began); len(at) != 3 || took != 5*turnMost {
			t.Errorf("%d shards stand, in %v", len(at), took)
		}
		for i, at := range p.began {
			if late := at.Sub(began); late > 2*turnMost {
				t.Errorf("put %d began after %v", i, late)
			}
		}
		synctest.Wait() // none is left that waits for its turn
	})
}
