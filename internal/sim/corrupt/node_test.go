package corrupt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
)

// nodeBench harms files on nodes under a gateway that runs, whose fleet begins
// anew with each case, as after a restart: no tail or block is remembered.
type nodeBench struct {
	*worlds
	w     *world
	boxes boxes
	swap  *swapped
	st    *store.Store
	packs []spreadPack
	many  bool // several files at once

	harmed map[string]int          // node by name of a file that a case changed
	in     map[cairn.PackID]*world // the part of w that lies in a pack
}

// spreadPack is one pack of which all shards stand.
type spreadPack struct {
	pack.Params
	at    []cairn.Location
	bytes []byte // of all data shards
}

func openNodes(t *testing.T, w *worlds) bench {
	return newNodeBench(t, w, false)
}

func openSeveral(t *testing.T, w *worlds) bench {
	return newNodeBench(t, w, true)
}

func newNodeBench(t *testing.T, ws *worlds, many bool) *nodeBench {
	t.Helper()
	b := &nodeBench{worlds: ws, w: ws.spread(), boxes: newBoxes(ws.spread().boxes), many: many, harmed: make(map[string]int), in: make(map[cairn.PackID]*world)}
	b.packs = spreadPacks(t, ws.house, b.boxes)
	fl := b.newFleet(t)
	t.Cleanup(func() { must(t, fl.Close()) })
	b.swap = &swapped{Nodes: fl}
	b.swap.now.Store(fl)
	st, err := store.Open(t.Context(), b.config(b.w.copyOf(), b.swap))
	must(t, err)
	t.Cleanup(func() { must(t, st.Close(t.Context())) })
	b.st = st
	if r := readAll(t.Context(), st, b.w); !r.fine() {
		t.Fatal("before any change: ", r.wrong, r.say())
	}
	for key, vs := range b.w.keys {
		_, places, err := st.Locate(t.Context(), keyOf(key))
		if vs[len(vs)-1].gone {
			continue
		}
		must(t, err)
		for _, p := range places {
			if b.in[p.Pack] == nil {
				b.in[p.Pack] = &world{keys: make(map[string][]version)}
			}
			b.in[p.Pack].keys[key] = vs
		}
	}
	return b
}

func (b *nodeBench) newFleet(t *testing.T) *fleet.Fleet { return newFleet(t, b.house, b.boxes) }

func newFleet(t *testing.T, h house, b boxes) *fleet.Fleet {
	t.Helper()
	ca, err := cache.New(cache.Config{MemoryBytes: 4 << 20})
	must(t, err)
	fl, err := h.fleet(t.Context(), &reach{boxes: b}, ca)
	must(t, err)
	must(t, fl.SetNodes(t.Context(), nodes()))
	return fl
}

// spreadPacks finds the packs on the nodes, in order.
func spreadPacks(t *testing.T, h house, b boxes) (all []spreadPack) {
	t.Helper()
	fl := newFleet(t, h, b)
	defer fl.Close()
	found, err := fl.Survey(t.Context())
	must(t, err)
	for _, id := range slices.SortedFunc(maps.Keys(found), func(a, b cairn.PackID) int { return bytes.Compare(a[:], b[:]) }) {
		at := found[id]
		slices.SortFunc(at, func(a, b cairn.Location) int { return cmp.Compare(a.Index, b.Index) })
		tr, err := fl.Trailer(t.Context(), id, at)
		must(t, err)
		p := spreadPack{Params: tr.Params, at: at, bytes: make([]byte, uint64(tr.Coding.K)*tr.Length)}
		must(t, fl.Read(t.Context(), p.Params, at, 0, p.bytes, 0))
		all = append(all, p)
	}
	if len(all) < 4 {
		t.Fatalf("only %d packs", len(all))
	}
	return all
}

// shardSpans are the byte classes of a shard file.
func shardSpans(p pack.Params) []span {
	tail := int(p.TailOffset())
	at := tail + 32*pack.Blocks(p.Length)
	spans := []span{{"block", 0, int(p.Length)}, {"contents", int(p.Length), tail}, {"block hash", tail, at}}
	for _, f := range []struct {
		class string
		n     int
	}{{"trailer magic", 8}, {"trailer version", 2}, {"trailer k", 1}, {"trailer n", 1}, {"trailer epoch", 4}, {"trailer store", 16}, {"trailer id", 16},
		{"trailer nonce", 16}, {"trailer length", 8}, {"trailer contents length", 4}, {"trailer block size", 4}, {"trailer contents hash", 32},
		{"trailer signer", 32}, {"trailer roots", 32 * p.Coding.N()}, {"trailer signature", 64}, {"trailer index", 1}, {"trailer zeros", 3},
		{"trailer size", 4}, {"trailer end", 8}} {
		spans = append(spans, span{f.class, at, at + f.n})
		at += f.n
	}
	if int64(at) != p.FileSize() {
		panic(fmt.Sprintf("classes end at %d of %d", at, p.FileSize()))
	}
	return spans
}

