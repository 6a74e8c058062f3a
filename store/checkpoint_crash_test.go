package store

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// rootMoment is what a power loss within a checkpoint leaves.
type rootMoment struct {
	what  string
	disk  *durable.Mem
	nodes []map[string][]byte
	roots []pack.RootBody
}

// at returns a rig as the moment has it, not open.
func (m rootMoment) at(t *testing.T, was *rig) (*rig, *rootFile) {
	roots := &rootFile{roots: slices.Clone(m.roots)}
	r := &rig{tb: t, disk: m.disk.Crash(100, 1), id: was.id, gate: was.gate, key: was.key,
		tune: func(c *Config) { was.tune(c); c.Roots = roots }}
	r.fs = r.disk
	for i, files := range m.nodes {
		mem := &backendtest.Mem{}
		for name, b := range files {
			mem.SetBytes(name, b)
		}
		r.nodes = append(r.nodes, &rigNode{Node: was.nodes[i].Node, mem: mem, faulty: backendtest.NewFaulty(mem, nil)})
	}
	return r, roots
}

// TestPowerLossWithinACheckpoint loses power before every durable step of
// checkpoints that add a run, merge runs and write all rows, and at each root.
// Whatever is left opens with everything, and makes a checkpoint from which
// everything comes back; and from the roots and nodes of that moment alone, since
// the disk may be gone, everything comes back as well.
func TestPowerLossWithinACheckpoint(t *testing.T) {
	t.Parallel()
	tune, roots := rooted("2+1")
	r := newRig(t, 3, tune)
	want := r.many(t, 0, 200)
	r.checkpoint()
	r.close()
	var got []rootMoment
	armed := false
	take := func(what string) {
		m := rootMoment{what: what, disk: r.disk.Crash([]int{0, 50, 100}[len(got)%3], uint64(len(got)))}
		for _, n := range r.nodes {
			files := make(map[string][]byte)
			for _, name := range n.mem.Names() {
				if b, ok := n.mem.Bytes(name); ok {
					files[name] = b
				}
			}
			m.nodes = append(m.nodes, files)
		}
		roots.mu.Lock()
		m.roots = slices.Clone(roots.roots)
		roots.mu.Unlock()
		got = append(got, m)
	}
	r.fs = durable.Watch(r.disk, durable.Hook{Before: func(s durable.Step) error {
		roots.mu.Lock() // one moment at a time
		ok := armed
		roots.mu.Unlock()
		if ok && r.one.TryLock() {
			take(fmt.Sprintf("%+v", s))
			r.one.Unlock()
		}
		return nil
	}})
	arm := func(on bool) {
		roots.mu.Lock()
		defer roots.mu.Unlock()
		armed = on
	}
	r.open()
	for _, n := range []int{10, 4, 150} { // a run more, two merged, all rows
		maps.Copy(want, r.many(t, len(want), n))
		must(t, r.Flush(t.Context()))
		arm(true)
		out := r.checkpoint()
		arm(false)
		if full := n == 150; out.Full != full {
			t.Fatalf("%d objects more: %+v", n, out)
		}
		r.one.Lock()
		take("after a checkpoint")
		r.one.Unlock()
		r.releaseAll()
		got = r.checkMoments(t, got, maps.Clone(want))
	}
	r.close()
}

// checkMoments checks what was taken while want was all there is.
func (r *rig) checkMoments(t *testing.T, got []rootMoment, want map[string][]byte) []rootMoment {
	t.Helper()
	if len(got) < 10 {
		t.Fatalf("only %d moments were seen", len(got))
	}
	t.Logf("%d moments with %d objects", len(got), len(want))
	all := func(m rootMoment, how string, r *rig) {
		t.Helper()
		if n := r.idx.Totals().Objects; int(n) != len(want) {
			t.Fatalf("power lost before %s: %s: %d objects, want %d", m.what, how, n, len(want))
		}
		for _, key := range slices.Sorted(maps.Keys(want))[:20] {
			r.want(key, want[key])
		}
	}
	for i, m := range got {
		if i%5 != len(got)%5 && i+1 < len(got) && os.Getenv("CAIRN_LONG") == "" {
			continue // a fifth, and the last
		}
		if !race.Few(i/5, (len(got)-1)/5+1, 2) {
			continue
		}
		left, roots := m.at(t, r)
		left.open()
		all(m, "opened", left)
		left.checkpoint()
		b := left.base(roots)
		left.burn()
		if out := left.recover(b); out.Logs != 0 {
			t.Errorf("power lost before %s: %d log packs are above the checkpoint made then", m.what, out.Logs)
		}
		all(m, "opened, checkpoint, burnt", left)
		left.shut()
		left, roots = m.at(t, r)
		b = left.base(roots)
		left.burn()
		left.recover(b)
		all(m, "burnt", left)
		left.shut()
	}
	return nil
}
