package durable

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestFullDisk(t *testing.T) {
	m := NewMem()
	m.SetCapacity(10_000)
	free := func(want uint64) {
		t.Helper()
		if got, total, err := m.Free("."); got != want || total != 10_000 || err != nil {
			t.Errorf("%d bytes free of %d (%v), want %d", got, total, err, want)
		}
		checkUsed(t, m)
	}
	f, err := m.Create("a")
	must(t, err)
	must(t, f.Allocate(0, 6000))
	free(4000)
	_, err = f.WriteAt(make([]byte, 6000), 0)
	must(t, err)
	free(4000) // what was reserved costs nothing more

	g, err := m.Create("b")
	must(t, err)
	if n, err := g.WriteAt(make([]byte, 10), 20_000); n != 0 || !errors.Is(err, cairn.ErrFull) {
		t.Errorf("WriteAt far beyond, with room: %d bytes, %v", n, err)
	}
	free(4000)
	if err := g.Allocate(0, 4001); !errors.Is(err, cairn.ErrFull) {
		t.Errorf("Allocate beyond: %v", err)
	}
	free(4000)
	if n, err := g.WriteAt(make([]byte, 5000), 0); n != 4000 || !errors.Is(err, cairn.ErrFull) {
		t.Errorf("WriteAt beyond: %d bytes, %v", n, err)
	}
	free(0)
	if n, err := g.WriteAt(make([]byte, 10), 20_000); n != 0 || !errors.Is(err, cairn.ErrFull) {
		t.Errorf("WriteAt far beyond: %d bytes, %v", n, err)
	}
	free(0)
	_, err = g.WriteAt(make([]byte, 4000), 0) // in place
	must(t, err)
	if after := m.Crash(100, 1); true {
		if free, total, _ := after.Free("."); free != 0 || total != 10_000 {
			t.Errorf("after a power loss %d bytes of %d are free", free, total)
		}
	}
	must(t, m.Rename("b", "c"))
	must(t, m.Remove("c"))
	if got, _, _ := m.Free("."); got != 0 {
		t.Errorf("%d bytes free though the removed file is open", got)
	}
	must(t, g.Close())
	free(4000)
	must(t, m.VFS().Link("a", "a2"))
	must(t, m.Remove("a"))
	must(t, f.Close())
	free(4000)
	must(t, m.Remove("a2"))
	free(10_000)
	if err := WriteFile(m, "w", make([]byte, 10_001)); !errors.Is(err, cairn.ErrFull) {
		t.Errorf("WriteFile beyond: %v", err)
	}
	free(10_000) // nothing is left behind
}

func TestRealDiskFull(t *testing.T) {
	f, err := OS().OpenReadWrite("/dev/full")
	if errors.Is(err, cairn.ErrNotExist) {
		t.Skip("no /dev/full here")
	}
	must(t, err)
	defer f.Close()
	if n, err := f.WriteAt([]byte("x"), 0); n != 0 || !errors.Is(err, cairn.ErrFull) || err.Error() != "write /dev/full: no space left on device" {
		t.Errorf("WriteAt: %d, %v", n, err)
	}
}
