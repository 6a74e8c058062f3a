package crypt

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

func testIdentity(t testing.TB, kind IdentityKind, seed byte) Identity {
	t.Helper()
	id, err := NewIdentity(kind, cairn.StoreID(pattern(16, 0x4f)), bytes.NewReader(pattern(96, seed)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAFrameOpensOnlyAsItself(t *testing.T) {
	var epoch EpochKey
	copy(epoch[:], pattern(32, 1))
	id := cairn.NewPackID(7, [10]byte{1})
	prefix := NoncePrefix{1}
	key := epoch.Pack(id, prefix)
	content, plain := ContentID{9}, pattern(1000, 0)
	sealed := key.SealFrame(nil, plain, 4096, content, 3, true)
	if got, err := key.OpenFrame([]byte("x"), sealed, 4096, content, 3, true); err != nil || !bytes.Equal(got[1:], plain) || got[0] != 'x' {
		t.Fatalf("does not open: %v", err)
	}
	otherEpoch := epoch
	otherEpoch[31] ^= 1
	flipped := func(i int) []byte {
		b := slices.Clone(sealed)
		b[i] ^= 0x10
		return b
	}
	for _, c := range []struct {
		name    string
		key     *PackKey
		sealed  []byte
		off     uint64
		content ContentID
		number  uint64
		last    bool
	}{
		{"another content", key, sealed, 4096, ContentID{8}, 3, true},
		{"another number", key, sealed, 4096, content, 4, true},
		{"a number that differs in the top byte", key, sealed, 4096, content, 3 | 1<<56, true},
		{"another last flag", key, sealed, 4096, content, 3, false},
		{"another position", key, sealed, 4097, content, 3, true},
		{"another pack of the same sequence", epoch.Pack(cairn.NewPackID(7, [10]byte{2}), prefix), sealed, 4096, content, 3, true},
		{"another life", epoch.Pack(id, NoncePrefix{2}), sealed, 4096, content, 3, true},
		{"another epoch", otherEpoch.Pack(id, prefix), sealed, 4096, content, 3, true},
		{"a flipped first byte", key, flipped(0), 4096, content, 3, true},
		{"a flipped last byte", key, flipped(len(sealed) - 1), 4096, content, 3, true},
		{"cut short", key, sealed[:len(sealed)-1], 4096, content, 3, true},
		{"shorter than a tag", key, sealed[:Overhead-1], 4096, content, 3, true},
		{"extended", key, append(slices.Clone(sealed), 0), 4096, content, 3, true},
		{"nothing", key, nil, 4096, content, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.key.OpenFrame(nil, c.sealed, c.off, c.content, c.number, c.last)
			if !errors.Is(err, cairn.ErrCorrupt) || got != nil {
				t.Errorf("got %d bytes and %v, want ErrCorrupt and nothing", len(got), err)
			}
		})
	}
}

func TestDomainsShareNoKeystream(t *testing.T) {
	key := EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	zeros := make([]byte, 64)
	seen := map[string]string{}
	add := func(name string, b []byte) {
		if was, found := seen[string(b[:32])]; found {
			t.Errorf("%s and %s have one keystream", name, was)
		}
		seen[string(b[:32])] = name
	}
	for d := DomainFrame; d <= DomainContents; d++ {
		for _, pos := range []uint64{0, 1, 64, 1 << 40} {
			add(string(rune('0'+d)), key.Seal(nil, zeros, d, pos, nil))
		}
	}
	for _, pos := range []uint64{0, 1, 64, 1 << 40} {
		b := make([]byte, 64)
		key.Pad(b, pos)
		add("padding", b)
	}
}

// H1 and H3 of A1: whatever is issued twice after a crash, a restored snapshot
// or a second gateway, no two plaintexts ever meet one key and nonce.
func TestHazardA1H3SequenceIssuedTwice(t *testing.T) {
	epoch := EpochKey{1}
	plain := make([]byte, 256)
	a := epoch.Pack(cairn.NewPackID(100, [10]byte{1}), NoncePrefix{5})
	b := epoch.Pack(cairn.NewPackID(100, [10]byte{2}), NoncePrefix{5})
	if a.raw == b.raw {
		t.Error("two packs of one sequence have one key")
	}
	if bytes.Equal(a.SealFrame(nil, plain, 0, ContentID{}, 0, true), b.SealFrame(nil, plain, 0, ContentID{}, 0, true)) {
		t.Error("two packs of one sequence seal alike")
	}
}

func TestHazardA1H1SamePositionInTwoLives(t *testing.T) {
	// Even the whole id issued twice (a restored snapshot of the generator)
	// leaves the prefix, which every life draws for every pack.
	epoch, id := EpochKey{1}, cairn.NewPackID(100, [10]byte{1})
	one, two := pattern(256, 0), pattern(256, 1)
	a := epoch.Pack(id, NoncePrefix{5}).SealFrame(nil, one, 6553600, ContentID{}, 100, false)
	b := epoch.Pack(id, NoncePrefix{6}).SealFrame(nil, two, 6553600, ContentID{}, 100, false)
	same := true
	for i := range one {
		same = same && a[i]^b[i] == one[i]^two[i]
	}
	if same {
		t.Error("the XOR of two lives' frames is the XOR of their plaintexts")
	}
}

// A12: what verifies must not need, or give, what opens.
func TestHazardA12VerifyingNeedsNoSecret(t *testing.T) {
	gateway := testIdentity(t, Gateway, 2)
	public := gateway.Public().Sign
	sig := gateway.Sign().Sign(SignTrailer, []byte("body"))
	for _, c := range []struct {
		name    string
		key     PublicKey
		purpose Purpose
		body    string
		sig     Signature
		want    bool
	}{
		{"as signed", public, SignTrailer, "body", sig, true},
		{"for another purpose", public, SignRoot, "body", sig, false},
		{"another body", public, SignTrailer, "bodx", sig, false},
		{"another key", testIdentity(t, Gateway, 3).Public().Sign, SignTrailer, "body", sig, false},
		{"a zero key", PublicKey{}, SignTrailer, "body", sig, false},
		{"another signature", public, SignTrailer, "body", Signature{}, false},
	} {
		if got := c.key.Verify(c.purpose, []byte(c.body), c.sig); got != c.want {
			t.Errorf("%s: verifies %v", c.name, got)
		}
	}
}

// B1 and B2: a root commits to pack, place, length and every block in order.
func TestHazardB2RootBindsPackIndexAndLength(t *testing.T) {
	id := cairn.PackID{1}
	blocks := []Hash{Sum([]byte("a")), Sum([]byte("b"))}
	root := ShardRoot(id, 3, 131072, blocks)
	for name, other := range map[string]Hash{
		"another pack":   ShardRoot(cairn.PackID{2}, 3, 131072, blocks),
		"another index":  ShardRoot(id, 4, 131072, blocks),
		"another length": ShardRoot(id, 3, 131071, blocks),
		"another order":  ShardRoot(id, 3, 131072, []Hash{blocks[1], blocks[0]}),
		"a block less":   ShardRoot(id, 3, 131072, blocks[:1]),
		"a block more":   ShardRoot(id, 3, 131072, append(slices.Clone(blocks), Hash{})),
	} {
		if other == root {
			t.Errorf("%s has the same root", name)
		}
	}
}

func TestPaddingLooksLikeSealedBytes(t *testing.T) {
	key := EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	b := make([]byte, 64<<10)
	key.Pad(b, 1234)
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	for v, n := range count {
		if n < 150 || n > 380 { // 256 expected, sigma 16
			t.Errorf("byte %#x stands %d times in 64 KiB", v, n)
		}
	}
	again := pattern(64<<10, 1) // whatever was there before
	key.Pad(again, 1234)
	if !bytes.Equal(again, b) {
		t.Error("padding depends on what it overwrites")
	}
}

func FuzzOpenFrame(f *testing.F) {
	key := EpochKey{1}.Pack(cairn.PackID{2}, NoncePrefix{3})
	f.Add(key.SealFrame(nil, []byte("plain"), 64, ContentID{1}, 2, true), uint64(64), uint64(2), true)
	f.Add([]byte(nil), uint64(1<<56-1), uint64(0), false)
	f.Fuzz(func(t *testing.T, sealed []byte, off, number uint64, last bool) {
		off &= 1<<56 - 1
		plain, err := key.OpenFrame(nil, sealed, off, ContentID{1}, number, last)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) || plain != nil {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := key.SealFrame(nil, plain, off, ContentID{1}, number, last); !bytes.Equal(again, sealed) {
			t.Fatal("two sealings of one frame")
		}
	})
}
