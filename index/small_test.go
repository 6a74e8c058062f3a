package index

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func contains(err error, s string) bool { return err != nil && strings.Contains(err.Error(), s) }

// registers tells what the small state is.
func registers(t testing.TB, x *Index) string {
	t.Helper()
	var b strings.Builder
	buckets, err := x.Buckets()
	must(t, err)
	for _, v := range buckets {
		fmt.Fprintf(&b, "%+v\n", v)
		if got, err := x.BucketByName(v.Name); err != nil || got.ID != v.ID {
			t.Fatalf("BucketByName(%q) = %+v, %v", v.Name, got, err)
		}
	}
	accesses, err := x.Accesses()
	must(t, err)
	nodes, err := x.Nodes()
	must(t, err)
	v, ok, err := x.Setting("coding")
	must(t, err)
	fmt.Fprintf(&b, "%v\n%v\n%q %v\n", accesses, nodes, v, ok)
	for r, err := range x.Carried() {
		must(t, err)
		fmt.Fprintf(&b, "carried %v %+v\n", r.Stamp, r.Body)
	}
	return b.String()
}

func TestRegistersHighestStampWins(t *testing.T) {
	node := cairn.NodeID{1}
	h := []Change{
		rec(st(1, 1), pack.Life{Tag: [16]byte{1}}),
		rec(st(1, 2), pack.Bucket{ID: 2, Name: "cache", Created: 5}),
		rec(st(1, 3), pack.Bucket{ID: 2, Name: "cache", Created: 5, Public: true, Setting: map[string]string{"a": "b"}}),
		rec(st(1, 4), pack.Bucket{ID: 4, Name: "other"}),
		rec(st(1, 5), pack.BucketGone{ID: 4}),
		rec(st(1, 6), pack.Bucket{ID: 6, Name: "other", Created: 7}), // made again, another bucket
		rec(st(1, 7), pack.Access{ID: "AK", Secret: []byte("sealed"), Grants: []pack.Grant{{Bucket: "*", Level: 2}}}),
		rec(st(1, 8), pack.Access{ID: "AL"}),
		rec(st(1, 9), pack.AccessGone{ID: "AL"}),
		rec(st(1, 10), pack.Node{ID: node, Name: "alice", State: "ok"}),
		rec(st(1, 11), pack.Node{ID: node, Name: "alice", State: "draining"}),
		rec(st(1, 12), pack.Node{ID: cairn.NodeID{2}, Name: "bob"}),
		rec(st(1, 13), pack.NodeGone{ID: cairn.NodeID{2}}),
		rec(st(1, 14), pack.Setting{Name: "coding", Value: "4+3"}),
		rec(st(1, 15), pack.Setting{Name: "coding", Value: "1+0"}),
		voidRec(st(1, 16), st(1, 15)),
		rec(st(1, 17), pack.Unknown{Of: 99, Bytes: []byte{1, 2}}),
		rec(st(1, 18), pack.NodeGone{ID: node}), // torn: the next life ends this one at 17
		rec(st(2, 1), pack.Life{Tag: [16]byte{2}, Last: st(1, 17)}),
	}
	want := `{ID:2 Name:cache Created:5 Public:true Setting:map[a:b]}
{ID:6 Name:other Created:7 Public:false Setting:map[]}
[{AK  [115 101 97 108 101 100] 0 [{* 2}]}]
[{01000000000000000000000000000000 alice     [] 0 draining 0 map[]}]
"4+3" true
carried 1.17 {Of:99 Critical:false Bytes:[1 2]}
`
	rng := rand.New(rand.NewPCG(1, 1))
	for range 6 {
		fs := durable.NewMem()
		x := open(t, fs)
		for _, i := range rng.Perm(len(h)) {
			must(t, x.Apply([]Change{h[i], h[rng.IntN(len(h))]}))
		}
		must(t, x.Apply(h))
		if got := registers(t, x); got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
		must(t, x.Close())
		x = open(t, fs)
		if got := registers(t, x); got != want {
			t.Fatalf("opened anew\n%swant\n%s", got, want)
		}
		must(t, x.DropTombstones(st(2, 9)))
		must(t, x.Apply(h))
		if got := registers(t, x); got != want {
			t.Fatalf("tombstones dropped\n%swant\n%s", got, want)
		}
		if n := rows(t, x, tableRegister); n != 5 {
			t.Fatalf("%d register rows left, want those of 5 registers", n)
		}
		must(t, x.Close())
	}
}

