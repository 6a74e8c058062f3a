package store

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// moments takes what a power loss leaves, at every every-th durable step and at
// every file that is deleted on a node.
type moments struct {
	r     *rig
	roots *rootFile
	every int
	on    atomic.Bool

	mu    sync.Mutex
	steps int
	got   []rootMoment
}

func (m *moments) take(what string) {
	if !m.on.Load() || !m.r.one.TryLock() { // a moment at a time
		return
	}
	defer m.r.one.Unlock()
	one := rootMoment{what: what, disk: m.r.disk.Crash([]int{0, 50, 100}[len(m.got)%3], uint64(len(m.got)))}
	for _, n := range m.r.nodes {
		files := make(map[string][]byte)
		for _, name := range n.mem.Names() {
			if b, ok := n.mem.Bytes(name); ok {
				files[name] = b
			}
		}
		one.nodes = append(one.nodes, files)
	}
	m.roots.mu.Lock()
	one.roots = slices.Clone(m.roots.roots)
	m.roots.mu.Unlock()
	m.got = append(m.got, one)
}

func (m *moments) hook() durable.Hook {
	return durable.Hook{Before: func(s durable.Step) error {
		m.mu.Lock()
		m.steps++
		due := m.steps%m.every == 0 || !strings.HasPrefix(s.Name, indexDir()) && m.steps%(m.every/8+1) == 0
		m.mu.Unlock()
		if due {
			m.take(fmt.Sprintf("%+v", s))
		}
		return nil
	}}
}

// deletes takes a moment before every delete of a shard.
func (m *moments) deletes(op, name string, _ int) backendtest.Fate {
	if op == backends.OpDelete && strings.HasPrefix(name, "packs/") {
		m.take("delete " + name)
	}
	return backendtest.Works
}

// TestPowerLossWhileCompactingAndCollecting loses power before durable steps of
// compaction, retirement, deletion and purge, and before deletes on nodes. What is
// left opens with everything, compacts and collects to the end with everything;
// and from the roots and nodes of that moment alone everything comes back, too.
func TestPowerLossWhileCompactingAndCollecting(t *testing.T) {
	every := 60
	if os.Getenv("CAIRN_LONG") != "" {
		every = 4
	}
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		want := r.mixed(t)
		must(t, r.put("secret", content(999, 3000)))
		r.rest()
		r.checkpoint()
		r.rest()
		roots.set(2, 0) // so that log packs and checkpoints go, too
		m := &moments{r: r, roots: roots, every: every}
		r.watch(m.hook())
		r.fates(m.deletes)
		m.on.Store(true)
		r.compact(Compaction{})
		r.retireAll()
		r.pass(2 * eon)
		for i := range 3 {
			must(t, r.put("more", content(uint64(i), 100)))
			r.rest()
			r.checkpoint()
		}
		r.retireAll()
		r.pass(2 * eon)
		if int(r.seqTop) <= len(r.shards())+10 {
			t.Fatalf("of %d packs %d stand: too little was deleted", r.seqTop, len(r.shards()))
		}
		_, err := r.Purge(t.Context(), keyOf("secret"), nil, nil)
		must(t, err)
		m.on.Store(false)
		r.fates(nil)
		got := m.got
		if len(got) < 40 {
			t.Fatalf("only %d moments were seen in %d steps", len(got), m.steps)
		}
		most := race.Some(24, 8)
		if os.Getenv("CAIRN_LONG") != "" {
			most = race.Some(len(got), 20)
		}
		t.Logf("%d steps, %d moments", m.steps, len(got))
		for i := range got {
			if i*most/len(got) == (i+1)*most/len(got) {
				continue
			}
			got[i].check(t, r, want)
		}
	})
}

// check opens what the moment left, in both ways.
func (m rootMoment) check(t *testing.T, was *rig, want map[string][]byte) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(want))
	all := func(what string, r *rig) {
		t.Helper()
		for _, key := range keys {
			if got, err := r.get(key); !same(got, err, want[key]) && !(len(want[key]) == 0 && err == nil && len(got) == 0) {
				t.Fatalf("power lost before %s: %s: %s is %d bytes, %v", m.what, what, key, len(got), err)
			}
		}
		r.booked()
		r.balanced()
	}
	left, roots := m.at(t, was)
	roots.set(2, 0)
	if err := left.tryOpen(); err != nil {
		t.Fatalf("power lost before %s: %v", m.what, err)
	}
	all("opened", left)
	left.pass(soon)
	left.compact(Compaction{})
	for i := range 3 {
		must(t, left.put("again", content(uint64(i), 100)))
		left.rest()
		left.checkpoint()
	}
	left.retireAll()
	left.pass(2 * eon)
	left.retireAll()
	left.pass(2 * eon)
	all("compacted and collected", left)
	left.nothingUnneeded(m.what)
	left.shut()
	left, roots = m.at(t, was)
	roots.set(2, 0)
	b := left.base(roots)
	left.burn()
	left.recover(b)
	all("recovered", left)
	left.shut()
}

// nothingUnneeded fails where files of packs stand on nodes that nothing needs, but
// for those that kept roots do.
func (r *rig) nothingUnneeded(what string) {
	r.tb.Helper()
	n := r.needed()
	for id := range r.shards() {
		row, err := r.Pack(id)
		if err != nil { // put while the moment was taken, which does not stop all at once
			if out := r.adopt(id); out.As != "unneeded" {
				r.tb.Errorf("power lost before %s: pack %v stands, is not known, and is %+v", what, id, out)
			}
			continue
		}
		idle, err := r.idle(row, &n)
		must(r.tb, err)
		if idle && holdsObjects(row.Kind) && row.Kind != pack.Log && row.State == index.Spread {
			r.tb.Errorf("power lost before %s: %v pack %v is %v and unneeded", what, row.Kind, id, row.State)
		}
	}
}
