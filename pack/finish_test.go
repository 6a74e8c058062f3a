package pack

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
)

// What Finish makes of a shard's blocks is, to the byte, the file that Seal made,
// whichever shard the trailer came from; and it makes nothing else.
func TestFinishMakesWhatSealMade(t *testing.T) {
	for _, c := range codings() {
		b := newBody(t, 5, c, 100_000, 30_000, 200_000, 1, 0)
		s := b.seal(t)
		for from := range s.Files {
			tail := b.tail(t, s, from)
			for i, f := range s.Files {
				file := make([]byte, b.params.FileSize())
				copy(file, f[:b.params.Length])
				if err := tail.Finish(uint8(i), file, b.contents); err != nil || !bytes.Equal(file, f) {
					t.Fatalf("%v shard %d by the trailer of %d: %v", c, i, from, err)
				}
			}
		}
	}
}

func TestFinishRefusesWhatIsNotTheShard(t *testing.T) {
	b := newBody(t, 6, cairn.Coding{K: 2, M: 2}, 100_000, 30_000)
	s := b.seal(t)
	other := newBody(t, 7, cairn.Coding{K: 2, M: 2}, 100_000, 30_000).seal(t)
	tail := b.tail(t, s, 3)
	length := b.params.Length
	flipped := func(b []byte, at int) []byte {
		b = clone(b)
		b[at] ^= 1
		return b
	}
	for _, x := range []struct {
		what     string
		index    uint8
		shard    []byte
		contents []byte
		cut      int
		class    error
	}{
		{"a flipped bit at the start", 1, flipped(s.Files[1], 0), b.contents, 0, cairn.ErrCorrupt},
		{"a flipped bit at the end", 1, flipped(s.Files[1], int(length)-1), b.contents, 0, cairn.ErrCorrupt},
		{"another shard of the pack", 1, s.Files[0], b.contents, 0, cairn.ErrCorrupt},
		{"the shard of another pack", 1, other.Files[1], b.contents, 0, cairn.ErrCorrupt},
		{"no such shard", 4, s.Files[1], b.contents, 0, cairn.ErrCorrupt},
		{"contents with a flipped bit", 1, s.Files[1], flipped(b.contents, 9), 0, cairn.ErrCorrupt},
		{"contents cut short", 1, s.Files[1], b.contents[1:], 0, cairn.ErrCorrupt},
		{"no contents", 1, s.Files[1], nil, 0, cairn.ErrCorrupt},
		{"a file of another size", 1, s.Files[1], b.contents, 1, cairn.ErrInvalid},
	} {
		file := make([]byte, int(b.params.FileSize())-x.cut)
		copy(file, x.shard[:length])
		if err := tail.Finish(x.index, file, x.contents); !errors.Is(err, x.class) {
			t.Errorf("%s: %v, want %v", x.what, err, x.class)
		}
		if bytes.ContainsFunc(file[length:], func(r rune) bool { return r != 0 }) {
			t.Errorf("%s: something was written", x.what)
		}
	}
}
