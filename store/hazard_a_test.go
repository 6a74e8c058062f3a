package store

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/store/stage"
)

// A stage is written by one life: whatever a power loss leaves of it is never
// appended to, so no frame is ever sealed at a position that another had.
func TestHazardA1H1(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			must(t, r.put("a", content(1, 3000)))
			var left atomic.Pointer[durable.Mem]
			r.watch(onPackSync(func(durable.Step) error {
				left.CompareAndSwap(nil, r.disk.Crash(percent, 1))
				return nil
			}))
			must(t, r.put("b", content(2, 30_000)))
			r.shut()
			r.disk, r.fs = left.Load(), left.Load() // its group is written, the fsync is not done
			was := make(map[cairn.PackID][]byte)
			for _, id := range stageFiles(t, r.fs) {
				was[id] = stageBytes(t, r.fs, id)
			}
			r.open()
			must(t, r.put("c", content(3, 40_000)))
			for id, b := range was {
				if !slices.Contains(stageFiles(t, r.fs), id) {
					continue
				}
				if now := stageBytes(t, r.fs, id); !bytes.Equal(packArea(now), packArea(b)) {
					t.Errorf("%d %% kept: pack bytes of stage %v of an earlier life changed", percent, id)
				}
			}
			if slices.ContainsFunc(r.packsOf("c"), func(id cairn.PackID) bool { return was[id] != nil }) {
				t.Errorf("%d %% kept: c went into a stage of an earlier life", percent)
			}
			r.want("a", content(1, 3000))
		})
	}
}

// packArea is the pack bytes of a stage file, without the zeros behind them.
func packArea(file []byte) []byte {
	return bytes.TrimRight(file[4096:min(len(file), 4096+minPack)], "\x00")
}

// A pack is sealed once: its trailer and the places of its shards are durable
// before the first shard leaves, and a restart that would code it otherwise
// finishes it as it was begun.
func TestHazardA1H2(t *testing.T) {
	simulated(t, 5, coded("2+2"), func(t *testing.T, r *rig) {
		var early notes
		r.fates(func(op, name string, _ int) backendtest.Fate {
			s, err := layout.ParsePath(name)
			if op != backends.OpPut || err != nil {
				return backendtest.Works
			}
			lost := r.disk.Crash(0, 1)
			f, err := stage.Open(lost, "/s/stage", s.Pack, r.id)
			switch {
			case err != nil || f.Sealed() == nil:
				early.add("shard %d left before its pack was sealed: %v", s.Index, err)
			case !slices.ContainsFunc(f.Intents(), func(l cairn.Location) bool { return l.Name(s.Pack) == s }):
				early.add("shard %d left before its place was durable", s.Index)
			}
			if s.Index >= 2 {
				return backendtest.Fails
			}
			return backendtest.Works
		})
		for i := range byte(8) {
			must(t, r.put(string('a'+i), content(uint64(i), 20_000)))
		}
		if err := r.Flush(t.Context()); err == nil {
			t.Fatal("all shards stand although two of each failed")
		}
		r.crash(0, 1)
		r.tune = func(c *Config) { c.PackSize, c.Coding = minPack, "1+1" }
		r.fates(nil)
		r.open()
		must(t, r.put("later", content(9, 100)))
		must(t, r.Flush(t.Context()))
		was := 0
		for _, s := range r.survey() { // fails on two sealings of one pack
			if s.Coding == (cairn.Coding{K: 2, M: 2}) {
				was++
			}
		}
		if was == 0 {
			t.Error("no pack kept the coding that it was sealed with")
		}
		for _, what := range early.all() {
			t.Error(what)
		}
	})
}

// The gateway's disk is restored from a backup: sequences are issued again,
// but no pack id, no key and no name on a node.
func TestHazardA1H3(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		must(t, r.put("a", content(1, 1000)))
		must(t, r.Flush(t.Context()))
		r.close()
		snapshot := r.disk.Crash(100, 1)
		r.open()
		var names notes
		r.fates(func(op, name string, _ int) backendtest.Fate {
			if op == backends.OpPut && strings.HasPrefix(name, layout.PacksDir) && names.add("%s", name) > 1 {
				t.Errorf("%s is written twice", name)
			}
			return backendtest.Works
		})
		write := func(seed uint64) (ids []cairn.PackID) {
			must(t, r.put("x", content(seed, 5000)))
			must(t, r.put("big", content(seed+1, 300<<10)))
			must(t, r.Flush(t.Context()))
			return append(r.packsOf("x"), r.packsOf("big")...)
		}
		one := write(10)
		r.shut()
		r.disk, r.fs = snapshot, snapshot
		r.open()
		two := write(20)
		again := false
		for _, a := range one {
			for _, b := range two {
				again = again || a.Seq() == b.Seq()
				if a == b || r.key.Pack(a, [16]byte{}) == r.key.Pack(b, [16]byte{}) {
					t.Errorf("pack %v is issued twice", a)
				}
			}
		}
		if !again {
			t.Error("no sequence was issued twice; this test saw nothing")
		}
		r.survey() // fails on two sealings of one pack
		r.want("x", content(20, 5000))
	})
}
