package store

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// held is what the nodes have at one moment.
type held []map[string][]byte

func (r *rig) held() held {
	out := make(held, len(r.nodes))
	for i, n := range r.nodes {
		out[i] = make(map[string][]byte)
		for _, name := range n.mem.Names() {
			if b, ok := n.mem.Bytes(name); ok {
				out[i][name] = b
			}
		}
	}
	return out
}

// burnt is the store made again after the machine, its disk and the nodes gone
// were lost when the nodes had what h says. Only the list of nodes is left.
func (r *rig) burnt(t *testing.T, h held, gone ...int) *rig {
	t.Helper()
	again := r.ashes(t, h, gone...)
	if err := again.tryOpen(); err != nil {
		t.Fatalf("does not open: %v", err)
	}
	return again
}

func (r *rig) ashes(t *testing.T, h held, gone ...int) *rig {
	t.Helper()
	disk := durable.NewMem()
	again := &rig{tb: t, disk: disk, fs: disk, id: r.id, gate: r.gate, key: r.key, tune: r.tune}
	var ns []pack.Node
	for i, files := range h {
		mem := &backendtest.Mem{}
		for name, b := range files {
			mem.SetBytes(name, b)
		}
		n := &rigNode{Node: r.nodes[i].Node, mem: mem, faulty: backendtest.NewFaulty(mem, nil)}
		n.faulty.SetDown(slices.Contains(gone, i))
		again.nodes, ns = append(again.nodes, n), append(ns, n.Node)
	}
	must(t, disk.MkdirAll("/s/stage"))
	must(t, lifeState{number: 1, next: 1}.write(disk, "/s/stage", r.id))
	must(t, writeNodes(disk, "/s", r.id, ns))
	must(t, durable.WriteFile(disk, "/s/index-damaged", []byte("rebuild\n")))
	t.Cleanup(again.shut)
	return again
}

// listed are the nodes, as a kit has them.
func (r *rig) listed() (ns []pack.Node) {
	for _, n := range r.nodes {
		ns = append(ns, n.Node)
	}
	return ns
}

// wants fails unless exactly what was acknowledged is there.
func (r *rig) wants(acked map[string][]byte) {
	r.tb.Helper()
	for key, data := range acked {
		if data == nil {
			r.wantErr(key, cairn.ErrNotExist)
			continue
		}
		r.want(key, data)
	}
}

// TestAnAcknowledgedWriteSurvivesTheLossOfTheMachine: each verb, answered, is
// there exactly when the machine is lost at once, with any m nodes.
func TestAnAcknowledgedWriteSurvivesTheLossOfTheMachine(t *testing.T) {
	for i, verb := range spreadVerbs() {
		t.Run(verb.name, func(t *testing.T) {
			spreadRig(t, 5, "2+2", func(t *testing.T, r *rig) {
				must(t, r.put("old", content(1, 5000)))
				want := verb.do(t, r)
				h := r.held()
				for j, gone := range [][]int{nil, {0, 1}, {2, 4}} {
					if race.On && j != i%3 {
						continue
					}
					again := r.ashes(t, h, gone...)
					switch err := again.tryOpen(); {
					case err == nil:
						again.wants(want)
						again.balanced()
						again.shut()
					case !errors.Is(err, cairn.ErrUnavailable): // a log pack overtaken by the next is for a person to accept
						t.Fatal(err)
					}
					again = r.ashes(t, h, gone...)
					again.burn()
					again.recover(Base{Nodes: again.listed(), AcceptLoss: len(gone) > 0})
					again.wants(want)
					again.shut()
				}
			})
		})
	}
}

type spreadVerb struct {
	name string
	do   func(*testing.T, *rig) map[string][]byte // returns what must be there
}

