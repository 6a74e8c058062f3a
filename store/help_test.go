package store

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// What a pack of minPack bytes makes of bodies.
const (
	tinySmall = 64 << 10  // the largest that is gathered in memory
	tinyPack  = 192 << 10 // what a data pack holds
)

// simulated runs f over a store with the smallest packs and n nodes, by a
// simulated clock. When it returns no goroutine of the store may be left, or
// the bubble reports a deadlock.
func simulated(t *testing.T, n int, tune func(*Config), f func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, n, func(c *Config) {
			c.PackSize = minPack
			if tune != nil {
				tune(c)
			}
		})
		t.Cleanup(r.shut)
		f(t, r)
		r.balanced()
	})
}

// coded is a tune that fixes the coding.
func coded(coding string) func(*Config) { return func(c *Config) { c.Coding = coding } }

// shut closes whatever is open, for the end of a test that may have failed.
func (r *rig) shut() {
	if r.Store == nil {
		return
	}
	_ = r.Close(context.WithoutCancel(r.tb.Context()))
	_ = r.fleet.Close()
	r.Store = nil
}

// pass lets simulated time pass and then waits until everything rests.
func (r *rig) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// watch opens the store again over its disk; from then on every durable step
// asks hook. The start itself does not: it hardens the stages that it finds,
// which would be taken for the writes that a test waits for.
func (r *rig) watch(hook durable.Hook) {
	r.tb.Helper()
	r.close()
	var started atomic.Bool
	r.fs = durable.Watch(r.disk, durable.Hook{
		Before: func(s durable.Step) error {
			if hook.Before == nil || !started.Load() {
				return nil
			}
			return hook.Before(s)
		},
		After: func(s durable.Step, err error) error {
			if hook.After == nil || !started.Load() {
				return err
			}
			return hook.After(s, err)
		},
	})
	r.open()
	started.Store(true)
}

// balanced fails unless the books of the stage are the sum of its parts.
func (r *rig) balanced() {
	r.tb.Helper()
	if r.Store == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum int64
	for _, p := range r.packs {
		sum += p.size
	}
	if sum != r.used {
		r.tb.Fatalf("the stage counts %d bytes, its packs have %d", r.used, sum)
	}
}

// phases counts staged packs by phase.
func (r *rig) phases() map[phase]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[phase]int)
	for _, p := range r.packs {
		out[p.phase]++
	}
	return out
}

// upload is a PUT whose body comes when the test says so.
type upload struct {
	w    *io.PipeWriter
	done chan error // room for the answer
}

func (r *rig) upload(key string, size int64) *upload {
	body, w := io.Pipe()
	u := &upload{w: w, done: make(chan error, 1)}
	go func() {
		_, err := r.Put(r.tb.Context(), Put{Key: keyOf(key), Body: body, Size: size})
		body.CloseWithError(io.ErrClosedPipe)
		u.done <- err
	}()
	return u
}

// give sends b; it returns when the store has taken it or answered.
func (u *upload) give(b []byte) { _, _ = u.w.Write(b) }

// end ends the body, with an error where err is not nil, and returns the answer.
func (u *upload) end(err error) error {
	u.w.CloseWithError(err)
	return <-u.done
}

// stageFiles lists the stage files on a disk.
func stageFiles(tb testing.TB, fs durable.FS) []cairn.PackID {
	tb.Helper()
	ids, err := stage.List(fs, "/s/stage")
	must(tb, err)
	return ids
}

// packBytes is the content of a stage file.
func stageBytes(tb testing.TB, fs durable.FS, id cairn.PackID) []byte {
	tb.Helper()
	b, err := durable.ReadFile(fs, stage.Name("/s/stage", id), 1<<30)
	must(tb, err)
	return b
}

// flip changes one byte of a file.
func flip(tb testing.TB, fs durable.FS, name string, off int64) {
	tb.Helper()
	f, err := fs.OpenReadWrite(name)
	must(tb, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	must(tb, err)
	b[0] ^= 0x20
	_, err = f.WriteAt(b[:], off)
	must(tb, err)
	must(tb, f.Sync())
	must(tb, f.Close())
}

// isStage says whether a durable step is about a stage file.
func isStage(s durable.Step) bool { return strings.HasSuffix(s.Name, ".stage") }

// isPackWrite says whether a step writes pack bytes of a stage of minPack, not
// its header and not the seal or intents behind them.
func isPackWrite(s durable.Step) bool {
	return isStage(s) && s.Op == durable.OpWrite && s.Off >= 4096 && s.Off < 4096+minPack
}

// packSyncs tells which syncs make pack bytes of a stage durable: those of a
// group or a data pack, not those of headers, seals and intents.
type packSyncs struct {
	mu    sync.Mutex
	dirty map[string]bool
}

func (p *packSyncs) is(s durable.Step) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty == nil {
		p.dirty = make(map[string]bool)
	}
	now := s.Op == durable.OpSync && p.dirty[s.Name]
	if isPackWrite(s) {
		p.dirty[s.Name] = true
	} else if now {
		delete(p.dirty, s.Name)
	}
	return now
}

