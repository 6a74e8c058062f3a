package pack

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

func TestEveryRecordIsReadAsItWasWritten(t *testing.T) {
	seen := map[RecordKind]bool{}
	for _, r := range allRecords() {
		b := r.AppendTo(nil)
		got, err := ParseRecord(b)
		if err != nil {
			t.Fatalf("kind %d: %v", r.Body.Kind(), err)
		}
		if !bytes.Equal(got.AppendTo(nil), b) || !reflect.DeepEqual(got, r) {
			t.Errorf("kind %d: got %+v, want %+v", r.Body.Kind(), got, r)
		}
		if r.Size() != len(b) || r.Check() != nil {
			t.Errorf("kind %d: size %d of %d, check %v", r.Body.Kind(), r.Size(), len(b), r.Check())
		}
		if string(r.AppendTo([]byte("before"))[:6]) != "before" {
			t.Errorf("kind %d: AppendTo does not append", r.Body.Kind())
		}
		seen[r.Body.Kind()] = true
	}
	for k := range decoders {
		if !seen[k] {
			t.Errorf("kind %d is not tested", k)
		}
	}
}

func TestARecordCutOrChangedInLengthIsRefused(t *testing.T) {
	for _, r := range allRecords() {
		b := r.AppendTo(nil)
		for n := range b {
			if _, err := ParseRecord(b[:n]); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("kind %d cut to %d of %d: %v", r.Body.Kind(), n, len(b), err)
			}
		}
		if _, err := ParseRecord(append(clone(b), 0)); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("kind %d extended: %v", r.Body.Kind(), err)
		}
	}
}

// raw is a record of any kind, flags and body.
func raw(kind RecordKind, flags uint8, write func(*wire.Writer)) []byte {
	var body wire.Writer
	write(&body)
	w := wire.Writer{B: []byte{byte(kind), flags, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1}}
	w.Bytes(body.B)
	return w.B
}

