package index

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// longRec is a put whose parts stand in rows of their own.
func longRec(s cairn.Stamp, key string) Change {
	p := pack.Part{Size: 400 * frame}
	for i := range 400 {
		p.Extents = append(p.Extents, pack.Extent{Pack: packID('E' + byte(i%2)), Offset: uint32(i * 70000), Length: frame})
	}
	list := &pack.Part{Size: 9, Extents: []pack.Extent{{Pack: packID('G'), Length: 9}}}
	return Change{Parts: []pack.Part{p}, Record: pack.Record{Stamp: s, Body: pack.Put{Bucket: 1, Key: key, Size: p.Size, Modified: s.LSN, ETag: "e" + s.String(), List: list}}}
}

// randomHistory is of records of every kind.
func randomHistory(rng *rand.Rand, n int, tame bool) []Change {
	h := randomUploads(rng, n, tame)
	for i, c := range h {
		s := c.Record.Stamp
		switch b := c.Record.Body.(type) {
		case pack.Put:
			switch n := byte(rng.IntN(3)); rng.IntN(12) {
			case 0, 1:
				h[i] = longRec(s, b.Key)
			case 2:
				h[i] = rec(s, pack.Bucket{ID: uint64(n), Name: fmt.Sprintf("b%d", n), Created: s.LSN, Setting: map[string]string{"a": "b"}})
			case 3:
				h[i] = rec(s, pack.BucketGone{ID: uint64(n)})
			case 4:
				h[i] = rec(s, pack.Access{ID: fmt.Sprintf("AK%d", n), Secret: []byte("sealed"), Grants: []pack.Grant{{Bucket: "*", Level: 1}}})
			case 5:
				h[i] = rec(s, pack.Node{ID: cairn.NodeID{n}, Name: fmt.Sprintf("n%d", n), Credential: []byte("sealed")})
			case 6:
				h[i] = rec(s, pack.Setting{Name: "coding", Value: fmt.Sprintf("%d+1", 1+n)})
			case 7:
				h[i] = rec(s, pack.Unknown{Of: 99, Bytes: []byte{n}})
			case 8:
				h[i] = rec(s, pack.Retired{Pack: packID('Q' + n)})
			}
		case pack.Delete:
			for _, o := range slices.Backward(h[:i]) {
				if p, ok := o.Record.Body.(pack.Put); ok && p.Key == b.Key && p.List == nil && rng.IntN(2) == 0 {
					h[i] = moveRec(s, b.Key, o.Record.Stamp, "HHHHHHHH"[:p.Size/frame])
					break
				}
			}
		}
	}
	return h
}

// run is a run that stands on the nodes.
type run struct {
	from, to uint32
	rows     []pack.Row
}

// world is a store with checkpoints. Its runs are kept by number; which of them
// are the checkpoint, the index says.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *durable.Mem
	x    *Index
	h    []Change // written so far
	runs []run
	tame bool

	floor  cairn.Stamp
	merges int // of a suffix of the runs
	loads  int
}

func (w *world) base() (ids []uint32) {
	b, err := w.x.Base()
	must(w.t, err)
	for ; len(b) > 0; b = b[4:] {
		ids = append(ids, binary.BigEndian.Uint32(b))
	}
	return ids
}

func (w *world) checkpointOf(ids []uint32) []pack.Row {
	var runs [][]pack.Row
	for _, id := range ids {
		runs = append(runs, w.runs[id].rows)
	}
	return merged(runs...)
}

// powerLoss takes what is not flushed away; the log brings its records back.
func (w *world) powerLoss() {
	if w.rng.IntN(2) == 0 {
		must(w.t, w.x.Flush())
	}
	fs := w.fs.Crash([]int{0, 50, 100}[w.rng.IntN(3)], w.rng.Uint64())
	must(w.t, w.x.Close())
	w.fs, w.x = fs, open(w.t, fs)
	for _, c := range w.h {
		must(w.t, w.x.Apply([]Change{c}))
	}
}

