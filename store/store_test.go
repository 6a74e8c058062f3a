package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestObjectsOfEverySizeReadBack(t *testing.T) {
	r := newRig(t, 7, func(c *Config) { c.Coding, c.PackSize = "4+3", 1<<20 })
	sizes := []int{0, 1, 100, 65535, 65536, 65537, 200000, 1 << 18, 1<<18 + 1, 15 << 16, 15<<16 + 1, 2 << 20, 5<<20 + 12345}
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
	for {
		r.mu.Lock()
		left, eased := 0, r.eased
		for _, p := range r.packs {
			if p.phase == spread {
				left++
				p.since = p.since.Add(-r.c.Settle - 2*releaseWait)
			}
		}
		r.mu.Unlock()
		if left == 0 {
			return
		}
		r.releaseDue(time.Now())
		select {
		case <-eased:
		case <-r.tb.Context().Done():
			r.tb.Fatalf("%d packs are spread and still staged", left)
		}
	}
}
