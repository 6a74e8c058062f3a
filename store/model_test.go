package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
)

// world is a store that meets whatever chance brings, and a model of what it
// must hold.
type world struct {
	*rig
	t    *testing.T
	dice *rand.Rand
	s    states
	ups  []*modelUpload
	ops  []string

	mu    sync.Mutex
	fuse  int          // durable steps until the power goes, 0 for never
	after *durable.Mem // what it left
}

func (w *world) did(format string, args ...any) { w.ops = append(w.ops, fmt.Sprintf(format, args...)) }

// hook takes the power away when the fuse has burnt down: what is left is kept
// and nothing of the stage becomes durable any more. Only Pebble goes on, on a
// disk that nobody will look at: it panics where others fail.
func (w *world) hook(percent int, seed uint64) durable.Hook {
	lost := func(s durable.Step) error {
		if w.after != nil && !strings.HasPrefix(s.Name, indexDir()) {
			return errFault
		}
		return nil
	}
	return durable.Hook{
		Before: func(s durable.Step) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fuse > 0 {
				if w.fuse--; w.fuse == 0 {
					w.after = w.disk.Crash(percent, seed)
				}
			}
			return lost(s)
		},
		After: func(s durable.Step, err error) error { // a step that was under way is not reported as done
			w.mu.Lock()
			defer w.mu.Unlock()
			if err == nil {
				err = lost(s)
			}
			return err
		},
	}
}

// restart opens what is left, with a new fuse as chance has it.
func (w *world) restart() {
	w.shut()
	w.mu.Lock()
	if w.after != nil {
		w.disk, w.after = w.after, nil
	}
	w.fuse = 0
	w.mu.Unlock()
	percent := []int{0, 50, 100}[w.dice.IntN(3)]
	w.fs = durable.Watch(w.disk, w.hook(percent, w.dice.Uint64()))
	w.light(w.dice.IntN(3) == 0, 30)
	if w.dice.IntN(8) == 0 {
		w.did("index destroyed")
		w.well() // shards on nodes that are away now would not be known to the new one
		must(w.t, index.Destroy(w.disk, indexDir()))
	}
	if err := w.tryOpen(); err != nil {
		if !w.dead() {
			w.t.Fatalf("open: %v", err)
		}
		w.did("power lost while it opened")
		w.restart()
		return
	}
	w.check("after a restart")
}

// check holds the store to the model.
func (w *world) check(when string) {
	w.s.check(w.t, w.rig, when)
	w.checkUploads(when)
}

// light makes the power go within so many durable steps.
func (w *world) light(burn bool, steps int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if burn && w.fuse == 0 && w.after == nil {
		w.fuse = 1 + w.dice.IntN(steps)
	}
}

func (w *world) dead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.after != nil
}

// size is a body of any of the kinds that are treated apart.
func (w *world) size() int {
	sizes := []int{0, 1 + w.dice.IntN(3000), w.dice.IntN(tinySmall), tinySmall + w.dice.IntN(3), tinyPack + w.dice.IntN(3), w.dice.IntN(400 << 10)}
	return sizes[w.dice.IntN(len(sizes))]
}

func (w *world) step() {
	key := fmt.Sprint("k", w.dice.IntN(7))
	switch w.dice.IntN(18) {
	case 0, 1, 2, 3:
		data := content(w.dice.Uint64(), w.size())
		err := w.put(key, data)
		w.did("put %s, %d bytes: %v", key, len(data), err)
		w.s.did(w.t, key, data, err)
	case 4:
		err := w.Delete(w.t.Context(), keyOf(key), Condition{})
		w.did("delete %s: %v", key, err)
		w.s.did(w.t, key, nil, err)
	case 5:
		w.copyOne(key)
	case 6:
		w.conditional(key)
	case 7:
		w.did("flush: %v", w.Flush(w.t.Context()))
	case 8:
		d := time.Duration(w.dice.IntN(4)) * time.Second
		w.did("%v pass", d)
		w.pass(d)
	case 9:
		w.ail()
	case 10:
		w.did("the power goes soon")
		w.light(true, 60)
	case 11:
		w.did("restart")
		w.restart()
	case 12, 13, 14, 15:
		w.uploadStep(key)
	default:
		w.did("all is read")
		w.check("in between")
	}
	if w.dead() {
		w.did("power lost")
		w.restart()
	}
}

