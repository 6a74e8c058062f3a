package durable

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemWorksInsideABubbleAndSlowSyncsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 20 * time.Millisecond
		on := Slow(NewMem(), delay)
		start := time.Now()
		for i := range 3 {
			go func() {
				f, err := on.Create(fmt.Sprint(i))
				if err != nil {
					t.Error(err)
					return
				}
				_, err = f.WriteAt([]byte("x"), 0)
				if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait() // all three wait in their sync: nothing else is blocked by them
		if names, err := on.List("."); len(names) != 3 || err != nil {
			t.Errorf("%q, %v while syncs wait", names, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("writing took %v", took)
		}
		must(t, on.SyncDir("."))
		if took := time.Since(start); took != delay {
			t.Errorf("syncs took %v, want %v", took, delay)
		}
	})
	if on := OS(); Slow(on, 0) != on {
		t.Error("a delay of 0 is a wrapper")
	}
}