func TestBucketNamesAreUniqueByHighestStamp(t *testing.T) {
	x := fresh(t)
	// The removal of bucket 2 has not been replayed yet.
	must(t, x.Apply([]Change{rec(st(1, 6), pack.Bucket{ID: 6, Name: "n"}), rec(st(1, 2), pack.Bucket{ID: 2, Name: "n"})}))
	if b, err := x.BucketByName("n"); err != nil || b.ID != 6 {
		t.Errorf("%+v, %v", b, err)
	}
	if all, err := x.Buckets(); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if b, err := x.Bucket(2); err != nil || b.Name != "n" {
		t.Errorf("%+v, %v", b, err)
	}
	for _, err := range []error{
		second(x.BucketByName("m")), second(x.Bucket(3)), second(x.Access("secret-id")), second(x.Node(cairn.NodeID{})), second(x.Object(1, "private")), second(x.Pack(packID('A'))),
	} {
		if !errors.Is(err, cairn.ErrNotExist) || contains(err, "secret-id") || contains(err, "private") {
			t.Errorf("error is %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestBucketEmpty(t *testing.T) {
	x := fresh(t)
	empty := func(want bool) {
		t.Helper()
		if is, err := x.BucketEmpty(1); err != nil || is != want {
			t.Errorf("empty = %v, %v", is, err)
		}
	}
	must(t, x.Apply([]Change{rec(st(1, 1), pack.Put{Bucket: 2, Key: "x"}), rec(st(1, 2), pack.Put{Bucket: 0, Key: "x"})}))
	empty(true)
	must(t, x.Apply([]Change{putRec(st(1, 3), "x", "A")}))
	empty(false)
	must(t, x.Apply([]Change{delRec(st(1, 4), "x")}))
	empty(true) // the tombstone and the history are no objects
}

func TestRecordsThatMustNotBePassedOver(t *testing.T) {
	x := fresh(t)
	for name, c := range map[string]Change{
		"newer release":      rec(st(1, 2), pack.Unknown{Of: 77, Critical: true}),
		"no stamp":           rec(cairn.Stamp{}, pack.Delete{Bucket: 1, Key: "x"}),
		"no body":            rec(st(1, 2), nil),
		"list not resolved":  rec(st(1, 2), pack.Put{Bucket: 1, Key: "x", Size: 5, List: &pack.Part{}}),
		"parts of other sum": rec(st(1, 2), pack.Put{Bucket: 1, Key: "x", Size: 5, Parts: partsIn(frame, "A")}),
		"empty key":          rec(st(1, 2), pack.Delete{Bucket: 1}),
		"upload of no key":   rec(st(1, 2), pack.Upload{ID: uid(1), Bucket: 1}),
		"upload of no id":    upRec(st(1, 2), 0, "x"),
		"part of no upload":  partRec(st(1, 2), 0, 1, "A"),
		"end of no upload":   goneRec(st(1, 2), 0),
		"part number 0":      partRec(st(1, 2), 1, 0, "A"),
		"part number 10,001": partRec(st(1, 2), 1, 10_001, "A"),
		"part not resolved":  rec(st(1, 2), pack.UploadPart{Upload: uid(1), Number: 1, Size: 5, List: &pack.Part{}}),
		"part of two":        rec(st(1, 2), pack.UploadPart{Upload: uid(1), Number: 1, Size: 2, Parts: []pack.Part{{Size: 1}, {Size: 1}}}),
		"done not resolved":  rec(st(1, 2), pack.UploadDone{Upload: uid(1), Put: pack.Put{Bucket: 1, Key: "x", Size: 5, List: &pack.Part{}}}),
		"move of the future": moveRec(st(1, 2), "x", st(1, 2), "A"),
	} {
		err := x.Apply([]Change{putRec(st(1, 1), "good", "A"), c})
		if !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := x.Apply([]Change{rec(st(1, 2), pack.Unknown{Of: 77, Critical: true})}); !contains(err, "newer release") {
		t.Errorf("error does not say what to do: %v", err)
	}
	if s := stampOf(t, x, "good"); !s.IsZero() || !x.Applied().IsZero() {
		t.Errorf("a refused batch was applied in part: %v, %v", s, x.Applied())
	}
}

func TestLongPartsRoundTrip(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	var parts []pack.Part
	var size uint64
	for i := range 3000 { // about 110 KiB encoded
		p := pack.Part{ID: crypt.ContentID{byte(i), byte(i >> 8)}, Size: frame}
		p.Extents = []pack.Extent{{Pack: packID(byte('A' + i%3)), Offset: uint32(i), Length: frame}}
		parts, size = append(parts, p), size+frame
	}
	list := &pack.Part{ID: crypt.ContentID{9}, Size: 7, Extents: []pack.Extent{{Pack: packID('L'), Length: 7}}}
	big := func(lsn uint64) Change {
		return Change{Parts: parts, Record: pack.Record{Stamp: st(1, lsn), Body: pack.Put{
			Bucket: 1, Key: "big", Size: size, ETag: "e", Header: map[string]string{"Content-Type": "x/y"},
			Checksum: []cairn.Checksum{{Algorithm: "CRC32", Value: "AAAAAA=="}}, List: list}}}
	}
	must(t, x.Apply([]Change{big(2), big(2)}))
	check := func(want []pack.Part) {
		t.Helper()
		v, err := x.Object(1, "big")
		must(t, err)
		if !reflect.DeepEqual(v.Put.Parts, want) || !reflect.DeepEqual(v.Put.List, list) || v.Put.Header["Content-Type"] != "x/y" || len(v.Put.Checksum) != 1 {
			t.Errorf("came back as %d parts, list %v", len(v.Put.Parts), v.Put.List)
		}
	}
	check(parts)
	for _, p := range []byte("ABCL") { // frames of the list are needed like any
		if is, err := x.Referenced(packID(p)); err != nil || !is {
			t.Errorf("pack %c: Referenced = %v, %v", p, is, err)
		}
	}
	moved := partsIn(size, "D")
	must(t, x.Apply([]Change{{Parts: moved, Record: pack.Record{Stamp: st(1, 5), Body: pack.Move{Bucket: 1, Key: "big", Of: st(1, 2), List: list}}}}))
	check(moved)
	must(t, x.Apply([]Change{voidRec(st(1, 6), st(1, 5))})) // back to the long ones
	check(parts)
	must(t, x.Apply([]Change{delRec(st(1, 7), "big")}))
	must(t, x.DropTombstones(st(1, 8)))
	for _, table := range []byte{tableExtents, tableHistory, tableShadow, tableLive, tableRef, tableTotals} {
		if n := rows(t, x, table); n != 0 {
			t.Errorf("%d rows left in table %c", n, table)
		}
	}
}

func TestPackRows(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	row := func(seq uint64) PackRow {
		return PackRow{
			Params: pack.Params{Store: testStore, ID: cairn.NewPackID(seq, [10]byte{byte(seq)}), Epoch: 3, Prefix: crypt.NoncePrefix{1},
				Coding: cairn.Coding{K: 4, M: 3}, Length: 4096, Contents: 8192},
			Kind: pack.Log, Bytes: 9, Number: seq, SealHash: crypt.Hash{5}, First: st(1, 2), Last: st(3, 4), State: Spread,
			At: []cairn.Location{{Index: 0, Node: cairn.NodeID{1}, Write: 7}, {Index: 6, Node: cairn.NodeID{2}, Write: 1 << 31}},
		}
	}
	must(t, x.SetPack(row(300), row(2), row(70000)))
	must(t, x.Close())
	x = open(t, fs)
	var got []PackRow
	for p, err := range x.Packs(row(2).Params.ID) {
		must(t, err)
		got = append(got, p)
	}
	if want := []PackRow{row(300), row(70000)}; !reflect.DeepEqual(got, want) {
		t.Errorf("packs above 2: %+v", got)
	}
	for range x.Packs(cairn.PackID{}) {
		break // leaves no iterator behind: Close would say so
	}
	id := row(2).Params.ID
	stop := errors.New("no")
	if err := x.UpdatePack(id, func(p *PackRow) error { p.Bytes = 1; return stop }); !errors.Is(err, stop) {
		t.Errorf("refused update: %v", err)
	}
	if p, err := x.Pack(id); err != nil || !reflect.DeepEqual(p, row(2)) {
		t.Errorf("after a refused update: %+v, %v", p, err)
	}
	must(t, x.UpdatePack(id, func(p *PackRow) error { p.State, p.At = Retiring, p.At[1:]; return nil }))
	if p, err := x.Pack(id); err != nil || p.State != Retiring || len(p.At) != 1 {
		t.Errorf("after an update: %+v, %v", p, err)
	}
	if err := x.UpdatePack(packID('Z'), func(*PackRow) error { return nil }); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("update of nothing: %v", err)
	}
	if err := x.UpdatePack(id, func(p *PackRow) error { p.Params.ID = packID('Z'); return nil }); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("update of the id: %v", err)
	}
	if err := x.DropPack(id); !errors.Is(err, cairn.ErrPrecondition) {
		t.Errorf("dropping a pack that is not retired: %v", err)
	}
	must(t, x.Apply([]Change{rec(st(1, 9), pack.Retired{Pack: id})}))
	must(t, x.DropPack(id, packID('Z')))
	if _, err := x.Pack(id); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("a dropped pack: %v", err)
	}
	must(t, x.Close())
}

// A retired record may be replayed before the row of its pack is set.
func TestRetiredBeforeItsRow(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{rec(st(1, 9), pack.Retired{Pack: packID('A')})}))
	must(t, x.SetPack(PackRow{Params: pack.Params{ID: packID('A')}, State: Spread}))
	if p, err := x.Pack(packID('A')); err != nil || p.State != Retired {
		t.Errorf("%v, %v", p.State, err)
	}
}

func TestResultsBelongToTheCaller(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{
		rec(st(1, 2), pack.Bucket{ID: 2, Name: "cache", Setting: map[string]string{"a": "b"}}),
		rec(st(1, 3), pack.Access{ID: "AK", Secret: []byte("s"), Grants: []pack.Grant{{Bucket: "*"}}}),
	}))
	b, _ := x.BucketByName("cache")
	b.Setting["a"] = "changed"
	a, _ := x.Access("AK")
	a.Secret[0], a.Grants[0].Level = 'x', 3
	if b, _ := x.Bucket(2); b.Setting["a"] != "b" {
		t.Error("a caller changed the index's bucket")
	}
	if a, _ := x.Access("AK"); !bytes.Equal(a.Secret, []byte("s")) || a.Grants[0].Level != 0 {
		t.Error("a caller changed the index's access key")
	}
}
