package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/klauspost/compress/zstd"
)

func someContents() map[string]Contents {
	s := newSource(2)
	runs := []Run{
		{Content: crypt.ContentID(s.bytes(16)), Length: 8 * FrameSize, Offset: 0},
		{Content: crypt.ContentID(s.bytes(16)), First: 1 << 20, Length: 5, Offset: 8 * SealedSize, End: true},
	}
	return map[string]Contents{
		"log": {Kind: Log, Length: 1000, Number: 7, Prev: crypt.Hash(s.bytes(32)), First: cairn.Stamp{Life: 7, LSN: 1},
			Last: cairn.Stamp{Life: 7, LSN: uint64(len(allRecords()))}, Records: allRecords()},
		"empty log":  {Kind: Log, Number: 1},
		"data":       {Kind: Data, Length: 9 * SealedSize, Runs: runs},
		"moved":      {Kind: Moved, Length: 9 * SealedSize, Runs: runs[:1]},
		"journal":    {Kind: Journal, Length: 400, Number: 8, First: cairn.Stamp{Life: 7, LSN: 40}, Last: cairn.Stamp{Life: 7, LSN: 44}, Records: allRecords()[:2]},
		"checkpoint": {Kind: Checkpoint, Length: 77, Part: 2, Total: 3, CutOff: 6, Runs: runs[1:]},
	}
}

func TestContentsAreReadAsTheyWereWritten(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	p := Params{Store: testStore(), ID: cairn.PackID{1}, Epoch: 4, Coding: cairn.Coding{K: 4, M: 3}, Length: 4096}
	for name, c := range someContents() {
		b := c.Encode()
		got, err := ParseContents(b)
		if err != nil || !reflect.DeepEqual(got, c) || !bytes.Equal(got.Encode(), b) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		sealed, err := c.Seal(key, p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if uint64(len(sealed)) != Padded(uint64(len(sealed))) {
			t.Errorf("%s: %d bytes are no class", name, len(sealed))
		}
		if got, err = OpenContents(key, p, sealed); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: opened %+v, %v", name, got, err)
		}
	}
}

