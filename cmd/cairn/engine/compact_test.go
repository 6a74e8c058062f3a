package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

// TestOldPacksAreCodedAnewByThemselves: a store that grows from one node to four
// ends with every object bearing two failures, and nobody typed anything.
func TestOldPacksAreCodedAnewByThemselves(t *testing.T) {
	h := newHome(t)
	h.file.Stage.Settle = 1
	h.settled = 500 * time.Millisecond
	e := h.open()
	defer shut(t, e)
	_, err := h.add(e, "alice")
	must(t, err)
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, putInto(t.Context(), e, "a", 300_000))
	must(t, e.Store.Flush(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { e.Care(ctx) })
	defer wg.Wait()
	defer stop()
	for _, name := range []string{"bob", "carol", "dora"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, e.Store.Flush(t.Context()))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		_, at, err := e.Store.Locate(t.Context(), cairn.Key{Bucket: "box", Object: "a"})
		must(t, err)
		if len(at) == 1 && at[0].Coding == "2+2" && len(at[0].At) == 4 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", at)
		}
	}
}
