package erasure

import (
	"fmt"
	"testing"
)

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"1+1", "2+1", "4+3", "4+4"} {
		for _, length := range []int{64 << 10, 1 << 20, 4 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, length>>10), func(b *testing.B) {
				code := newCode(b, name)
				shards := encoded(b, code, length)
				b.SetBytes(int64(code.c.K * length)) // data bytes
				b.ReportAllocs()
				for b.Loop() {
					if err := code.Encode(shards); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReconstruct(b *testing.B) {
	for _, name := range []string{"1+1", "2+1", "4+3", "4+4"} {
		for _, length := range []int{64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, length>>10), func(b *testing.B) {
				code := newCode(b, name)
				shards := encoded(b, code, length)
				want := []int{0}
				b.SetBytes(int64(length)) // rebuilt bytes
				b.ReportAllocs()
				for b.Loop() {
					shards[0] = shards[0][:0]
					if err := code.Reconstruct(shards, want); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
