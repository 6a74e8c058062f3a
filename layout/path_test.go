package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

// pathVectors is testdata/vectors/layout/paths.json: the normative spellings.
type pathVectors struct {
	Shards []struct {
		Pack     string
		Sequence uint64
		Index    uint8
		Write    uint32
		Path     string
	}
	Leaves []struct {
		Leaf        string
		First, Last uint64
	}
	Keys []struct {
		Epoch uint32
		Hash  string
		Path  string
	}
	Roots []struct {
		Sequence uint64
		Hash     string
		Path     string
	}
}

func vectors[T any](t testing.TB, name string) T {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors/layout/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPathsAreAsTheVectorsHaveThem(t *testing.T) {
	v := vectors[pathVectors](t, "paths.json")
	if len(v.Shards) == 0 || len(v.Leaves) == 0 || len(v.Keys) == 0 || len(v.Roots) == 0 {
		t.Fatal("no vectors")
	}
	for _, s := range v.Shards {
		id, err := cairn.ParsePackID(s.Pack)
		if err != nil {
			t.Fatal(err)
		}
		name := cairn.ShardName{Pack: id, Index: s.Index, Write: s.Write}
		if id.Seq() != s.Sequence || Path(name) != s.Path {
			t.Errorf("sequence %d, path %q; want %d, %q", id.Seq(), Path(name), s.Sequence, s.Path)
		}
		if got, err := ParsePath(s.Path); err != nil || got != name {
			t.Errorf("ParsePath(%q) = %v, %v", s.Path, got, err)
		}
		if got, err := ParseShardName(name.String()); err != nil || got != name {
			t.Errorf("ParseShardName(%q) = %v, %v", name, got, err)
		}
	}
	for _, l := range v.Leaves {
		first, last, err := RangeOfLeaf(l.Leaf)
		if err != nil || first != l.First || last != l.Last || Leaf(first) != l.Leaf || Leaf(last) != l.Leaf {
			t.Errorf("RangeOfLeaf(%q) = %d, %d, %v; want %d, %d", l.Leaf, first, last, err, l.First, l.Last)
		}
	}
	for _, k := range v.Keys {
		hash, _ := parseHash(k.Hash)
		if got := KeyPath(k.Epoch, hash); got != k.Path {
			t.Errorf("KeyPath = %q, want %q", got, k.Path)
		}
		if epoch, h, err := ParseKeyPath(k.Path); err != nil || epoch != k.Epoch || h != hash {
			t.Errorf("ParseKeyPath(%q) = %d, %x, %v", k.Path, epoch, h, err)
		}
	}
	for _, r := range v.Roots {
		hash, _ := parseHash(r.Hash)
		if got := RootPath(r.Sequence, hash); got != r.Path {
			t.Errorf("RootPath = %q, want %q", got, r.Path)
		}
		if seq, h, err := ParseRootPath(r.Path); err != nil || seq != r.Sequence || h != hash {
			t.Errorf("ParseRootPath(%q) = %d, %x, %v", r.Path, seq, h, err)
		}
	}
}

const goodShard = "packs/00/00/00/01/00000000004000000000000000000000-03-0000abcd"

func TestNothingElseIsAPath(t *testing.T) {
	if _, err := ParsePath(goodShard); err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("0f", 16)
	for _, c := range []struct {
		why   string
		parse func(string) error
		text  string
	}{
		{"another leaf than its own", parsePath, strings.Replace(goodShard, "00/01/", "00/02/", 1)},
		{"upper case", parsePath, strings.Replace(goodShard, "abcd", "ABCD", 1)},
		{"an index past any coding", parsePath, strings.Replace(goodShard, "-03-", "-20-", 1)},
		{"a sign", parsePath, strings.Replace(goodShard, "-03-", "-+3-", 1)},
		{"a trailing byte", parsePath, goodShard + "0"},
		{"a leading slash", parsePath, "/" + goodShard[:len(goodShard)-1]},
		{"empty", parsePath, ""},
		{"a sequence past the last leaf", parsePath, "packs/00/00/00/00/ffffffffffff00000000000000000000-03-0000abcd"},
		{"a leaf too short", parseLeaf, "packs/00/00/00"},
		{"a leaf of another tree", parseLeaf, "pucks/00/00/00/00"},
		{"a leaf with upper case", parseLeaf, "packs/00/00/00/0A"},
		{"a leaf with other slashes", parseLeaf, "packs/00/00000/00"},
		{"a key with leading zeros", parseKey, "keys/01-" + hash},
		{"a key with a sign", parseKey, "keys/+1-" + hash},
		{"a key past 32 bits", parseKey, "keys/4294967296-" + hash},
		{"a key elsewhere", parseKey, "1-" + hash},
		{"a key without hash", parseKey, "keys/1"},
		{"a root with a short number", parseRoot, "roots/1-" + hash},
		{"a root with a long hash", parseRoot, "roots/0000000000000001-" + hash + "00"},
		{"a root in upper case", parseRoot, "roots/000000000000000A-" + hash},
	} {
		if err := c.parse(c.text); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %q gave %v, want ErrInvalid", c.why, c.text, err)
		}
	}
}