func spreadVerbs() []spreadVerb {
	ctx := func(t *testing.T) context.Context { return t.Context() }
	return []spreadVerb{
		{"put", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.put("x", content(2, 3000)))
			return map[string][]byte{"x": content(2, 3000), "old": content(1, 5000)}
		}},
		{"put of nothing", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.put("x", []byte{}))
			return map[string][]byte{"x": {}}
		}},
		{"overwrite", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.put("old", content(2, 60_000)))
			return map[string][]byte{"old": content(2, 60_000)}
		}},
		{"large put", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.put("x", content(2, 700<<10+11)))
			return map[string][]byte{"x": content(2, 700<<10+11)}
		}},
		{"put of unknown length", func(t *testing.T, r *rig) map[string][]byte {
			p := putOf("x", content(2, 300<<10))
			p.Size = -1
			_, err := r.Put(ctx(t), p)
			must(t, err)
			return map[string][]byte{"x": content(2, 300<<10)}
		}},
		{"delete", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.Delete(ctx(t), keyOf("old"), Condition{}))
			return map[string][]byte{"old": nil}
		}},
		{"copy", func(t *testing.T, r *rig) map[string][]byte {
			_, err := r.Copy(ctx(t), Copy{From: keyOf("old"), To: keyOf("x")})
			must(t, err)
			return map[string][]byte{"x": content(1, 5000), "old": content(1, 5000)}
		}},
		{"tags", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.SetTags(ctx(t), keyOf("old"), "a=b"))
			return map[string][]byte{"old": content(1, 5000)}
		}},
		{"conditional put", func(t *testing.T, r *rig) map[string][]byte {
			p := putOf("x", content(3, 10))
			p.If.NoneMatch = []string{"*"}
			_, err := r.Put(ctx(t), p)
			must(t, err)
			p = putOf("x", content(4, 10))
			p.If.NoneMatch = []string{"*"}
			if _, err := r.Put(ctx(t), p); !errors.Is(err, cairn.ErrPrecondition) {
				t.Fatalf("the second got %v", err)
			}
			return map[string][]byte{"x": content(3, 10)}
		}},
		{"multipart upload", func(t *testing.T, r *rig) map[string][]byte {
			a, b, c := content(5, 90_000), content(6, 250<<10), content(7, 70)
			id := r.begin("x")
			must(t, r.part("x", id, 1, a))
			must(t, r.part("x", id, 2, b))
			must(t, r.part("x", id, 3, c))
			_, err := r.complete("x", id, a, b, c)
			must(t, err)
			return map[string][]byte{"x": slices.Concat(a, b, c)}
		}},
		{"upload with a list of parts", func(t *testing.T, r *rig) map[string][]byte {
			id := r.begin("x")
			var parts [][]byte
			for i := range 3 * pack2KiB {
				parts = append(parts, content(uint64(i), 300+i))
				must(t, r.part("x", id, i+1, parts[i]))
			}
			_, err := r.complete("x", id, parts...)
			must(t, err)
			_, err = r.Copy(ctx(t), Copy{From: keyOf("x"), To: keyOf("y")})
			must(t, err)
			return map[string][]byte{"x": slices.Concat(parts...), "y": slices.Concat(parts...)}
		}},
		{"after the log went to nodes", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.Flush(ctx(t)))
			must(t, r.put("x", content(2, 100)))
			r.releaseAll()
			must(t, r.put("y", content(3, 100)))
			return map[string][]byte{"x": content(2, 100), "y": content(3, 100), "old": content(1, 5000)}
		}},
		{"after a restart", func(t *testing.T, r *rig) map[string][]byte {
			r.reopen()
			must(t, r.put("x", content(2, 100)))
			r.crash(50, 3)
			r.open()
			must(t, r.put("y", content(3, 100)))
			return map[string][]byte{"x": content(2, 100), "y": content(3, 100), "old": content(1, 5000)}
		}},
		{"a delete of what is gone", func(t *testing.T, r *rig) map[string][]byte {
			must(t, r.SetBucketAck(ctx(t), "bbb", AckStaged))
			must(t, r.put("x", content(9, 10)))
			must(t, r.Flush(ctx(t)))
			must(t, r.Delete(ctx(t), keyOf("x"), Condition{})) // staged only
			must(t, r.SetBucketAck(ctx(t), "bbb", AckSpread))
			must(t, r.Delete(ctx(t), keyOf("x"), Condition{})) // finds nothing to do
			return map[string][]byte{"x": nil}
		}},
	}
}

