package backends

import (
	"math/bits"
	"sync"
)

// buffers lends byte slices, kept by powers of two so that a reader of 64 KiB
// never holds one of 4 MiB. The zero buffers is ready.
type buffers struct {
	bySize [bits.UintSize + 1]sync.Pool // of *[]byte with capacity 1<<index
}

// get returns n bytes of any content.
func (b *buffers) get(n int) *[]byte {
	class := bits.Len(uint(max(n, 1) - 1))
	if p, ok := b.bySize[class].Get().(*[]byte); ok {
		*p = (*p)[:n]
		return p
	}
	p := make([]byte, n, 1<<class)
	return &p
}

// put takes back what get lent; nobody may hold it any more.
func (b *buffers) put(p *[]byte) {
	b.bySize[bits.Len(uint(cap(*p)-1))].Put(p)
}
