package backendtest_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	. "github.com/cairn-storage/cairn/backends/backendtest"
)

func TestMemKeepsTheContract(t *testing.T) {
	Run(t, func(*testing.T) backends.Remote { return &Mem{} })
}

func TestMemIsFullAtItsCapacity(t *testing.T) {
	m := &Mem{Capacity: 10}
	if err := m.Put(t.Context(), "a", make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(t.Context(), "b", make([]byte, 3)); !errors.Is(err, cairn.ErrFull) {
		t.Errorf("3 bytes into 2: %v", err)
	}
	if err := m.Put(t.Context(), "a", make([]byte, 10)); err != nil {
		t.Errorf("the same name, 2 bytes more: %v", err)
	}
	if free, total, err := m.Free(t.Context()); free != 0 || total != 10 || err != nil {
		t.Errorf("free %d of %d, %v", free, total, err)
	}
	if err := m.Delete(t.Context(), "a"); err != nil || m.Used() != 0 {
		t.Errorf("after delete %d bytes are used, %v", m.Used(), err)
	}
}

func TestMemShowsAndSpoilsWhatItHolds(t *testing.T) {
	m := &Mem{}
	for _, name := range []string{"packs/0/a", "packs/0/b", "packs/1/c", "cairn.json"} {
		if err := m.Put(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Names(); !slices.Equal(got, []string{"cairn.json", "packs/0/a", "packs/0/b", "packs/1/c"}) {
		t.Errorf("names %v", got)
	}
	if got := m.DirEntries(); !maps.Equal(got, map[string]int{"": 2, "packs": 2, "packs/0": 2, "packs/1": 1}) {
		t.Errorf("entries %v", got)
	}
	m.SetBytes("packs/0/a", []byte("spoilt"))
	p := make([]byte, 6)
	if err := m.ReadAt(t.Context(), "packs/0/a", p, 0); err != nil || string(p) != "spoilt" {
		t.Errorf("read %q, %v", p, err)
	}
	if !m.Drop("packs/1/c") || m.Drop("packs/1/c") {
		t.Error("a file can be dropped exactly once")
	}
	if got := m.DirEntries(); !maps.Equal(got, map[string]int{"": 2, "packs": 1, "packs/0": 2}) {
		t.Errorf("entries after drop %v", got)
	}
	if err := m.Put(t.Context(), "cairn.json/below", nil); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a file below a file: %v", err)
	}
	if err := m.Put(t.Context(), "packs/0", nil); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a file in place of a directory: %v", err)
	}
	if b, ok := m.Bytes("cairn.json"); !ok || string(b) != "cairn.json" {
		t.Errorf("bytes %q, %v", b, ok)
	}
}
