package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// summed is b with the hash that the small files of a store end with.
func summed(b []byte, sum bool) []byte {
	if !sum {
		return b
	}
	h := crypt.Sum(b)
	return append(bytes.Clone(b), h[:]...)
}

// FuzzLife: the life file is what beginLife wrote, or ErrCorrupt, or ErrInvalid
// for another store's.
func FuzzLife(f *testing.F) {
	m := durable.NewMem()
	id := cairn.StoreID{1}
	if err := m.MkdirAll("/s"); err != nil {
		f.Fatal(err)
	}
	if _, err := beginLife(m, "/s", id, cairn.Stamp{Life: 3, LSN: 9}); err != nil {
		f.Fatal(err)
	}
	b, err := durable.ReadFile(m, lifeName("/s"), 4096)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, false)
	f.Add(b[:len(b)-32], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		m := durable.NewMem()
		must(t, durable.WriteFile(m, "/life", summed(b, sum)))
		number, first, err := readLife(m, "/", id)
		switch {
		case err == nil && len(b) != 8+2+16+4+8+16 && sum:
			t.Errorf("%d bytes are life %d from %d", len(b), number, first)
		case err != nil && !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrInvalid):
			t.Error(err)
		}
	})
}

// FuzzNodes: the list of nodes beside the index, read and written again, is the
// same list.
func FuzzNodes(f *testing.F) {
	id := cairn.StoreID{1}
	m := durable.NewMem()
	if err := writeNodes(m, "/s", id, []pack.Node{{ID: cairn.NodeID{1}, Name: "one", Operator: "op", Remote: "mem:1", State: "ok"}, {ID: cairn.NodeID{2}, Name: "two"}}); err != nil {
		f.Fatal(err)
	}
	b, err := durable.ReadFile(m, nodesName("/s"), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, false)
	f.Add(b[:len(b)-32], true)
	f.Add([]byte(nodesMagic), true)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		m := durable.NewMem()
		must(t, m.MkdirAll("/s/secrets"))
		must(t, durable.WriteFile(m, nodesName("/s"), summed(b, sum)))
		ns, err := readNodes(m, "/s", id)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		must(t, writeNodes(m, "/s", id, ns))
		again, err := readNodes(m, "/s", id)
		must(t, err)
		if len(again) != len(ns) {
			t.Errorf("%d nodes, written %d", len(ns), len(again))
		}
		for i := range ns {
			if !bytes.Equal(pack.Record{Body: ns[i]}.AppendTo(nil), pack.Record{Body: again[i]}.AppendTo(nil)) {
				t.Errorf("node %d is %+v, was %+v", i, again[i], ns[i])
			}
		}
	})
}

// FuzzUploadID: an upload's id has one spelling.
func FuzzUploadID(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff")
	f.Add("00112233445566778899AABBCCDDEEFF")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := parseUpload(s); err == nil && id.String() != s {
			t.Errorf("two spellings: %q and %q", s, id)
		} else if err != nil && !errors.Is(err, ErrNoUpload) {
			t.Error(err)
		}
	})
}
