package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// fullHead heads a run of all rows, laterHead one that completes two others.
func fullHead() RunHead {
	return RunHead{Store: testStore(), CutOff: CutOff{Number: 7, Last: cairn.Stamp{Life: 3, LSN: 900}, Seal: crypt.Hash{1, 2, 3}}, To: 4}
}

func laterHead() RunHead {
	h := fullHead()
	h.CutOff.Number, h.From, h.To, h.Before = 9, 5, 6, []crypt.ContentID{{1}, {2}}
	return h
}

// someRows are n rows as an index has them: long keys that share much, values
// of some hundred bytes, every seventh a tombstone where gone is set.
func someRows(n int, seed uint64, gone bool) []Row {
	s := newSource(seed)
	rnd := rand.New(s)
	rows := make([]Row, n)
	for i := range rows {
		rows[i].Key = fmt.Appendf(nil, "\x02\x00\x00\x00\x00\x00\x00\x00\x09nar/%08x%x.nar", i*3, s.bytes(12))
		if gone && i%7 == 3 {
			rows[i].Gone = true
			continue
		}
		rows[i].Value = s.bytes(1 + rnd.IntN(400))
	}
	return rows
}

func writeRun(t testing.TB, h RunHead, rows []Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewRunWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || w.Rows() != uint64(len(rows)) {
		t.Fatalf("%d rows, %v", w.Rows(), err)
	}
	return out.Bytes()
}

// readRun gives what was read before an error, copied, and nil at the good end.
func readRun(in io.Reader) (h RunHead, rows []Row, err error) {
	r, err := NewRunReader(in)
	if err != nil {
		return h, nil, err
	}
	for {
		row, err := r.Next()
		if err == io.EOF {
			return r.Head(), rows, nil
		}
		if err != nil {
			if _, again := r.Next(); again != err {
				return r.Head(), rows, fmt.Errorf("after %v comes %v", err, again)
			}
			return r.Head(), rows, err
		}
		rows = append(rows, copyRow(row))
	}
}

func copyRow(r Row) Row {
	return Row{Key: clone(r.Key), Value: bytes.Clone(r.Value), Gone: r.Gone}
}

func TestARunIsReadAsItWasWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		head RunHead
		rows []Row
	}{
		{"no rows", fullHead(), nil},
		{"no rows of a later run", laterHead(), nil},
		{"before the first log pack", RunHead{Store: testStore()}, someRows(1, 1, false)},
		{"an empty value", fullHead(), []Row{{Key: []byte("k")}}},
		{"a key that is the start of the next", fullHead(), []Row{{Key: []byte("k")}, {Key: []byte("k\x00")}, {Key: []byte("kk")}}},
		{"the largest row", fullHead(), []Row{{Key: bytes.Repeat([]byte{255}, MaxRowKey), Value: newSource(1).bytes(MaxRowValue)}}},
		{"the largest rows behind a block that is almost full", fullHead(), []Row{
			{Key: []byte("a"), Value: newSource(1).bytes(runTarget - 9)},
			{Key: []byte("b"), Value: newSource(2).bytes(MaxRowValue)},
			{Key: []byte("c"), Value: newSource(3).bytes(MaxRowValue)}}},
		{"only tombstones", laterHead(), []Row{{Key: []byte("a"), Gone: true}, {Key: []byte("b"), Gone: true}}},
		{"many blocks", laterHead(), someRows(5000, 2, true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := writeRun(t, c.head, c.rows)
			for name, in := range map[string]io.Reader{
				"whole": bytes.NewReader(b), "by halves": iotest.HalfReader(bytes.NewReader(b)), "end with the data": iotest.DataErrReader(bytes.NewReader(b)),
			} {
				h, rows, err := readRun(in)
				if err != nil || !reflect.DeepEqual(h, c.head) || !reflect.DeepEqual(rows, c.rows) {
					t.Errorf("%s: %d rows of %d, %v", name, len(rows), len(c.rows), err)
				}
			}
			if again := writeRun(t, c.head, c.rows); !bytes.Equal(again, b) {
				t.Error("written again it has other bytes")
			}
		})
	}
}

