package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// rootFile is a keeper of roots that stand at once, or not at all.
type rootFile struct {
	mu     sync.Mutex
	roots  []pack.RootBody // oldest first; guarded by mu
	fails  error           // guarded by mu
	keep   int             // how many are kept, 0 for eight; guarded by mu
	hold   int             // 1 + how many every node has, 0 for all; guarded by mu
	before func()          // called before each, without mu
}

func (f *rootFile) Root(ctx context.Context, change func(*pack.RootBody)) error {
	if f.before != nil {
		f.before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		return f.fails
	}
	var b pack.RootBody
	if n := len(f.roots); n > 0 {
		b = f.roots[n-1]
	}
	change(&b)
	f.roots = append(f.roots, b)
	return nil
}

func (f *rootFile) Body() (pack.RootBody, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.roots) == 0 {
		return pack.RootBody{}, false
	}
	return f.roots[len(f.roots)-1], true
}

func (f *rootFile) Older() (out []pack.RootBody) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keep := 8
	if f.keep > 0 {
		keep = f.keep
	}
	for n := len(f.roots) - 2; n >= max(0, len(f.roots)-keep); n-- {
		out = append(out, f.roots[n])
	}
	return out
}

// Everywhere has every root everywhere, but for those after the hold.
func (f *rootFile) Everywhere() (uint64, pack.CutOff) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.roots)
	if f.hold > 0 {
		n = min(n, f.hold-1)
	}
	if n == 0 {
		return 0, pack.CutOff{}
	}
	return uint64(n), f.roots[n-1].CutOff
}

// Kept keeps the newest eight, or f.keep.
func (f *rootFile) Kept() (low uint64, packs map[cairn.PackID]bool, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keep := 8
	if f.keep > 0 {
		keep = f.keep
	}
	packs = make(map[cairn.PackID]bool)
	roots := f.roots[max(0, len(f.roots)-keep):]
	for i, b := range roots {
		if i == 0 || b.CutOff.Number < low {
			low = b.CutOff.Number
		}
		for _, run := range b.Runs {
			for _, e := range run.Part.Extents {
				packs[e.Pack] = true
			}
		}
	}
	return low, packs, len(roots) > 0
}

func (f *rootFile) set(keep, hold int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep, f.hold = keep, hold
}

func (f *rootFile) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = err
}

func (f *rootFile) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.roots)
}

// rooted is a tune with a keeper of roots; checkpoints come when asked for.
func rooted(coding string) (func(*Config), *rootFile) {
	f := &rootFile{}
	return func(c *Config) {
		c.Coding, c.PackSize, c.Roots, c.CheckpointEvery = coding, minPack, f, 1000*checkpointRetry
	}, f
}

// base is what the newest root tells a recovery.
func (r *rig) base(f *rootFile) Base {
	r.tb.Helper()
	var out Base
	b, _ := f.Body()
	out.CutOff, out.Runs, out.Life = b.CutOff, b.Runs, b.Life
	for _, n := range r.nodes {
		out.Nodes = append(out.Nodes, n.Node)
	}
	return out
}

// burn loses the gateway: its disk is gone, the nodes stay.
func (r *rig) burn() {
	r.tb.Helper()
	r.shut()
	r.disk = durable.NewMem()
	r.fs = r.disk
}

// bare calls f with the configuration of a store that is not open, over a fleet.
func (r *rig) bare(f func(Config)) {
	r.tb.Helper()
	ca, err := cache.New(cache.Config{MemoryBytes: 32 << 20})
	must(r.tb, err)
	r.fleet, err = fleet.New(r.tb.Context(), fleet.Config{Store: r.id, Cache: ca, Trust: pack.Trust(crypt.TrustKeys(r.id, r.gate.Sign().Public())),
		Open: func(_ context.Context, n pack.Node) (backends.Remote, error) {
			for _, o := range r.nodes {
				if o.ID == n.ID {
					return o.faulty, nil
				}
			}
			return nil, cairn.ErrUnavailable
		}})
	must(r.tb, err)
	defer func() { must(r.tb, r.fleet.Close()) }()
	f(r.config())
}

// tryRecover recovers into the rig's directory and leaves the store closed.
func (r *rig) tryRecover(b Base) (out Recovered, err error) {
	r.tb.Helper()
	r.bare(func(c Config) { out, err = Recover(r.tb.Context(), c, b) })
	return out, err
}

