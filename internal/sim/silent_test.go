package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/race"
)

// TestLostIndexWithSilentNodes: with any number of nodes silent, a start without
// an index is refused, or knows every object, bucket and key. The log has
// records in a pack that a checkpoint covers, in one above it that has left the
// machine, and in one that is staged.
func TestLostIndexWithSilentNodes(t *testing.T) {
	for i, s := range shapes {
		for n := range s.nodes + 1 {
			if race.On && (i%2 > 0 || n != (1+i/2)%(s.nodes+1)) {
				continue
			}
			t.Run(fmt.Sprintf("%s on %d of %d, %d silent", s.coding, s.nodes, s.operators, n), func(t *testing.T) {
				t.Parallel()
				setup := Setup{Seed: uint64(n), Coding: s.coding, Nodes: s.nodes, Operators: s.operators, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20}
				play(t, setup, []Step{{Do: Put, Key: 1, Content: 1, Size: 9000}, {Do: Grant, N: 1, Content: 1}, {Do: Flush}, {Do: Collect},
					{Do: MakeBucket}, {Do: Put, Key: 2, Content: 2, Size: 300000}, {Do: Put, Key: 1, Content: 3, Size: 100}, {Do: Flush}, {Do: Pass, For: time.Minute}, {Do: Delete, Key: 2},
					{Do: Flush}, {Do: Pass, For: time.Minute}, {Do: LoseIndex, N: n}, {Do: Put, Key: 3, Content: 4, Size: 10}, {Do: LoseIndex, N: n}, {Do: Check}})
			})
		}
	}
}
