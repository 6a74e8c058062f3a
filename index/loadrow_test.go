package index

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// everyKind are rows of every kind.
func everyKind(t testing.TB) []pack.Row {
	t.Helper()
	x := fresh(t)
	writeEveryKind(t, x)
	s, err := x.Snapshot()
	must(t, err)
	defer s.Close()
	return rowsFrom(t, s, 0)
}

func writeEveryKind(t testing.TB, x *Index) {
	t.Helper()
	must(t, x.Apply([]Change{rec(st(1, 1), pack.Life{Tag: [16]byte{1, 15: 2}}), putRec(st(1, 2), "x", "AB"), putRec(st(1, 3), "y", "A"), putRec(st(1, 4), "z", "A")}))
	must(t, x.Apply([]Change{lifeRec(2, st(1, 4)), delRec(st(2, 2), "y")}))
	must(t, x.DropTombstones(st(2, 1)))
	must(t, x.Apply([]Change{
		longRec(st(2, 3), "long"), moveRec(st(2, 4), "x", st(1, 2), "CD"), voidRec(st(2, 5), st(2, 2)), delRec(st(2, 6), "z"), moveRec(st(2, 7), "w", st(1, 9), "C"),
		rec(st(2, 8), pack.Bucket{ID: 1, Name: "cache", Created: 5, Public: true, Setting: map[string]string{"a": "b"}}),
		rec(st(2, 9), pack.BucketGone{ID: 7}),
		rec(st(2, 10), pack.Access{ID: "AK", Name: "ci", Secret: []byte("sealed"), Created: 6, Grants: []pack.Grant{{Bucket: "*", Level: 2}}}),
		rec(st(2, 11), pack.Node{ID: cairn.NodeID{3}, Name: "alice", Operator: "alice", Remote: "sftp://a@b:22/c", Credential: []byte("sealed"), State: "ok", Option: map[string]string{"c": "d"}}),
		rec(st(2, 12), pack.Setting{Name: "coding", Value: "2+1"}),
		rec(st(2, 13), pack.Unknown{Of: 99, Bytes: []byte{1, 2, 3}}),
		rec(st(2, 14), pack.Retired{Pack: packID('R')}),
		upRec(st(2, 15), 1, "up"), partRec(st(2, 16), 1, 1, "E"), partRec(st(2, 17), 1, 1, "F"), partRec(st(2, 18), 1, 2, ""),
		upRec(st(2, 19), 2, "up"), partRec(st(2, 20), 2, 1, "E"), doneRec(st(2, 21), 2, "up", "E"),
		upRec(st(2, 22), 3, "gone"), goneRec(st(2, 23), 3),
	}))
	must(t, x.SetPack(PackRow{Params: pack.Params{Store: testStore, ID: packID('A'), Epoch: 1, Prefix: [16]byte{7}, Coding: cairn.Coding{K: 2, M: 1}, Length: 4096, Contents: 4096},
		Kind: pack.Log, Bytes: 5000, Number: 3, SealHash: [32]byte{8}, First: st(1, 1), Last: st(1, 9), State: Spread,
		At: []cairn.Location{{Index: 0, Node: cairn.NodeID{3}, Write: 77}, {Index: 2, Node: cairn.NodeID{4}, Write: 78}}}))
}

// A row with any byte changed, cut or added is refused, or is another row,
// spelled as this release would.
func TestLoadIsStrict(t *testing.T) {
	all := everyKind(t)
	rng := rand.New(rand.NewPCG(1, 5))
	kinds := map[byte]int{}
	x := withExtents(t, all)
	for i, r := range all[1:] {
		kinds[r.Key[0]]++
		try := func(key, value []byte) {
			t.Helper()
			tryRow(t, x, pack.Row{Key: key, Value: value})
		}
		if err := loadRow(t, x, r); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		for _, side := range [][]byte{r.Key, r.Value} {
			step := 1 + len(side)/race.Some(200, 4)
			for at := 0; at < len(side); at += step {
				old := side[at]
				for _, b := range []byte{old ^ 1, old ^ 0x80, old + 1, 0, 0xff, byte(rng.Uint32())} {
					side[at] = b
					try(r.Key, r.Value)
				}
				side[at] = old
			}
		}
		for n := 1; n < len(r.Key); n++ {
			try(r.Key[:n], r.Value)
		}
		for n := 0; n < len(r.Value); n += 1 + len(r.Value)/200 {
			try(r.Key, r.Value[:n])
		}
		try(append(bytes.Clone(r.Key), 0), r.Value)
		try(r.Key, append(bytes.Clone(r.Value), 0))
	}
	for kind := byte(kindGeneration + 1); kind <= kindPast; kind++ {
		if kinds[kind] == 0 {
			t.Errorf("no row of kind %d was tried", kind)
		}
	}
}

