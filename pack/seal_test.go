package pack

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Seal, lose any m shards, make them again, read every object.
func TestAnyKShardsGiveEverythingBack(t *testing.T) {
	for _, c := range codings() {
		b := newBody(t, 2, c, 100_000, 30_000, 200_000, 1, 0, 65_536)
		s := b.seal(t)
		code := mustCode(t, c)
		for lost := range 1 << c.N() {
			if bits.OnesCount(uint(lost)) != c.M {
				continue
			}
			t.Run(fmt.Sprintf("%v lost %0*b", c, c.N(), lost), func(t *testing.T) {
				shards := make([][]byte, c.N())
				var want []int
				var seen *Tail
				for i, f := range s.Files {
					if lost>>i&1 == 1 {
						want = append(want, i)
						continue
					}
					shards[i] = f[:b.params.Length:b.params.Length]
					tail := b.tail(t, s, i)
					if seen == nil {
						seen = tail
					}
					if err := tail.SameSealing(seen); err != nil {
						t.Fatal(err)
					}
				}
				if err := code.Reconstruct(shards, want); err != nil {
					t.Fatal(err)
				}
				for _, i := range want {
					hs, err := seen.CheckShard(uint8(i), shards[i])
					if err != nil {
						t.Fatal(err)
					}
					// The file that repair writes is the one that was lost.
					rebuilt := append(clone(shards[i]), b.contents...)
					again := *seen
					again.Index, again.Blocks = uint8(i), hs
					if rebuilt = append(rebuilt, encodeTail(&again)...); !bytes.Equal(rebuilt, s.Files[i]) {
						t.Errorf("shard %d comes back as another file", i)
					}
				}
				readObjects(t, b, shards)
			})
		}
	}
}

// readObjects opens contents and every object from the data shards.
func readObjects(t *testing.T, b body, shards [][]byte) {
	t.Helper()
	all := bytes.Join(shards[:b.params.Coding.K], nil)
	table, err := OpenContents(b.key, b.params, b.contents)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Records {
		p := r.Body.(Put)
		var got []byte
		for _, e := range p.Parts[0].Extents {
			at, left := uint64(e.Offset), e.Length
			for n := uint64(0); left > 0; n++ {
				plain := min(left, FrameSize)
				left -= plain
				got, err = b.key.OpenFrame(got, all[at:at+plain+crypt.Overhead], at, p.Parts[0].ID, n, left == 0)
				if err != nil {
					t.Fatalf("%s frame %d: %v", p.Key, n, err)
				}
				at += plain + crypt.Overhead
			}
		}
		if !bytes.Equal(got, b.plain[p.Key]) {
			t.Errorf("%s comes back as other bytes", p.Key)
		}
	}
	if len(table.Records) != len(b.plain) {
		t.Errorf("%d objects of %d", len(table.Records), len(b.plain))
	}
}

func TestResealGivesTheSameFiles(t *testing.T) {
	for _, c := range codings() {
		b := newBody(t, 3, c, 70_000, 5)
		s := b.seal(t)
		if s.Index != 0 || len(s.Files) != c.N() {
			t.Fatalf("%v: index %d, %d files", c, s.Index, len(s.Files))
		}
		// The trailer as the stage gives it back, from whichever shard.
		stored := s.Trailer
		stored.Index = uint8(c.N() - 1)
		back, err := ParseTrailer(stored.Encode())
		if err != nil {
			t.Fatal(err)
		}
		again, err := Reseal(mustCode(t, c), b.key, back, b.bytes, b.contents)
		if err != nil {
			t.Fatal(err)
		}
		if again.Index != 0 || again.SealHash() != s.SealHash() {
			t.Errorf("%v: another sealing", c)
		}
		for i := range s.Files {
			if !bytes.Equal(again.Files[i], s.Files[i]) {
				t.Errorf("%v: file %d differs", c, i)
			}
		}
	}
}

func TestAnEmptyPackAndAFullOne(t *testing.T) {
	c := cairn.Coding{K: 2, M: 1}
	empty := newBody(t, 1, c)
	for i, f := range empty.seal(t).Files {
		if err := readFile(f, empty.params, uint8(i), testTrust()); err != nil {
			t.Errorf("empty, shard %d: %v", i, err)
		}
	}
	// Exactly k shards of a class size: no padding at all.
	full := newBody(t, 1, c, 10)
	full.bytes = newSource(9).bytes(2 * 8192)
	full.params.Length = 8192
	sealed, err := full.table.Seal(full.key, full.params)
	if err != nil {
		t.Fatal(err)
	}
	full.contents, full.params.Contents = sealed, uint32(len(sealed))
	s := full.seal(t)
	if got := append(clone(s.Files[0][:8192]), s.Files[1][:8192]...); !bytes.Equal(got, full.bytes) {
		t.Error("data shards are not the pack's bytes")
	}
}