// TestAnUploadGoesOnAfterTheLossOfTheMachine: parts answered are there, and the
// upload can be completed.
func TestAnUploadGoesOnAfterTheLossOfTheMachine(t *testing.T) {
	spreadRig(t, 5, "2+2", func(t *testing.T, r *rig) {
		a, b := content(1, 70_000), content(2, 400<<10)
		id := r.begin("x")
		must(t, r.part("x", id, 1, a))
		must(t, r.part("x", id, 2, b))
		ended := r.begin("y")
		must(t, r.AbortUpload(t.Context(), keyOf("y"), ended))
		again := r.burnt(t, r.held(), 0, 1)
		defer again.shut()
		again.wantParts("x", id, map[int][]byte{1: a, 2: b})
		again.wantNoUpload("y", ended)
		_, err := again.complete("x", id, a, b)
		must(t, err)
		again.want("x", slices.Concat(a, b))
	})
}

// TestTheMachineIsLostAtAnyMoment loses it before every request to a node of a
// script of all verbs: what was answered by then is there exactly, the write in
// progress whole or not at all; and again after what was made of it was spread,
// and once more lost.
func TestTheMachineIsLostAtAnyMoment(t *testing.T) {
	spreadRig(t, 5, "2+2", func(t *testing.T, r *rig) {
		type moment struct {
			h     held
			acked map[string][]byte
			maybe string
			next  []byte
		}
		var mu sync.Mutex
		acked := make(map[string][]byte)
		var maybe string
		var next []byte
		var got []moment
		steps := 0
		for _, n := range r.nodes {
			n.faulty.SetChoose(func(op, _ string, _ int) backendtest.Fate {
				mu.Lock()
				defer mu.Unlock()
				if steps++; op == backends.OpPut || steps%7 == 0 {
					got = append(got, moment{r.held(), maps.Clone(acked), maybe, next})
				}
				return backendtest.Works
			})
		}
		do := func(key string, data []byte, verb func() error) {
			mu.Lock()
			maybe, next = key, data
			mu.Unlock()
			must(t, verb())
			mu.Lock()
			acked[key], maybe, next = data, "", nil
			got = append(got, moment{h: r.held(), acked: maps.Clone(acked)})
			mu.Unlock()
		}
		put := func(key string, data []byte) { do(key, data, func() error { return r.put(key, data) }) }
		for round := range uint64(2) {
			put("a", content(round, 3000))
			put("b", content(10+round, 100_000))
			do("c", content(round, 3000), func() error {
				_, err := r.Copy(t.Context(), Copy{From: keyOf("a"), To: keyOf("c")})
				return err
			})
			do("a", nil, func() error { return r.Delete(t.Context(), keyOf("a"), Condition{}) })
			parts := [][]byte{content(20+round, 80_000), content(30+round, 210<<10)}
			id := r.begin("d")
			must(t, r.part("d", id, 1, parts[0]))
			must(t, r.part("d", id, 2, parts[1]))
			do("d", slices.Concat(parts...), func() error { _, err := r.complete("d", id, parts...); return err })
			must(t, r.Flush(t.Context()))
			put("e", content(40+round, 500))
			r.releaseAll()
		}
		t.Logf("%d requests, %d moments", steps, len(got))
		if len(got) < 60 {
			t.Fatal("too few moments were seen")
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		check := func(i int, again *rig, m moment) {
			for key, data := range m.acked {
				have, err := again.get(key)
				if !same(have, err, data) && !(key == m.maybe && same(have, err, m.next)) {
					t.Fatalf("moment %d: %s is %d bytes, %v; want %d", i, key, len(have), err, len(data))
				}
			}
		}
		for i := 0; i < len(got); i += 8 {
			if !race.Few(i/8, (len(got)+7)/8, 5) {
				continue
			}
			m := got[i]
			again := r.burnt(t, m.h)
			check(i, again, m)
			must(t, again.put("z", content(99, 100)))
			if rnd.IntN(2) == 0 { // what was laid out is spread, journals are stale
				must(t, again.Flush(t.Context()))
			}
			m.acked["z"] = content(99, 100)
			if m.maybe != "" { // settled now
				delete(m.acked, m.maybe)
			}
			// A shard of the log pack that was lost half way may be gone now: a hole,
			// which only a person may accept.
			third := again.ashes(t, again.held(), i%5, (i+1)%5)
			third.burn()
			third.recover(Base{Nodes: third.listed(), AcceptLoss: true})
			check(i, third, m)
			third.shut()
			again.shut()
		}
	})
}
