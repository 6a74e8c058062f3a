package pack

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

func TestEveryChangeOfARunIsNoticed(t *testing.T) {
	b := writeRun(t, laterHead(), someRows(8, 3, true))
	for i := range b {
		for _, bit := range []byte{1, 0x10, 0x80} {
			flipped := clone(b)
			flipped[i] ^= bit
			if _, _, err := readRun(bytes.NewReader(flipped)); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("byte %d of %d flipped: %v", i, len(b), err)
			}
		}
	}
	for n := range len(b) {
		if _, _, err := readRun(bytes.NewReader(b[:n])); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d of %d: %v", n, len(b), err)
		}
	}
	for name, more := range map[string][]byte{"a byte": {0}, "itself": b, "a footer": b[len(b)-1-runFooter:]} {
		if _, _, err := readRun(bytes.NewReader(append(clone(b), more...))); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("with %s behind it: %v", name, err)
		}
	}
}

// sewn is a stream of blocks, each of these rows as bytes, with hashes that
// hold, for what a writer would refuse. Where a block is not given as stored it
// is compressed here.
type sewn struct {
	head   RunHead
	blocks []sewnBlock
	rows   uint64
	some   []byte // plain rows, for their hash
}

type sewnBlock struct {
	plain  []byte
	length uint32 // of the rows, 0: len(plain)
	stored []byte
}

func (s sewn) bytes(t testing.TB) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := wire.Writer{B: s.head.encode()}
	for _, b := range s.blocks {
		if b.stored == nil {
			b.stored = enc.EncodeAll(b.plain, nil)
		}
		if b.length == 0 {
			b.length = uint32(len(b.plain))
		}
		w.U8(runBlock)
		w.U32(b.length)
		w.U32(uint32(len(b.stored)))
		w.Raw(b.stored)
	}
	w.U8(runEnd)
	w.U64(s.rows)
	some := blake3.Sum256(s.some)
	w.Raw(some[:])
	all := blake3.Sum256(w.B)
	w.Raw(all[:])
	return w.B
}

// rowBytes is a row as it stands in a block.
func rowBytes(shared uint64, tail string, flag uint8, value string) []byte {
	var w wire.Writer
	w.Uvarint(shared)
	w.String(tail)
	w.U8(flag)
	if flag == 0 {
		w.String(value)
	}
	return w.B
}

