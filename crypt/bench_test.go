package crypt

import (
	"testing"

	"github.com/cairn-storage/cairn"
)

const frame = 64 << 10

// One call is one pass of the cipher over the frame. The two small allocations
// are nonce and AAD, which escape through cipher.AEAD.
func BenchmarkSealFrame(b *testing.B) {
	key := EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	plain, dst := pattern(frame, 1), make([]byte, 0, frame+Overhead)
	b.SetBytes(frame)
	b.ReportAllocs()
	for b.Loop() {
		dst = key.SealFrame(dst[:0], plain, 0, ContentID{}, 0, false)
	}
}

func BenchmarkOpenFrame(b *testing.B) {
	key := EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	sealed := key.SealFrame(nil, pattern(frame, 1), 0, ContentID{}, 0, false)
	dst := make([]byte, 0, frame)
	b.SetBytes(frame)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.OpenFrame(dst, sealed, 0, ContentID{}, 0, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHashBlock(b *testing.B) {
	block := pattern(frame, 1)
	b.SetBytes(frame)
	b.ReportAllocs()
	for b.Loop() {
		Sum(block)
	}
}

func BenchmarkPackKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	}
}

func BenchmarkVerify(b *testing.B) {
	key := NewSigningKey([32]byte{1})
	body := pattern(400, 1)
	public, sig := key.Public(), key.Sign(SignTrailer, body)
	for b.Loop() {
		if !public.Verify(SignTrailer, body, sig) {
			b.Fatal("does not verify")
		}
	}
}