func TestARecordThatContradictsItselfIsRefused(t *testing.T) {
	part := func(w *wire.Writer, size uint64, lengths ...uint64) {
		w.Raw(make([]byte, 16))
		w.Uvarint(size)
		w.Uvarint(uint64(len(lengths)))
		for _, n := range lengths {
			w.Raw(make([]byte, 16))
			w.Uvarint(0)
			w.Uvarint(n)
		}
	}
	put := func(size uint64, parts int, write func(*wire.Writer)) func(*wire.Writer) {
		return func(w *wire.Writer) {
			w.U64(1)
			w.String("k")
			w.Uvarint(size)
			w.U64(0)
			w.String("")
			w.Map(nil)
			w.Map(nil)
			w.Uvarint(0)
			w.Bool(false)
			w.Uvarint(uint64(parts))
			write(w)
		}
	}
	uploaded := func(id byte, number, size uint64, parts int, write func(*wire.Writer)) func(*wire.Writer) {
		return func(w *wire.Writer) {
			w.Raw([]byte{id, 15: 0})
			w.Uvarint(number)
			w.Uvarint(size)
			w.U64(0)
			w.String("")
			w.Uvarint(0)
			w.Bool(false)
			w.Uvarint(uint64(parts))
			write(w)
		}
	}
	five := func(w *wire.Writer) { part(w, 5, 5) }
	for name, b := range map[string][]byte{
		"put":           raw(KindPut, 1, put(5, 1, five)),
		"uploaded part": raw(KindUploadPart, 1, uploaded(1, 10_000, 5, 1, five)),
		"end":           raw(KindUploadDone, 1, func(w *wire.Writer) { w.Raw([]byte{1, 15: 0}); put(5, 1, five)(w) }),
		"abort":         raw(KindUploadGone, 1, func(w *wire.Writer) { w.Raw([]byte{1, 15: 0}) }),
	} {
		if _, err := ParseRecord(b); err != nil {
			t.Fatalf("the sound %s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"a known kind without the critical flag": raw(KindRetired, 0, func(w *wire.Writer) { w.Raw(make([]byte, 16)) }),
		"an unknown flag":                        raw(200, 3, func(*wire.Writer) {}),
		"bytes after the body":                   raw(KindBucketGone, 1, func(w *wire.Writer) { w.U64(1); w.U8(0) }),
		"an empty key":                           raw(KindDelete, 1, func(w *wire.Writer) { w.U64(1); w.String("") }),
		"a key too long":                         raw(KindDelete, 1, func(w *wire.Writer) { w.U64(1); w.String(strings.Repeat("k", 1025)) }),
		"a body too long":                        raw(200, 1, func(w *wire.Writer) { w.Raw(make([]byte, maxBody+1)) }),
		"a size that is not its parts'":          raw(KindPut, 1, put(6, 1, func(w *wire.Writer) { part(w, 5, 5) })),
		"a part that is not its extents'":        raw(KindPut, 1, put(5, 1, func(w *wire.Writer) { part(w, 5, 4) })),
		"an extent of nothing":                   raw(KindPut, 1, put(0, 1, func(w *wire.Writer) { part(w, 0, 0) })),
		"a broken frame within a part":           raw(KindPut, 1, put(20, 1, func(w *wire.Writer) { part(w, 20, 10, 10) })),
		"10,001 parts":                           raw(KindPut, 1, put(0, maxParts+1, func(*wire.Writer) {})),
		"parts that are not there":               raw(KindPut, 1, put(0, maxParts, func(*wire.Writer) {})),
		"1,001 grants":                           raw(KindAccess, 1, func(w *wire.Writer) { w.String("a"); w.String(""); w.Bytes(nil); w.U64(0); w.Uvarint(1001) }),
		"a part number of 0":                     raw(KindUploadPart, 1, uploaded(1, 0, 5, 1, five)),
		"a part number of 10,001":                raw(KindUploadPart, 1, uploaded(1, 10_001, 5, 1, five)),
		"an uploaded part of an upload zero":     raw(KindUploadPart, 1, uploaded(0, 1, 5, 1, five)),
		"an uploaded part without content":       raw(KindUploadPart, 1, uploaded(1, 1, 0, 0, func(*wire.Writer) {})),
		"an uploaded part of two contents":       raw(KindUploadPart, 1, uploaded(1, 1, 10, 2, func(w *wire.Writer) { five(w); five(w) })),
		"an uploaded part of another size":       raw(KindUploadPart, 1, uploaded(1, 1, 6, 1, five)),
		"an upload id of zero":                   raw(KindUploadGone, 1, func(w *wire.Writer) { w.Raw(make([]byte, 16)) }),
		"an upload that became nothing":          raw(KindUploadDone, 1, func(w *wire.Writer) { w.Raw([]byte{1, 15: 0}) }),
		"an upload of no key": raw(KindUpload, 1, func(w *wire.Writer) {
			w.Raw([]byte{1, 15: 0})
			w.U64(1)
			w.String("")
			w.U64(0)
			w.Map(nil)
			w.Map(nil)
			w.String("")
			w.Bool(false)
		}),
		"a flag of 2": raw(KindBucket, 1, func(w *wire.Writer) { w.U64(1); w.String("b"); w.U64(0); w.U8(2); w.Map(nil) }),
	} {
		if r, err := ParseRecord(b); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// What would not be read back is refused before it is logged, or an
// acknowledged write would end every replay.
func TestCheckRefusesWhatCouldNotBeReplayed(t *testing.T) {
	many := map[string]string{}
	for i := range 65 {
		many[strings.Repeat("h", i)] = ""
	}
	part := Part{Size: 10, Extents: []Extent{{Length: 10}}}
	for name, b := range map[string]Body{
		"a header too long":     Put{Bucket: 1, Key: "k", Header: map[string]string{"Cache-Control": strings.Repeat("x", maxText+1)}},
		"too many headers":      Put{Bucket: 1, Key: "k", Header: many},
		"an ETag too long":      Put{Bucket: 1, Key: "k", ETag: strings.Repeat("x", 256)},
		"no key":                Delete{Bucket: 1},
		"sizes that differ":     Put{Bucket: 1, Key: "k", Size: 11, Parts: []Part{part}},
		"a body over 64 KiB":    Put{Bucket: 1, Key: "k", Size: 10 * 4000, Parts: slices.Repeat([]Part{part}, 4000)},
		"a name too long":       Node{Name: strings.Repeat("n", 256)},
		"credentials too long":  Node{Credential: make([]byte, maxText+1)},
		"an upload's header":    Upload{ID: UploadID{1}, Bucket: 1, Key: "k", Header: map[string]string{"Cache-Control": strings.Repeat("x", maxText+1)}},
		"an upload's algorithm": Upload{ID: UploadID{1}, Bucket: 1, Key: "k", Algorithm: strings.Repeat("x", maxName+1)},
		"a part number":         UploadPart{Upload: UploadID{1}, Number: MaxPartNumber + 1, Size: 10, Parts: []Part{part}},
		"a part's ETag":         UploadPart{Upload: UploadID{1}, Number: 1, Size: 10, Parts: []Part{part}, ETag: strings.Repeat("x", 256)},
		"a part of two":         UploadPart{Upload: UploadID{1}, Number: 1, Size: 20, Parts: []Part{part, part}},
		"no upload":             UploadGone{},
		"an end's sizes":        UploadDone{Upload: UploadID{1}, Put: Put{Bucket: 1, Key: "k", Size: 11, Parts: []Part{part}}},
		"too many checksums":    Put{Bucket: 1, Key: "k", Checksum: make([]cairn.Checksum, maxSums+1)},
	} {
		r := Record{Stamp: cairn.Stamp{Life: 1, LSN: 1}, Body: b}
		if err := r.Check(); !errors.Is(err, cairn.ErrInvalid) || errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// C5: an unknown critical record is told apart from one that may be carried
// along, and both survive being read and written by a release that knows
// neither. That the store stops at the first is the store's test.
func TestHazardC5UnknownCritical(t *testing.T) {
	for _, critical := range []bool{true, false} {
		r := Record{Stamp: cairn.Stamp{Life: 1, LSN: 2}, Body: Unknown{Of: 99, Critical: critical, Bytes: []byte("x")}}
		b := r.AppendTo(nil)
		got, err := ParseRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		u, ok := got.Body.(Unknown)
		if !ok || u.Critical != critical || u.Of != 99 || !bytes.Equal(got.AppendTo(nil), b) {
			t.Errorf("critical %v: got %+v", critical, got)
		}
		// Compaction and contents carry it along as it is.
		c := Contents{Kind: Log, Records: []Record{got}}
		back, err := ParseContents(c.Encode())
		if err != nil || !bytes.Equal(back.Records[0].AppendTo(nil), b) {
			t.Errorf("critical %v through contents: %v", critical, err)
		}
	}
}

// C3: a list of extents past 4 KiB is frames that the record names; the record
// stays small however large the object.
func TestHazardC3ExtentsOfALargeObject(t *testing.T) {
	s := newSource(1)
	var p Part
	p.ID = [16]byte(s.bytes(16))
	const packs = 20_000 // 312 GiB; 5 TiB is the same with more of it
	for i := range packs {
		p.Extents = append(p.Extents, Extent{Pack: cairn.NewPackID(uint64(i), [10]byte(s.bytes(10))), Length: 255 * FrameSize})
		p.Size += 255 * FrameSize
	}
	list := AppendParts(nil, []Part{p})
	if len(list) <= InlineExtents {
		t.Fatalf("the list has only %d bytes", len(list))
	}
	got, err := ParseParts(list)
	if err != nil || !reflect.DeepEqual(got, []Part{p}) {
		t.Fatalf("%d parts, %v", len(got), err)
	}
	where := Part{ID: p.ID, Size: uint64(len(list)), Extents: []Extent{{Length: uint64(len(list))}}}
	r := Record{Stamp: cairn.Stamp{Life: 1, LSN: 1}, Body: Put{Bucket: 1, Key: "k", Size: p.Size, List: &where}}
	if err := r.Check(); err != nil || r.Size() > 256 {
		t.Errorf("record of %d bytes, %v", r.Size(), err)
	}
}

func TestAHostileCountAllocatesLittle(t *testing.T) {
	var list wire.Writer
	list.Uvarint(maxParts)
	list.Raw(make([]byte, 16))
	list.Uvarint(1 << 62)
	list.Uvarint(maxExtents)
	var contents wire.Writer
	contents.B = Contents{Kind: Log}.Encode()
	contents.B = contents.B[:len(contents.B)-2]
	contents.Uvarint(1 << 20)
	for name, parse := range map[string]func() error{
		"parts":    func() error { _, err := ParseParts(list.B); return err },
		"contents": func() error { _, err := ParseContents(contents.B); return err },
		"records": func() error {
			_, err := ParseRecord([]byte{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 3})
			return err
		},
	} {
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if parse() == nil {
				t.Fatalf("%s: parses", name)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 8192 {
			t.Errorf("%s: %d bytes allocated for a count without content", name, n)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, r := range allRecords() {
		f.Add(r.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := r.AppendTo(nil); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

func FuzzParseParts(f *testing.F) {
	for _, r := range allRecords() {
		switch b := r.Body.(type) {
		case Put:
			f.Add(AppendParts(nil, b.Parts))
		case UploadPart:
			f.Add(AppendParts(nil, b.Parts))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := ParseParts(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := AppendParts(nil, parts); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
		for _, p := range parts {
			var n uint64
			for _, e := range p.Extents {
				n += e.Length
			}
			if n != p.Size {
				t.Fatalf("part of %d bytes with %d in its extents", p.Size, n)
			}
		}
	})
}
