package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
)

// crashUpload is what clients were told of an upload. It is not changed once it
// is shared.
type crashUpload struct {
	key     string
	parts   map[int][]byte
	numbers []int // of the parts it was completed with
	done    bool
	gone    bool
}

// object is what the upload is or becomes when those parts are taken.
func (u crashUpload) object(numbers []int) (parts [][]byte) {
	for _, n := range numbers {
		parts = append(parts, u.parts[n])
	}
	return parts
}

// crashVerb is a verb that was not answered yet.
type crashVerb struct {
	verb    string
	id      string
	n       int    // of a part
	data    []byte // of a part
	numbers []int  // of a completion
}

// act does a verb of an upload and notes the answer.
func (c *crasher) act(v crashVerb, do func() error, answered func(*crashUpload)) {
	c.mu.Lock()
	c.doing = v
	c.mu.Unlock()
	must(c.r.tb, do())
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.ups[v.id]
	u.parts = maps.Clone(u.parts)
	answered(&u)
	c.ups[v.id], c.doing = u, crashVerb{}
}

func (c *crasher) begin(key string) string {
	id := c.r.begin(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ups[id] = crashUpload{key: key, parts: make(map[int][]byte)}
	return id
}

func (c *crasher) part(id string, n int, data []byte) {
	c.act(crashVerb{verb: "part", id: id, n: n, data: data},
		func() error { return c.r.part(c.ups[id].key, id, n, data) },
		func(u *crashUpload) { u.parts[n] = data })
}

// complete completes an upload. Its object is a write in progress like any
// other until it is answered.
func (c *crasher) complete(id string, numbers ...int) {
	u := c.ups[id]
	data := slices.Concat(u.object(numbers)...)
	c.mu.Lock()
	c.maybe, c.next = u.key, data
	c.mu.Unlock()
	c.act(crashVerb{verb: "complete", id: id, numbers: numbers},
		func() error {
			_, err := c.r.CompleteUpload(c.r.tb.Context(), completeNumbers(u.key, id, numbers, u.object(numbers)...))
			return err
		},
		func(u *crashUpload) {
			u.done, u.numbers = true, numbers
			c.acked[u.key], c.maybe, c.next = data, "", nil
		})
}

func (c *crasher) abort(id string) {
	c.act(crashVerb{verb: "abort", id: id},
		func() error { return c.r.AbortUpload(c.r.tb.Context(), keyOf(c.ups[id].key), id) },
		func(u *crashUpload) { u.gone = true })
}

// checkUploads holds a store that came back to what clients were told of
// uploads: acknowledged parts are there and complete to exactly their bytes, an
// end is an end, a completion can be repeated, and a verb that was not answered
// was done whole or not at all.
func (m moment) checkUploads(t *testing.T, r *rig) {
	t.Helper()
	for id, u := range m.ups {
		doing := m.doing
		if doing.id != id {
			doing = crashVerb{}
		}
		if err := u.check(t, r, id, doing); err != nil {
			t.Fatalf("power lost before %+v: upload of %s, %q under way: %v", m.step, u.key, doing.verb, err)
		}
	}
}

func (u crashUpload) check(t *testing.T, r *rig, id string, doing crashVerb) error {
	_, err := r.Upload(t.Context(), keyOf(u.key), id)
	ended := errors.Is(err, ErrNoUpload)
	switch {
	case err != nil && !ended:
		return err
	case (u.done || u.gone) && !ended:
		return fmt.Errorf("it has ended and is in progress")
	case ended && !u.done && !u.gone && doing.verb != "complete" && doing.verb != "abort":
		return fmt.Errorf("it is lost")
	}
	numbers := u.numbers
	if doing.verb == "complete" {
		numbers = doing.numbers
	}
	if len(numbers) == 0 {
		numbers = slices.Sorted(maps.Keys(u.parts))
	}
	if ended { // whoever completes again is answered, and changes nothing
		before, _ := r.get(u.key)
		c := completeNumbers(u.key, id, numbers, u.object(numbers)...)
		_, err := r.CompleteUpload(t.Context(), c)
		if completed := u.done || doing.verb == "complete"; completed && err != nil || !completed && !errors.Is(err, ErrNoUpload) {
			return fmt.Errorf("completed again: %w", err)
		}
		if after, _ := r.get(u.key); string(after) != string(before) {
			return fmt.Errorf("completed again, it changed the object")
		}
		return nil
	}
	list, err := r.Parts(t.Context(), keyOf(u.key), id, 0, 1000)
	if err != nil {
		return err
	}
	now := crashUpload{key: u.key, parts: make(map[int][]byte)}
	var all []int
	for _, p := range list.Parts {
		data, known := u.parts[p.Number]
		if doing.verb == "part" && doing.n == p.Number && p.ETag == etag(doing.data) {
			data, known = doing.data, true
		}
		if !known || p.ETag != etag(data) || p.Size != int64(len(data)) {
			return fmt.Errorf("part %d is %d bytes, %s", p.Number, p.Size, p.ETag)
		}
		now.parts[p.Number], all = data, append(all, p.Number)
	}
	for n := range u.parts {
		if !slices.Contains(all, n) {
			return fmt.Errorf("part %d is lost", n)
		}
	}
	if len(all) == 0 {
		return r.AbortUpload(t.Context(), keyOf(u.key), id)
	}
	if doing.verb == "complete" {
		all = doing.numbers
	}
	if _, err := r.CompleteUpload(t.Context(), completeNumbers(u.key, id, all, now.object(all)...)); err != nil {
		return fmt.Errorf("completing it: %w", err)
	}
	got, err := r.get(u.key)
	if !same(got, err, append([]byte{}, slices.Concat(now.object(all)...)...)) {
		return fmt.Errorf("completed, it is %d bytes, %w", len(got), err)
	}
	return nil
}

// A put and a completion that both say "only if it is not there": one of them
// wins, and it is the same one before and after a power loss, whoever asks
// again. Power is lost before and after every sync of pack bytes.
func TestOneWinsThroughPowerLoss(t *testing.T) {
	t.Parallel()
	rounds := 2
	if os.Getenv("CAIRN_LONG") != "" {
		rounds = 100
	}
	rounds = race.Some(rounds, 2)
	put, up := content(1, 70_000), content(2, 9000)
	none := Condition{NoneMatch: []string{"*"}}
	won := make(map[string]int)
	for round := range rounds {
		r := newRig(t, 1, func(c *Config) { c.PackSize, c.Coding = minPack, "1+0" })
		r.down(1)
		id := r.begin("x")
		must(t, r.part("x", id, 1, up))
		race := func(r *rig) []error {
			calls := []func() error{
				func() error { p := putOf("x", put); p.If = none; _, err := r.Put(t.Context(), p); return err },
				func() error {
					c := completeOf("x", id, up)
					c.If = none
					_, err := r.CompleteUpload(t.Context(), c)
					return err
				},
			}
			if round%2 == 0 {
				return together(calls...)
			}
			slices.Reverse(calls)
			answers := together(calls...)
			slices.Reverse(answers)
			return answers
		}
		var mu sync.Mutex
		var left []*durable.Mem
		r.close()
		snap := func(s durable.Step, err error) error {
			if isStage(s) && s.Op == durable.OpSync {
				mu.Lock()
				defer mu.Unlock()
				for _, percent := range []int{0, 50, 100} {
					left = append(left, r.disk.Crash(percent, s.N))
				}
			}
			return err
		}
		r.fs = durable.Watch(r.disk, durable.Hook{Before: func(s durable.Step) error { return snap(s, nil) }, After: snap})
		r.open()
		winner := wins(t, race(r))
		final := [][]byte{put, up}[winner]
		won[[]string{"put", "completion"}[winner]]++
		mu.Lock()
		moments := slices.Clone(left)
		mu.Unlock()
		moments = append(moments, r.disk.Crash(0, 1)) // after both were answered
		r.close()
		for i, disk := range moments {
			after := &rig{tb: t, disk: disk, fs: disk, id: r.id, gate: r.gate, key: r.key, tune: r.tune}
			mem := &backendtest.Mem{}
			after.nodes = []*rigNode{{Node: r.nodes[0].Node, mem: mem, faulty: backendtest.NewFaulty(mem, nil)}}
			after.open()
			after.down(1)
			found, err := after.get("x")
			if i == len(moments)-1 && !same(found, err, final) {
				t.Errorf("after both were answered it is %d bytes, %v", len(found), err)
			}
			before := len(found)
			answers := race(after)
			is, err2 := after.get("x")
			must(t, err2)
			switch {
			case err == nil && before == len(put):
				if !errors.Is(answers[0], cairn.ErrPrecondition) || !errors.Is(answers[1], cairn.ErrPrecondition) || len(is) != len(put) {
					t.Errorf("the put had won, and then: %v", answers)
				}
			case err == nil:
				if !errors.Is(answers[0], cairn.ErrPrecondition) || answers[1] != nil || len(is) != len(up) {
					t.Errorf("the completion had won, and then: %v", answers)
				}
			case errors.Is(err, cairn.ErrNotExist):
				if w := wins(t, answers); len(is) != len([][]byte{put, up}[w]) {
					t.Errorf("%d won and it is %d bytes", w, len(is))
				}
			default:
				t.Errorf("after power loss: %v", err)
			}
			after.close()
		}
	}
	t.Logf("won: %v", won)
}

// wins returns which of two answers is nil; the other must be a condition that
// did not hold.
func wins(t *testing.T, answers []error) int {
	t.Helper()
	w := slices.Index(answers, nil)
	if w < 0 || !errors.Is(answers[1-w], cairn.ErrPrecondition) {
		t.Fatalf("answers are %v", answers)
	}
	return w
}
