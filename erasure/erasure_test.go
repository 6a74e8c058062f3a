package erasure

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

// codings are those of the vectors and of the loss patterns.
func codings() []string { return []string{"1+1", "2+1", "2+2", "3+2", "3+3", "4+3", "4+4"} }

func newCode(t testing.TB, s string) *Code {
	t.Helper()
	c, err := cairn.ParseCoding(s)
	if err != nil {
		t.Fatal(err)
	}
	code, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if code.Coding() != c {
		t.Fatalf("coding %v became %v", c, code.Coding())
	}
	return code
}

// encoded is n shards of chance data, encoded.
func encoded(t testing.TB, code *Code, length int) [][]byte {
	t.Helper()
	rnd := rand.NewChaCha8([32]byte{1, byte(length), byte(length >> 8)})
	shards := make([][]byte, code.c.N())
	for i := range shards {
		shards[i] = make([]byte, length)
		rnd.Read(shards[i]) // parity begins as rubbish
	}
	if err := code.Encode(shards); err != nil {
		t.Fatal(err)
	}
	return shards
}

// vector is testdata/vectors/erasure/<k+m>.json; all byte strings are hex.
type vector struct {
	Coding string
	Matrix []string // the m parity rows of the matrix
	Data   []string
	Parity []string
}

func TestHazardC2ParityIsAsTheVectorsHaveIt(t *testing.T) {
	for _, name := range codings() {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("../testdata/vectors/erasure", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
			code := newCode(t, name)
			k, n := code.c.K, code.c.N()
			if v.Coding != name || len(v.Data) != k || len(v.Parity) != n-k || len(v.Matrix) != n-k {
				t.Fatalf("the vector is of %s with %d+%d shards and %d rows", v.Coding, len(v.Data), len(v.Parity), len(v.Matrix))
			}
			var want [][]byte
			for _, s := range append(v.Data, v.Parity...) {
				shard, err := hex.DecodeString(s)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, shard)
			}
			got := make([][]byte, n)
			for i := range got {
				got[i] = make([]byte, len(want[0]))
				if i < k {
					copy(got[i], want[i])
				}
			}
			if err := code.Encode(got); err != nil {
				t.Fatal(err)
			}
			slow := slowEncode(k, n, want[:k])
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("shard %d is %x, the vector has %x", i, got[i], want[i])
				}
				if !bytes.Equal(slow[i], want[i]) {
					t.Errorf("shard %d by the package comment is %x, the vector has %x", i, slow[i], want[i])
				}
			}
			for i, row := range codeMatrix(k, n)[k:] {
				if hex.EncodeToString(row) != v.Matrix[i] {
					t.Errorf("parity row %d is %x, the vector has %s", i, row, v.Matrix[i])
				}
			}
		})
	}
}

// Every length takes other paths through the vector code: head, body, tail.
func TestEncodeIsTheDocumentedCodeAtEveryLength(t *testing.T) {
	all := append([]string{"1+0", "1+3", "5+1", "10+4", "16+16", "31+1", "1+31"}, codings()...)
	for _, name := range all {
		code := newCode(t, name)
		lengths := []int{1, 2, 15, 31, 32, 33, 63, 64, 65, 127, 128, 200}
		for _, length := range lengths {
			shards := encoded(t, code, length)
			if want := slowEncode(code.c.K, code.c.N(), shards[:code.c.K]); !slices.EqualFunc(shards, want, bytes.Equal) {
				t.Errorf("%s of %d bytes is not the documented code", name, length)
			}
		}
	}
}

func TestRangesAreIndependent(t *testing.T) {
	code := newCode(t, "4+3")
	whole := encoded(t, code, 2*sliceSize+777)
	for _, r := range [][2]int{{0, 1}, {1, 100}, {sliceSize - 7, sliceSize + 7}, {sliceSize, 2 * sliceSize}, {2*sliceSize + 700, 2*sliceSize + 777}} {
		part := make([][]byte, len(whole))
		for i, s := range whole {
			part[i] = bytes.Clone(s[r[0]:r[1]])
		}
		for i := code.c.K; i < len(part); i++ {
			clear(part[i])
		}
		if err := code.Encode(part); err != nil {
			t.Fatal(err)
		}
		for i, s := range whole {
			if !bytes.Equal(part[i], s[r[0]:r[1]]) {
				t.Errorf("shard %d of range %v is not that range of shard %d", i, r, i)
			}
		}
	}
}

// The example that the Java, Go and Rust libraries of this code all test with.
func TestEncodeIsTheCodeThatOthersHave(t *testing.T) {
	want := [][]byte{{0, 1}, {4, 5}, {2, 3}, {6, 7}, {8, 9}, {12, 13}, {10, 11}, {14, 15}, {90, 91}, {94, 95}}
	got := append(slices.Clone(want[:5]), make([]byte, 2), make([]byte, 2), make([]byte, 2), make([]byte, 2), make([]byte, 2))
	if err := newCode(t, "5+5").Encode(got); err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestMoreParityKeepsTheParityThereIs(t *testing.T) {
	few, more := encoded(t, newCode(t, "4+3"), 99), encoded(t, newCode(t, "4+4"), 99)
	if !slices.EqualFunc(few, more[:7], bytes.Equal) {
		t.Error("4+3 is not 4+4 without its last shard")
	}
}

func TestWrongArgumentsAreErrorsAndChangeNothing(t *testing.T) {
	code := newCode(t, "2+1")
	a, b, c, short := make([]byte, 8), make([]byte, 8), make([]byte, 8), make([]byte, 7)
	for _, x := range []struct {
		why   string
		call  func() error
		class error
	}{
		{"too few shards to encode", func() error { return code.Encode([][]byte{a, b}) }, cairn.ErrInvalid},
		{"other lengths to encode", func() error { return code.Encode([][]byte{a, b, short}) }, cairn.ErrInvalid},
		{"nothing to encode", func() error { return code.Encode([][]byte{nil, nil, nil}) }, cairn.ErrInvalid},
		{"other lengths", func() error { return code.Reconstruct([][]byte{a, short, nil}, []int{2}) }, cairn.ErrInvalid},
		{"a want past n", func() error { return code.Reconstruct([][]byte{a, b, nil}, []int{3}) }, cairn.ErrInvalid},
		{"a want below 0", func() error { return code.Reconstruct([][]byte{a, b, nil}, []int{-1}) }, cairn.ErrInvalid},
		{"not n elements", func() error { return code.Reconstruct([][]byte{a, b}, []int{0}) }, cairn.ErrInvalid},
		{"fewer than k there", func() error { return code.Reconstruct([][]byte{nil, b, nil}, []int{0}) }, cairn.ErrUnavailable},
		{"none there", func() error { return code.Reconstruct(make([][]byte, 3), []int{0}) }, cairn.ErrUnavailable},
		{"no coding", func() error { _, err := New(cairn.Coding{K: 0, M: 2}); return err }, cairn.ErrInvalid},
		{"too large a coding", func() error { _, err := New(cairn.Coding{K: 20, M: 20}); return err }, cairn.ErrInvalid},
		{"1+0 lost", func() error { return newCode(t, "1+0").Reconstruct([][]byte{nil}, []int{0}) }, cairn.ErrUnavailable},
	} {
		if err := x.call(); !errors.Is(err, x.class) {
			t.Errorf("%s: %v, want %v", x.why, err, x.class)
		}
	}
	if !bytes.Equal(c, make([]byte, 8)) || len(short) != 7 {
		t.Error("an argument was written to")
	}
}
