package backends

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
)

// DeadlineConfig says how long calls may take. The zero value is good.
type DeadlineConfig struct {
	Small     time.Duration // for any call; 0 means 20 s
	PerMiB    time.Duration // more for each MiB that it carries; 0 means 20 s
	Listing   time.Duration // for the next entry of a listing; 0 means 4 times Small
	Abandoned int           // calls that may hang before new ones fail at once; 0 means 8
}

// Deadline ends every call to r in time, with ErrUnavailable, even where r
// ignores its context: the call then goes on by itself, on buffers of its own,
// and only its caller is released. Once Abandoned such calls hang, every new
// call fails at once, so that a dead node costs neither time nor memory.
//
// A listing that gives Listing entries or more per 64 Listing goes on as long
// as it likes; a slower one ends. Time that its consumer takes does not count.
//
// The Remote returned is a Closer: Close closes r, waits at most Small for
// calls that still run, and returns ErrUnavailable when some never ended.
func Deadline(r Remote, c DeadlineConfig) Remote {
	if c.Small <= 0 {
		c.Small = 20 * time.Second
	}
	if c.PerMiB <= 0 {
		c.PerMiB = 20 * time.Second
	}
	if c.Listing <= 0 {
		c.Listing = 4 * c.Small
	}
	if c.Abandoned <= 0 {
		c.Abandoned = 8
	}
	d := &deadline{config: c, idle: make(chan struct{})}
	d.Around = Around{Inner: r, Do: d.do}
	return d
}

type deadline struct {
	Around
	config DeadlineConfig
	lent   buffers
	idle   chan struct{} // closed when closed is set and running is 0

	mu        sync.Mutex
	closed    bool // no call begins any more
	running   int  // goroutines, abandoned ones included
	abandoned int  // of running, those whose caller is gone
}

// flight is one call on its own goroutine.
type flight struct {
	answer chan error // takes one

	abandoned, landed bool // guarded by deadline.mu
}

// begin starts run on a goroutine that Close waits for.
func (d *deadline) begin(run func() error) (*flight, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, fmt.Errorf("the connection is closed: %w", cairn.ErrUnavailable)
	case d.abandoned >= d.config.Abandoned:
		return nil, fmt.Errorf("%d earlier calls still hang: %w", d.abandoned, cairn.ErrUnavailable)
	}
	d.running++
	f := &flight{answer: make(chan error, 1)}
	go func() {
		f.answer <- run()
		d.land(f)
	}()
	return f, nil
}

func (d *deadline) land(f *flight) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.landed = true
	if f.abandoned {
		d.abandoned--
	}
	d.running--
	if d.closed && d.running == 0 {
		close(d.idle)
	}
}

// wind gives a call that was told to stop a moment to do so; the many calls
// that hedging cancels would else count as hanging. false: it was abandoned.
func (d *deadline) wind(f *flight, patience time.Duration) (error, bool) {
	select {
	case err := <-f.answer:
		return err, true
	case <-time.After(patience):
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !f.landed {
		f.abandoned = true
		d.abandoned++
	}
	return nil, false
}

// patience is the part of a time limit that is kept for stopping the call.
func patience(limit time.Duration) time.Duration { return min(limit/10, 100*time.Millisecond) }

func (d *deadline) do(ctx context.Context, c Call, run func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := d.config.Small + time.Duration(float64(c.Bytes)/(1<<20)*float64(d.config.PerMiB))
	told, cancel := context.WithTimeout(ctx, limit-patience(limit))
	defer cancel()
	f, err := d.begin(func() error { return run(told) })
	if err != nil {
		return err
	}
	var landed bool
	select {
	case err, landed = <-f.answer:
	case <-told.Done():
		err, landed = d.wind(f, patience(limit))
	}
	switch {
	case ctx.Err() != nil && (!landed || err != nil):
		return fmt.Errorf("gave up: %w", ctx.Err())
	case !landed, errors.Is(err, context.DeadlineExceeded) && told.Err() != nil:
		// Not wrapping the context's error: the caller's is still good.
		return fmt.Errorf("no answer within %v: %w", limit, cairn.ErrUnavailable)
	}
	return err
}

// ReadAt lends the call a buffer of its own, which is used again only when the
// call succeeded and so surely returned.
func (d *deadline) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	own := d.lent.get(len(p))
	err := d.do(ctx, Call{OpRead, name, len(p)}, func(ctx context.Context) error {
		return d.Inner.ReadAt(ctx, name, *own, off)
	})
	if err != nil {
		return err
	}
	copy(p, *own)
	d.lent.put(own)
	return nil
}

// Put copies data: a call left behind goes on sending it while the caller is
// free to write over it.
func (d *deadline) Put(ctx context.Context, name string, data []byte) error {
	return d.send(ctx, Call{OpPut, name, len(data)}, data, d.Inner.Put)
}

func (d *deadline) send(ctx context.Context, c Call, data []byte, send func(context.Context, string, []byte) error) error {
	own := d.lent.get(len(data))
	copy(*own, data)
	err := d.do(ctx, c, func(ctx context.Context) error { return send(ctx, c.Name, *own) })
	if err == nil {
		d.lent.put(own)
	}
	return err
}

// Cover is Around's, but for Replace, which carries data.
func (d *deadline) Cover(ability any) any {
	return &coveredInTime{covered{&d.Around, ability}, d}
}

type coveredInTime struct {
	covered
	deadline *deadline
}

func (c *coveredInTime) Replace(ctx context.Context, name string, data []byte) error {
	return c.deadline.send(ctx, Call{OpReplace, name, len(data)}, data, c.ability.(Replacer).Replace)
}

// Close is described at Deadline.
func (d *deadline) Close() error {
	d.mu.Lock()
	again := d.closed
	d.closed = true
	if !again && d.running == 0 {
		close(d.idle)
	}
	d.mu.Unlock()
	if again {
		return nil
	}
	inner, ended := make(chan error, 1), time.After(d.config.Small)
	if c, ok := As[Closer](d.Inner); ok {
		// Nobody waits for this one if it hangs, as for any abandoned call;
		// its room in the channel lets it end.
		go func() { inner <- c.Close() }()
	} else {
		inner <- nil
	}
	var err error
	idle := d.idle
	for range 2 {
		select {
		case e := <-inner:
			err, inner = e, nil
		case <-idle:
			idle = nil
		case <-ended:
			d.mu.Lock()
			defer d.mu.Unlock()
			return fmt.Errorf("close: %d calls never ended: %w", d.running, cairn.ErrUnavailable)
		}
	}
	return err
}
