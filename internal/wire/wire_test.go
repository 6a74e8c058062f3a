package wire

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

// everything writes one field of each type, and readEverything takes them.
type everything struct {
	A uint8
	B bool
	C uint16
	D uint32
	E uint64
	F uint64
	G [4]byte
	H []byte
	I string
	J map[string]string
}

const (
	varintLimit = math.MaxUint64
	bytesLimit  = 1 << 10
	mapEntries  = 8
)

func (e everything) encode() []byte {
	var w Writer
	w.U8(e.A)
	w.Bool(e.B)
	w.U16(e.C)
	w.U32(e.D)
	w.U64(e.E)
	w.Uvarint(e.F)
	w.Raw(e.G[:])
	w.Bytes(e.H)
	w.String(e.I)
	w.Map(e.J)
	return append(w.B, 0, 0)
}

func readEverything(b []byte) (everything, error) {
	r := NewReader(b)
	e := everything{A: r.U8(), B: r.Bool(), C: r.U16(), D: r.U32(), E: r.U64(), F: r.Uvarint(varintLimit)}
	r.Raw(e.G[:])
	e.H, e.I, e.J = r.Bytes(bytesLimit), r.String(bytesLimit), r.Map(mapEntries, bytesLimit)
	r.Zeros(2)
	return e, r.Done()
}

func full() everything {
	return everything{A: 7, B: true, C: 0x0102, D: 0x03040506, E: math.MaxUint64, F: 300, G: [4]byte{1, 2, 3, 4},
		H: []byte("bytes"), I: "text", J: map[string]string{"b": "2", "a": "1", "": ""}}
}

func equal(a, b everything) bool {
	return a.A == b.A && a.B == b.B && a.C == b.C && a.D == b.D && a.E == b.E && a.F == b.F && a.G == b.G &&
		bytes.Equal(a.H, b.H) && a.I == b.I && maps.Equal(a.J, b.J)
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for name, e := range map[string]everything{"zero": {}, "full": full()} {
		got, err := readEverything(e.encode())
		if err != nil || !equal(got, e) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestFieldsHaveTheBytesOfTheFormat(t *testing.T) {
	tables := []struct {
		name  string
		write func(*Writer)
		want  []byte
	}{
		{"U8", func(w *Writer) { w.U8(0xfe) }, []byte{0xfe}},
		{"Bool", func(w *Writer) { w.Bool(true); w.Bool(false) }, []byte{1, 0}},
		{"U16 is big-endian", func(w *Writer) { w.U16(0x0102) }, []byte{1, 2}},
		{"U32 is big-endian", func(w *Writer) { w.U32(0x01020304) }, []byte{1, 2, 3, 4}},
		{"U64 is big-endian", func(w *Writer) { w.U64(0x0102030405060708) }, []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{"Uvarint 127", func(w *Writer) { w.Uvarint(127) }, []byte{127}},
		{"Uvarint 128", func(w *Writer) { w.Uvarint(128) }, []byte{0x80, 1}},
		{"Bytes", func(w *Writer) { w.Bytes([]byte{9}) }, []byte{1, 9}},
		{"String", func(w *Writer) { w.String("ab") }, []byte{2, 'a', 'b'}},
		{"Map is sorted", func(w *Writer) { w.Map(map[string]string{"b": "", "a": "x"}) }, []byte{2, 1, 'a', 1, 'x', 1, 'b', 0}},
	}
	for _, c := range tables {
		t.Run(c.name, func(t *testing.T) {
			var w Writer
			c.write(&w)
			if !bytes.Equal(w.B, c.want) {
				t.Errorf("got %x, want %x", w.B, c.want)
			}
		})
	}
}

func TestEveryOtherSpellingIsRefused(t *testing.T) {
	tables := []struct {
		name string
		b    []byte
		read func(*Reader)
	}{
		{"flag of 2", []byte{2}, func(r *Reader) { r.Bool() }},
		{"varint with a needless byte", []byte{0x80, 0}, func(r *Reader) { r.Uvarint(1000) }},
		{"varint without end", []byte{0x80}, func(r *Reader) { r.Uvarint(1000) }},
		{"varint over 64 bits", slices.Repeat([]byte{0xff}, 10), func(r *Reader) { r.Uvarint(math.MaxUint64) }},
		{"varint over the limit", []byte{101}, func(r *Reader) { r.Uvarint(100) }},
		{"length over the limit", []byte{3, 1, 2, 3}, func(r *Reader) { r.Bytes(2) }},
		{"length past the end", []byte{3, 1, 2}, func(r *Reader) { r.Bytes(10) }},
		{"text past the end", []byte{3, 1, 2}, func(r *Reader) { _ = r.String(10) }},
		{"map out of order", []byte{2, 1, 'b', 0, 1, 'a', 0}, func(r *Reader) { r.Map(8, 8) }},
		{"map with a key twice", []byte{2, 1, 'a', 0, 1, 'a', 0}, func(r *Reader) { r.Map(8, 8) }},
		{"map with too many entries", []byte{9}, func(r *Reader) { r.Map(8, 8) }},
		{"reserved bytes", []byte{0, 1}, func(r *Reader) { r.Zeros(2) }},
		{"bytes left", []byte{1, 2}, func(r *Reader) { r.U8() }},
		{"U16 cut", []byte{1}, func(r *Reader) { r.U16() }},
		{"U32 cut", []byte{1, 2, 3}, func(r *Reader) { r.U32() }},
		{"U64 cut", []byte{1, 2, 3}, func(r *Reader) { r.U64() }},
		{"nothing there", nil, func(r *Reader) { r.U8() }},
	}
	for _, c := range tables {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(c.b)
			c.read(r)
			if err := r.Done(); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
		})
	}
}

func TestTheFirstFailureStays(t *testing.T) {
	r := NewReader([]byte{2, 7, 7, 7, 7, 7, 7, 7, 7})
	r.Bool()
	first := r.Err()
	r.Fail("second")
	if r.U8() != 0 || r.U64() != 0 || r.Uvarint(9) != 0 || r.Bytes(9) != nil || r.Map(9, 9) != nil || r.Len() != 0 {
		t.Error("values come out of a reader that failed")
	}
	if r.Done() != first || first == nil {
		t.Errorf("got %v, want the first failure %v", r.Err(), first)
	}
}

func TestResultsAreCopies(t *testing.T) {
	b := []byte{2, 1, 2}
	got := NewReader(b).Bytes(9)
	b[1] = 9
	if !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("the result changed with the input: %x", got)
	}
}

func TestAHostileLengthAllocatesNothing(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x07} // 2 GiB less one
	allocs := testing.AllocsPerRun(10, func() {
		r := Reader{b: huge}
		if got := r.Bytes(math.MaxInt32); got != nil {
			t.Error("bytes out of nothing")
		}
	})
	if allocs > 8 { // the error's own
		t.Errorf("%v allocations", allocs)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(everything{}.encode())
	f.Add(full().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := readEverything(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := e.encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}
