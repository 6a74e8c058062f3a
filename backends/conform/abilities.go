package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

func abilities() []Check {
	return []Check{
		{"a file appears whole or not at all", appearsWhole},
		{"a small file can be replaced", func(ctx context.Context, r backends.Remote, dir string) error {
			w, ok := backends.As[backends.Replacer](r)
			if !ok {
				return fmt.Errorf("replacing files is %w", ErrNotOffered)
			}
			for n, size := range []int{3000, 20, 5000, 0} {
				data := content(size, byte(n))
				if err := w.Replace(ctx, dir+"/status", data); err != nil {
					return fmt.Errorf("replace number %d: %w", n+1, err)
				}
				if err := holds(ctx, r, dir+"/status", data); err != nil {
					return fmt.Errorf("after replace number %d: %w", n+1, err)
				}
			}
			return listed(ctx, r, dir, map[string]int64{dir + "/status": 0})
		}},
		{"a reader of a file being replaced sees the old or the new", replacesWhole},
		{"the free space told is plausible", func(ctx context.Context, r backends.Remote, dir string) error {
			c, ok := backends.As[backends.Capacity](r)
			if !ok {
				return fmt.Errorf("telling the free space is %w", ErrNotOffered)
			}
			free, total, err := c.Free(ctx)
			switch {
			case err != nil:
				return fmt.Errorf("free space: %w", err)
			case free < 0 || total <= 0 || free > total:
				return fmt.Errorf("%d bytes free of %d in all", free, total)
			}
			return nil
		}},
		{"the transport tells what it is", func(ctx context.Context, r backends.Remote, dir string) error {
			d, ok := backends.As[backends.Describer](r)
			if !ok {
				return fmt.Errorf("a description is %w", ErrNotOffered)
			}
			traits, err := d.Describe(ctx)
			if err == nil && traits.Kind == "" {
				err = errors.New("it has no kind")
			}
			return err
		}},
	}
}

// appearsWhole reads files while they are put. Only a Remote that renames
// promises it: elsewhere a name may stand before its bytes do, and the rest of
// cairn does not rely on it.
func appearsWhole(ctx context.Context, r backends.Remote, dir string) error {
	d, ok := backends.As[backends.Describer](r)
	if !ok {
		return fmt.Errorf("an atomic put is %w", ErrNotOffered)
	}
	if traits, err := d.Describe(ctx); err != nil || !traits.AtomicRename {
		return errors.Join(err, fmt.Errorf("an atomic put is %w", ErrNotOffered))
	}
	data := content(1<<20, 17)
	for n := range 4 {
		name := fmt.Sprintf("%s/%d", dir, n)
		done := make(chan struct{})
		err := each(2, func(i int) error {
			if i == 0 {
				defer close(done)
				return put(ctx, r, name, data)
			}
			for {
				// A last look after the put has ended, so that there is
				// always one that finds the file.
				last := ended(ctx, done)
				switch size, err := r.Stat(ctx, name); {
				case errors.Is(err, cairn.ErrNotExist) && !last:
				case err != nil:
					return fmt.Errorf("stat: %w", err)
				case size != int64(len(data)):
					return fmt.Errorf("%d bytes of %d stood under the name", size, len(data))
				default:
					return reads(ctx, r, name, data, 0)
				}
				if last {
					return ctx.Err()
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func replacesWhole(ctx context.Context, r backends.Remote, dir string) error {
	w, ok := backends.As[backends.Replacer](r)
	if !ok {
		return fmt.Errorf("replacing files is %w", ErrNotOffered)
	}
	const size = 2000 // all versions alike long, so that a read always fits
	name := dir + "/status"
	version := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, size) }
	if err := w.Replace(ctx, name, version(0)); err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	done := make(chan struct{})
	return each(2, func(i int) error {
		if i == 0 {
			defer close(done)
			for n := 1; n <= 20; n++ {
				if err := w.Replace(ctx, name, version(n)); err != nil {
					return fmt.Errorf("replace: %w", err)
				}
			}
			return nil
		}
		got := make([]byte, size)
		for {
			last := ended(ctx, done)
			if err := r.ReadAt(ctx, name, got, 0); err != nil {
				return fmt.Errorf("read while it is replaced: %w", err)
			}
			if !bytes.Equal(got, version(int(got[0]))) {
				return errors.New("read while it is replaced: bytes of two versions")
			}
			if last {
				return ctx.Err()
			}
		}
	})
}

// ended waits a moment, and reports whether done is closed or ctx over. Without
// the pause two such loops would only load the node.
func ended(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(time.Millisecond):
		return false
	}
}
