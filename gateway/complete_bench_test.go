package gateway

import (
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// What the store waits for at most while it decides a write.
func BenchmarkDecideOn10000Parts(b *testing.B) {
	for _, c := range []struct {
		name string
		full bool
	}{{"", false}, {"CRC32", true}, {"CRC64NVME", true}, {"SHA256", false}} {
		b.Run(c.name, func(b *testing.B) {
			done := completion{upload: store.Upload{ID: "x", FullObject: c.full}, algorithm: algorithmNamed(c.name), listed: most(), size: -1}
			parts := make([]store.Part, len(done.listed))
			for i := range parts {
				l := &done.listed[i]
				l.sum = cairn.Checksum{}
				parts[i] = store.Part{Number: l.number, Size: minPart, ETag: l.etag()}
				if a := done.algorithm; a != nil {
					h := a.make()
					h.Write(l.md5[:])
					l.sum = a.value(h)
					parts[i].Checksum = []cairn.Checksum{l.sum}
				}
			}
			for b.Loop() {
				if _, err := done.decide(parts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