// A length before a head has one spelling, its shortest.
func TestLoadRefusesLongLengths(t *testing.T) {
	all := everyKind(t)
	x := withExtents(t, all)
	tried := 0
	for _, r := range all {
		at, ok := map[byte]int{kindObject: 2 * stampSize, kindHistory: 1, kindPart: stampSize, kindPast: 0}[r.Key[0]]
		if !ok || at == len(r.Value) {
			continue // a row without a head
		}
		_, n := binary.Uvarint(r.Value[at:])
		long := slices.Insert(bytes.Clone(r.Value), at+n, 0)
		long[at+n-1] |= 0x80
		if err := loadRow(t, x, pack.Row{Key: r.Key, Value: long}); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("kind %d: %v", r.Key[0], err)
		}
		tried++
	}
	if tried < 4 {
		t.Errorf("%d rows were tried", tried)
	}
}

// withExtents is an index with nothing but the long parts of rows.
func withExtents(t testing.TB, rows []pack.Row) *Index {
	t.Helper()
	x := fresh(t)
	for _, r := range rows {
		if r.Key[0] == kindExtents {
			must(t, x.db.Set(append([]byte{tableExtents}, r.Key[1:]...), r.Value, pebble.NoSync))
		}
	}
	return x
}

// loadRow takes one row into a loader whose batch is not committed.
func loadRow(t testing.TB, x *Index, r pack.Row) error {
	t.Helper()
	l := &loader{x: x, b: x.db.NewBatch(), counts: map[uint64]Count{}}
	defer func() { _ = l.b.Close() }()
	must(t, l.add(pack.Row{Key: []byte{kindGeneration}, Value: []byte{0, 0, 0, 1}}))
	return l.add(r)
}

// tryRow checks that a row is ErrCorrupt, or that just this row comes out again.
func tryRow(t testing.TB, x *Index, r pack.Row) {
	t.Helper()
	err := loadRow(t, x, r)
	if err == nil && r.Key[0] != kindGeneration {
		err = again(r)
	}
	if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("row of kind %d, %x = %x: %v", r.Key[0], r.Key, r.Value, err)
	}
}

