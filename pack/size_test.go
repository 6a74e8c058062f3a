package pack

import (
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestPaddedIsTheClassOfThePaper(t *testing.T) {
	for _, c := range []struct{ n, want uint64 }{
		{0, 4096}, {1, 4096}, {4096, 4096},
		{4097, 4352}, {4352, 4352}, {4353, 4608}, {5000, 5120}, {8191, 8192}, {8192, 8192}, {8193, 8704},
		{65536, 65536}, {65537, 67584}, {100_000, 100_352},
		{1 << 20, 1 << 20}, {1<<20 + 1, 1<<20 + 1<<15}, {4 << 20, 4 << 20}, {4<<20 + 1, 4<<20 + 1<<17},
	} {
		if got := Padded(c.n); got != c.want {
			t.Errorf("Padded(%d) = %d, want %d", c.n, got, c.want)
		}
	}
}

func TestPaddedCostsAtMostTwelvePercent(t *testing.T) {
	last := uint64(0)
	for n := uint64(MinPadded); n < 1<<26; n += 1 + n/1009 {
		p := Padded(n)
		switch {
		case p < n || p < last || Padded(p) != p:
			t.Fatalf("Padded(%d) = %d after %d, and of that %d", n, p, last, Padded(p))
		case (p-n)*100 > n*12:
			t.Fatalf("Padded(%d) = %d costs over 12 %%", n, p)
		}
		last = p
	}
}

func TestSizesOfFramesAndBlocks(t *testing.T) {
	for _, c := range []struct{ n, frames, sealed int64 }{
		{0, 0, 0}, {1, 1, 17}, {FrameSize, 1, SealedSize}, {FrameSize + 1, 2, SealedSize + 17}, {10 * FrameSize, 10, 10 * SealedSize},
	} {
		if f, s := Frames(c.n), SealedLength(c.n); f != c.frames || s != c.sealed {
			t.Errorf("%d bytes: %d frames, %d sealed", c.n, f, s)
		}
	}
	for _, c := range []struct {
		length uint64
		blocks int
		last   int
	}{{1, 1, 1}, {BlockSize, 1, BlockSize}, {BlockSize + 1, 2, 1}, {5*BlockSize - 9, 5, BlockSize - 9}} {
		if n := Blocks(c.length); n != c.blocks || BlockLength(c.length, n-1) != c.last {
			t.Errorf("shard of %d: %d blocks, last of %d", c.length, n, BlockLength(c.length, n-1))
		}
	}
}

func TestAFileIsItsParts(t *testing.T) {
	for _, c := range codings() {
		p := Params{Coding: c, Length: Padded(300_000), Contents: 8192}
		want := int64(p.Length) + 8192 + int64(Blocks(p.Length))*32 + int64(TrailerSize(c.N()))
		if p.FileSize() != want || p.TailOffset()+p.TailSize() != want {
			t.Errorf("%v: file of %d, tail of %d at %d, want %d", c, p.FileSize(), p.TailSize(), p.TailOffset(), want)
		}
	}
	if n := ShardLength(16<<20, cairn.Coding{K: 4, M: 3}); n != 4<<20 {
		t.Errorf("a quarter of 16 MiB is %d", n)
	}
	if n := ShardLength(0, cairn.Coding{K: 4, M: 3}); n != MinPadded {
		t.Errorf("a shard of nothing is %d", n)
	}
}
