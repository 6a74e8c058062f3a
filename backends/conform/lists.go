package conform

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn/backends"
)

func lists() []Check {
	return []Check{
		{"a listing has every file below, with its size", func(ctx context.Context, r backends.Remote, dir string) error {
			want := map[string]int64{}
			for n, name := range []string{"a", "b/c", "b/d", "b/e/f/g", "h/i"} {
				want[dir+"/"+name] = int64(n * 1000)
				if err := put(ctx, r, dir+"/"+name, content(n*1000, byte(n))); err != nil {
					return err
				}
			}
			return listed(ctx, r, dir, want)
		}},
		{"a missing directory lists as empty", func(ctx context.Context, r backends.Remote, dir string) error {
			return listed(ctx, r, dir+"/no/such/directory", nil)
		}},
		{"a listing stays in its directory", func(ctx context.Context, r backends.Remote, dir string) error {
			for _, name := range []string{"a/file", "ab/file", "a.b/file", "a-b"} {
				if err := put(ctx, r, dir+"/"+name, content(5, 12)); err != nil {
					return err
				}
			}
			return listed(ctx, r, dir+"/a", map[string]int64{dir + "/a/file": 5})
		}},
		{"a listing can be left early", func(ctx context.Context, r backends.Remote, dir string) error {
			want := map[string]int64{}
			for n := range 5 {
				name := fmt.Sprintf("%s/%d/file", dir, n)
				want[name] = 1
				if err := put(ctx, r, name, []byte{1}); err != nil {
					return err
				}
			}
			seen := 0
			for _, err := range r.List(ctx, dir) {
				if err != nil {
					return fmt.Errorf("list: %w", err)
				}
				if seen++; seen == 2 {
					break
				}
			}
			return listed(ctx, r, dir, want)
		}},
		{"files can be deleted while they are listed", func(ctx context.Context, r backends.Remote, dir string) error {
			for n := range 12 {
				if err := put(ctx, r, fmt.Sprintf("%s/%d/%d", dir, n%3, n), []byte{1}); err != nil {
					return err
				}
			}
			for e, err := range r.List(ctx, dir) {
				if err != nil {
					return fmt.Errorf("list: %w", err)
				}
				if err := r.Delete(ctx, e.Name); err != nil {
					return fmt.Errorf("delete: %w", err)
				}
			}
			return listed(ctx, r, dir, nil)
		}},
		{"a directory of 128 files lists whole", func(ctx context.Context, r backends.Remote, dir string) error {
			// More than sftp servers commonly answer at once (100).
			want := map[string]int64{}
			for n := range 128 {
				name := fmt.Sprintf("%s/%03d", dir, n)
				want[name] = 1
				if err := put(ctx, r, name, []byte{1}); err != nil {
					return err
				}
			}
			return listed(ctx, r, dir, want)
		}},
	}
}
