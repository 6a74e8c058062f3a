package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
)

// A stage that is gone, as on a disk that is not mounted, is never taken for the
// first start of a store: whatever else tells that it has lived is enough, and
// nothing is written before. With the disk back everything is there.
func TestAStageThatIsGoneIsNoNewStore(t *testing.T) {
	for _, c := range []struct {
		name string
		keep func(t *testing.T, disk *durable.Mem, roots *rootFile)
	}{
		{"the index tells", func(t *testing.T, disk *durable.Mem, roots *rootFile) {
			must(t, disk.Remove(nodesName("/s")))
			roots.roots = nil
		}},
		{"the list of nodes tells", func(t *testing.T, disk *durable.Mem, roots *rootFile) {
			must(t, index.Destroy(disk, indexDir()))
			roots.roots = nil
		}},
		{"the newest root tells", func(t *testing.T, disk *durable.Mem, _ *rootFile) {
			must(t, index.Destroy(disk, indexDir()))
			must(t, disk.Remove(nodesName("/s")))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tune, roots := rooted("2+1")
			simulated(t, 3, tune, func(t *testing.T, r *rig) {
				must(t, r.put("x", content(1, 5000)))
				r.checkpoint()
				must(t, r.put("y", content(2, 5000)))
				r.shut()
				kept := roots.roots
				mounted := r.disk.Crash(100, 1)
				names, err := r.disk.List("/s/stage")
				must(t, err)
				for _, name := range names {
					must(t, r.disk.Remove("/s/stage/"+name))
				}
				c.keep(t, r.disk, roots)
				if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "is its disk mounted?") {
					t.Fatalf("opens with %v", err)
				}
				if names, err := r.disk.List("/s/stage"); err != nil || len(names) > 0 {
					t.Errorf("in the stage there is %v now, %v", names, err)
				}
				roots.roots = kept
				r.disk, r.fs = mounted, mounted
				r.open()
				r.want("x", content(1, 5000))
				r.want("y", content(2, 5000))
			})
		})
	}
}