func TestARunThatCouldNotBeReadIsNotWritten(t *testing.T) {
	key := func(s string) Row { return Row{Key: []byte(s)} }
	long := make([]byte, MaxRowValue+1)
	for _, c := range []struct {
		name string
		head RunHead
		rows []Row // the last is refused
	}{
		{"no key", laterHead(), []Row{key("")}},
		{"a key twice", laterHead(), []Row{key("a"), key("a")}},
		{"a key that falls", laterHead(), []Row{key("b"), key("a")}},
		{"a key that falls behind a block", laterHead(), []Row{key("a"), {Key: []byte("b"), Value: long[:runTarget]}, key("aa")}},
		{"a key too long", laterHead(), []Row{{Key: long[:MaxRowKey+1]}}},
		{"a value too long", laterHead(), []Row{{Key: []byte("a"), Value: long}}},
		{"a tombstone with a value", laterHead(), []Row{{Key: []byte("a"), Value: long[:1], Gone: true}}},
		{"a tombstone among all rows", fullHead(), []Row{{Key: []byte("a"), Gone: true}}},
	} {
		w, err := NewRunWriter(io.Discard, c.head)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range c.rows {
			if err = w.Add(r); i+1 < len(c.rows) && err != nil {
				t.Fatalf("%s: row %d: %v", c.name, i, err)
			}
		}
		if !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if w.Add(key("z")) != err || w.Close() != err {
			t.Errorf("%s: the stream goes on after its failure", c.name)
		}
	}
	heads := map[string]func(*RunHead){
		"generations fall":          func(h *RunHead) { h.From, h.To = 7, 6 },
		"a later run alone":         func(h *RunHead) { h.Before = nil },
		"all rows with runs before": func(h *RunHead) { h.From = 0 },
		"a run before twice":        func(h *RunHead) { h.Before[1] = h.Before[0] },
		"too many runs":             func(h *RunHead) { h.Before = manyIDs(MaxRuns) },
	}
	for name, change := range heads {
		h := laterHead()
		change(&h)
		if _, err := NewRunWriter(io.Discard, h); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewRunReader(bytes.NewReader(h.encode())); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("read, %s: %v", name, err)
		}
	}
	h := laterHead()
	h.Before = manyIDs(MaxRuns - 1)
	if got, _, err := readRun(bytes.NewReader(writeRun(t, h, nil))); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("the most runs: %v", err)
	}
}

func manyIDs(n int) (ids []crypt.ContentID) {
	for i := range n {
		ids = append(ids, crypt.ContentID{byte(i)})
	}
	return ids
}

func TestAfterItsFooterARunTakesNoRow(t *testing.T) {
	w, err := NewRunWriter(io.Discard, fullHead())
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := w.Add(Row{Key: []byte("a")}); !errors.Is(err, cairn.ErrInvalid) {
		t.Error(err)
	}
	if err := w.Close(); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("closed twice: %v", err)
	}
}

func TestAFailureBelowARunKeepsItsClass(t *testing.T) {
	b := writeRun(t, laterHead(), someRows(3000, 4, true))
	for _, at := range []int{0, 20, 100, len(b) / 2, len(b) - 40, len(b) - 1, len(b)} {
		for _, want := range []error{cairn.ErrUnavailable, fmt.Errorf("node: %w: %w", cairn.ErrLost, io.ErrUnexpectedEOF)} {
			_, _, err := readRun(io.MultiReader(bytes.NewReader(b[:at]), iotest.ErrReader(want)))
			if !errors.Is(err, want) || errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("at %d: %v, want %v", at, err, want)
			}
		}
	}
	w, err := NewRunWriter(&failing{left: 200}, fullHead())
	for i := 0; err == nil && i < 10000; i++ {
		err = w.Add(Row{Key: binary.BigEndian.AppendUint32(nil, uint32(i)), Value: newSource(uint64(i)).bytes(100)})
	}
	if !errors.Is(err, cairn.ErrFull) || w.Close() != err {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := NewRunWriter(&failing{}, fullHead()); !errors.Is(err, cairn.ErrFull) {
		t.Errorf("a disk that is full from the start: %v", err)
	}
}

// failing takes some bytes, and then has no room.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, cairn.ErrFull
	}
	return len(b), nil
}

func TestARunOfAnyLengthHoldsOneBlock(t *testing.T) {
	var out bytes.Buffer
	w, err := NewRunWriter(&out, laterHead())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range someRows(15_000, 5, true) { // 3 MiB
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := cap(w.block) + cap(w.out) + cap(w.last) + cap(w.plain); n > 2<<20 {
		t.Errorf("the writer holds %d bytes", n)
	}
	r, err := NewRunReader(&out)
	for err == nil {
		_, err = r.Next()
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	if n := cap(r.buf) + cap(r.stored) + cap(r.key) + cap(r.plain) + r.r.Size(); n > 2<<20 {
		t.Errorf("the reader holds %d bytes", n)
	}
}