// copyOne copies another key to key.
func (w *world) copyOne(key string) {
	from := fmt.Sprint("k", w.dice.IntN(7))
	if len(w.s[from]) > 1 { // unknown what it holds
		w.s.check(w.t, w.rig, "before a copy")
	}
	var data []byte
	if len(w.s[from]) == 1 {
		data = w.s[from][0]
	}
	_, err := w.Copy(w.t.Context(), Copy{From: keyOf(from), To: keyOf(key)})
	w.did("copy %s to %s: %v", from, key, err)
	if errors.Is(err, cairn.ErrNotExist) && data == nil {
		return
	}
	w.s.did(w.t, key, data, err)
}

// conditional puts key only where it is not.
func (w *world) conditional(key string) {
	data := content(w.dice.Uint64(), 200)
	_, err := w.Put(w.t.Context(), once(key, data))
	w.did("put %s unless it is: %v", key, err)
	if !errors.Is(err, cairn.ErrPrecondition) {
		w.s.did(w.t, key, data, err)
		return
	}
	for i, may := range w.s[key] {
		if may != nil {
			return
		}
		if i == len(w.s[key])-1 {
			w.t.Fatalf("%s exists, says a condition, and it does not", key)
		}
	}
	if w.s[key] == nil {
		w.t.Fatalf("%s exists, says a condition, and was never put", key)
	}
}

// well ends what nodes ail from.
func (w *world) well() {
	for _, n := range w.nodes {
		n.faulty.SetDown(false)
		n.faulty.SetChoose(nil)
	}
}

// ail makes up to two of the five nodes bad, each in its own way, after the
// others were given time to be found well.
func (w *world) ail() {
	w.well()
	w.pass(70 * time.Second)
	for _, i := range w.dice.Perm(len(w.nodes))[:w.dice.IntN(3)] {
		f := w.nodes[i].faulty
		switch w.dice.IntN(4) {
		case 0:
			w.did("node %d is down", i)
			f.SetDown(true)
		case 1:
			w.did("node %d lies when it is read", i)
			f.SetChoose(backendtest.On(backendtest.Lies, backends.OpRead))
		case 2:
			w.did("node %d lies when it is written", i)
			f.SetChoose(backendtest.On(backendtest.Lies, backends.OpPut))
		case 3:
			w.did("node %d answers as it likes", i)
			f.SetChoose(backendtest.Seeded(w.dice.Uint64(), w.nodes[i].Name, backendtest.Rates{backendtest.Fails: 0.2, backendtest.WorksButFails: 0.2}))
		}
	}
}

// TestWhateverHappens plays random histories against a model: writes, deletes,
// copies, uploads and conditions, restarts, power losses at any durable step, a lost
// index, nodes that fail and lie. Whatever is acknowledged reads at every
// moment; at the end everything leaves this machine, and the index can be made
// again from the nodes alone. CAIRN_SEED plays one history.
func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	seeds := 20
	if os.Getenv("CAIRN_LONG") != "" {
		seeds = 2000
	}
	for seed := range uint64(seeds) {
		if only := os.Getenv("CAIRN_SEED"); only != "" && only != fmt.Sprint(seed) || only == "" && !race.Few(int(seed), seeds, max(6, seeds/50)) {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			simulated(t, 5, func(c *Config) { c.Coding, c.Settle = "2+2", releaseTick }, func(t *testing.T, r *rig) {
				w := &world{rig: r, t: t, dice: rand.New(rand.NewPCG(seed, 0)), s: make(states)}
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("the history, to be played again with CAIRN_SEED=%d:\n%s", seed, strings.Join(w.ops, "\n"))
					}
				})
				w.play(18)
			})
		})
	}
}

func (w *world) play(steps int) {
	w.restart()
	for range steps {
		w.step()
		w.balanced()
	}
	w.well()
	w.shut()
	if w.dead() {
		w.disk = w.after
	}
	w.fs = w.disk
	w.open()
	w.check("at the end")
	w.pass(time.Minute)
	must(w.t, w.Flush(w.t.Context()))
	w.chained()
	w.pass(soon)
	if n := len(stageFiles(w.t, w.fs)); n != 0 || w.used != 0 {
		w.t.Errorf("%d stages of %d bytes are left: %v", n, w.used, w.phases())
	}
	w.close()
	must(w.t, index.Destroy(w.fs, indexDir()))
	w.open()
	w.check("from the nodes alone")
	w.completeAll()
	w.check("when all is completed")
}
