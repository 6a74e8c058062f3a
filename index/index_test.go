package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

const dir = "/state/index"

var testStore = cairn.StoreID{0x4f, 0x1c, 0x9a, 0x20}

func config(fs durable.FS) Config {
	return Config{FS: fs, Dir: dir, Store: testStore, CacheBytes: 4 << 20}
}

// open opens the index in dir, or where at says.
func open(t testing.TB, fs durable.FS, at ...string) *Index {
	t.Helper()
	c := config(fs)
	if len(at) > 0 {
		c.Dir, c.CacheBytes = at[0], 0
	}
	x, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func fresh(t testing.TB) *Index { return open(t, durable.NewMem()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// packID is pack A, B, C ...
func packID(name byte) cairn.PackID { return cairn.NewPackID(uint64(name), [10]byte{name}) }

func st(life uint32, lsn uint64) cairn.Stamp { return cairn.Stamp{Life: life, LSN: lsn} }

// partsIn are parts of size bytes, an equal run in every pack named.
func partsIn(size uint64, packs string) []pack.Part {
	if packs == "" {
		return nil
	}
	p := pack.Part{ID: crypt.ContentID{packs[0]}, Size: size * uint64(len(packs))}
	for i := range len(packs) {
		p.Extents = append(p.Extents, pack.Extent{Pack: packID(packs[i]), Offset: 64, Length: size})
	}
	return []pack.Part{p}
}

const frame = pack.FrameSize

func rec(s cairn.Stamp, b pack.Body) Change { return Change{Record: pack.Record{Stamp: s, Body: b}} }

func putRec(s cairn.Stamp, key, packs string) Change {
	parts := partsIn(frame, packs)
	var size uint64
	for _, p := range parts {
		size += p.Size
	}
	return rec(s, pack.Put{Bucket: 1, Key: key, Size: size, Modified: s.LSN, ETag: "e" + s.String(),
		Meta: map[string]string{"k": key}, Parts: parts})
}

func moveRec(s cairn.Stamp, key string, of cairn.Stamp, packs string) Change {
	return rec(s, pack.Move{Bucket: 1, Key: key, Of: of, Parts: partsIn(frame, packs)})
}

func delRec(s cairn.Stamp, key string) Change { return rec(s, pack.Delete{Bucket: 1, Key: key}) }

func voidRec(s, of cairn.Stamp) Change { return rec(s, pack.Void{Of: of}) }

func lifeRec(n uint32, last cairn.Stamp) Change {
	return rec(st(n, 1), pack.Life{Tag: [16]byte{byte(n)}, Last: last})
}

// observe tells all that can be asked of x.
func observe(t testing.TB, x *Index) string {
	t.Helper()
	var b strings.Builder
	for _, bucket := range []uint64{1, 2} {
		entries, _, _, more, err := x.List(bucket, "", "", "", 1<<20)
		must(t, err)
		if more {
			t.Fatal("an endless page ended")
		}
		for _, e := range entries {
			v, err := x.Object(bucket, e.Key)
			must(t, err)
			if v.Stamp != e.Stamp || v.Put.Size != e.Size || v.Put.ETag != e.ETag || v.Put.Modified != e.Modified {
				t.Fatalf("entry %+v, object %+v", e, v)
			}
			fmt.Fprintf(&b, "%d/%s %v in %v\n", bucket, e.Key, e.Stamp, names(packsOf(v.Put.Parts, v.Put.List)))
		}
	}
	for name := byte('A'); name <= 'H'; name++ {
		n := 0
		for r, err := range x.Refs(packID(name)) {
			must(t, err)
			of := fmt.Sprintf("%d/%s", r.Bucket, r.Key)
			if r.Part != 0 {
				of = fmt.Sprintf("upload %x part %d", r.Upload[0], r.Part)
			}
			fmt.Fprintf(&b, "ref %c: %s %v\n", name, of, r.Stamp)
			n++
		}
		if is, err := x.Referenced(packID(name)); err != nil || is != (n > 0) {
			t.Fatalf("pack %c with %d refs: Referenced = %v, %v", name, n, is, err)
		}
	}
	totals := x.Totals()
	fmt.Fprintf(&b, "totals %d %d\n", totals.Objects, totals.Bytes)
	return b.String() + observeUploads(t, x)
}

func names(ids []cairn.PackID) (s string) {
	for _, id := range ids {
		s += string(rune(id.Seq()))
	}
	return s
}

// model works out naively what observe must tell after changes in any order.
func model(changes []Change) string {
	var recs []pack.Record
	for _, c := range changes {
		if !slices.ContainsFunc(recs, func(r pack.Record) bool { return r.Stamp == c.Record.Stamp }) {
			recs = append(recs, c.Record)
		}
	}
	slices.SortFunc(recs, func(a, b pack.Record) int { return a.Stamp.Compare(b.Stamp) })
	void := map[cairn.Stamp]bool{}
	for _, r := range slices.Backward(recs) { // what can void a record stands after it
		if void[r.Stamp] {
			continue
		}
		switch b := r.Body.(type) {
		case pack.Life:
			for _, o := range recs {
				if !b.Last.IsZero() && o.Stamp.Life < r.Stamp.Life && o.Stamp.Compare(b.Last) > 0 {
					void[o.Stamp] = true
				}
			}
		case pack.Void:
			if b.Of.Compare(r.Stamp) < 0 {
				void[b.Of] = true
			}
		}
	}
	type version struct {
		stamp cairn.Stamp
		size  uint64
		packs string
	}
	live := map[string]version{}
	ups := uploadsModel{}
	for _, r := range recs {
		if void[r.Stamp] {
			continue
		}
		ups.apply(r)
		switch b := r.Body.(type) {
		case pack.UploadDone:
			live[b.Put.Key] = version{r.Stamp, b.Put.Size, names(packsOf(b.Put.Parts, nil))}
		case pack.Put:
			live[b.Key] = version{r.Stamp, b.Size, names(packsOf(b.Parts, nil))}
		case pack.Delete:
			delete(live, b.Key)
		case pack.Move:
			if v := live[b.Key]; v.stamp == b.Of {
				v.packs = names(packsOf(b.Parts, nil))
				live[b.Key] = v
			}
		}
	}
	var out, refs []string
	var bytes uint64
	for _, key := range slices.Sorted(maps.Keys(live)) {
		v := live[key]
		out = append(out, fmt.Sprintf("1/%s %v in %s\n", key, v.stamp, v.packs))
		for _, p := range v.packs {
			refs = append(refs, fmt.Sprintf("ref %c: %05d %05d 1/%s %v\n", p, v.stamp.Life, v.stamp.LSN, key, v.stamp))
		}
		bytes += v.size
	}
	refs = append(refs, ups.refs()...)
	slices.Sort(refs)
	for _, r := range refs {
		out = append(out, r[:7]+r[19:])
	}
	return strings.Join(out, "") + fmt.Sprintf("totals %d %d\n", len(live), bytes) + ups.String()
}

func TestOpenRefusesAnotherStoreAndVersion(t *testing.T) {
	fs := durable.NewMem()
	must(t, open(t, fs).Close())
	c := config(fs)
	c.Store[0]++
	if _, err := Open(c); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("another store: %v", err)
	}
	x := open(t, fs)
	must(t, x.db.Set([]byte(identityKey), append([]byte{rowsVersion + 1}, testStore[:]...), pebble.NoSync))
	x.flow.wrote(1)
	must(t, x.Close())
	if _, err := Open(config(fs)); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("another version: %v", err)
	}
	must(t, Destroy(fs, dir))
	must(t, open(t, fs).Close())
}

func TestOneOpenerAtATime(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	if _, err := Open(config(fs)); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("second Open: %v", err)
	}
	if err := Destroy(fs, dir); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("Destroy of an open index: %v", err)
	}
	must(t, x.Close())
	must(t, x.Close())
	if err := x.Apply([]Change{putRec(st(1, 2), "x", "A")}); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("Apply after Close: %v", err)
	}
	for _, err := range x.Packs(cairn.PackID{}) {
		if !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("Packs after Close: %v", err)
		}
	}
}

func TestDestroyRemovesOnlyTheIndex(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A")}))
	must(t, x.Close())
	for _, name := range []string{"000001.sst.bak", "README", "manifest", "12.sst"} {
		must(t, durable.WriteFile(fs, dir+"/"+name, []byte("x")))
	}
	must(t, Destroy(fs, dir))
	left, err := fs.List(dir)
	must(t, err)
	if want := []string{"000001.sst.bak", "LOCK", "README", "manifest"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	must(t, Destroy(fs, "/nowhere"))
	y := open(t, fs)
	if s := y.Applied(); !s.IsZero() {
		t.Errorf("applied %v after Destroy", s)
	}
}

func TestFirstOpenIsDurable(t *testing.T) {
	fs := durable.NewMem()
	open(t, fs)
	c := config(fs.Crash(0, 1))
	c.Store[0]++
	if _, err := Open(c); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("the identity is lost: %v", err)
	}
}
