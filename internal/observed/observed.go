// Package observed counts the time that a process was seen running. Graces
// before something is deleted or given up are measured by it and by nothing
// else: a clock that is set a year ahead, a machine that slept over the weekend
// and a gateway that was off for a month pass none of it.
//
// Reading order: observed.go (the clock), file.go (what survives a restart).
package observed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

const (
	// tick is the most that one look at the machine's clock adds.
	tick = time.Minute
	// gap is how long nobody may have looked, by either clock of the machine,
	// before plans made earlier are worth nothing.
	gap = 10 * time.Minute
)

// Clock is safe for concurrent use. It looks at the machine's clock twice in
// each tick until Close.
type Clock struct {
	fs   durable.FS
	name string
	now  func() time.Time // time.Now; tests of jumps have their own
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	total time.Duration // guarded by mu
	last  time.Time     // of the last look; guarded by mu
	gaps  int           // guarded by mu

	keeping sync.Mutex    // held while the file is written, by whoever writes it
	kept    time.Duration // what the file says; guarded by keeping
}

// Open goes on counting where the file name says, or from zero where there is
// none or it does not parse: a time noted by an earlier clock may then lie
// ahead of Now, and counts as just begun. The error is one of the disk. ctx
// lends its values only; the clock ends with Close.
func Open(ctx context.Context, fs durable.FS, name string) (*Clock, error) {
	return open(ctx, fs, name, time.Now)
}

func open(ctx context.Context, fs durable.FS, name string, now func() time.Time) (*Clock, error) {
	total, err := read(fs, name)
	if err != nil {
		return nil, fmt.Errorf("observed: %w", err)
	}
	c := &Clock{fs: fs, name: name, now: now, total: total, kept: total, last: now()}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.wg.Go(func() { c.run(ctx) })
	return c, nil
}

// Now is how long the store was observed, over all lives of the process. It
// never goes back while the clock is open; a crash may take up to a minute.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.total
}

// Gap is how many times since Open more than ten minutes passed, by any clock
// of this machine, without the process seeing them pass: it was suspended, or
// the clock was set. A plan made before the number rose is to be made again.
func (c *Clock) Gap() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.gaps
}

// Since is Now less at, and zero where at lies ahead: a moment noted by a clock
// that knew more counts as just begun.
func (c *Clock) Since(at time.Duration) time.Duration { return max(c.Now()-at, 0) }

// look adds what passed since the last look; mu is held. Go's monotonic clock
// stands still while some machines sleep and goes on in others, and the wall
// clock may be set to anything: the first is believed up to a tick, the second
// not at all, but either may tell that nobody looked.
func (c *Clock) look() {
	now := c.now()
	passed, wall := now.Sub(c.last), now.Round(0).Sub(c.last.Round(0))
	c.last = now
	if passed > gap || wall > gap {
		c.gaps++
	}
	c.total += min(max(passed, 0), tick)
}

// run looks and keeps until ctx ends.
func (c *Clock) run(ctx context.Context) {
	t := time.NewTicker(tick / 2)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.keep(tick) // a disk that cannot keep it makes graces longer, never shorter
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the clock and keeps what it counted.
func (c *Clock) Close() error {
	c.stop()
	c.wg.Wait()
	return c.keep(0)
}
