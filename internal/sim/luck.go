package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/cairn-storage/cairn/layout"
)

// hash mixes words and numbers into one number. Every chance of a run comes
// from it and from the plan, never from a stream that goroutines share: what a
// call meets must not depend on which call came before it.
func hash(seed uint64, words ...any) uint64 {
	h := fnv.New64a()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	for _, w := range words {
		fmt.Fprintf(h, "%v\x00", w)
	}
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// chance is a number from 0 up to 1 made of a hash.
func chance(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// plain is the name of a file on a node without what is random in it, so that
// the same file of another run of one seed meets the same fate.
func plain(name string) string {
	if seq, _, err := layout.ParseRootPath(name); err == nil {
		return fmt.Sprintf("root %d", seq)
	}
	if epoch, _, err := layout.ParseKeyPath(name); err == nil {
		return fmt.Sprintf("keys of epoch %d", epoch)
	}
	s, err := layout.ParsePath(name)
	if err != nil {
		return name
	}
	return fmt.Sprintf("shard %d of pack %d", s.Index, s.Pack.Seq())
}

// content fills b with the bytes of content id from off on. They are cheap to
// make, and differ in every 8 bytes from those of any other place or content.
func content(id uint64, off int64, b []byte) {
	var word [8]byte
	for n := 0; n < len(b); {
		at := off + int64(n)
		x := (id ^ 0x9e3779b97f4a7c15) * (uint64(at/8)*2 + 0x2545f4914f6cdd1d)
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 32
		binary.LittleEndian.PutUint64(word[:], x)
		n += copy(b[n:], word[at%8:])
	}
}
