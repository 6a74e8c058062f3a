package conform

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

func names() []Check {
	return []Check{
		{"every allowed character works in a name", func(ctx context.Context, r backends.Remote, dir string) error {
			data := content(10, 13)
			want := map[string]int64{}
			for _, name := range []string{
				"abcdefghijklmnopqrstuvwxyz-0123456789.bin", "-", "...", ".hidden", "a--b", "0",
				"README.txt", "deep/STATUS.txt",
				"0123456789abcdef0123456789abcdef-0a-89abcdef",
			} {
				name = dir + "/" + name
				want[name] = int64(len(data))
				if err := stored(ctx, r, name, data); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return listed(ctx, r, dir, want)
		}},
		{"a name may have 255 bytes between slashes", func(ctx context.Context, r backends.Remote, dir string) error {
			long := strings.Repeat("n", backends.MaxElement)
			name := dir + "/" + long + "/" + long
			if err := stored(ctx, r, name, content(10, 14)); err != nil {
				return err
			}
			return listed(ctx, r, dir+"/"+long, map[string]int64{name: 10})
		}},
		{"directories may be twelve deep, and are made as needed", func(ctx context.Context, r backends.Remote, dir string) error {
			name := dir + strings.Repeat("/d", 12) + "/file"
			if err := stored(ctx, r, name, content(10, 15)); err != nil {
				return err
			}
			return listed(ctx, r, dir, map[string]int64{name: 10})
		}},
		{"a name that leaves the node's directory is refused", func(ctx context.Context, r backends.Remote, dir string) error {
			for _, name := range []string{"..", "../escaped", dir + "/../../../../escaped", "/tmp/escaped", "", dir + "//file", dir + "/./file", dir + "/"} {
				_, statErr := r.Stat(ctx, name)
				for what, err := range map[string]error{
					"put":    r.Put(ctx, name, []byte{1}),
					"read":   r.ReadAt(ctx, name, make([]byte, 1), 0),
					"stat":   statErr,
					"delete": r.Delete(ctx, name),
				} {
					if err := refused(fmt.Sprintf("%s of %q", what, name), err, cairn.ErrInvalid); err != nil {
						return err
					}
				}
			}
			return listed(ctx, r, dir, nil)
		}},
	}
}
