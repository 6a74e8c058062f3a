package sim

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/race"
)

// script does each thing that changes the disk or a node at least once: small
// and long bodies, parts, copies, conditions, deletes, buckets, keys, packs that
// fill, age, spread and are released, an orderly restart, and the index lost;
// packs compacted, retired and deleted, shards lost and made again, a node drained.
func script(part int) (Setup, []Step) {
	s := Setup{Seed: uint64(part) * 1000, Coding: []string{"2+2", "4+3"}[part], Nodes: 7, Operators: 7, Bad: []int{1}, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20}
	plan := []Step{
		{Do: Put, Key: 1, Content: 1, Size: 9000}, {Do: Put, Key: 2, Content: 2, Size: 0}, {Do: Put, Key: 1, Content: 3, Size: 70000},
		{Do: Grant, N: 1, Content: 5}, {Do: MakeBucket}, {Do: Put, Key: 9, Content: 4, Size: 800}, {Do: Copy, Key: 3, From: 1},
		{Do: Pass, For: 31 * time.Second}, {Do: Put, Key: 4, Content: 6, Size: 700 << 10}, {Do: Put, Key: 4, Content: 7, Size: 5, Cond: IfNone},
		{Do: CreateUpload, Key: 0}, {Do: PutPart, Key: 0, N: 1, Size: 300 << 10, Content: 8}, {Do: PutPart, Key: 0, N: 2, Size: 900, Content: 9},
		{Do: PutPart, Key: 0, N: 1, Size: 290 << 10, Content: 10}, {Do: Flush}, {Do: Complete, Key: 0}, {Do: Delete, Key: 2}, {Do: Put, Key: 5, Content: 11, Size: 180 << 10, Unknown: true},
		{Do: Put, Key: 6, Content: 12, Size: 120 << 10, Broken: true}, {Do: Pass, For: 2 * time.Minute}, {Do: Put, Key: 1, Content: 13, Size: 64 << 10, Cond: IfMatch},
		{Do: CreateUpload, Key: 1}, {Do: PutPart, Key: 1, N: 3, Size: 1000, Content: 14}, {Do: Restart, N: 1}, {Do: Abort, Key: 1}, {Do: Revoke, N: 1}, {Do: Publish, N: 1},
		{Do: Delete, Key: 9}, {Do: DropBucket}, {Do: Put, Key: 6, Content: 15, Size: 256<<10 - 3}, {Do: Copy, Key: 4, From: 6}, {Do: Flush}, {Do: Pass, For: 11 * time.Minute},
		{Do: LoseIndex}, {Do: Compact}, {Do: Flush}, {Do: Pass, For: 2 * time.Minute}, {Do: Collect}, {Do: Collect}, {Do: Ail, Node: 1, Ill: LosesPart, Share: 1}, {Do: Heal, Node: 1},
		{Do: Scrub}, {Do: Pass, For: 4 * time.Minute}, {Do: Scrub}, {Do: Collect}, {Do: Drain, Node: 3}, {Do: Burn, Node: 2}, {Do: Put, Key: 2, Content: 16, Size: 4000}, {Do: Delete, Key: 3}, {Do: Flush}, {Do: Pass, For: 2 * time.Minute}, {Do: Check},
	}
	for again := true; again; { // a seed by which no start of these lives loses its power by itself
		s.Seed++
		again = false
		for lives := range 8 {
			again = again || hash(s.Seed, "again", lives)%6 == 0
		}
	}
	return s, plan
}

// TestPoints takes the power away at every durable step of a script: before it,
// when it is done and nobody was told, and in the middle of it; a step is a
// write, sync, rename or removal on the gateway's disk, or a file that is put
// on, replaced on or deleted from a node. Each time the gateway starts again and
// everything is compared with the model, a few steps later once more, and again
// without the index; of every eighth point the rest of the script runs, and
// everything acknowledged must be there to the end of it. Every tenth point of
// one script unless CAIRN_LONG is set.
func TestPoints(t *testing.T) {
	every := 10
	if os.Getenv("CAIRN_LONG") != "" {
		every = 1
	}
	if race.On {
		every *= 40
	}
	var points, tried, lost atomic.Int64
	t.Cleanup(func() {
		t.Logf("FIGURE TestPoints: %d points, %d tried, power lost %d times", points.Load(), tried.Load(), lost.Load())
		if lost.Load() < tried.Load()*9/10 {
			t.Errorf("of %d points only %d took the power away", tried.Load(), lost.Load())
		}
	})
	scripts := 2
	if every > 1 {
		scripts = 1
	}
	for part := range scripts {
		t.Run(fmt.Sprint("script ", part), func(t *testing.T) {
			t.Parallel()
			s, plan := script(part)
			whole := Play(t, s, plan, logger())
			if whole.Err != nil || whole.Losses > 0 {
				t.Fatalf("without a power loss:\n%v", whole)
			}
			var fuses []Fuse
			for _, k := range []struct {
				n    int
				fuse Fuse
				hows int
			}{
				{whole.Points.Disk, Fuse{}, 3},
				{whole.Points.Index, Fuse{Index: true}, 2}, // torn is before there: it is cut at a write of the engine's own
				{whole.Points.Node, Fuse{Node: true}, 3},
			} {
				for at := 1; at <= k.n; at++ {
					for how := range k.hows {
						f := k.fuse
						f.At, f.How, f.Percent = at, How(how), []int{0, 50, 100}[hash(uint64(at), how)%3]
						fuses = append(fuses, f)
					}
				}
			}
			points.Add(int64(len(fuses)))
			t.Logf("%+v", whole.Points)
			for i, f := range fuses {
				if (i+part)%every != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
					t.Parallel()
					s := s
					s.Brief = (i+part)/every%8 != 0
					r := Play(t, s, append([]Step{{Do: Light, Fuse: f}}, plan...), logger())
					tried.Add(1)
					if r.Losses > 0 {
						lost.Add(1)
					} else {
						t.Logf("the power stayed: %+v of %+v", f, r.Points)
					}
					if r.Err != nil {
						t.Errorf("%v", r)
					}
				})
			}
		})
	}
}
