package conform

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cairn-storage/cairn/backends"
)

// width is how many calls run at once: as many as one node gets.
const width = 8

func together() []Check {
	return []Check{
		{"files put at once into one new directory all arrive", func(ctx context.Context, r backends.Remote, dir string) error {
			return putTogether(ctx, r, dir, func(n int) string { return fmt.Sprintf("%s/new/deep/%d", dir, n) })
		}},
		{"files put at once into many new directories all arrive", func(ctx context.Context, r backends.Remote, dir string) error {
			return putTogether(ctx, r, dir, func(n int) string { return fmt.Sprintf("%s/%d/%d/%d", dir, n%2, n, n) })
		}},
		{"one file can be read in many places at once", func(ctx context.Context, r backends.Remote, dir string) error {
			data := content(width*block, 16)
			if err := put(ctx, r, dir+"/file", data); err != nil {
				return err
			}
			return each(4*width, func(n int) error {
				off := n % width * block
				return reads(ctx, r, dir+"/file", data[off:off+block-n], int64(off))
			})
		}},
		{"files are put, read and deleted beside each other", func(ctx context.Context, r backends.Remote, dir string) error {
			err := each(width, func(n int) error {
				for round := range 3 {
					name := fmt.Sprintf("%s/%d/%d", dir, round, n)
					if err := stored(ctx, r, name, content(20<<10, byte(n))); err != nil {
						return err
					}
					if err := r.Delete(ctx, name); err != nil {
						return fmt.Errorf("delete: %w", err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			return listed(ctx, r, dir, nil)
		}},
		{"temporary files do not show where the files are", func(ctx context.Context, r backends.Remote, dir string) error {
			want := map[string]int64{}
			for n := range width {
				want[fmt.Sprintf("%s/%d", dir, n)] = 300 << 10
			}
			return each(width+1, func(n int) error {
				if n < width {
					return put(ctx, r, fmt.Sprintf("%s/%d", dir, n), content(300<<10, byte(n)))
				}
				for range 4 {
					for e, err := range r.List(ctx, dir) {
						if err != nil {
							return fmt.Errorf("list: %w", err)
						}
						if _, ours := want[e.Name]; !ours {
							return fmt.Errorf("list: %.200q was not put there", e.Name)
						}
					}
				}
				return nil
			})
		}},
	}
}

// putTogether puts 2*width files at once and checks each of them, and the listing.
func putTogether(ctx context.Context, r backends.Remote, dir string, name func(int) string) error {
	want := map[string]int64{}
	for n := range 2 * width {
		want[name(n)] = int64(10000 + n)
	}
	err := each(2*width, func(n int) error { return put(ctx, r, name(n), content(10000+n, byte(n))) })
	if err != nil {
		return err
	}
	for n := range 2 * width {
		if err := holds(ctx, r, name(n), content(10000+n, byte(n))); err != nil {
			return err
		}
	}
	return listed(ctx, r, dir, want)
}

// each runs run(0) to run(n-1) at once, waits for all, and joins their errors.
func each(n int, run func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = run(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
