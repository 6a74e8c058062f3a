package sftp_test

import (
	"fmt"
	"testing"

	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/contribute"
)

func BenchmarkPut4MiB(b *testing.B) { onEachB(b, benchmarkPut) }

func BenchmarkRead64KiBRange(b *testing.B) { onEachB(b, benchmarkRead) }

func onEachB(b *testing.B, f func(b *testing.B, r *sftp.Remote)) {
	b.Run("contribute", func(b *testing.B) { f(b, open(b, contributed(b, contribute.Config{}).config())) })
	b.Run("openssh", func(b *testing.B) { f(b, open(b, openssh(b).config())) })
}

func benchmarkPut(b *testing.B, r *sftp.Remote) {
	data := content(4<<20, 1)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		if err := r.Put(b.Context(), fmt.Sprintf("packs/%d", i), data); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRead(b *testing.B, r *sftp.Remote) {
	const size = 4 << 20
	if err := r.Put(b.Context(), "packs/a", content(size, 1)); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for i := 0; b.Loop(); i++ {
		if err := r.ReadAt(b.Context(), "packs/a", p, int64(i*len(p)%size)); err != nil {
			b.Fatal(err)
		}
	}
}
