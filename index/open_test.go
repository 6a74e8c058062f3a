package index

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn/internal/durable"
)

// TestEveryStepOfOpeningMayFail fails each durable step of making an index, with
// and without the power gone: Open says so, whatever the engine does about it,
// and what is there then opens, or is found damaged.
func TestEveryStepOfOpeningMayFail(t *testing.T) {
	for _, fault := range []error{durable.ErrCrashed, syscall.EIO} {
		at := uint64(1)
		for ; ; at++ {
			disk := durable.NewMem()
			hook := durable.Hook{Before: func(s durable.Step) error {
				if s.N == at || s.N > at && errors.Is(fault, durable.ErrCrashed) {
					return fault
				}
				return nil
			}}
			fs := durable.Watch(disk, hook)
			x, err := Open(Config{FS: fs, Dir: "/i", Store: testStore})
			if err == nil {
				_ = x.Close() // it may have to write, and cannot
				break
			}
			if errors.Is(fault, durable.ErrCrashed) {
				after := disk.Crash(50, at)
				if x, err := Open(Config{FS: after, Dir: "/i", Store: testStore}); err == nil {
					must(t, x.Close())
				}
			}
		}
		if at < 10 {
			t.Errorf("%v: opening takes %d durable steps: nothing was tried", fault, at)
		}
	}
}
