package rclone

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn/backends"
)

// Speeds of a local node: what rclone and the syncs cost over the disk itself.
func BenchmarkLocal(b *testing.B) {
	r, err := Open(b.Context(), Config{Node: "n1", Spec: "local:" + filepath.Join(b.TempDir(), "node"), Create: true})
	if err != nil {
		b.Fatal(err)
	}
	direct := r
	r = backends.Deadline(backends.Guard(r, backends.Bounds{}), backends.DeadlineConfig{})
	for _, size := range []int{16 << 10, 4 << 20} {
		data := make([]byte, size)
		b.Run(fmt.Sprintf("put %d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for n := 0; b.Loop(); n++ {
				if err := r.Put(b.Context(), fmt.Sprintf("packs/%d/%d-%d", n/64, size, n), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := r.Put(b.Context(), "read", make([]byte, 4<<20)); err != nil {
		b.Fatal(err)
	}
	for name, r := range map[string]backends.Remote{"direct": direct, "guard and deadline": r} {
		for _, size := range []int{64 << 10, 4 << 20} {
			p := make([]byte, size)
			b.Run(fmt.Sprintf("read %d %s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := r.ReadAt(b.Context(), "read", p, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
