package pack

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// readFile believes a whole shard file as far as a reader does: tail, contents,
// every block.
func readFile(f []byte, p Params, index uint8, trust Trust) error {
	if int64(len(f)) != p.FileSize() {
		return cairn.ErrCorrupt // a range past the end, or a size that differs
	}
	tail, err := OpenTail(f[p.TailOffset():], p, index, trust)
	if err != nil {
		return err
	}
	for i := range tail.Blocks {
		off := i * BlockSize
		if err := tail.Check(i, f[off:off+BlockLength(p.Length, i)]); err != nil {
			return err
		}
	}
	return tail.CheckContents(f[p.Length:p.TailOffset()])
}

// readUnknown is the same for a file of which only the size is known.
func readUnknown(f []byte, trust Trust) (*Tail, error) {
	tail, err := OpenUnknownTail(f, int64(len(f)), trust)
	if err != nil {
		return nil, err
	}
	return tail, readFile(f, tail.Params, tail.Index, trust)
}

func TestEveryFileIsReadAsItWasSealed(t *testing.T) {
	for _, c := range codings() {
		b := newBody(t, 1, c, 100_000, 30_000, 200_000, 1, 0)
		s := b.seal(t)
		for i, f := range s.Files {
			if err := readFile(f, b.params, uint8(i), testTrust()); err != nil {
				t.Fatalf("%v shard %d: %v", c, i, err)
			}
			tail, err := readUnknown(f, testTrust())
			if err != nil || tail.Params != b.params || int(tail.Index) != i {
				t.Errorf("%v shard %d found: %v", c, i, err)
			}
			// A reader guesses how much of the end is the tail.
			end := f[max(0, len(f)-(32<<10)):]
			if tail, err := OpenUnknownTail(end, int64(len(f)), testTrust()); err != nil || tail.Params != b.params {
				t.Errorf("%v shard %d from its end: %v", c, i, err)
			}
		}
	}
}

// tinyFiles is a pack whose files are small enough to try each byte.
func tinyFiles(t testing.TB, c cairn.Coding) (body, *Sealed) {
	t.Helper()
	b := newBody(t, 4, c, 50, 700, 300)
	return b, b.seal(t)
}

func TestHazardB2EveryByteOfAFileIsVouchedFor(t *testing.T) {
	b, s := tinyFiles(t, cairn.Coding{K: 2, M: 1})
	tailAt := int(b.params.TailOffset())
	for i, f := range s.Files {
		for at := range f {
			switch {
			case os.Getenv("CAIRN_LONG") != "":
			case at < tailAt && at%211 != i: // hashed whole, so a sample will do
				continue
			case at >= tailAt && at%3 != i: // each byte in one of the three files
				continue
			}
			flipped := clone(f)
			flipped[at] ^= 1 << (at % 8)
			if err := readFile(flipped, b.params, uint8(i), testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("shard %d byte %d of %d: %v", i, at, len(f), err)
			}
			if at%2 == 0 {
				continue
			}
			if _, err := readUnknown(flipped, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("unknown shard %d byte %d of %d: %v", i, at, len(f), err)
			}
		}
	}
}

