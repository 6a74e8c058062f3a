package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
)

// moment is what a power loss at one durable step leaves: the disk, what the
// nodes hold, and what clients had been told by then.
type moment struct {
	step  durable.Step
	disk  *durable.Mem
	nodes []map[string][]byte
	acked map[string][]byte // nil value: deleted
	maybe string            // key of the write in progress
	next  []byte            // its bytes, nil for a delete
	ups   map[string]crashUpload
	doing crashVerb // the verb of an upload in progress
}

// crasher takes moments at every every-th durable step and at every step of an
// upload, in turn with each share of what was not synced, or with all of them at
// every step where every is 1.
type crasher struct {
	r     *rig
	every uint64

	mu    sync.Mutex
	acked map[string][]byte
	maybe string
	next  []byte
	ups   map[string]crashUpload
	doing crashVerb
	open  string // an upload that outlives a restart
	got   []moment
	steps uint64
}

func (c *crasher) hook(percents []int) durable.Hook {
	return durable.Hook{Before: func(s durable.Step) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.steps++
		if c.steps%c.every != 0 && (c.doing.verb == "" || !isStage(s)) {
			return nil // but the steps of uploads are all taken
		}
		take := percents
		if c.every > 1 {
			n := uint64(len(c.got)) % uint64(len(percents))
			take = percents[n : n+1]
		}
		for _, p := range take {
			m := moment{step: s, disk: c.r.disk.Crash(p, c.steps), acked: make(map[string][]byte), maybe: c.maybe, next: c.next,
				ups: maps.Clone(c.ups), doing: c.doing}
			for k, v := range c.acked {
				m.acked[k] = v
			}
			for _, n := range c.r.nodes {
				files := make(map[string][]byte)
				for _, name := range n.mem.Names() {
					if b, ok := n.mem.Bytes(name); ok {
						files[name] = b
					}
				}
				m.nodes = append(m.nodes, files)
			}
			c.got = append(c.got, m)
		}
		return nil
	}}
}

func (c *crasher) do(key string, data []byte) {
	c.mu.Lock()
	c.maybe, c.next = key, data
	c.mu.Unlock()
	var err error
	if data == nil {
		err = c.r.Delete(c.r.tb.Context(), cairn.Key{Bucket: "bbb", Object: key}, Condition{})
	} else {
		err = c.r.put(key, data)
	}
	must(c.r.tb, err)
	c.mu.Lock()
	c.acked[key], c.maybe, c.next = data, "", nil
	c.mu.Unlock()
}

// script writes, overwrites, deletes, uploads, flushes, releases and restarts,
// with bodies small, large and of several packs.
func (c *crasher) script() {
	r := c.r
	for i := range 4 {
		c.do(fmt.Sprint("a", i), content(uint64(i), 3000*(i+1)))
	}
	c.do("big", content(50, 330<<10+77))
	c.do("a1", content(60, 90_000))
	c.do("a2", nil)
	first := c.begin("a1")
	c.part(first, 1, content(70, 200<<10+5))
	c.part(first, 2, content(71, 300))
	aborted := c.begin("a2")
	c.part(aborted, 1, content(72, 70_000))
	must(r.tb, r.Flush(r.tb.Context()))
	c.do("a3", content(61, 10))
	c.part(first, 1, content(73, 90_000)) // in place of the other
	r.releaseAll()
	c.complete(first, 1, 2)
	c.abort(aborted)
	second := c.begin("parts")
	c.part(second, 3, content(74, 260<<10))
	c.part(second, 1, nil)
	c.do("a2", content(62, 70_000))
	c.do("big", content(51, 256<<10))
	must(r.tb, r.Flush(r.tb.Context()))
	c.do("a0", nil)
	r.releaseAll()
	c.complete(second, 1, 3)
	c.do("parts", content(75, 100))
	c.open = c.begin("open")
	c.part(c.open, 7, content(76, 66_000))
	c.do("last", content(63, 2000))
}

// TestPowerLossAtEveryDurableStep loses power before every durable step of a
// script, with none, half and all of what was not synced kept, and opens what
// is left. Everything acknowledged is there exactly, the write in progress is
// whole or absent, and the store takes writes again.
func TestPowerLossAtEveryDurableStep(t *testing.T) {
	t.Parallel()
	every := uint64(16)
	if os.Getenv("CAIRN_LONG") != "" {
		every = 1
	}
	r := newRig(t, 5, func(c *Config) { c.PackSize = minPack; c.Coding = "2+2" })
	r.close()
	c := &crasher{r: r, every: every, acked: make(map[string][]byte), ups: make(map[string]crashUpload)}
	r.fs = durable.Watch(r.disk, c.hook([]int{0, 50, 100}))
	r.open()
	c.script()
	r.reopen()
	c.do("after", content(64, 100))
	c.part(c.open, 9, content(77, 10))
	c.complete(c.open, 7, 9)
	r.close()
	t.Logf("%d durable steps, %d crashes", c.steps, len(c.got))
	if len(c.got) < 15 {
		t.Fatalf("only %d crash points were seen", len(c.got))
	}
	for i, m := range c.got {
		if !race.Few(i, len(c.got), 12) {
			continue
		}
		m.check(t, r)
		if t.Failed() {
			return
		}
	}
}

func (m moment) check(t *testing.T, was *rig) {
	t.Helper()
	r := &rig{tb: t, disk: m.disk, fs: m.disk, id: was.id, gate: was.gate, key: was.key, tune: was.tune}
	for i, files := range m.nodes {
		mem := &backendtest.Mem{}
		for name, b := range files {
			mem.SetBytes(name, b)
		}
		n := was.nodes[i]
		r.nodes = append(r.nodes, &rigNode{Node: n.Node, mem: mem, faulty: backendtest.NewFaulty(mem, nil)})
	}
	if err := r.tryOpen(); err != nil {
		t.Fatalf("power lost before %+v: does not open: %v", m.step, err)
	}
	defer r.close()
	for key, data := range m.acked {
		got, err := r.get(key)
		if key == m.maybe && same(got, err, m.next) {
			continue
		}
		if !same(got, err, data) {
			t.Fatalf("power lost before %+v: %s is %d bytes, %v; want %d bytes", m.step, key, len(got), err, len(data))
		}
	}
	if _, ok := m.acked[m.maybe]; !ok && m.maybe != "" {
		if got, err := r.get(m.maybe); !same(got, err, nil) && !same(got, err, m.next) {
			t.Fatalf("power lost before %+v: unacknowledged %s is %d bytes, %v", m.step, m.maybe, len(got), err)
		}
	}
	m.checkUploads(t, r)
	must(t, r.put("again", content(99, 5000)))
	must(t, r.Flush(t.Context()))
	r.want("again", content(99, 5000))
}

// same reports whether a read gave data, or nothing where data is nil.
func same(got []byte, err error, data []byte) bool {
	if data == nil {
		return errors.Is(err, cairn.ErrNotExist)
	}
	return err == nil && bytes.Equal(got, data)
}
