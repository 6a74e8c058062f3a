package corrupt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cache"
)

// cacheBench harms the file of cached blocks under a gateway that starts with
// it. Nothing of it may ever show.
type cacheBench struct {
	*nodeBench
	data  []byte
	spans []span
}

func openCache(t *testing.T, w *worlds) bench {
	b := &cacheBench{nodeBench: newNodeBench(t, w, false)}
	var err error
	b.data, err = contentOf(b.w.disk, filepath.Join(dir, "cache", "blocks"))
	must(t, err)
	const head, entry, table = 4096, 64, 64 << 10
	b.spans = []span{{"head", 0, 96}, {"head zeros", 96, head}, {"entries", head, head + entry*40}, {"table", head, head + table},
		{"slots", head + table, len(b.data)}}
	if len(b.data) < head+table+5*cache.BlockSize {
		t.Fatalf("the cache has %d bytes", len(b.data))
	}
	return b
}

func (b *cacheBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	c := alter(r, b.data, pick(r, b.spans), [][]byte{b.keys})
	o.class, o.what, o.result = c.class, "blocks: "+c.how, exact
	disk, err := memory("/blocks", c.data)
	if err != nil {
		o.err = err
		return o
	}
	ca, err := cache.New(cache.Config{MemoryBytes: 128 << 10, DiskBytes: 64 << 20, FS: disk, Dir: "/", Store: b.id, MAC: [32]byte{3}})
	if err != nil {
		o.result = failed
		if !known(err) {
			o.err = fmt.Errorf("an error of no class: %w", err)
		}
		return o
	}
	for try := 0; !ca.Stats().Loaded && try < 1000; try++ {
		<-time.After(time.Millisecond)
	}
	fl, err := b.house.fleet(t.Context(), &reach{boxes: b.boxes}, ca)
	if err != nil {
		o.err = err
		return o
	}
	o.err = fl.SetNodes(t.Context(), nodes())
	o.err = errors.Join(o.err, b.readThrough(t, fl, b.w))
	st := ca.Stats()
	if st.Corrupt > 0 {
		o.result = noticed
	}
	if o.err == nil && c.class == "slots" && same(c.data, b.data, 0, b.spans[4].lo) && st.DiskHits == 0 {
		o.err = errors.New("nothing was read from the cache") // or this shows nothing
	}
	o.err = errors.Join(o.err, fl.Close(), ca.Close())
	return o
}