// onPackSync is a hook that asks f before each sync of pack bytes.
func onPackSync(f func(durable.Step) error) durable.Hook {
	var p packSyncs
	return durable.Hook{Before: func(s durable.Step) error {
		if p.is(s) {
			return f(s)
		}
		return nil
	}}
}

// afterPackSync is a hook that asks f after each, which worked.
func afterPackSync(f func(durable.Step) error) durable.Hook {
	var p packSyncs
	return durable.Hook{After: func(s durable.Step, err error) error {
		if p.is(s) && err == nil {
			return f(s)
		}
		return err
	}}
}

// packsOf returns the packs that an object lies in.
func (r *rig) packsOf(key string) (ids []cairn.PackID) {
	r.tb.Helper()
	v, err := r.version(keyOf(key))
	must(r.tb, err)
	for _, p := range v.Put.Parts {
		for _, e := range p.Extents {
			if !slices.Contains(ids, e.Pack) {
				ids = append(ids, e.Pack)
			}
		}
	}
	return ids
}

func keyOf(key string) cairn.Key { return cairn.Key{Bucket: "bbb", Object: key} }

// shards lists the shards that stand, by pack.
func (r *rig) shards() map[cairn.PackID][]cairn.Location {
	found := make(map[cairn.PackID][]cairn.Location)
	for _, n := range r.nodes {
		for _, name := range n.mem.Names() {
			if s, err := layout.ParsePath(name); err == nil {
				found[s.Pack] = append(found[s.Pack], cairn.Location{Index: s.Index, Node: n.ID, Write: s.Write})
			}
		}
	}
	return found
}

// seen is a pack as the nodes tell of it.
type seen struct {
	pack.Contents
	pack.Trailer
	at []cairn.Location
}

// survey reads trailer and contents of every pack on the nodes, and fails where
// two shards of a pack tell of different sealings.
func (r *rig) survey() map[cairn.PackID]seen {
	r.tb.Helper()
	out := make(map[cairn.PackID]seen)
	for id, at := range r.shards() {
		s := seen{at: at}
		for i, l := range at {
			t, err := r.fleet.Trailer(r.tb.Context(), id, []cairn.Location{l})
			must(r.tb, err)
			if i > 0 && t.SealHash() != s.SealHash() {
				r.tb.Fatalf("pack %v stands in two sealings", id)
			}
			s.Trailer = t
		}
		sealed, err := r.fleet.Contents(r.tb.Context(), s.Params, at)
		must(r.tb, err)
		s.Contents, err = pack.OpenContents(r.key.Pack(id, s.Params.Prefix), s.Params, sealed)
		must(r.tb, err)
		out[id] = s
	}
	return out
}

// fates makes every node behave as choose says.
func (r *rig) fates(choose backendtest.Choose) {
	for _, n := range r.nodes {
		n.faulty.SetChoose(choose)
	}
}

// down switches the first n nodes off and the others on.
func (r *rig) down(n int) {
	for i, node := range r.nodes {
		node.faulty.SetDown(i < n)
	}
}

// without makes puts of shards of the packs fail.
func without(ids ...cairn.PackID) backendtest.Choose {
	return func(op, name string, _ int) backendtest.Fate {
		for _, id := range ids {
			if op == backends.OpPut && strings.Contains(name, id.String()) {
				return backendtest.Fails
			}
		}
		return backendtest.Works
	}
}

// log collects what hooks see.
type notes struct {
	mu   sync.Mutex
	seen map[string]int
}

func (n *notes) add(format string, args ...any) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = make(map[string]int)
	}
	what := fmt.Sprintf(format, args...)
	n.seen[what]++
	return n.seen[what]
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.seen))
}

func indexDir() string { return filepath.Join("/s", "index") }

// hanging are nodes that take a scatter and never end it.
type hanging struct {
	Nodes
	begun chan struct{}
}

func (h *hanging) Scatter(ctx context.Context, _ *pack.Sealed, have []cairn.Location, _ func([]cairn.Location) error) ([]cairn.Location, error) {
	h.begun <- struct{}{}
	<-ctx.Done()
	return have, cairn.ErrUnavailable
}

// uncoded are nodes for which no pack can be coded.
type uncoded struct {
	Nodes
	is atomic.Bool
}

func (u *uncoded) Coding(want string) (cairn.Coding, error) {
	if u.is.Load() {
		return cairn.Coding{}, cairn.ErrUnavailable
	}
	return u.Nodes.Coding(want)
}

// unsealed makes the nodes of the next store that is opened such that packs are
// sealed only while is is false.
func (r *rig) unsealed() *uncoded {
	u, tune := &uncoded{}, r.tune
	r.tune = func(c *Config) {
		tune(c)
		u.Nodes, c.Nodes = c.Nodes, u
	}
	return u
}