// checkpoint writes a run as a store does: of what changed, and of a suffix of
// the runs before it while those are not much longer. It is read while the
// index goes on, and power may go at any moment. It returns the rows and state
// that the checkpoint must have, nil when it did not come to stand.
func (w *world) checkpoint(meanwhile func()) ([]pack.Row, string) {
	t := w.t
	s, err := w.x.Snapshot()
	must(t, err)
	defer func() { must(t, s.Close()) }()
	want, as := rowsFrom(t, s, 0), state(t, w.x)
	if n, err := s.Count(0); err != nil || n != uint64(len(want)) {
		t.Fatalf("Count(0) = %d, %v of %d rows", n, err, len(want))
	}
	meanwhile()
	ids, to := w.base(), s.Generation()
	from := uint32(0)
	if len(ids) > 0 {
		from = w.runs[ids[len(ids)-1]].to + 1
		n, err := s.Count(from)
		must(t, err)
		for len(ids) > 0 && from > 0 {
			last := w.runs[ids[len(ids)-1]]
			if uint64(len(last.rows)) >= 2*n {
				break
			}
			ids, from = ids[:len(ids)-1], last.from
			more, err := s.Count(from)
			if err != nil {
				from, ids = 0, nil // it was loaded
				break
			}
			n = more
			w.merges++
		}
	}
	rows := rowsFrom(t, s, from)
	if from > 0 {
		if n, err := s.Count(from); err != nil || n != uint64(len(rows)-1) {
			t.Fatalf("Count(%d) = %d, %v of %d rows", from, n, err, len(rows))
		}
	}
	w.runs = append(w.runs, run{from, to, rows})
	ids = append(ids, uint32(len(w.runs)-1))
	if got := text(w.checkpointOf(ids)); got != text(want) {
		t.Fatalf("runs from %d of generation %d say\n%swant\n%s", from, to, got, text(want))
	}
	if w.rng.IntN(6) == 0 {
		w.powerLoss() // the run stands, and nothing knows it
		return nil, ""
	}
	var base []byte
	for _, id := range ids {
		base = binary.BigEndian.AppendUint32(base, id)
	}
	must(t, w.x.Checkpointed(from, to, base))
	if w.rng.IntN(6) == 0 {
		w.powerLoss()
	}
	return want, as
}

// recover loses the gateway, and goes on with what the checkpoint and the log
// give.
func (w *world) recover(want []pack.Row, as string) {
	t := w.t
	fs := durable.NewMem()
	y := open(t, fs)
	must(t, y.Load(fed(want)))
	if got := state(t, y); got != as {
		t.Fatalf("loaded\n%swant\n%s", got, as)
	}
	loaded := told(t, y)
	must(t, y.Close())
	if y = open(t, fs); told(t, y) != loaded {
		t.Fatalf("loaded and opened anew\n%swas\n%s", told(t, y), loaded)
	}
	s, err := y.Snapshot()
	must(t, err)
	if got := text(rowsFrom(t, s, 0)[1:]); got != text(want[1:]) {
		t.Fatalf("a snapshot of what was loaded\n%swant\n%s", got, text(want))
	}
	to := s.Generation() - 1 // of the checkpoint
	if n, err := s.Count(to + 1); err != nil || n != 0 {
		t.Fatalf("%d rows have changed in what was loaded, %v", n, err)
	}
	if _, err := s.Count(to); !isPrecondition(err) {
		t.Fatalf("what changed in generation %d, which was loaded: %v", to, err)
	}
	must(t, s.Close())
	for range 2 { // again is once
		for _, i := range w.rng.Perm(len(w.h)) {
			must(t, y.Apply([]Change{w.h[i]}))
		}
	}
	samePacks(t, w.x, y) // no record makes a pack's row, so power loss takes some
	samePacks(t, y, w.x)
	if w.tame {
		must(t, w.x.DropTombstones(w.floor))
		must(t, y.DropTombstones(w.floor))
	}
	if got, want := told(t, y), told(t, w.x); got != want {
		t.Fatalf("loaded, and the log again\n%swant\n%s", got, want)
	}
	id := uint32(slices.IndexFunc(w.runs, func(r run) bool { return r.from == 0 && r.to == to && text(r.rows) == text(want) }))
	if int32(id) < 0 {
		w.runs = append(w.runs, run{0, to, want})
		id = uint32(len(w.runs) - 1)
	}
	must(t, y.Checkpointed(0, to, binary.BigEndian.AppendUint32(nil, id)))
	must(t, w.x.Close())
	w.fs, w.x = fs, y
	w.loads++
}