func TestAFileCutOrExtendedIsNoticed(t *testing.T) {
	b, s := tinyFiles(t, cairn.Coding{K: 1, M: 1})
	f := s.Files[1]
	for n := 0; n < len(f); n += 1 + n/29 {
		if _, err := readUnknown(f[:n], testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d: %v", n, err)
		}
		if _, err := readUnknown(f[n+1:], testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("begins at %d: %v", n+1, err)
		}
	}
	for name, extended := range map[string][]byte{
		"zeros":            append(clone(f), 0, 0, 0),
		"itself":           append(clone(f), f...),
		"bytes before":     append([]byte{0}, f...),
		"a second tail":    append(clone(f), f[b.params.TailOffset():]...),
		"a tail of no use": f[b.params.TailOffset():],
	} {
		if _, err := readUnknown(extended, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []int64{0, b.params.TailSize() - 1, b.params.TailSize() + 1} {
		if _, err := OpenTail(make([]byte, n), b.params, 1, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("tail of %d bytes: %v", n, err)
		}
	}
	end := f[len(f)-int(b.params.TailSize())+1:]
	if _, err := OpenUnknownTail(end, int64(len(f)), testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("an end without the whole tail: %v", err)
	}
}

// Whatever valid file a node gives in place of the right one, it is refused.
func TestAnotherValidFileIsNoticed(t *testing.T) {
	c := cairn.Coding{K: 2, M: 2}
	b, s := tinyFiles(t, c)
	other := newBody(t, 5, c, 50, 700, 300)
	foreign := other.seal(t)
	if other.params.FileSize() != b.params.FileSize() {
		t.Fatal("the fixtures differ in size; the test would show nothing")
	}
	reindexed := clone(s.Files[1])
	reindexed[len(reindexed)-FooterSize] = 0
	blocksOfOne := append(clone(s.Files[1][:b.params.TailOffset()]), s.Files[0][b.params.TailOffset():]...)
	hashesOfOne := clone(s.Files[0])
	copy(hashesOfOne[b.params.TailOffset():], s.Files[1][b.params.TailOffset():b.params.TailOffset()+32])
	for name, f := range map[string][]byte{
		"another shard of the pack":       s.Files[1],
		"a parity shard":                  s.Files[3],
		"the same shard of another pack":  foreign.Files[0],
		"another shard renumbered":        reindexed,
		"another shard's blocks":          blocksOfOne,
		"another shard's hashes":          hashesOfOne,
		"another pack's blocks":           append(clone(foreign.Files[0][:b.params.TailOffset()]), s.Files[0][b.params.TailOffset():]...),
		"another pack's contents":         append(append(clone(s.Files[0][:b.params.Length]), foreign.Files[0][b.params.Length:b.params.TailOffset()]...), s.Files[0][b.params.TailOffset():]...),
		"another pack's trailer":          append(clone(s.Files[0][:len(s.Files[0])-TrailerSize(4)]), foreign.Files[0][len(s.Files[0])-TrailerSize(4):]...),
		"the right blocks in wrong order": append(clone(s.Files[0][64:b.params.Length]), append(clone(s.Files[0][:64]), s.Files[0][b.params.Length:]...)...),
	} {
		if err := readFile(f, b.params, 0, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Params){
		"another store":   func(p *Params) { p.Store[0]++ },
		"another epoch":   func(p *Params) { p.Epoch++ },
		"another life":    func(p *Params) { p.Prefix[0]++ },
		"another coding":  func(p *Params) { p.Coding = cairn.Coding{K: 3, M: 1} },
		"another pack id": func(p *Params) { p.ID[15]++ },
	} {
		p := b.params
		change(&p)
		if err := readFile(s.Files[0], p, 0, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("asked for %s: %v", name, err)
		}
	}
	if err := readFile(s.Files[0], b.params, 0, testTrust()); err != nil {
		t.Errorf("the right file: %v", err)
	}
}

// A node can make a file that agrees with itself. It cannot sign it.
func TestAFileSignedByAStrangerIsNoticed(t *testing.T) {
	b, s := tinyFiles(t, cairn.Coding{K: 1, M: 1})
	stranger := crypt.NewSigningKey([32]byte{66})
	forged, err := Seal(mustCode(t, b.params.Coding), b.key, b.params, b.bytes, b.contents, stranger, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readUnknown(forged.Files[0], testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("signed by a stranger: %v", err)
	}
	if _, err := readUnknown(s.Files[0], crypt.TrustKeys(cairn.StoreID{9}, testSign().Public())); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("signed for another store: %v", err)
	}
	// The stranger's trailer with the gateway's key named in it.
	f := clone(forged.Files[0])
	public := testSign().Public()
	copy(f[len(f)-TrailerSize(2)+112:], public[:])
	if _, err := readUnknown(f, testTrust()); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("signed by a stranger in another's name: %v", err)
	}
}

func TestABlockCountsOnlyInItsPlace(t *testing.T) {
	b := newBody(t, 1, cairn.Coding{K: 1, M: 1}, 300_000)
	s := b.seal(t)
	tail := b.tail(t, s, 0)
	if len(tail.Blocks) < 4 {
		t.Fatalf("only %d blocks", len(tail.Blocks))
	}
	block := s.Files[0][BlockSize : 2*BlockSize]
	last := len(tail.Blocks) - 1
	for _, c := range []struct {
		name string
		i    int
		b    []byte
		want error
	}{
		{"as sealed", 1, block, nil},
		{"from whatever source", 1, s.Files[1][BlockSize : 2*BlockSize], nil}, // 1+1 is a copy
		{"another block", 2, block, cairn.ErrCorrupt},
		{"short", 1, block[:BlockSize-1], cairn.ErrCorrupt},
		{"long", 1, s.Files[0][BlockSize : 2*BlockSize+1], cairn.ErrCorrupt},
		{"the last, too long", last, block, cairn.ErrCorrupt},
		{"before the first", -1, block, cairn.ErrCorrupt},
		{"after the last", last + 1, block, cairn.ErrCorrupt},
		{"nothing", 1, nil, cairn.ErrCorrupt},
	} {
		if err := tail.Check(c.i, c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A1 H2: two sealings of one pack are told apart before they are mixed.
func TestHazardA1H2TwoSealingsNeverMix(t *testing.T) {
	c := cairn.Coding{K: 2, M: 1}
	b, s := tinyFiles(t, c)
	again := b
	again.table.Length++
	var err error
	if again.contents, err = again.table.Seal(b.key, b.params); err != nil {
		t.Fatal(err)
	}
	second := again.seal(t)
	one, two, three := b.tail(t, s, 0), b.tail(t, s, 1), again.tail(t, second, 2)
	if err := one.SameSealing(two); err != nil {
		t.Errorf("two shards of one sealing: %v", err)
	}
	if err := one.SameSealing(three); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("shards of two sealings: %v", err)
	}
	if s.SealHash() == second.SealHash() {
		t.Error("two sealings have one hash")
	}
	// And none is made: what is durable decides.
	code := mustCode(t, c)
	for name, x := range map[string]body{"other contents": again, "other bytes": func() body {
		x := b
		x.bytes = clone(b.bytes)
		x.bytes[100] ^= 1
		return x
	}()} {
		if _, err := Reseal(code, b.key, s.Trailer, x.bytes, x.contents); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpenTail(f *testing.F) {
	b, s := tinyFiles(f, cairn.Coding{K: 1, M: 1})
	for _, file := range s.Files {
		f.Add(file[b.params.TailOffset():], uint8(0))
	}
	f.Fuzz(func(t *testing.T, tail []byte, index uint8) {
		got, err := OpenTail(tail, b.params, index, testTrust())
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		// Nothing but what was sealed passes.
		if !bytes.Equal(encodeTail(got), tail) || !bytes.Equal(tail, s.Files[index][b.params.TailOffset():]) {
			t.Fatalf("a forged tail: %x", tail)
		}
	})
}

func FuzzOpenUnknownTail(f *testing.F) {
	b, s := tinyFiles(f, cairn.Coding{K: 1, M: 1})
	size := b.params.FileSize()
	for _, file := range s.Files {
		f.Add(file[b.params.TailOffset():], size)
		f.Add(file[b.params.TailOffset()-9:], size)
	}
	f.Add(s.Files[0][size-FooterSize:], size)
	f.Fuzz(func(t *testing.T, end []byte, size int64) {
		got, err := OpenUnknownTail(end, size, testTrust())
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if size != got.FileSize() || !bytes.HasSuffix(end, encodeTail(got)) || got.Params != b.params {
			t.Fatalf("a forged tail: %x", end)
		}
	})
}

func encodeTail(t *Tail) (b []byte) {
	for _, h := range t.Blocks {
		b = append(b, h[:]...)
	}
	return append(b, t.Encode()...)
}
