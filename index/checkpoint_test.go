package index

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// samePacks gives to the rows that from has of packs.
func samePacks(t testing.TB, from, to *Index) {
	t.Helper()
	for p, err := range from.Packs(cairn.PackID{}) {
		must(t, err)
		must(t, to.SetPack(p))
	}
}

// Whatever happens between them, the runs of a checkpoint say what the snapshot
// was, and an index filled with them is that index.
func TestRunsAreTheSnapshot(t *testing.T) {
	rounds := uint64(6)
	if long() {
		rounds = 3000
	}
	rounds = uint64(race.Some(int(rounds), 2))
	merges, loads := 0, 0
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 80))
		w := &world{t: t, rng: rng, fs: durable.NewMem(), tame: seed%2 == 0}
		h := randomHistory(rng, 30+rng.IntN(50), w.tame)
		w.x = open(t, w.fs)
		next := func() {
			if len(w.h) < len(h) {
				w.h = h[:len(w.h)+1]
				must(t, w.x.Apply(w.h[len(w.h)-1:]))
			}
		}
		for len(w.h) < len(h) {
			next()
			switch s := h[len(w.h)-1].Record.Stamp; rng.IntN(9) {
			case 0:
				id := packID("ABCQRS"[rng.IntN(6)])
				must(t, w.x.SetPack(PackRow{Params: pack.Params{ID: id, Coding: cairn.Coding{K: 2, M: 1}}, State: Spread, At: []cairn.Location{{Index: 1, Write: rng.Uint32()}}}))
			case 1:
				_ = w.x.DropPack(packID("QRS"[rng.IntN(3)])) // where it is retired
			case 2:
				if w.tame && settled(h, s) {
					w.floor = s
					must(t, w.x.DropTombstones(s))
				}
			case 3:
				w.powerLoss()
			case 4, 5:
				want, as := w.checkpoint(next)
				if want != nil && rng.IntN(3) == 0 {
					w.recover(want, as)
				}
			}
		}
		merges, loads = merges+w.merges, loads+w.loads
		must(t, w.x.Close())
	}
	if merges == 0 || loads == 0 {
		t.Errorf("%d merges, %d loads", merges, loads)
	}
}

// A row of any kind that comes or goes is in the next run.
func TestRowsOfEveryKindAreMarked(t *testing.T) {
	x := fresh(t)
	snapshot := func() *Snapshot {
		s, err := x.Snapshot()
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	must(t, x.Checkpointed(0, snapshot().Generation(), nil))
	writeEveryKind(t, x)
	s := snapshot()
	all := rowsFrom(t, s, s.Generation())
	if got, want := text(merged(all)), text(rowsFrom(t, s, 0)); got != want {
		t.Errorf("what came is\n%swant\n%s", got, want)
	}
	must(t, x.Apply([]Change{delRec(st(3, 1), "long"), delRec(st(3, 4), "y"), rec(st(3, 5), pack.Retired{Pack: packID('A')}), goneRec(st(3, 3), 1)}))
	must(t, x.DropPack(packID('A')))
	must(t, x.DropTombstones(st(9, 0)))
	must(t, x.ForgetUploads(1<<62))
	s = snapshot()
	less := rowsFrom(t, s, s.Generation())
	if got, want := text(merged(all, less)), text(rowsFrom(t, s, 0)); got != want {
		t.Errorf("what is left is\n%swant\n%s", got, want)
	}
	for kind := byte(kindVoid); kind <= kindPast; kind++ {
		gone := func(r pack.Row) bool { return r.Key[0] == kind && r.Gone }
		if kind != kindCarried && !slices.ContainsFunc(less, gone) {
			t.Errorf("no row of kind %d went", kind)
		}
	}
}

// An index of the release before marks is taken as it is: all of it changed
// before any generation that can be asked for.
func TestIndexWithoutMarksBeginsWithAFullRun(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "y", "A")}))
	must(t, x.db.DeleteRange([]byte{tableMark}, []byte{tableMark + 1}, pebble.NoSync))
	must(t, x.db.Set([]byte(identityKey), append([]byte{unmarkedVersion}, testStore[:]...), pebble.NoSync))
	x.flow.wrote(1)
	must(t, x.Close())

	x = open(t, fs)
	if b, _, err := get(open(t, fs.Crash(0, 1)).db, []byte(identityKey)); err != nil || b[0] != rowsVersion {
		t.Errorf("the version is %d on disk, %v: a release without marks may write again", b[0], err)
	}
	must(t, x.Apply([]Change{putRec(st(1, 4), "y", "B")}))
	s, err := x.Snapshot()
	must(t, err)
	defer s.Close()
	for from := range s.Generation() {
		if _, err := s.Count(from + 1); !isPrecondition(err) {
			t.Errorf("Count(%d): %v", from+1, err)
		}
		for _, err := range s.Rows(from + 1) {
			if !isPrecondition(err) {
				t.Errorf("Rows(%d): %v", from+1, err)
			}
		}
	}
	full := rowsFrom(t, s, 0)
	must(t, x.Checkpointed(0, s.Generation(), nil))
	if n := rows(t, x, tableMark); n != 0 {
		t.Errorf("%d marks are left after a full run", n)
	}
	must(t, x.Apply([]Change{delRec(st(1, 5), "x")}))
	s2, err := x.Snapshot()
	must(t, err)
	defer s2.Close()
	run := rowsFrom(t, s2, s.Generation()+1)
	want := "1 \"\" = 00000002 false\n" +
		"3 \"\\x00\\x00\\x00\\x01\" = 0000000000000005 false\n" +
		"11 \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01x\" =  true\n" +
		"12 \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01x\" = 00000001000000000000000501 false\n"
	if got := text(run[:4]); got != want || len(run) != 5 || run[4].Key[0] != kindHistory {
		t.Errorf("after a delete\n%swant\n%sand what was deleted", text(run), want)
	}
	y := fresh(t)
	must(t, y.Load(fed(merged(full, run))))
	if got, want := told(t, y), told(t, x); got != want {
		t.Errorf("loaded\n%swant\n%s", got, want)
	}
}

