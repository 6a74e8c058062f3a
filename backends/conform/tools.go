package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// content makes n bytes that differ for every seed and at every offset.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// put stores content and says what it was doing when it could not.
func put(ctx context.Context, r backends.Remote, name string, data []byte) error {
	if err := r.Put(ctx, name, data); err != nil {
		return fmt.Errorf("put %d bytes: %w", len(data), err)
	}
	return nil
}

// holds checks that name has exactly data, by size and by bytes.
func holds(ctx context.Context, r backends.Remote, name string, data []byte) error {
	size, err := r.Stat(ctx, name)
	if err != nil {
		return fmt.Errorf("stat of a file just put: %w", err)
	}
	if size != int64(len(data)) {
		return fmt.Errorf("put %d bytes, its size is told as %d", len(data), size)
	}
	return reads(ctx, r, name, data, 0)
}

// reads checks that name has want at off.
func reads(ctx context.Context, r backends.Remote, name string, want []byte, off int64) error {
	got := make([]byte, len(want))
	if err := r.ReadAt(ctx, name, got, off); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", len(want), off, err)
	}
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for got[at] == want[at] {
		at++
	}
	return fmt.Errorf("read %d bytes at %d: byte %d of them is not the one that was put", len(want), off, at)
}

// refused checks that err is of the class want.
func refused(what string, err, want error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s: no error, but it should be %q", what, want)
	case !errors.Is(err, want):
		return fmt.Errorf("%s: the error should be %q, but is: %w", what, want, err)
	}
	return nil
}

// missing checks that name is not there, by stat and by read.
func missing(ctx context.Context, r backends.Remote, name string) error {
	_, err := r.Stat(ctx, name)
	if err := refused("stat", err, cairn.ErrNotExist); err != nil {
		return err
	}
	return refused("read", r.ReadAt(ctx, name, make([]byte, 1), 0), cairn.ErrNotExist)
}

// listed checks that a listing of dir is exactly want, name to size.
func listed(ctx context.Context, r backends.Remote, dir string, want map[string]int64) error {
	got := map[string]int64{}
	for e, err := range r.List(ctx, dir) {
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if _, twice := got[e.Name]; twice {
			return fmt.Errorf("list: %s came twice", e.Name)
		}
		got[e.Name] = e.Size
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		size, ok := got[name]
		if !ok {
			return fmt.Errorf("list: %s is left out", name)
		}
		if size != want[name] {
			return fmt.Errorf("list: %s has %d bytes, but is listed with %d", name, want[name], size)
		}
		delete(got, name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		return fmt.Errorf("list: %.200q was not put there", name)
	}
	return nil
}

// stored is put and holds.
func stored(ctx context.Context, r backends.Remote, name string, data []byte) error {
	if err := put(ctx, r, name, data); err != nil {
		return err
	}
	return holds(ctx, r, name, data)
}
