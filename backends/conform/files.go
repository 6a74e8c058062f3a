package conform

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

func files() []Check {
	return []Check{
		{"a file reads back as it was put", func(ctx context.Context, r backends.Remote, dir string) error {
			return stored(ctx, r, dir+"/file", content(16<<10, 1))
		}},
		{"an empty file can be stored", func(ctx context.Context, r backends.Remote, dir string) error {
			return stored(ctx, r, dir+"/empty", nil)
		}},
		{"a file of one byte reads back", func(ctx context.Context, r backends.Remote, dir string) error {
			return stored(ctx, r, dir+"/byte", []byte{0})
		}},
		{"a file of 4 MiB and one byte reads back", func(ctx context.Context, r backends.Remote, dir string) error {
			return stored(ctx, r, dir+"/large", content(4<<20+1, 2))
		}},
		{"a missing file is told as missing, not as an error of the node", func(ctx context.Context, r backends.Remote, dir string) error {
			if err := put(ctx, r, dir+"/neighbour", content(10, 3)); err != nil {
				return err
			}
			return missing(ctx, r, dir+"/absent")
		}},
		{"a file in a missing directory is told as missing", func(ctx context.Context, r backends.Remote, dir string) error {
			return missing(ctx, r, dir+"/no/such/directory/file")
		}},
		{"a deleted file is gone, its neighbours stay", func(ctx context.Context, r backends.Remote, dir string) error {
			kept := content(100, 4)
			for _, name := range []string{"a", "aa", "b"} {
				if err := put(ctx, r, dir+"/"+name, kept); err != nil {
					return err
				}
			}
			if err := r.Delete(ctx, dir+"/a"); err != nil {
				return fmt.Errorf("delete: %w", err)
			}
			if err := missing(ctx, r, dir+"/a"); err != nil {
				return err
			}
			if err := holds(ctx, r, dir+"/aa", kept); err != nil {
				return err
			}
			return listed(ctx, r, dir, map[string]int64{dir + "/aa": 100, dir + "/b": 100})
		}},
		{"deleting a missing file is fine", func(ctx context.Context, r backends.Remote, dir string) error {
			if err := r.Delete(ctx, dir+"/no/such/directory/file"); err != nil {
				return fmt.Errorf("delete in a missing directory: %w", err)
			}
			if err := put(ctx, r, dir+"/once", content(10, 5)); err != nil {
				return err
			}
			for n := 1; n <= 2; n++ {
				if err := r.Delete(ctx, dir+"/once"); err != nil {
					return fmt.Errorf("delete number %d of the same file: %w", n, err)
				}
			}
			return nil
		}},
		{"the same put twice is fine", func(ctx context.Context, r backends.Remote, dir string) error {
			data := content(70<<10, 6)
			if err := put(ctx, r, dir+"/twice", data); err != nil {
				return err
			}
			if err := put(ctx, r, dir+"/twice", data); err != nil {
				return fmt.Errorf("the second time: %w", err)
			}
			if err := holds(ctx, r, dir+"/twice", data); err != nil {
				return err
			}
			return listed(ctx, r, dir, map[string]int64{dir + "/twice": int64(len(data))})
		}},
		{"the caller may write over its buffer after a put", func(ctx context.Context, r backends.Remote, dir string) error {
			data, want := content(300<<10, 7), content(300<<10, 7)
			if err := put(ctx, r, dir+"/file", data); err != nil {
				return err
			}
			clear(data)
			return holds(ctx, r, dir+"/file", want)
		}},
		{"a cancelled call ends with an error and does nothing", cancelled},
	}
}

func cancelled(ctx context.Context, r backends.Remote, dir string) error {
	data := content(1000, 8)
	if err := put(ctx, r, dir+"/there", data); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, statErr := r.Stat(ended, dir+"/there")
	var listErr error
	for _, err := range r.List(ended, dir) {
		listErr = err
	}
	for what, err := range map[string]error{
		"put":    r.Put(ended, dir+"/never", data),
		"read":   r.ReadAt(ended, dir+"/there", make([]byte, 10), 0),
		"stat":   statErr,
		"list":   listErr,
		"delete": r.Delete(ended, dir+"/there"),
	} {
		if err := refused(what+" with a cancelled context", err, context.Canceled); err != nil {
			return err
		}
	}
	if err := holds(ctx, r, dir+"/there", data); err != nil {
		return err
	}
	_, err := r.Stat(ctx, dir+"/never")
	return refused("stat of the file whose put was cancelled", err, cairn.ErrNotExist)
}