func TestContentsOpenOnlyForTheirPackAndShape(t *testing.T) {
	epoch := crypt.EpochKey{1}
	p := Params{Store: testStore(), ID: cairn.PackID{1}, Epoch: 4, Coding: cairn.Coding{K: 4, M: 3}, Length: 4096}
	sealed, err := someContents()["log"].Seal(epoch.Pack(p.ID, p.Prefix), p)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Params){
		"another pack":   func(p *Params) { p.ID[15]++ },
		"another life":   func(p *Params) { p.Prefix[0]++ },
		"another store":  func(p *Params) { p.Store[0]++ },
		"another epoch":  func(p *Params) { p.Epoch++ },
		"another k":      func(p *Params) { p.Coding = cairn.Coding{K: 3, M: 4} },
		"another n":      func(p *Params) { p.Coding = cairn.Coding{K: 4, M: 4} },
		"another length": func(p *Params) { p.Length = 8192 },
	} {
		other := p
		change(&other)
		if _, err := OpenContents(epoch.Pack(other.ID, other.Prefix), other, sealed); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	key := epoch.Pack(p.ID, p.Prefix)
	for i := 0; i < len(sealed); i += 13 {
		b := clone(sealed)
		b[i] ^= 1
		if _, err := OpenContents(key, p, b); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, n := range []int{0, 15, 16, len(sealed) - 1} {
		if _, err := OpenContents(key, p, sealed[:n]); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
}

func TestContentsThatContradictThemselvesAreNeverSealed(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	two := allRecords()[:2]
	large := func(bodies []byte) (all []Record) {
		for n := 0; n < len(bodies); n += maxBody {
			all = append(all, Record{Stamp: cairn.Stamp{LSN: uint64(n + 1)}, Body: Unknown{Of: 99, Bytes: bodies[n:min(n+maxBody, len(bodies))]}})
		}
		return all
	}
	for name, c := range map[string]Contents{
		"no kind":                     {},
		"an unknown kind":             {Kind: 6},
		"records out of order":        {Kind: Log, Records: []Record{two[1], two[0]}},
		"a stamp twice":               {Kind: Log, Records: []Record{two[0], two[0]}},
		"a record without a stamp":    {Kind: Log, Records: []Record{{Body: Delete{Bucket: 1, Key: "k"}}}},
		"a record that cannot be":     {Kind: Log, Records: []Record{{Stamp: cairn.Stamp{LSN: 1}, Body: Delete{Bucket: 1}}}},
		"records in a data pack":      {Kind: Data, Records: two},
		"records that move":           {Kind: Moved, Records: two},
		"records in a checkpoint":     {Kind: Checkpoint, Records: two},
		"more than can be read again": {Kind: Log, Records: large(make([]byte, maxContentsPlain))},
		"more than shards may carry":  {Kind: Log, Records: large(newSource(1).bytes(MaxContents))},
	} {
		if b, err := c.Seal(key, Params{Coding: cairn.Coding{K: 1}}); !errors.Is(err, cairn.ErrInvalid) || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong inside the seal is a bug of whoever holds the key; it must be
// an error and cost bounded memory all the same.
func TestSealedNonsenseIsCorrupt(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	p := Params{ID: cairn.PackID{1}, Coding: cairn.Coding{K: 1}}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := enc.EncodeAll(make([]byte, maxContentsPlain+1), nil)
	good := enc.EncodeAll(Contents{Kind: Log}.Encode(), nil)
	length := func(n uint32, b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), b...) }
	for name, plain := range map[string][]byte{
		"nothing":            nil,
		"three bytes":        {0, 0, 0},
		"length past end":    length(5, []byte{1, 2, 3, 4}),
		"length of 4 GiB":    length(1<<32-1, good),
		"padding not zero":   length(uint32(len(good)), append(clone(good), 1)),
		"not compressed":     length(4, []byte("none")),
		"a bomb":             length(uint32(len(bomb)), bomb),
		"an empty table":     length(0, nil),
		"a table and more":   length(uint32(2*len(good)), append(clone(good), good...)),
		"another version":    {},
		"cut in compression": length(uint32(len(good)-3), append(clone(good[:len(good)-3]), 0)),
	} {
		if name == "another version" {
			b := Contents{Kind: Log}.Encode()
			b[0] = 2
			z := enc.EncodeAll(b, nil)
			plain = length(uint32(len(z)), z)
		}
		sealed := key.Seal(nil, plain, crypt.DomainContents, 0, contentsAAD(p))
		if _, err := OpenContents(key, p, sealed); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sound := key.Seal(nil, length(uint32(len(good)), good), crypt.DomainContents, 0, contentsAAD(p))
	if _, err := OpenContents(key, p, sound); err != nil {
		t.Errorf("the sound one: %v", err)
	}
}

// atticRecords are n puts as the Nix front-end makes them.
func atticRecords(n int) (all []Record) {
	s := newSource(77)
	rnd := rand.New(s)
	off := uint32(HeadSize)
	for i := range n {
		p := Part{ID: crypt.ContentID(s.bytes(16)), Size: 4<<10 + rnd.Uint64N(40<<10)}
		p.Extents = []Extent{{Pack: cairn.NewPackID(5, [10]byte{1}), Offset: off, Length: p.Size}}
		off += uint32(SealedLength(int64(p.Size)))
		all = append(all, Record{Stamp: cairn.Stamp{Life: 1, LSN: uint64(1000 + i)}, Body: Put{
			Bucket: 3, Key: fmt.Sprintf("%x-%x.chunk", s.bytes(4), s.bytes(16)), Size: p.Size, Modified: uint64(1_760_000_000_000 + i*37),
			ETag: fmt.Sprintf("%x", s.bytes(16)), Header: map[string]string{"Content-Type": "application/octet-stream"}, Parts: []Part{p},
		}})
	}
	return all
}

// B3: what a node sees of the number and size of objects is a class.
func TestHazardB3SizesAreClasses(t *testing.T) {
	c := cairn.Coding{K: 4, M: 3}
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	all := atticRecords(600)
	sealed := func(n int) int {
		b, err := Contents{Kind: Log, Records: all[:n]}.Seal(key, Params{Coding: c})
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	if a, b := sealed(300), sealed(301); a != b {
		t.Errorf("contents of 300 and 301 objects have %d and %d bytes", a, b)
	}
	classes := map[int]int{}
	for n := 281; n <= 320; n += 3 {
		classes[sealed(n)]++
	}
	if len(classes) > 5 { // 14 % of 25 KB in steps of 1 KiB; unpadded each count has its own size
		t.Errorf("14 counts of objects show as %d sizes: %v", len(classes), classes)
	}
	var pack int64
	for _, r := range all[:300] {
		pack += SealedLength(int64(r.Body.(Put).Size))
	}
	next := pack + SealedLength(int64(all[300].Body.(Put).Size))
	if a, b := ShardLength(uint64(pack), c), ShardLength(uint64(next), c); a != b {
		t.Errorf("shards of 300 and 301 objects have %d and %d bytes", a, b)
	}
	// A journal, or what the flush age makes, of one object.
	sizes := map[int64]int{}
	for _, n := range []int{0, 1, 16, 700, 1000, 3000, 3700} {
		b := newBody(t, 1, cairn.Coding{K: 1, M: 2}, n)
		sizes[b.params.FileSize()]++
	}
	if len(sizes) != 1 {
		t.Errorf("files of one small object have sizes %v", sizes)
	}
}

// C4: a log pack that is full of records has contents of about 128 KiB, so the
// copies in n shards stay a small part of 16 MiB.
func TestHazardC4ContentsStaySmall(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	var bytes, n int
	all := atticRecords(2000)
	for bytes < MaxRecords {
		bytes += all[n].Size()
		n++
	}
	b, err := Contents{Kind: Log, Records: all[:n]}.Seal(key, Params{Coding: cairn.Coding{K: 4, M: 3}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records of %d bytes make %d bytes of contents", n, bytes, len(b))
	if len(b) > 136<<10 {
		t.Errorf("%d records of %d bytes make %d bytes of contents", n, bytes, len(b))
	}
}

func TestKindsHaveWords(t *testing.T) {
	var words []string
	for k := Log; k <= Checkpoint+1; k++ {
		words = append(words, k.String())
	}
	if got := strings.Join(words, " "); got != "log data moved journal checkpoint unknown" {
		t.Error(got)
	}
}

func FuzzParseContents(f *testing.F) {
	for _, c := range someContents() {
		f.Add(c.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseContents(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := c.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

func FuzzOpenContents(f *testing.F) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	p := Params{ID: cairn.PackID{1}, Coding: cairn.Coding{K: 1}}
	for _, c := range someContents() {
		sealed, err := c.Seal(key, p)
		if err != nil {
			f.Fatal(err)
		}
		plain, err := key.Open(nil, sealed, crypt.DomainContents, 0, contentsAAD(p))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	// Sealed here, so that the fuzzer gets past the cipher; compression has many
	// spellings, so only what was compressed must come back alike.
	f.Fuzz(func(t *testing.T, plain []byte) {
		c, err := OpenContents(key, p, key.Seal(nil, plain, crypt.DomainContents, 0, contentsAAD(p)))
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		sealed, err := c.Seal(key, p)
		if err != nil {
			t.Fatalf("what opened does not seal: %v", err)
		}
		again, err := OpenContents(key, p, sealed)
		if err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Fatalf("other contents come back: %v", err)
		}
	})
}