// recover recovers and opens the store.
func (r *rig) recover(b Base) Recovered {
	r.tb.Helper()
	out, err := r.tryRecover(b)
	must(r.tb, err)
	r.open()
	return out
}

// state is everything that a client can see of a store, and what it goes by.
type state struct {
	objects  map[string]index.Version
	buckets  []pack.Bucket
	accesses []pack.Access
	nodes    []pack.Node
	coding   string
	uploads  map[string]PartList
	totals   index.Totals
}

func (r *rig) state() (out state) {
	r.tb.Helper()
	var err error
	out.buckets, err = r.idx.Buckets()
	must(r.tb, err)
	out.accesses, err = r.idx.Accesses()
	must(r.tb, err)
	out.nodes, err = r.idx.Nodes()
	must(r.tb, err)
	out.coding, out.totals = r.Coding(), r.idx.Totals()
	out.objects, out.uploads = make(map[string]index.Version), make(map[string]PartList)
	for _, b := range out.buckets {
		for after := ""; ; {
			l, err := r.List(r.tb.Context(), ListRequest{Bucket: b.Name, After: after, Max: 1000})
			must(r.tb, err)
			for _, o := range l.Objects {
				v, err := r.version(o.Key)
				must(r.tb, err)
				out.objects[b.Name+"/"+o.Key.Object] = v
			}
			if after = l.Next; !l.More {
				break
			}
		}
		page, err := r.Uploads(r.tb.Context(), UploadsRequest{Bucket: b.Name, Max: 1000})
		must(r.tb, err)
		for _, u := range page.Uploads {
			out.uploads[u.ID], err = r.Parts(r.tb.Context(), u.Key, u.ID, 0, 1000)
			must(r.tb, err)
		}
	}
	return out
}

// wantState fails unless the store is as it was.
func (r *rig) wantState(what string, was state) {
	r.tb.Helper()
	now := r.state()
	if reflect.DeepEqual(now, was) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(was.objects)) {
		if n, ok := now.objects[key]; !ok || !reflect.DeepEqual(n, was.objects[key]) {
			r.tb.Errorf("%s: %s was %+v and is %+v", what, key, was.objects[key], n)
			break
		}
	}
	for key := range now.objects {
		if _, ok := was.objects[key]; !ok {
			r.tb.Errorf("%s: %s came back", what, key)
		}
	}
	was.objects, now.objects = nil, nil
	if !reflect.DeepEqual(now, was) {
		r.tb.Errorf("%s: was %+v and is %+v", what, was, now)
	}
	r.tb.FailNow()
}

// checkpoint makes one now.
func (r *rig) checkpoint() Checkpointed {
	r.tb.Helper()
	out, err := r.Checkpoint(r.tb.Context())
	must(r.tb, err)
	return out
}

// lose removes every shard of a pack from the nodes but the first keep.
func (r *rig) lose(id cairn.PackID, keep int) {
	r.tb.Helper()
	for _, n := range r.nodes {
		for _, name := range n.mem.Names() {
			if s, err := layout.ParsePath(name); err == nil && s.Pack == id {
				if keep--; keep < 0 {
					must(r.tb, n.mem.Delete(r.tb.Context(), name))
				}
			}
		}
	}
}

// rot changes the contents of a pack in its shards on these nodes.
func (r *rig) rot(id cairn.PackID, nodes ...*rigNode) {
	r.tb.Helper()
	row, err := r.Pack(id)
	must(r.tb, err)
	for _, l := range row.At {
		for _, n := range nodes {
			if n.ID == l.Node {
				name := layout.Path(l.Name(id))
				b, _ := n.mem.Bytes(name)
				b = bytes.Clone(b)
				b[row.Params.Length] ^= 1
				n.mem.SetBytes(name, b)
			}
		}
	}
}

// logPack returns the id of a log pack.
func (r *rig) logPack(number uint64) cairn.PackID {
	r.tb.Helper()
	for id, s := range r.survey() {
		if s.Kind == pack.Log && s.Number == number {
			return id
		}
	}
	r.tb.Fatalf("no log pack %d stands", number)
	return cairn.PackID{}
}

var errKeeper = errors.Join(errors.New("too few nodes took the root"), cairn.ErrUnavailable)
