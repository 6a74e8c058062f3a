package sftp

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Stat returns the size of a file: one turn. A link or directory of that name
// is no file.
func (r *Remote) Stat(ctx context.Context, name string) (int64, error) {
	if err := backends.CheckName(name); err != nil {
		return 0, r.fail(backends.OpStat, name, err)
	}
	answer := make(chan int64, 1) // f may outlive this call
	err := r.do(ctx, backends.OpStat, name, func(_ context.Context, l *link) error {
		info, err := l.small().c.Lstat(r.at(name))
		if err = l.small().onPath(err); err != nil {
			return r.confirmMissing(l.small(), err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("it is no file but %v: %w", info.Mode().Type(), cairn.ErrNotExist)
		}
		if info.Size() < 0 {
			return fmt.Errorf("size %d: %w", info.Size(), cairn.ErrCorrupt)
		}
		answer <- info.Size()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return <-answer, nil
}

// Delete removes name: one turn, four when it is missing.
func (r *Remote) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return r.fail(backends.OpDelete, name, err)
	}
	return r.do(ctx, backends.OpDelete, name, func(_ context.Context, l *link) error {
		r.held.drop(name)
		err := l.small().onPath(l.small().c.Remove(r.at(name)))
		if errors.Is(err, cairn.ErrNotExist) {
			// Deleted is only what was missing on a disk that is there.
			if err = r.confirmMissing(l.small(), err); errors.Is(err, cairn.ErrNotExist) {
				return nil
			}
		}
		return err
	})
}

// confirmMissing lets "not found" stand only while the store's own directory
// is there. An unmounted disk answers "not found" to everything.
func (r *Remote) confirmMissing(ch *channel, err error) error {
	if !errors.Is(err, cairn.ErrNotExist) {
		return err
	}
	info, berr := ch.c.Stat(r.at(""))
	switch berr = ch.onPath(berr); {
	case errors.Is(berr, cairn.ErrNotExist) || berr == nil && !info.IsDir():
		return r.noBase()
	case berr != nil:
		return berr
	}
	return err
}

func (r *Remote) noBase() error {
	return fmt.Errorf("directory %q is not there; is its disk mounted? %w", r.at(""), cairn.ErrUnavailable)
}
