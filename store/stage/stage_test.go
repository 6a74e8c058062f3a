package stage

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var storeID = cairn.StoreID{1, 2}

func header() Header {
	return Header{Kind: pack.Log, Capacity: 64 << 10, Store: storeID, Pack: cairn.NewPackID(5, [10]byte{7}), Epoch: 1,
		Prefix: crypt.NoncePrefix{3}, Life: 4, Number: 6, Content: crypt.ContentID{8}, First: 9}
}

func packKey() *crypt.PackKey {
	h := header()
	return crypt.EpochKey{1}.Pack(h.Pack, h.Prefix)
}

// created makes an empty stage in directory /d.
func created(t *testing.T, fs durable.FS) *File {
	t.Helper()
	must(t, fs.MkdirAll("/d"))
	f, err := Create(fs, "/d", header())
	must(t, err)
	return f
}

// write appends groups of one record each from off on and syncs; it returns the
// end of each, and the link of the last.
func write(t *testing.T, f *File, off uint32, link pack.Link, lsns ...uint64) (ends []uint32, last pack.Link) {
	t.Helper()
	for _, n := range lsns {
		g := pack.NewGroup(packKey(), f.Pack, uint64(off), link, nil)
		e := g.Frames(crypt.ContentID{byte(n)}, 0, bytes.Repeat([]byte{byte(n)}, 1000), true)
		g.Add(pack.Record{Stamp: cairn.Stamp{Life: 4, LSN: n}, Body: pack.Put{Bucket: 1, Key: "k", Size: 1000,
			Parts: []pack.Part{{ID: crypt.ContentID{byte(n)}, Size: 1000, Extents: []pack.Extent{e}}}}})
		b, next := g.Finish()
		must(t, f.WriteAt(b, off))
		off, link = off+uint32(len(b)), next
		ends = append(ends, off)
	}
	must(t, f.Sync())
	return ends, link
}

// What Create made durable is what Open finds, after a power loss right behind
// it too, and Remove takes it away.
func TestAStageIsWhatItWasMadeAs(t *testing.T) {
	fs := durable.NewMem()
	f := created(t, fs)
	lost := fs.Crash(0, 1)
	got, err := Open(lost, "/d", f.Pack, storeID)
	must(t, err)
	if got.Header != header() || got.Sealed() != nil || got.Intents() != nil {
		t.Errorf("opened as %+v", got.Header)
	}
	ids, err := List(lost, "/d")
	if err != nil || len(ids) != 1 || ids[0] != f.Pack {
		t.Errorf("listed: %v, %v", ids, err)
	}
	if err := f.WriteAt(make([]byte, 1), header().Capacity); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a write behind its capacity: %v", err)
	}
	if err := f.AddIntent(nil); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("an intent before the seal: %v", err)
	}
	must(t, f.Remove())
	if ids, err := List(fs, "/d"); err != nil || len(ids) != 0 {
		t.Errorf("after its removal: %v, %v", ids, err)
	}
	must(t, f.Close())
}

// A stage whose making was cut short at any step counts as empty or is whole;
// one that rotted does not.
func TestAStageCutShortIsEmpty(t *testing.T) {
	mem := durable.NewMem()
	must(t, mem.MkdirAll("/d"))
	var left []*durable.Mem
	fs := durable.Watch(mem, durable.Hook{Before: func(s durable.Step) error {
		for seed := range uint64(4) {
			left = append(left, mem.Crash(50, seed))
		}
		return nil
	}})
	f := created(t, fs)
	for i, disk := range left {
		ids, err := List(disk, "/d")
		must(t, err)
		if len(ids) == 0 {
			continue
		}
		if _, err := Open(disk, "/d", f.Pack, storeID); err != nil && !errors.Is(err, ErrEmpty) {
			t.Errorf("loss %d: %v", i, err)
		}
	}
	write(t, f, 0, pack.FirstLink(f.Pack), 1)
	for _, off := range []int64{0, 9, 20, 40, 100} {
		disk := mem.Crash(0, 1)
		h, err := disk.OpenReadWrite(Name("/d", f.Pack))
		must(t, err)
		b := make([]byte, 1)
		_, err = h.ReadAt(b, off)
		must(t, err)
		_, err = h.WriteAt([]byte{b[0] ^ 4}, off)
		must(t, err)
		if _, err := Open(disk, "/d", f.Pack, storeID); err == nil || errors.Is(err, ErrEmpty) {
			t.Errorf("byte %d of the header differs: %v", off, err)
		}
	}
	if _, err := Open(mem, "/d", f.Pack, cairn.StoreID{9}); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("opened for another store: %v", err)
	}
	must(t, mem.Rename(Name("/d", f.Pack), Name("/d", cairn.PackID{1})))
	if _, err := Open(mem, "/d", cairn.PackID{1}, storeID); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("under the name of another pack: %v", err)
	}
}

// A scan takes groups while they chain. Behind them, what is no group is the torn
// tail; a good group is damage, and its records are given all the same.
func TestAScanTellsATornTailFromRot(t *testing.T) {
	for what, c := range map[string]struct {
		harm   func(t *testing.T, f *File, ends []uint32, link pack.Link)
		lsns   []uint64
		end    int // index into ends of the prefix's end, -1 for none
		tail   int
		damage bool
	}{
		"whole": {func(*testing.T, *File, []uint32, pack.Link) {}, []uint64{1, 2, 3, 4}, 3, 3, false},
		"the last is torn": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, 64), ends[3]-64))
		}, []uint64{1, 2, 3}, 2, 2, false},
		"a frame of the last is torn": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, 64), ends[2]+128))
		}, []uint64{1, 2, 3}, 2, 2, false},
		"a frame in the middle rots": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, 1), ends[0]+500))
		}, []uint64{1, 3, 4}, 0, 3, true},
		"a head in the middle rots": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, 64), ends[1]))
		}, []uint64{1, 2, 4}, 1, 3, true},
		"the first rots": {func(t *testing.T, f *File, _ []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, 64), 0))
		}, []uint64{2, 3, 4}, -1, 3, true},
		"a group that does not chain": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			write(t, f, ends[3], pack.Link{1}, 5)
		}, []uint64{1, 2, 3, 4, 5}, 3, 4, true},
		"a gap, then a group that chains": {func(t *testing.T, f *File, ends []uint32, link pack.Link) {
			write(t, f, ends[3]+pack.GroupAlign, link, 5)
		}, []uint64{1, 2, 3, 4, 5}, 3, 5, true},
		"all is gone": {func(t *testing.T, f *File, ends []uint32, _ pack.Link) {
			must(t, f.WriteAt(make([]byte, ends[3]), 0))
		}, nil, -1, -1, false},
	} {
		fs := durable.NewMem()
		f := created(t, fs)
		ends, link := write(t, f, 0, pack.FirstLink(f.Pack), 1, 2, 3, 4)
		size := ends[0]
		c.harm(t, f, ends, link)
		scan, err := f.ScanLog(packKey())
		must(t, err)
		var lsns []uint64
		for _, r := range scan.Records {
			lsns = append(lsns, r.Stamp.LSN)
		}
		at := func(i int) uint32 {
			switch i {
			case -1:
				return 0
			case 4:
				return ends[3] + size
			case 5:
				return ends[3] + pack.GroupAlign + size
			}
			return ends[i]
		}
		if !equal(lsns, c.lsns) || scan.End != at(c.end) || scan.Tail != at(c.tail) || (scan.Damage != "") != c.damage {
			t.Errorf("%s: records %v up to %d, tail %d, damage %q", what, lsns, scan.End, scan.Tail, scan.Damage)
		}
	}
}

func equal(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