// rowsFrom are the rows of s, which must rise.
func rowsFrom(t testing.TB, s *Snapshot, from uint32) (rows []pack.Row) {
	t.Helper()
	var last []byte
	for r, err := range s.Rows(from) {
		must(t, err)
		if bytes.Compare(r.Key, last) <= 0 || r.Gone && (from == 0 || len(r.Value) > 0) {
			t.Fatalf("row %x behind %x, gone = %v", r.Key, last, r.Gone)
		}
		last = bytes.Clone(r.Key)
		rows = append(rows, pack.Row{Key: last, Value: bytes.Clone(r.Value), Gone: r.Gone})
	}
	return rows
}

// merged is what runs, oldest first, say together.
func merged(runs ...[]pack.Row) []pack.Row {
	all := map[string]pack.Row{}
	for _, run := range runs {
		for _, r := range run {
			all[string(r.Key)] = r
		}
	}
	var rows []pack.Row
	for _, r := range all {
		if !r.Gone {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b pack.Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}

// fed are rows as a merge of runs hands them over: in memory that the next one
// overwrites.
func fed(rows []pack.Row) iter.Seq2[pack.Row, error] {
	return func(yield func(pack.Row, error) bool) {
		var key, value []byte
		for _, r := range rows {
			key, value = append(key[:0], r.Key...), append(value[:0], r.Value...)
			if !yield(pack.Row{Key: key, Value: value, Gone: r.Gone}, nil) {
				return
			}
		}
	}
}

func text(rows []pack.Row) string {
	var b bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&b, "%d %q = %x %v\n", r.Key[0], r.Key[1:], r.Value, r.Gone)
	}
	return b.String()
}

// state is every row but marks and what says how far they go, and but for which
// uploads there may be something to forget.
func state(t testing.TB, x *Index) string {
	t.Helper()
	b := dump(t, x, tableApplied, tableLife, tableVoid, tableLive, tableShadow, tableHistory, tableExtents, tableRef,
		tablePack, tableRetired, tableRegister, tableCarried, tableTotals, tableUpload, tableEnd, tablePart, tablePast, tableListed)
	floor, _, err := get(x.db, []byte(floorKey))
	must(t, err)
	return b + fmt.Sprintf("floor %x\n", floor)
}

// told is all that can be asked of x.
func told(t testing.TB, x *Index) string {
	t.Helper()
	var b bytes.Buffer
	for p, err := range x.Packs(cairn.PackID{}) {
		must(t, err)
		fmt.Fprintf(&b, "%+v\n", p)
	}
	fmt.Fprintf(&b, "%v\n%v\n", x.Lives(), x.Applied())
	return observe(t, x) + registers(t, x) + b.String()
}
