package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestObjectsOfEverySizeReadBack(t *testing.T) {
	r := newRig(t, 7, func(c *Config) { c.Coding = "4+3" })
	sizes := []int{0, 1, 100, 65535, 65536, 65537, 200000, 1 << 20, 1<<20 + 1, 5 << 20, 255 << 16, 255<<16 + 1, 20 << 20, 40<<20 + 12345}
	check := func() {
		t.Helper()
		for i, n := range sizes {
			r.want(fmt.Sprint("k", i), content(uint64(i), n))
		}
	}
	for i, n := range sizes {
		must(t, r.put(fmt.Sprint("k", i), content(uint64(i), n)))
	}
	check()
	must(t, r.Flush(t.Context()))
	check()
	r.reopen()
	check()
	r.releaseAll()
	check()
	for i := range 3 {
		r.nodes[i].faulty.SetDown(true)
	}
	r.reopen()
	check()
	r.nodes[3].faulty.SetDown(true)
	r.reopen()
	r.wantErr("k9", cairn.ErrUnavailable)
	for i := range 4 {
		r.nodes[i].faulty.SetDown(false)
	}
	r.reopen()
	check()
	r.close()
}

// releaseAll releases whatever is spread, as time would.
func (r *rig) releaseAll() {
	r.tb.Helper()
	r.c.Settle = 0
	r.mu.Lock()
	for _, p := range r.packs {
		p.since = p.since.Add(-releaseWait * 2)
	}
	r.mu.Unlock()
	r.releaseDue(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.packs {
		if p.phase == spread {
			r.tb.Fatalf("pack %v is spread and still staged", id)
		}
	}
}
