package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

func someTrailer(c cairn.Coding) Trailer {
	s := newSource(6)
	t := Trailer{Params: Params{
		Store: testStore(), ID: cairn.NewPackID(88, [10]byte(s.bytes(10))), Epoch: 3, Prefix: crypt.NoncePrefix(s.bytes(16)),
		Coding: c, Length: Padded(300_000), Contents: uint32(Padded(9000)),
	}, Hash: crypt.Hash(s.bytes(32)), Index: uint8(c.N() - 1)}
	for range c.N() {
		t.Roots = append(t.Roots, crypt.Hash(s.bytes(32)))
	}
	t.Sign(testSign())
	return t
}

func TestATrailerIsReadAsItWasWritten(t *testing.T) {
	for _, c := range append(codings(), cairn.Coding{K: 16, M: 16}, cairn.Coding{K: 32}) {
		want := someTrailer(c)
		b := want.Encode()
		got, err := ParseTrailer(b)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		n, err := TrailerLength(b[len(b)-FooterSize:])
		if err != nil || n != len(b) || len(b) != TrailerSize(c.N()) {
			t.Errorf("%v: %d bytes, footer says %d, %v", c, len(b), n, err)
		}
		if got.Params != want.Params || got.Index != want.Index || got.Signer != testSign().Public() || !bytes.Equal(got.Encode(), b) || got.SealHash() != want.SealHash() {
			t.Errorf("%v: got %+v", c, got)
		}
	}
}

func TestEveryChangeOfATrailerIsNoticed(t *testing.T) {
	b := someTrailer(cairn.Coding{K: 4, M: 3}).Encode()
	index := len(b) - FooterSize
	for i := range b {
		flipped := clone(b)
		flipped[i] ^= 4
		_, err := ParseTrailer(flipped)
		if i == index {
			// The index is bound by the roots alone: see the tests of tails.
			if flipped[i] = 7; err != nil {
				t.Errorf("index 2: %v", err)
			}
			_, err = ParseTrailer(flipped)
		}
		if !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("byte %d of %d flipped: %v", i, len(b), err)
		}
	}
	for n := range b {
		if _, err := ParseTrailer(b[:n]); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := ParseTrailer(append(clone(b), 0)); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("extended: %v", err)
	}
}

// Even a right signature does not carry a shape that the format does not know.
func TestASignedTrailerOfAnImpossibleShapeIsRefused(t *testing.T) {
	c := cairn.Coding{K: 4, M: 3}
	for name, change := range map[string]func(b []byte){
		"another magic":        func(b []byte) { b[0]++ },
		"another version":      func(b []byte) { b[9] = 2 },
		"k of 0":               func(b []byte) { b[10] = 0 },
		"k over n":             func(b []byte) { b[10] = 8 },
		"n over 32":            func(b []byte) { b[11] = 33 },
		"fewer shards":         func(b []byte) { b[11] = 6 },
		"length of no class":   func(b []byte) { b[71]++ },
		"length of nothing":    func(b []byte) { clear(b[64:72]) },
		"length over a GiB":    func(b []byte) { binary.BigEndian.PutUint64(b[64:], 2<<30) },
		"contents of no class": func(b []byte) { b[75]++ },
		"contents of nothing":  func(b []byte) { clear(b[72:76]) },
		"contents over 4 MiB":  func(b []byte) { binary.BigEndian.PutUint32(b[72:], 8<<20) },
		"another block size":   func(b []byte) { binary.BigEndian.PutUint32(b[76:], 4096) },
	} {
		b := someTrailer(c).Encode()
		signed := b[:trailerFixed+32*c.N()]
		change(signed)
		sig := testSign().Sign(crypt.SignTrailer, signed)
		copy(b[len(signed):], sig[:])
		if _, err := ParseTrailer(b); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFooterTellsOnlyPossibleLengths(t *testing.T) {
	footer := func(index, zero uint8, n uint32, end string) []byte {
		b := []byte{index, 0, 0, zero}
		return append(binary.BigEndian.AppendUint32(b, n), end...)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want int
	}{
		{"of one shard", footer(0, 0, uint32(TrailerSize(1)), trailerEnd), TrailerSize(1)},
		{"of 32 shards", footer(31, 0, uint32(TrailerSize(32)), trailerEnd), TrailerSize(32)},
		{"reserved", footer(0, 1, uint32(TrailerSize(1)), trailerEnd), 0},
		{"too short", footer(0, 0, uint32(TrailerSize(1)-1), trailerEnd), 0},
		{"too long", footer(0, 0, uint32(TrailerSize(32)+1), trailerEnd), 0},
		{"4 GiB", footer(0, 0, 1<<32-1, trailerEnd), 0},
		{"another end", footer(0, 0, uint32(TrailerSize(1)), "cairnenx"), 0},
		{"cut", footer(0, 0, uint32(TrailerSize(1)), trailerEnd)[1:], 0},
		{"nothing", nil, 0},
	} {
		n, err := TrailerLength(c.b)
		if n != c.want || (err == nil) != (c.want > 0) || err != nil && !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
	}
}

func FuzzTrailerLength(f *testing.F) {
	f.Add(someTrailer(cairn.Coding{K: 1}).Encode()[TrailerSize(1)-FooterSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := TrailerLength(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		again := append([]byte{b[0], 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(n))...)
		if again = append(again, trailerEnd...); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

func FuzzParseTrailer(f *testing.F) {
	for _, c := range codings() {
		t := someTrailer(c)
		f.Add(t.signed(), t.Index)
	}
	// Signed here, so that the fuzzer gets past the signature.
	f.Fuzz(func(t *testing.T, signed []byte, index uint8) {
		b := clone(signed)
		if len(b) >= trailerFixed {
			public := testSign().Public()
			copy(b[112:144], public[:])
		}
		sig := testSign().Sign(crypt.SignTrailer, b)
		b = append(b, sig[:]...)
		b = append(b, index, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(len(b)+4+8))
		b = append(b, trailerEnd...)
		got, err := ParseTrailer(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := got.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
		if n, err := TrailerLength(b[len(b)-FooterSize:]); err != nil || n != len(b) {
			t.Fatalf("footer says %d of %d: %v", n, len(b), err)
		}
	})
}
