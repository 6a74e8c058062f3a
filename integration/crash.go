package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"time"
)

// Crash kills a demo with kill -9 at random moments of a load, again and again
// in one directory, and looks each time at what is left.
type Crash struct {
	Command func() *exec.Cmd // a demo of always the same directory
	Rounds  int
	Width   int           // writers
	Longest time.Duration // of the load in one round
	Seed    uint64
	Log     func(format string, args ...any)
}

// sampled is how many of the older objects a round looks at.
const sampled = 150

// Run returns an error as soon as an acknowledged write is not there exactly,
// or anything is there that nobody wrote whole.
func (c Crash) Run(ctx context.Context) error {
	r := rand.New(rand.NewPCG(c.Seed, 1))
	m := NewModel(Objects{c.Seed})
	next := 0 // the first object number not used yet
	for round := 1; round <= c.Rounds; round++ {
		if r.IntN(4) == 0 {
			// The one before may have left work for the start: crash in it.
			if err := c.killAtStart(ctx, time.Duration(r.IntN(400))*time.Millisecond); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		d, err := startDemo(ctx, c.Command())
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		err = c.look(ctx, d, m, round, r)
		if err == nil {
			next, err = c.load(ctx, d, m, round, next, time.Duration(50+r.Int64N(c.Longest.Milliseconds()))*time.Millisecond)
		}
		if err = errors.Join(err, d.Kill()); err != nil {
			return fmt.Errorf("round %d: %w\nthe demo said:\n%s", round, err, d.Stderr())
		}
	}
	d, err := startDemo(ctx, c.Command())
	if err != nil {
		return fmt.Errorf("after the last round: %w", err)
	}
	err = c.lookAtAll(ctx, d, m)
	return errors.Join(err, d.Stop(ctx))
}

func (c Crash) killAtStart(ctx context.Context, after time.Duration) error {
	cmd := c.Command()
	if err := cmd.Start(); err != nil {
		return err
	}
	select {
	case <-time.After(after):
	case <-ctx.Done():
	}
	err := cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed
	return errors.Join(err, ctx.Err())
}

// look checks the last two rounds fully and older ones by sample; all of it
// each time would make the whole quadratic.
func (c Crash) look(ctx context.Context, d *Demo, m *Model, round int, r *rand.Rand) error {
	list := m.Written(round-2, round-1)
	older := m.Written(0, round-3)
	r.Shuffle(len(older), func(i, j int) { older[i], older[j] = older[j], older[i] })
	list = append(list, older[:min(sampled, len(older))]...)
	return c.check(ctx, d, m, list)
}

func (c Crash) lookAtAll(ctx context.Context, d *Demo, m *Model) error {
	all := m.Written(0, c.Rounds)
	if err := c.check(ctx, d, m, all); err != nil {
		return err
	}
	client := d.Client(1)
	defer client.Close()
	keys, err := client.List(ctx, "")
	if err != nil {
		return err
	}
	c.Log("%d rounds: %d objects written, %d there, each as it must be", c.Rounds, len(all), len(keys))
	return m.CheckList(keys)
}

func (c Crash) check(ctx context.Context, d *Demo, m *Model, list []int) error {
	client := d.Client(c.Width)
	defer client.Close()
	_, errs := Each(ctx, len(list), c.Width, func(ctx context.Context, j int) error { return m.Check(ctx, client, list[j]) })
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d objects are not as they must be, the first: %w", len(errs), len(list), errs[0])
	}
	return nil
}

// load writes until the kill and returns the next unused object number. Each
// writer has objects of its own, so each object has one writer at a time.
func (c Crash) load(ctx context.Context, d *Demo, m *Model, round, first int, lasts time.Duration) (next int, err error) {
	client := d.Client(c.Width)
	defer client.Close()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		acked int   // guarded by mu
		bad   error // guarded by mu
	)
	next = first
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	done := func(i, v int, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch status := Status(err); {
		case err == nil:
			m.Acknowledged(i, v)
			acked++
		case status != 0 && status != 503 && status != 507:
			bad = errors.Join(bad, fmt.Errorf("object %d: %w", i, err))
		}
	}
	for w := range c.Width {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(c.Seed+uint64(round), uint64(w)))
			mine := map[int]int{} // object -> its newest version
			for loading.Err() == nil {
				i, v := -1, 1
				for old, version := range mine {
					if r.IntN(3) == 0 { // a third overwrites or deletes one of this writer's own
						i, v = old, version+1
					}
					break
				}
				if i >= 0 && r.IntN(2) == 0 {
					delete(mine, i)
					m.Begin(round, i, 0)
					done(i, 0, client.Delete(loading, m.Objects.Key(i)))
					continue
				}
				if i < 0 {
					i = take()
				}
				mine[i] = v
				m.Begin(round, i, v)
				done(i, v, client.Put(loading, m.Objects.Key(i), m.VersionBody(i, v)))
			}
		})
	}
	select {
	case <-time.After(lasts):
	case <-ctx.Done():
	}
	// The kill comes first, the end of the load after it: writes are in flight.
	err = d.Kill()
	stop()
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	c.Log("round %d: killed after %v with %d writes acknowledged", round, lasts, acked)
	return next, errors.Join(err, bad, ctx.Err())
}
