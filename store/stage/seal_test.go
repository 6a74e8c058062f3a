package stage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func aSeal(tb testing.TB, length uint32, id cairn.PackID) Seal {
	h := header()
	gate, err := crypt.NewIdentity(crypt.Gateway, h.Store, rand.NewChaCha8([32]byte{1}))
	must(tb, err)
	coding := cairn.Coding{K: 2, M: 1}
	contents := bytes.Repeat([]byte{5}, 4096)
	t := pack.Trailer{Params: pack.Params{Store: h.Store, ID: id, Epoch: h.Epoch, Prefix: h.Prefix, Coding: coding,
		Length: pack.ShardLength(uint64(length), coding), Contents: 4096}, Hash: crypt.Sum(contents), Roots: make([]crypt.Hash, 3)}
	t.Sign(gate.Sign())
	return Seal{Length: length, Contents: contents, Trailer: t}
}

func places(n byte) (at []cairn.Location) {
	for i := range n {
		at = append(at, cairn.Location{Index: i, Node: cairn.NodeID{n, i}, Write: uint32(n)})
	}
	return at
}

// Seal and intents are durable when they are written, come back in order, and
// the next intent stands behind the last.
func TestSealAndIntentsComeBack(t *testing.T) {
	fs := durable.NewMem()
	f := created(t, fs)
	ends, _ := write(t, f, 0, pack.FirstLink(f.Pack), 1, 2)
	seal := aSeal(t, ends[1], f.Pack)
	must(t, f.WriteSeal(seal))
	var want []cairn.Location
	for _, n := range []byte{3, 1, 32, 2} {
		must(t, f.AddIntent(places(n)))
		want = append(want, places(n)...)
		lost := fs.Crash(0, 1)
		g, err := Open(lost, "/d", f.Pack, storeID)
		must(t, err)
		if s := g.Sealed(); s == nil || !reflect.DeepEqual(*s, seal) {
			t.Fatalf("the seal is %+v", s)
		}
		if !reflect.DeepEqual(g.Intents(), want) {
			t.Fatalf("intents are %v, want %v", g.Intents(), want)
		}
		must(t, g.AddIntent(places(4)))
		if got := g.Intents(); !reflect.DeepEqual(got[len(want):], places(4)) {
			t.Fatalf("after another: %v", got)
		}
		if g, err = Open(lost, "/d", f.Pack, storeID); err != nil || len(g.Intents()) != len(want)+4 {
			t.Fatalf("opened again: %d intents, %v", len(g.Intents()), err)
		}
	}
	write(t, f, ends[1], pack.Link{}, 3)
	scan, err := f.ScanLog(packKey())
	if err != nil || scan.End != seal.Length || len(scan.Records) != 2 {
		t.Errorf("a sealed stage scans up to %d with %d records, %v; its seal covers %d", scan.End, len(scan.Records), err, seal.Length)
	}
}

// Of a seal or an intent that was cut short by a power loss nothing counts, and
// what stood before counts as before.
func TestATornSealOrIntentDoesNotCount(t *testing.T) {
	mem := durable.NewMem()
	var left []*durable.Mem
	fs := durable.Watch(mem, durable.Hook{Before: func(s durable.Step) error {
		if s.Op == durable.OpSync {
			for seed := range uint64(20) {
				left = append(left, mem.Crash(60, seed))
			}
		}
		return nil
	}})
	f := created(t, fs)
	ends, _ := write(t, f, 0, pack.FirstLink(f.Pack), 1)
	steps := []func() error{
		func() error { return f.WriteSeal(aSeal(t, ends[0], f.Pack)) },
		func() error { return f.AddIntent(places(32)) },
		func() error { return f.AddIntent(places(32)) },
	}
	for n, step := range steps {
		left = nil
		must(t, step())
		kinds := map[int]int{}
		for i, disk := range left {
			g, err := Open(disk, "/d", f.Pack, storeID)
			if err != nil {
				t.Fatalf("step %d, loss %d: %v", n, i, err)
			}
			got := len(g.Intents()) / 32
			if g.Sealed() != nil {
				got++
			}
			if kinds[got]++; got != n && got != n+1 {
				t.Errorf("step %d, loss %d: sealed %v, %d intents", n, i, g.Sealed() != nil, len(g.Intents()))
			}
		}
		if kinds[n] == 0 {
			t.Errorf("step %d was never cut short, this test saw nothing", n)
		}
	}
	disk := mem.Crash(0, 1)
	h, err := disk.OpenReadWrite(Name("/d", f.Pack))
	must(t, err)
	o := &File{Header: header(), f: h}
	must(t, o.WriteSeal(aSeal(t, ends[0], cairn.PackID{1})))
	if _, err := Open(disk, "/d", f.Pack, storeID); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("the seal of another pack: %v", err)
	}
}
