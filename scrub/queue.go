package scrub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"golang.org/x/sync/errgroup"
)

// stuckPack is a pack that could not be mended, and when to try again.
type stuckPack struct {
	Stuck
	tries int
	next  moment
}

const (
	// A pack that could not be mended is tried again after retryFirst, then after
	// twice as long each time up to retryMost; at once when the nodes change.
	retryFirst = 5 * time.Minute
	retryMost  = 4 * time.Hour
	// stuckKept bounds the packs remembered as stuck; others are tried each pass.
	stuckKept = 10_000
)

// repairLoop mends in the background, worst packs first, until ctx ends.
func (s *Scrub) repairLoop(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.c.Nodes.Changed()
		more, took := s.repairPass(ctx)
		if more {
			continue
		}
		// A pass costs a look at every row: at most a fiftieth of the time.
		s.wait(ctx, max(5*time.Second, 10*took), nil, nil)
		s.wait(ctx, max(time.Minute, 50*took), changed, s.kicked)
	}
}

// wait returns after d, when ctx ends, or when either channel says so.
func (s *Scrub) wait(ctx context.Context, d time.Duration, a, b <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-a:
	case <-b:
	}
}

// kick has the repair loop look at the index soon.
func (s *Scrub) kick() {
	select {
	case s.kicked <- struct{}{}:
	default:
	}
}

// repairPass takes a census and mends what it queued. more says that another
// pass is worth it at once.
func (s *Scrub) repairPass(ctx context.Context) (more bool, took time.Duration) {
	v := s.view()
	if len(v.order) == 0 {
		return false, 0 // the fleet was not told its nodes yet
	}
	s.forgetStuck(v)
	c, err := s.take(ctx, v, byGrace, func(id cairn.PackID) bool { return s.isStuck(id, v.now) }, 0)
	if err != nil {
		if ctx.Err() == nil {
			s.c.Log.Error("the index cannot be looked over for packs to repair", "err", err)
		}
		return false, 0
	}
	s.note(c)
	if v.alarm != "" {
		s.waits("repair is paused: " + v.alarm) // suspect ourselves (B12)
		return false, c.took
	}
	s.waits("")
	var mu sync.Mutex
	made := 0
	s.mendAll(ctx, c.worst, byGrace, func(id cairn.PackID, o outcome) {
		mu.Lock()
		defer mu.Unlock()
		made += o.made
	})
	if made > 0 {
		s.c.Log.Info("shards were made again", "shards", made, "queued", len(c.worst))
	}
	return made > 0 || c.dropped && s.stuckRoom(), c.took
}

// mendAll mends packs in their order, a few at a time, and tells done of each.
func (s *Scrub) mendAll(ctx context.Context, queue []candidate, u urgency, done func(cairn.PackID, outcome)) {
	var g errgroup.Group
	g.SetLimit(s.c.Parallel)
	for _, x := range queue {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			v := s.view() // of now: nodes may have come back since the census
			if v.alarm != "" && u == byGrace {
				return nil
			}
			o, err := s.mend(ctx, x.id, v, func(a *assessed) []uint8 { return a.toMake(u) }, cairn.NodeID{}, u)
			s.became(ctx, x.id, o, err)
			done(x.id, o)
			return nil
		})
	}
	_ = g.Wait() // each error was told to became
}

// became notes what mending a pack came to.
func (s *Scrub) became(ctx context.Context, id cairn.PackID, o outcome, err error) {
	if ctx.Err() != nil || o.busy {
		return
	}
	if err != nil {
		if !errors.Is(err, cairn.ErrPrecondition) { // it changed meanwhile, which is fine
			s.c.Log.Warn("pack could not be mended", "pack", id, "err", err)
		}
		o.stuck = &Stuck{Pack: id, ID: id.String(), Why: err.Error()}
	}
	if o.made > 0 {
		s.m.made.Add(float64(o.made))
		s.m.bytes.WithLabelValues("made").Add(float64(o.bytes))
	}
	s.m.bytes.WithLabelValues("repair_read").Add(float64(o.moved.Read))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.stuck == nil {
		delete(s.stuck, id)
		return
	}
	p := s.stuck[id]
	if p == nil {
		if len(s.stuck) >= stuckKept {
			return
		}
		p = &stuckPack{}
		s.stuck[id] = p
	}
	if p.Why != o.stuck.Why {
		s.c.Log.Warn("pack cannot be repaired now", "pack", id, "have", o.stuck.Have, "need", o.stuck.Need, "why", o.stuck.Why)
	}
	p.Stuck = *o.stuck
	p.next = now + moment(min(retryFirst<<min(p.tries, 10), retryMost))
	p.tries++
}

func (s *Scrub) stuckRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stuck) < stuckKept
}

func (s *Scrub) isStuck(id cairn.PackID, now moment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.stuck[id]
	return p != nil && now < p.next
}

// forgetStuck lets every pack be tried again once nodes came, went or changed.
func (s *Scrub) forgetStuck(v *view) {
	sum := ""
	for _, id := range v.order {
		n := v.nodes[id]
		sum += string(id[:]) + n.State + string(rune('0'+n.is))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stood == sum {
		return
	}
	s.stood = sum
	for _, p := range s.stuck {
		p.next, p.tries = 0, 0
	}
}

func (s *Scrub) waits(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why != "" && s.waiting != why {
		s.c.Log.Warn(why)
	}
	s.waiting = why
}

// madeBytes counts bytes of shards made for the rate shown. Old work weighs
// less: both sums are halved now and then.
func (s *Scrub) madeBytes(n int64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Made += n
	s.kept.Busy += max(took, time.Millisecond)
	if s.kept.Busy > 2*time.Hour {
		s.kept.Made, s.kept.Busy = s.kept.Made/2, s.kept.Busy/2
	}
}

// rate is bytes of shards made a second with all workers busy; 0 while unknown.
// mu is held.
func (s *Scrub) rate() float64 {
	if s.kept.Busy == 0 {
		return 0
	}
	return float64(s.kept.Made) / s.kept.Busy.Seconds() * float64(s.c.Parallel)
}
