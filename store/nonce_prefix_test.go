package store

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// TestEveryStageHasItsOwnNonces: the prefix of the nonces is drawn anew for each
// stage, of every kind and in every life. The key of a pack follows from its id,
// which has chance of its own; both would have to be drawn twice.
func TestEveryStageHasItsOwnNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, func(c *Config) { c.PackSize, c.Coding = minPack, "1+1" })
		t.Cleanup(r.shut)
		seen := make(map[crypt.NoncePrefix]cairn.PackID)
		kinds := make(map[string]int)
		for life := range 3 {
			for i := range 3 {
				must(t, r.put(fmt.Sprint("small", life, i), content(uint64(i), 20_000)))
				must(t, r.put(fmt.Sprint("large", life, i), content(uint64(i), 600_000)))
				must(t, r.Flush(t.Context()))
			}
			r.mu.Lock()
			for id, p := range r.packs {
				if p.file.Prefix == (crypt.NoncePrefix{}) {
					t.Errorf("pack %v has no prefix", id)
				}
				if other, ok := seen[p.file.Prefix]; ok && other != id {
					t.Errorf("packs %v and %v share a prefix", other, id)
				} else if !ok {
					kinds[p.file.Kind.String()]++
				}
				seen[p.file.Prefix] = id
			}
			r.mu.Unlock()
			r.reopen()
		}
		if kinds["log"] < 9 || kinds["data"] < 9 {
			t.Errorf("too few packs were looked at: %v", kinds)
		}
	})
}
