package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Fate is what becomes of one call to a Faulty.
type Fate uint8

// The fates. A call that Fails does nothing and says so; one that
// WorksButFails does its work and says that it did not. One that Lies says
// that it worked: Put stored nothing, Replace kept the old, Delete deleted
// nothing, ReadAt gave other bytes, Stat another size, List left every second
// file out, Free promised twice the space. A call that Hangs returns only when
// its context ends, without having done anything; one that Drips works at
// DripRate.
const (
	Works Fate = iota
	Fails
	WorksButFails
	Lies
	Hangs
	Drips
)

// String is the fate's name in words.
func (f Fate) String() string {
	names := [...]string{"works", "fails", "works but fails", "lies", "hangs", "drips"}
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("fate %d", uint8(f))
}

// DripRate is the speed of calls that drip, in bytes a second, or entries of a
// listing; a call that carries nothing takes one second.
const DripRate = 1

// Choose gives the fate of a call: op is one of backends.Op..., attempt counts
// the calls of this op for this name from 1. It must be safe for concurrent
// use and, for tests that repeat, depend on nothing else.
type Choose func(op, name string, attempt int) Fate

// Faulty is a node that fails and lies as told. It starts no goroutines, waits
// only on timers and contexts, and so is safe in a synctest bubble.
type Faulty struct {
	backends.Around

	mu       sync.Mutex
	choose   Choose
	down     bool
	attempts map[[2]string]int
}

// NewFaulty puts the fates that choose gives on the calls to r; nil: all work.
func NewFaulty(r backends.Remote, choose Choose) *Faulty {
	f := &Faulty{choose: choose, attempts: map[[2]string]int{}}
	f.Around = backends.Around{Inner: r, Do: f.do}
	return f
}

// SetChoose exchanges the function that gives the fates; attempts go on.
func (f *Faulty) SetChoose(choose Choose) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choose = choose
}

// SetDown switches the node off, so that every call fails at once, or on.
func (f *Faulty) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// Attempts is how many calls of op for name there were, failed ones included.
func (f *Faulty) Attempts(op, name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts[[2]string{op, name}]
}

// fate draws the fate of one call.
func (f *Faulty) fate(op, name string) Fate {
	f.mu.Lock()
	key := [2]string{op, name}
	f.attempts[key]++
	attempt, choose, down := f.attempts[key], f.choose, f.down
	f.mu.Unlock()
	switch {
	case down:
		return Fails
	case choose == nil:
		return Works
	}
	return choose(op, name, attempt)
}

// errFault is what failing calls say, beside their class.
var errFault = errors.New("fault injected")

func failed(op string) error {
	return fmt.Errorf("%s: %w: %w", op, errFault, cairn.ErrUnavailable)
}

// do gives every fate but the lies that need more than leaving the work out.
func (f *Faulty) do(ctx context.Context, c backends.Call, run func(context.Context) error) error {
	return f.meet(ctx, f.fate(c.Op, c.Name), c, run)
}

func (f *Faulty) meet(ctx context.Context, fate Fate, c backends.Call, run func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch fate {
	case Fails:
		return failed(c.Op)
	case WorksButFails:
		if err := run(ctx); err != nil {
			return err
		}
		return failed(c.Op)
	case Lies:
		if c.Op == backends.OpPut || c.Op == backends.OpReplace || c.Op == backends.OpDelete {
			return nil
		}
	case Hangs:
		<-ctx.Done()
		return ctx.Err()
	case Drips:
		if err := pause(ctx, time.Duration(max(c.Bytes, 1))*time.Second/DripRate); err != nil {
			return err
		}
	}
	return run(ctx)
}

// ReadAt may lie with bytes that differ from the file's, or were made up.
func (f *Faulty) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	fate := f.fate(backends.OpRead, name)
	err := f.meet(ctx, fate, backends.Call{Op: backends.OpRead, Name: name, Bytes: len(p)}, func(ctx context.Context) error {
		return f.Inner.ReadAt(ctx, name, p, off)
	})
	if fate != Lies || ctx.Err() != nil {
		return err
	}
	if err != nil {
		copy(p, bytes.Repeat([]byte("made up "), len(p)/8+1))
		return nil
	}
	if len(p) > 0 {
		p[len(p)/2] ^= 0x40
	}
	return nil
}

// Stat may lie with a size one too large, or one for a file that is not there.
func (f *Faulty) Stat(ctx context.Context, name string) (int64, error) {
	fate := f.fate(backends.OpStat, name)
	var size int64
	err := f.meet(ctx, fate, backends.Call{Op: backends.OpStat, Name: name}, func(ctx context.Context) (err error) {
		size, err = f.Inner.Stat(ctx, name)
		return err
	})
	switch {
	case fate == Lies && ctx.Err() == nil:
		return size + 1, nil
	case err != nil:
		return 0, err
	}
	return size, nil
}

// List may lie by leaving out every second file, the first included. One that
// works but fails gives all files and then the error.
func (f *Faulty) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		fate := f.fate(backends.OpList, dir)
		if fate == Fails || fate == Hangs {
			yield(backends.Entry{}, f.meet(ctx, fate, backends.Call{Op: backends.OpList}, nil))
			return
		}
		omit := false
		for e, err := range f.Inner.List(ctx, dir) {
			if fate == Drips && err == nil {
				err = pause(ctx, time.Second/DripRate)
			}
			if omit = !omit; omit && fate == Lies && err == nil {
				continue
			}
			if err != nil {
				yield(backends.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if fate == WorksButFails {
			yield(backends.Entry{}, failed(backends.OpList))
		}
	}
}

// Cover puts the fates on the abilities too.
func (f *Faulty) Cover(ability any) any {
	return &faultyAbility{f.Around.Cover(ability).(abilities), f, ability}
}

// abilities is what Around covers.
type abilities interface {
	backends.Capacity
	backends.Replacer
	backends.Describer
	backends.Closer
}

type faultyAbility struct {
	abilities
	faulty  *Faulty
	ability any
}

// Free may lie with twice the space.
func (a *faultyAbility) Free(ctx context.Context) (int64, int64, error) {
	fate := a.faulty.fate(backends.OpFree, "")
	var free, total int64
	err := a.faulty.meet(ctx, fate, backends.Call{Op: backends.OpFree}, func(ctx context.Context) (err error) {
		free, total, err = a.ability.(backends.Capacity).Free(ctx)
		return err
	})
	switch {
	case err != nil:
		return 0, 0, err
	case fate == Lies:
		return 2 * free, 2 * total, nil
	}
	return free, total, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