// Behind a seal stands only what a key holder wrote; a mistake there must be an
// error and cost bounded memory all the same.
func TestNonsenseInARunIsCorrupt(t *testing.T) {
	a, b := Row{Key: []byte("a"), Value: []byte("1")}, Row{Key: []byte("b"), Value: []byte("2")}
	both := b.appendPlain(a.appendPlain(nil))
	one := func(rows ...[]byte) []sewnBlock { return []sewnBlock{{plain: slices.Concat(rows...)}} }
	first := rowBytes(0, "a", 0, "1")
	sound := sewn{head: fullHead(), rows: 2, some: both, blocks: one(first, rowBytes(0, "b", 0, "2"))}
	if _, rows, err := readRun(bytes.NewReader(sound.bytes(t))); err != nil || !reflect.DeepEqual(rows, []Row{a, b}) {
		t.Fatalf("the sound one: %v, %v", rows, err)
	}
	apart := sound
	apart.blocks = []sewnBlock{{plain: first}, {plain: rowBytes(0, "b", 0, "2")}}
	if _, rows, err := readRun(bytes.NewReader(apart.bytes(t))); err != nil || !reflect.DeepEqual(rows, []Row{a, b}) {
		t.Fatalf("the sound one in two blocks: %v, %v", rows, err)
	}
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer // of unknown size, so that the window is believed
	wide.Reset(&stream)
	if _, err := wide.Write(make([]byte, 9<<20)); err != nil || wide.Close() != nil {
		t.Fatal(err)
	}
	// A frame of zstd that a decoder steps over, so that only the bound notices.
	skipped := append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0x20, 0, 0}, make([]byte, 0x2000)...)
	bomb := wide.EncodeAll(make([]byte, 64<<20), nil)
	blocks := map[string][]sewnBlock{
		"keys equal":                         one(first, rowBytes(1, "", 0, "2")),
		"keys equal, spelled out":            one(first, rowBytes(0, "a", 0, "2")),
		"keys fall":                          one(rowBytes(0, "b", 0, "2"), rowBytes(0, "a", 0, "1")),
		"keys equal over blocks":             {{plain: first}, {plain: rowBytes(0, "a", 0, "2")}},
		"keys fall over blocks":              {{plain: rowBytes(0, "b", 0, "")}, {plain: first}},
		"a block shares with the one before": {{plain: first}, {plain: rowBytes(1, "b", 0, "2")}},
		"the first row shares":               one(rowBytes(1, "b", 0, "2")),
		"more is shared than there is":       one(first, rowBytes(2, "b", 0, "2")),
		"less is shared than could be":       one(first, rowBytes(0, "ab", 0, "2")),
		"no key":                             one(rowBytes(0, "", 0, "2")),
		"a key too long":                     one(rowBytes(0, string(make([]byte, MaxRowKey+1)), 0, "2")),
		"a key too long by what it shares":   one(rowBytes(0, string(make([]byte, MaxRowKey)), 0, ""), rowBytes(MaxRowKey, "x", 0, "")),
		"a value too long":                   one(rowBytes(0, "a", 0, string(make([]byte, MaxRowValue+1)))),
		"a value past the end":               one([]byte{0, 1, 'a', 0, 5, 'x'}),
		"no value":                           one([]byte{0, 1, 'a', 0}),
		"no flag":                            one([]byte{0, 1, 'a'}),
		"a flag of 2":                        one(rowBytes(0, "a", 2, "")),
		"a tombstone among all rows":         one(rowBytes(0, "a", 1, "")),
		"a long varint":                      one([]byte{0x80, 0, 1, 'a', 0, 0}),
		"a varint without end":               one(bytes.Repeat([]byte{0xff}, 20)),
		"a block of nothing":                 {{stored: wide.EncodeAll(nil, nil)}},
		"a block of no bytes":                {{stored: []byte{}, length: 5}},
		"a block over the limit":             {{plain: make([]byte, maxRunBlock+1)}},
		"a block said to be over the limit":  {{plain: first, length: maxRunBlock + 1}},
		"a block longer than it says":        {{plain: first, length: 3}},
		"a block shorter than it says":       {{plain: first, length: 300}},
		"a bomb":                             {{stored: bomb, length: 10}},
		"a bomb of the right size":           {{stored: bomb, length: maxRunBlock}},
		"a window over the limit":            {{stored: stream.Bytes(), length: maxRunBlock}},
		"not compressed":                     {{stored: first, length: 5}},
		"stored in far more than it is":      {{stored: append(skipped, wide.EncodeAll(sound.blocks[0].plain, nil)...), length: uint32(len(sound.blocks[0].plain))}},
	}
	for name, bs := range blocks {
		s := sound
		s.blocks = bs
		_, _, err := readRun(bytes.NewReader(s.bytes(t)))
		if !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// The hash of the rows is that of the sound ones: it must not be what
		// saves the reader.
		if text := err.Error(); strings.Contains(text, "hash of") || strings.Contains(text, "footer counts") {
			t.Errorf("%s: taken until the footer: %v", name, err)
		}
	}
	for name, change := range map[string]func(*sewn){
		"a row more than the footer says": func(s *sewn) { s.rows = 1 },
		"a row less than the footer says": func(s *sewn) { s.rows = 3 },
		"rows of another hash":            func(s *sewn) { s.some = a.appendPlain(nil) },
	} {
		s := sound
		change(&s)
		if _, _, err := readRun(bytes.NewReader(s.bytes(t))); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, at := range map[string]int{"another format": 0, "another version": 9} {
		raw := sound.bytes(t)
		raw[at]++
		if _, err := NewRunReader(bytes.NewReader(raw)); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRunReader(f *testing.F) {
	f.Add(writeRun(f, fullHead(), nil))
	f.Add(writeRun(f, laterHead(), someRows(20, 6, true)))
	f.Add([]byte("cairnrun\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rows, err := readRun(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		h2, rows2, err := readRun(bytes.NewReader(writeRun(t, h, rows)))
		if err != nil || !reflect.DeepEqual(h, h2) || !reflect.DeepEqual(rows, rows2) {
			t.Fatalf("other rows come back: %v", err)
		}
	})
}

// FuzzRunBlock sews a stream with a good hash around a block, so that the
// fuzzer gets to the compression and the rows.
func FuzzRunBlock(f *testing.F) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	plain := slices.Concat(rowBytes(0, "a", 0, "1"), rowBytes(1, "b", 1, ""), rowBytes(2, "c", 0, ""))
	f.Add(uint32(len(plain)), enc.EncodeAll(plain, nil), []byte(nil))
	f.Add(uint32(0), []byte(nil), plain)
	f.Fuzz(func(t *testing.T, length uint32, stored, plain []byte) {
		s := sewn{head: laterHead(), blocks: []sewnBlock{{plain: plain}}}
		if len(plain) == 0 {
			s.blocks = []sewnBlock{{stored: append([]byte{}, stored...), length: length}}
		}
		// The hash of the rows is not known here: read until it is all that fails.
		_, rows, _ := readRun(bytes.NewReader(s.bytes(t)))
		s.rows = uint64(len(rows))
		for _, r := range rows {
			s.some = r.appendPlain(s.some)
		}
		h, rows, err := readRun(bytes.NewReader(s.bytes(t)))
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		var again, last []byte
		for _, r := range rows {
			again, last = r.appendTo(again, last), r.Key
		}
		if len(plain) > 0 && !bytes.Equal(again, plain) {
			t.Fatalf("two spellings: %x and %x", again, plain)
		}
		if _, rows2, err := readRun(bytes.NewReader(writeRun(t, h, rows))); err != nil || !reflect.DeepEqual(rows, rows2) {
			t.Fatalf("other rows come back: %v", err)
		}
	})
}
