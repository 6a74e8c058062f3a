package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/store"
)

// TestYesterdaysDisk puts the gateway's whole disk back to what it was a day
// before, while the nodes have what came since. The gateway sees roots of its own
// that it does not know, writes nothing and says so; it gives yesterday's bytes
// or an error, and changes and removes nothing that stands on a node. A recovery
// then brings back everything that came since.
func TestYesterdaysDisk(t *testing.T) {
	for seed := range uint64(race.Some(5, 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				// Within the grace, what yesterday's disk names is still there.
				w, err := NewWorld(ctx, Setup{Seed: seed, Coding: "2+2", Nodes: 5, Operators: 5, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20,
					Grace: 24 * time.Hour}, /* what yesterday knew is still there */ logger())
				if err != nil {
					t.Fatal(err)
				}
				defer w.close()
				do := func(steps ...Step) {
					t.Helper()
					for _, s := range steps {
						if _, err := w.Do(s); err != nil {
							t.Fatalf("%v: %v", s, err)
						}
					}
				}
				for key := range 5 {
					do(Step{Do: Put, Key: key, Content: seed<<8 + uint64(key), Size: int64(key) * 90_000})
				}
				do(Step{Do: Flush}, Step{Do: Pass, For: 5 * time.Minute}, Step{Do: Restart, N: 1})
				yesterday := w.disk.mem.Crash(100, 1)
				then := maps.Clone(w.model.names)
				for key, r := range then {
					copied := *r
					then[key] = &copied
				}
				do(Step{Do: Put, Key: 1, Content: 77, Size: 100_000}, Step{Do: Delete, Key: 2}, Step{Do: Put, Key: 5, Content: 78, Size: 400_000},
					Step{Do: Flush}, Step{Do: Pass, For: time.Hour})
				if err := w.close(); err != nil {
					t.Fatal(err)
				}
				stood := make([]map[string][]byte, len(w.nodes))
				for i, n := range w.nodes {
					stood[i] = make(map[string][]byte)
					for _, name := range n.mem.Names() {
						stood[i][name], _ = n.mem.Bytes(name)
					}
				}
				today := w.model.names
				w.disk.mem, w.model.names = yesterday, then
				if err := w.open(); err != nil {
					t.Fatal(err)
				}
				w.rest(time.Minute)
				do(Step{Do: Check})
				for what, err := range map[string]error{
					"delete": w.life.st.Delete(ctx, keyOf(3), store.Condition{}),
					"bucket": w.life.st.CreateBucket(ctx, "another"),
					"flush":  w.life.st.Flush(ctx),
				} {
					if !errors.Is(err, cairn.ErrFork) {
						t.Errorf("%s on yesterday's disk: %v", what, err)
					}
				}
				do(Step{Do: Pass, For: time.Hour}, Step{Do: Restart, N: 1}, Step{Do: Pass, For: time.Minute}, Step{Do: Check})
				if err := w.life.st.CreateBucket(ctx, "another"); !errors.Is(err, cairn.ErrFork) {
					t.Errorf("after a restart: %v", err)
				}
				for i, n := range w.nodes {
					for name, data := range stood[i] {
						if now, ok := n.mem.Bytes(name); !ok || !bytes.Equal(now, data) {
							t.Errorf("node %d: %s was changed or removed", i, name)
						}
					}
					if n := len(n.mem.Names()); n != len(stood[i]) {
						t.Errorf("node %d: %d files, and %d before", i, n, len(stood[i]))
					}
				}
				w.model.names = today
				do(Step{Do: Burn, Node: int(seed)}, Step{Do: Check})
			})
		})
	}
}

// TestReadableErrorsAreLoud takes away more nodes than can be borne: every read
// of what is on nodes says so, by class, names a node, and gives everything once
// one is back.
func TestReadableErrorsAreLoud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, err := NewWorld(ctx, Setup{Seed: 1, Coding: "2+2", Nodes: 4, Operators: 4, PackSize: 256 << 10, Settle: time.Second, Beyond: true, Bad: []int{0, 1, 2}}, logger())
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		for _, s := range []Step{{Do: Put, Key: 0, Content: 5, Size: 200_000}, {Do: Flush}, {Do: Pass, For: 5 * time.Minute}, {Do: Restart, N: 1},
			{Do: Ail, Node: 0, Ill: Down, Share: 1}, {Do: Ail, Node: 1, Ill: Down, Share: 1}, {Do: Ail, Node: 2, Ill: Down, Share: 1}} {
			if _, err := w.Do(s); err != nil {
				t.Fatalf("%v: %v", s, err)
			}
		}
		_, src, err := w.life.st.Open(ctx, keyOf(0))
		if err != nil {
			t.Fatal(err)
		}
		v := w.model.at(objectName(0)).base
		if err := w.readRange(src, v, 0, 200_000); cairn.Class(err) != cairn.ErrUnavailable {
			t.Errorf("with one node of four: %v", err)
		}
		w.heal(2)
		w.rest(mendTime)
		if err := w.readRange(src, v, 0, 200_000); err != nil {
			t.Errorf("with two nodes of four: %v", err)
		}
	})
}