func (b *nodeBench) do(t *testing.T, r *rand.Rand) outcome {
	defer b.mend()
	switch n := r.IntN(20); {
	case b.many:
		return b.several(t, r)
	case n == 0:
		return b.marker(t, r)
	case n == 1:
		return b.keyFile(r)
	}
	return b.shard(t, r)
}

// mend puts back every file.
func (b *nodeBench) mend() {
	for name, i := range b.harmed {
		b.boxes[i].SetBytes(name, b.w.boxes[i][name])
	}
	clear(b.harmed)
}

// set gives a file on node i other bytes.
func (b *nodeBench) set(i int, name string, data []byte) {
	b.harmed[name] = i
	b.boxes[i].SetBytes(name, data)
}

// harm changes the shard of p at l.
func (b *nodeBench) harm(r *rand.Rand, p spreadPack, l cairn.Location) (before []byte, c changed, where string) {
	i := int(l.Node[0] - 1)
	name := layout.Path(l.Name(p.ID))
	before = b.w.boxes[i][name]
	q := b.packs[r.IntN(len(b.packs))] // another pack's, or another of this one
	o := q.at[r.IntN(len(q.at))]
	other := b.w.boxes[o.Node[0]-1][layout.Path(o.Name(q.ID))]
	c = alter(r, before, pick(r, shardSpans(p.Params)), [][]byte{other})
	b.set(i, name, c.data)
	return before, c, fmt.Sprintf("%s on n%d: %s", name, i, c.how)
}

// shard harms one shard. Its tail must no longer count where it is not what was
// written, its contents and blocks neither, and all objects must be exact.
func (b *nodeBench) shard(t *testing.T, r *rand.Rand) (o outcome) {
	p := b.packs[r.IntN(len(b.packs))]
	l := p.at[r.IntN(len(p.at))]
	before, c, where := b.harm(r, p, l)
	o.class, o.what, o.result = c.class, where, exact
	tailBad := !same(before, c.data, int(p.TailOffset()), int(p.FileSize()))
	contentsBad := !same(before, c.data, int(p.Length), int(p.TailOffset()))
	blockBad := !same(before, c.data, 0, int(p.Length))
	needed := int(l.Index) < p.Coding.K && (blockBad || tailBad)
	if needed || tailBad || contentsBad {
		o.result = noticed
	}
	fl := b.newFleet(t)
	defer func() { o.err = errors.Join(o.err, fl.Close()) }()
	if o.err = b.readPack(t, fl, p, l, needed); o.err != nil {
		return o
	}
	if o.err = b.readThrough(t, fl, b.in[p.ID]); o.err != nil {
		return o
	}
	if stands := fl.Verify(t.Context(), p.Params, []cairn.Location{l}); len(stands) == 1 == tailBad {
		o.err = fmt.Errorf("the tail is bad: %v, and verifies: %v", tailBad, len(stands) == 1)
		return o
	}
	_, err := fl.Contents(t.Context(), p.Params, []cairn.Location{l})
	if bad := tailBad || contentsBad; err == nil == bad || err != nil && !known(err) {
		o.err = fmt.Errorf("the contents are bad: %v, and reading them says %v", bad, err)
		return o
	}
	if r.IntN(16) == 0 {
		o.err = b.readWith(t)
	}
	return o
}

// readPack reads the whole pack through fl: exact, and where the harmed bytes
// were needed the node's bad reply is counted. Where another node was faster
// the bad reply was not waited for, so more tries are made.
func (b *nodeBench) readPack(t *testing.T, fl *fleet.Fleet, p spreadPack, l cairn.Location, needed bool) error {
	for try := range 20 {
		if try > 0 {
			fl = b.newFleet(t)
			defer fl.Close()
		}
		got := make([]byte, len(p.bytes))
		switch err := fl.Read(t.Context(), p.Params, p.at, 0, got, 0); {
		case err != nil:
			return fmt.Errorf("the pack with one bad shard: %w", err)
		case !bytes.Equal(got, p.bytes):
			return fmt.Errorf("the pack with one bad shard: %w", errWrong)
		case !needed || wrongOf(fl, l.Node) > 0:
			return nil
		}
	}
	return fmt.Errorf("wrong bytes of node %v were needed and not noticed", l.Node)
}

func wrongOf(fl *fleet.Fleet, id cairn.NodeID) int {
	all, _ := fl.Status()
	for _, n := range all {
		if n.ID == id {
			return n.Wrong
		}
	}
	return 0
}

// readThrough reads the objects of w through fl.
func (b *nodeBench) readThrough(t *testing.T, fl *fleet.Fleet, w *world) error {
	if w == nil {
		return nil // nothing lies there any more
	}
	b.swap.now.Store(fl)
	r := readObjects(t.Context(), b.st, w)
	return errors.Join(r.wrong, r.say())
}

// readWith reads every object through a fleet that knows nothing yet.
func (b *nodeBench) readWith(t *testing.T) error {
	fl := b.newFleet(t)
	return errors.Join(b.readThrough(t, fl, b.w), fl.Close())
}