func parsePath(s string) error { _, err := ParsePath(s); return err }
func parseLeaf(s string) error { _, _, err := RangeOfLeaf(s); return err }
func parseKey(s string) error  { _, _, err := ParseKeyPath(s); return err }
func parseRoot(s string) error { _, _, err := ParseRootPath(s); return err }

func TestASequenceWithoutAPlaceHasNoPath(t *testing.T) {
	if got := Leaf(cairn.MaxSequence); got != "packs/ff/ff/ff/ff" {
		t.Errorf("the last leaf is %q", got)
	}
	past := cairn.ShardName{Pack: cairn.NewPackID(cairn.MaxSequence+1, [10]byte{})}
	if Leaf(cairn.MaxSequence+1) != "" || Path(past) != "" {
		t.Errorf("sequence %d has path %q", past.Pack.Seq(), Path(past))
	}
}

func TestLaterSequencesSortLater(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		a, b := rnd.Uint64N(cairn.MaxSequence+1), rnd.Uint64N(cairn.MaxSequence+1)
		if (a/PacksPerLeaf < b/PacksPerLeaf) != (Leaf(a) < Leaf(b)) {
			t.Fatalf("%d is in %q and %d in %q", a, Leaf(a), b, Leaf(b))
		}
	}
}

// B13: whatever sequences there are, no directory passes MaxEntries, with
// MaxPerNode files of every pack on the node.
func TestHazardB13NoDirectoryPasses256Entries(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	starts := []uint64{0, 1 << 14, 1 << 22, 1 << 30, cairn.MaxSequence - 1<<15 + 1}
	for range 20 {
		starts = append(starts, rnd.Uint64N(cairn.MaxSequence-1<<15))
	}
	entries := make(map[string]map[string]bool)
	add := func(seq uint64) {
		for i := range MaxPerNode {
			p := Path(cairn.ShardName{Pack: cairn.NewPackID(seq, [10]byte{}), Index: uint8(i), Write: uint32(seq) * 2654435761})
			for p != PacksDir {
				dir := path.Dir(p)
				if entries[dir] == nil {
					entries[dir] = make(map[string]bool)
				}
				entries[dir][path.Base(p)] = true
				p = dir
			}
		}
	}
	for _, start := range starts { // full leaves in a row
		for seq := start; seq < start+8*PacksPerLeaf; seq++ {
			add(seq)
		}
	}
	for digit := range uint64(256) { // every value of every digit
		for shift := 6; shift < 38; shift += 8 {
			add(digit << shift)
		}
	}
	fullest := make(map[int]int) // by depth
	for dir, names := range entries {
		depth := strings.Count(dir, "/")
		fullest[depth] = max(fullest[depth], len(names))
		if len(names) > MaxEntries {
			t.Errorf("%s has %d entries", dir, len(names))
		}
	}
	for depth := range 5 {
		if fullest[depth] != MaxEntries {
			t.Errorf("the fullest directory at depth %d has %d entries; the test is to fill one with %d", depth, fullest[depth], MaxEntries)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add(goodShard)
	f.Add("packs/ff/ff/ff/ff/003fffffffff0123456789abcdef0123-1f-ffffffff")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParsePath(text)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Fatalf("%v is of no class", err)
			}
			return
		}
		if Path(s) != text {
			t.Fatalf("%q and %q are one shard", text, Path(s))
		}
		if first, last, err := RangeOfLeaf(path.Dir(text)); err != nil || s.Pack.Seq() < first || s.Pack.Seq() > last {
			t.Fatalf("%q is in a leaf of %d to %d: %v", text, first, last, err)
		}
	})
}

func FuzzParseFiles(f *testing.F) {
	f.Add("keys/7-000102030405060708090a0b0c0d0e0f")
	f.Add("roots/0000000000000007-000102030405060708090a0b0c0d0e0f")
	f.Add("packs/00/01/02/03")
	f.Fuzz(func(t *testing.T, text string) {
		if epoch, hash, err := ParseKeyPath(text); err == nil && KeyPath(epoch, hash) != text {
			t.Errorf("two spellings of a key file: %q", text)
		}
		if seq, hash, err := ParseRootPath(text); err == nil && RootPath(seq, hash) != text {
			t.Errorf("two spellings of a root: %q", text)
		}
		if first, last, err := RangeOfLeaf(text); err == nil && (Leaf(first) != text || Leaf(last) != text || last-first != PacksPerLeaf-1) {
			t.Errorf("two spellings of a leaf: %q", text)
		}
	})
}

func ExamplePath() {
	id := cairn.NewPackID(70, [10]byte{0xaa})
	fmt.Println(Path(cairn.ShardName{Pack: id, Index: 2, Write: 0x1f}))
	// Output: packs/00/00/00/01/000000000046aa000000000000000000-02-0000001f
}
