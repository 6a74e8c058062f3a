package erasure

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
)

// Every set of losses that leaves k shards, for every wanted set of them.
func TestAnyLossOfMShardsIsMadeGood(t *testing.T) {
	for _, name := range append([]string{"1+0"}, codings()...) {
		t.Run(name, func(t *testing.T) {
			code := newCode(t, name)
			n := code.c.N()
			good := encoded(t, code, 300)
			for lost := range uint(1 << n) {
				if n-bits.OnesCount(lost) < code.c.K {
					continue
				}
				for wanted := range uint(1 << n) {
					if wanted&^lost != 0 {
						continue // that wanted shards may be there is a test of its own
					}
					checkReconstruct(t, code, good, lost, wanted)
				}
			}
		})
	}
}

func checkReconstruct(t *testing.T, code *Code, good [][]byte, lost, wanted uint) {
	t.Helper()
	shards := make([][]byte, len(good))
	var want []int
	for i := range good {
		if lost>>i&1 == 0 {
			shards[i] = bytes.Clone(good[i])
		}
		if wanted>>i&1 == 1 {
			want = append(want, i)
		}
	}
	if err := code.Reconstruct(shards, want); err != nil {
		t.Fatalf("lost %b, wanted %b: %v", lost, wanted, err)
	}
	for i := range good {
		switch there := lost&^wanted>>i&1 == 0; {
		case there && !bytes.Equal(shards[i], good[i]):
			t.Fatalf("lost %b, wanted %b: shard %d is wrong", lost, wanted, i)
		case !there && shards[i] != nil:
			t.Fatalf("lost %b, wanted %b: shard %d was made though nobody wanted it", lost, wanted, i)
		}
	}
}

func TestReconstructOfLongRanges(t *testing.T) {
	for _, name := range []string{"2+1", "4+3", "16+16"} {
		for _, length := range []int{sliceSize, sliceSize + 1, 2*sliceSize + 5} {
			code := newCode(t, name)
			good := encoded(t, code, length)
			lost := uint(1<<code.c.M-1) << (code.c.K - 1) // the last data shard and all parity but one
			checkReconstruct(t, code, good, lost, lost)
		}
	}
}

func TestReconstructFillsInPlaceWhereThereIsRoom(t *testing.T) {
	code := newCode(t, "2+2")
	good := encoded(t, code, sliceSize+9)
	room := make([]byte, 0, sliceSize+100)
	kept := []byte{}
	shards := [][]byte{room, good[1], good[2], kept}
	if err := code.Reconstruct(shards, []int{0, 1, 0}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shards[0], good[0]) || &shards[0][0] != &room[:1][0] {
		t.Error("the wanted shard is wrong or was not filled in place")
	}
	if &shards[1][0] != &good[1][0] {
		t.Error("a wanted shard that is there was replaced")
	}
	if len(shards[3]) != 0 {
		t.Error("an empty shard that nobody wants was filled")
	}
	if after := room[:cap(room)][len(good[0]):]; !bytes.Equal(after, make([]byte, len(after))) {
		t.Error("bytes after the range were written")
	}
}

func TestOneCodeServesMany(t *testing.T) {
	code := newCode(t, "4+3")
	good := encoded(t, code, 5000)
	var readers sync.WaitGroup
	for r := range 8 {
		readers.Go(func() {
			for i := range 100 {
				lost := (i*8 + r) % 7
				shards := slices.Clone(good)
				shards[lost] = nil
				if err := code.Reconstruct(shards, []int{lost}); err != nil || !bytes.Equal(shards[lost], good[lost]) {
					t.Errorf("shard %d: %v", lost, err)
				}
			}
		})
	}
	readers.Wait()
}

func FuzzReconstruct(f *testing.F) {
	f.Add(uint8(4), uint8(3), uint32(0b1010), []byte("some bytes of a pack"))
	f.Fuzz(func(t *testing.T, k, m uint8, lost uint32, data []byte) {
		c := cairn.Coding{K: int(k), M: int(m)}
		code, err := New(c)
		if err != nil || len(data) < c.K {
			return
		}
		length := len(data) / c.K
		shards := make([][]byte, c.N())
		for i := range shards {
			shards[i] = make([]byte, length)
			if i < c.K {
				copy(shards[i], data[i*length:])
			}
		}
		if err := code.Encode(shards); err != nil {
			t.Fatal(err)
		}
		lost &= 1<<c.N() - 1
		if bits.OnesCount32(lost) <= c.M {
			checkReconstruct(t, code, shards, uint(lost), uint(lost))
		}
	})
}