// again spells a row that was taken anew, from what it says.
func again(r pack.Row) error {
	var key, value []byte
	k, v := r.Key[1:], r.Value
	keep := func(prefix byte) []byte { return append([]byte{prefix}, k...) }
	switch r.Key[0] {
	case kindRegister:
		rec, err := pack.ParseRecord(v)
		if err != nil {
			return err
		}
		id, _ := registerOf(rec.Body)
		key, value = registerKey(id.family, id.id, rec.Stamp)[1:], rec.AppendTo(nil)
	case kindCarried:
		rec, err := pack.ParseRecord(v)
		if err != nil {
			return err
		}
		key, value = appendStamp(nil, rec.Stamp), rec.AppendTo(nil)
	case kindPack:
		p, err := parsePackRow(cairn.PackID(k), v)
		if err != nil {
			return err
		}
		key, value = p.Params.ID[:], p.encode()
	case kindObject:
		o, err := parsePlainKey(keep(tableLive))
		if err != nil {
			return err
		}
		f, err := parseLiveRow(nil, v)
		if err != nil {
			return err
		}
		if f.head, err = headAgain(o, f.head); err != nil {
			return err
		}
		key, value = plainKey(0, o)[1:], f.liveRow()
	case kindHistory:
		f, err := parseHistoryRow(keep(tableHistory), v)
		if err != nil {
			return err
		}
		if f.kind == put {
			if f.head, err = headAgain(objectKey{}, f.head); err != nil {
				return err
			}
		}
		key, value = k, f.historyRow()
	case kindUpload:
		b, err := parseBegan(keep(tableUpload), append([]byte{rowCounts}, v...))
		if err != nil {
			return err
		}
		key, value = uploadKey(0, b.ID, b.Stamp)[1:], pack.Record{Stamp: b.Stamp, Body: b.Upload.Upload}.AppendTo(nil)
	case kindPart:
		p, err := parsePart(keep(tablePart), v)
		if err != nil {
			return err
		}
		key, value = p.key(0)[1:], p.row()
	case kindPast:
		p, err := parsePast(keep(tablePast), v)
		if err != nil {
			return err
		}
		key, value = p.pastKey()[1:], p.pastRow()
	default: // fields of fixed size, which have no other spelling
		return nil
	}
	if !bytes.Equal(key, k) || !bytes.Equal(value, v) {
		return fmt.Errorf("kind %d has two spellings: %x = %x and %x = %x", r.Key[0], k, v, key, value)
	}
	return nil
}

func headAgain(k objectKey, head []byte) ([]byte, error) {
	p, err := decodeHead(k, head)
	return encodeHead(p), err
}

// FuzzRows: whatever bytes a row of a checkpoint has, taking it ends, with
// ErrCorrupt or with a row that has this one spelling.
func FuzzRows(f *testing.F) {
	all := everyKind(f)
	for _, r := range all {
		f.Add(r.Key, r.Value)
	}
	x := withExtents(f, all)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) > 0 && key[0] != kindGeneration {
			tryRow(t, x, pack.Row{Key: key, Value: value})
		}
	})
}

var update = flag.Bool("update", false, "write vector files that do not exist")

// vector is one row as testdata/rows.json has it.
type vector struct {
	Kind       byte
	Key, Value string // hex, the key with its kind
}

// Rows are a format: what version 1 has written stays readable, and is written
// just so. To change a row that no release has shipped yet, delete the file and
// run the test with -update.
func TestRowVectors(t *testing.T) {
	const path = "testdata/rows.json"
	rows := everyKind(t)
	var have []vector
	for _, r := range rows {
		have = append(have, vector{r.Key[0], hex.EncodeToString(r.Key), hex.EncodeToString(r.Value)})
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *update {
		if b, err = json.MarshalIndent(have, "", "  "); err == nil {
			if err = os.MkdirAll("testdata", 0o755); err == nil {
				err = os.WriteFile(path, append(b, '\n'), 0o644)
			}
		}
	}
	must(t, err)
	var want []vector
	must(t, json.Unmarshal(b, &want))
	if len(have) != len(want) {
		t.Fatalf("%d rows, want %d", len(have), len(want))
	}
	for i := range want {
		if have[i] != want[i] {
			t.Errorf("row %d is\n%+v\nwant\n%+v", i, have[i], want[i])
		}
	}
	var read []pack.Row
	for _, v := range want {
		key, err := hex.DecodeString(v.Key)
		must(t, err)
		value, err := hex.DecodeString(v.Value)
		must(t, err)
		read = append(read, pack.Row{Key: key, Value: value})
	}
	x := fresh(t)
	must(t, x.Load(fed(read)))
	v, err := x.Object(1, "x")
	must(t, err)
	if v.Stamp != st(1, 2) || names(packsOf(v.Put.Parts, nil)) != "CD" || v.Put.Meta["k"] != "x" {
		t.Errorf("x is %+v", v)
	}
	if v, err = x.Object(1, "long"); err != nil || len(v.Put.Parts[0].Extents) != 400 || v.Put.List == nil {
		t.Errorf("long is %+v, %v", v, err)
	}
	if p, err := x.UploadPart(uid(1), 1); err != nil || names(packsOf(p.Parts, nil)) != "F" {
		t.Errorf("part 1 is %+v, %v", p, err)
	}
}
