package conform

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

const block = 64 << 10 // the unit in which shards are read

func ranges() []Check {
	return []Check{
		ranged("the start of a file can be read alone", [2]int{0, 1000}),
		ranged("the middle of a file can be read alone", [2]int{12345, 23456}),
		ranged("the end of a file can be read alone", [2]int{3*block + 700, 77}, [2]int{2 * block, block + 777}),
		ranged("a single byte can be read anywhere", [2]int{0, 1}, [2]int{block - 1, 1}, [2]int{block, 1}, [2]int{3*block + 776, 1}),
		ranged("ranges over borders of 64 KiB are exact", [2]int{block - 1, 2}, [2]int{block - 100, block + 200}, [2]int{1, 3 * block}),
		ranged("ranges of whole 64 KiB blocks are exact", [2]int{0, block}, [2]int{block, block}, [2]int{2 * block, block}),
		ranged("reading nothing is fine", [2]int{0, 0}, [2]int{block, 0}, [2]int{3*block + 777, 0}),
		{"a range of a large file is exact, up to its last byte", func(ctx context.Context, r backends.Remote, dir string) error {
			data := content(4<<20+1, 10)
			if err := put(ctx, r, dir+"/file", data); err != nil {
				return err
			}
			for _, at := range [][2]int{{2 << 20, 300 << 10}, {4<<20 - block, block + 1}, {4 << 20, 1}} {
				if err := reads(ctx, r, dir+"/file", data[at[0]:at[0]+at[1]], int64(at[0])); err != nil {
					return err
				}
			}
			return nil
		}},
		{"reading past the end is refused, never answered short", func(ctx context.Context, r backends.Remote, dir string) error {
			if err := put(ctx, r, dir+"/file", content(1000, 11)); err != nil {
				return err
			}
			for _, at := range [][2]int{{0, 1001}, {999, 2}, {1000, 1}, {5000, 100}, {500, block}} {
				err := r.ReadAt(ctx, dir+"/file", make([]byte, at[1]), int64(at[0]))
				if err := refused(fmt.Sprintf("read %d bytes at %d of 1,000", at[1], at[0]), err, cairn.ErrCorrupt); err != nil {
					return err
				}
			}
			return nil
		}},
	}
}

// ranged checks ranges (offset, length) of a file of three blocks and 777 bytes.
func ranged(name string, ranges ...[2]int) Check {
	return Check{name, func(ctx context.Context, r backends.Remote, dir string) error {
		data := content(3*block+777, 9)
		if err := put(ctx, r, dir+"/file", data); err != nil {
			return err
		}
		for _, at := range ranges {
			if err := reads(ctx, r, dir+"/file", data[at[0]:at[0]+at[1]], int64(at[0])); err != nil {
				return err
			}
		}
		return nil
	}}
}