func TestSealRefusesAShapeThatCouldNotBeRead(t *testing.T) {
	c := cairn.Coding{K: 2, M: 1}
	b := newBody(t, 1, c, 9000)
	for name, change := range map[string]func(*body){
		"no coding":             func(b *body) { b.params.Coding = cairn.Coding{} },
		"a shard too short":     func(b *body) { b.params.Length = MinPadded },
		"a shard too long":      func(b *body) { b.params.Length = Padded(b.params.Length + 1) },
		"another contents size": func(b *body) { b.params.Contents++ },
		"contents of no class":  func(b *body) { b.contents = b.contents[:4090]; b.params.Contents = 4090 },
		"no contents":           func(b *body) { b.contents = nil; b.params.Contents = 0 },
	} {
		x := b
		change(&x)
		if s, err := Seal(mustCode(t, c), x.key, x.params, x.bytes, x.contents, testSign(), 0); !errors.Is(err, cairn.ErrInvalid) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// errs is a coder, or memory below it, that errs: it changes one byte of one
// shard after it was coded.
type errs struct {
	Coder
	shard, at int
}

func (e errs) Encode(shards [][]byte) error {
	err := e.Coder.Encode(shards)
	shards[e.shard][e.at] ^= 1
	return err
}

// B1: what is wrong while it is coded is found at the seal where the column
// meets it, and before anything is written where a shard is rebuilt.
func TestHazardB1ACoderThatErrs(t *testing.T) {
	c := cairn.Coding{K: 4, M: 3}
	b := newBody(t, 1, c, 9000)
	code := mustCode(t, c)
	for shard := range c.N() {
		bad := errs{code, shard, 1000}
		if _, err := Seal(bad, b.key, b.params, b.bytes, b.contents, testSign(), 1000-32); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("shard %d errs and is sealed: %v", shard, err)
		}
	}
	s := b.seal(t)
	if _, err := Reseal(errs{code, 5, 77}, b.key, s.Trailer, b.bytes, b.contents); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("a reseal errs: %v", err)
	}
	for column := range uint64(5) {
		if _, err := Seal(code, b.key, b.params, b.bytes, b.contents, testSign(), column*(1<<63)/3+column); err != nil {
			t.Errorf("column %d of a sound pack: %v", column, err)
		}
	}
}

func TestHazardB1ARebuiltShardMustEqualItsRoot(t *testing.T) {
	c := cairn.Coding{K: 2, M: 2}
	b := newBody(t, 1, c, 150_000)
	s := b.seal(t)
	tail := b.tail(t, s, 0)
	good := s.Files[3][:b.params.Length]
	changed := clone(good)
	changed[len(changed)-1] ^= 1
	for _, x := range []struct {
		name  string
		index uint8
		b     []byte
		want  error
	}{
		{"as sealed", 3, good, nil},
		{"one bit off", 3, changed, cairn.ErrCorrupt},
		{"another shard", 3, s.Files[2][:b.params.Length], cairn.ErrCorrupt},
		{"the shard as another", 2, good, cairn.ErrCorrupt},
		{"no such shard", 4, good, cairn.ErrCorrupt},
		{"short", 3, good[:len(good)-1], cairn.ErrCorrupt},
		{"nothing", 3, nil, cairn.ErrCorrupt},
	} {
		hs, err := tail.CheckShard(x.index, x.b)
		if !errors.Is(err, x.want) || (err == nil) != (len(hs) == Blocks(b.params.Length)) {
			t.Errorf("%s: %d hashes, %v", x.name, len(hs), err)
		}
	}
}

// B3: no node sees where a pack's content ends: what pads looks like what is
// sealed, and no two shards' padding is alike.
func TestHazardB3PaddingCannotBeTold(t *testing.T) {
	for _, c := range codings() {
		b := newBody(t, 1, c, 5000)
		s := b.seal(t)
		blocks := map[string]int{}
		for i, f := range s.Files {
			if n := longestZeroRun(f[:b.params.TailOffset()]); n >= 6 {
				t.Errorf("%v shard %d: %d zero bytes in a row", c, i, n)
			}
			if c.K == 1 && i > 0 {
				continue // a copy by design
			}
			for at := 0; at+64 <= int(b.params.Length); at += 64 {
				if was, found := blocks[string(f[at:at+64])]; found {
					t.Fatalf("%v: 64 bytes stand in shards %d and %d", c, was, i)
				}
				blocks[string(f[at:at+64])] = i
			}
		}
	}
}

// A3: log packs chain by seal hash, so that an omission or another version of a
// predecessor shows.
func TestHazardA3SealHashNamesThePredecessor(t *testing.T) {
	b := newBody(t, 1, cairn.Coding{K: 2, M: 1}, 500)
	s := b.seal(t)
	next := Contents{Kind: Log, Number: b.table.Number + 1, Prev: s.SealHash()}
	back, err := ParseContents(next.Encode())
	if err != nil || back.Prev != s.SealHash() || back.Number != next.Number {
		t.Fatalf("%+v, %v", back, err)
	}
	for i := range s.Files {
		if b.tail(t, s, i).SealHash() != back.Prev {
			t.Errorf("shard %d gives another seal hash", i)
		}
	}
	changed := newBody(t, 1, cairn.Coding{K: 2, M: 1}, 501).seal(t)
	if changed.SealHash() == back.Prev {
		t.Error("another pack has the same seal hash")
	}
}

// B10: a journal is a pack with an id and key of its own, whose contents say
// what it anticipates; it is never taken for the pack itself.
func TestHazardB10AJournalIsAPackOfItsOwn(t *testing.T) {
	log := newBody(t, 1, cairn.Coding{K: 4, M: 3}, 500)
	j := newBody(t, 2, cairn.Coding{K: 1, M: 3}, 500)
	j.table.Kind, j.table.Number = Journal, log.table.Number
	sealed, err := j.table.Seal(j.key, j.params)
	if err != nil {
		t.Fatal(err)
	}
	j.contents = sealed
	for i, f := range j.seal(t).Files {
		tail, err := readUnknown(f, testTrust())
		if err != nil || tail.ID == log.params.ID {
			t.Fatalf("copy %d: %v", i, err)
		}
		table, err := OpenContents(j.key, tail.Params, f[tail.Length:tail.TailOffset()])
		if err != nil || table.Kind != Journal || table.Number != log.table.Number || len(table.Records) != 1 {
			t.Errorf("copy %d: %+v, %v", i, table, err)
		}
	}
	if _, err := OpenContents(log.key, j.params, sealed); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("the log pack's key opens the journal: %v", err)
	}
}
