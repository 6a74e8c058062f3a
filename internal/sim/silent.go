package sim

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn/index"
)

// silences are the ills of a node that is only not there.
var silences = [...]Ill{Down, Hangs, Revoked}

// loseIndex destroys the index, and starts the gateway while n clean nodes are
// silent, which may be more than may be lost, or all. Such a start either is
// refused, and the next one with those nodes succeeds; or it knows everything
// that was acknowledged, though it may not be able to read it yet. It never
// begins without the end of the log.
func (w *World) loseIndex(n int) error {
	w.relieve()
	err := w.restart(func() error {
		for i := range w.nodes {
			if at := (i + w.lives) % len(w.nodes); len(w.silent) < n && !w.bad(at) {
				w.silent = append(w.silent, at)
				w.nodes[at].Ail(silences[hash(w.Seed, "silence", w.lives)%uint64(len(silences))], 1)
			}
		}
		if len(w.silent) > 0 {
			w.since = time.Now()
		}
		return index.Destroy(w.disk.mem, dir+"/index")
	})
	if err != nil || len(w.silent) == 0 {
		return err
	}
	for bucket := range 2 {
		if err := w.list(bucket, uint64(w.lives), func(error) {}); err != nil {
			return fmt.Errorf("without an index, and nodes %v silent: %w", w.silent, err)
		}
	}
	if err := w.state(); err != nil {
		return fmt.Errorf("without an index, and nodes %v silent: %w", w.silent, err)
	}
	w.loud()
	return nil
}

// loud makes the silent nodes answer again.
func (w *World) loud() {
	for _, n := range w.silent {
		w.heal(n)
	}
	w.silent = nil
	w.rest(mendTime)
}
