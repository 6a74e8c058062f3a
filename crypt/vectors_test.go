package crypt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
)

// Vectors of version 1 never change: -update writes those that are missing and
// leaves the others alone. To change one that no release has shipped yet,
// delete its file first.
var update = flag.Bool("update", false, "write vector files that do not exist")

const vectorDir = "../testdata/vectors/crypt"

// vectors reads a file of vectors; with -update it is made by generate where it
// does not exist.
func vectors[T any](t testing.TB, name string, generate func() T) (v T) {
	t.Helper()
	path := filepath.Join(vectorDir, name)
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		if b, err = json.MarshalIndent(generate(), "", "  "); err == nil {
			if err = os.MkdirAll(vectorDir, 0o755); err == nil {
				err = os.WriteFile(path, append(b, '\n'), 0o644)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// hexed is bytes that stand as hex in a vector.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexed) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// pattern is n bytes that no run of zeros or period of a block can hide in.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%251) ^ seed
	}
	return b
}

type packKeyVector struct {
	EpochKey, PackID, NoncePrefix, PackKey hexed
}

func (v packKeyVector) key() *PackKey {
	return EpochKey(v.EpochKey).Pack(cairn.PackID(v.PackID), NoncePrefix(v.NoncePrefix))
}

func newPackKeyVector(seed byte) packKeyVector {
	v := packKeyVector{EpochKey: pattern(32, seed), PackID: pattern(16, seed+1), NoncePrefix: pattern(16, seed+2)}
	k := v.key()
	v.PackKey = k.raw[:]
	return v
}

func TestVectorPackKey(t *testing.T) {
	all := vectors(t, "packkey.json", func() []packKeyVector {
		return []packKeyVector{newPackKeyVector(0), newPackKeyVector(0x40), newPackKeyVector(0x80)}
	})
	for _, v := range all {
		if k := v.key(); !bytes.Equal(k.raw[:], v.PackKey) {
			t.Errorf("pack %x: key differs", v.PackID)
		}
	}
}

type frameVector struct {
	Key     packKeyVector
	Offset  uint64
	Content hexed
	Number  uint64
	Last    bool
	Plain   hexed
	Sealed  hexed
}

func TestVectorFrame(t *testing.T) {
	all := vectors(t, "frame.json", func() (all []frameVector) {
		for i, n := range []int{1, 16, 100, 4096} {
			v := frameVector{Key: newPackKeyVector(byte(i)), Offset: uint64(i) * 65552, Content: pattern(16, byte(i)), Number: uint64(i) * 300, Last: i%2 == 0, Plain: pattern(n, 3)}
			v.Sealed = v.Key.key().SealFrame(nil, v.Plain, v.Offset, ContentID(v.Content), v.Number, v.Last)
			all = append(all, v)
		}
		return all
	})
	for i, v := range all {
		k := v.Key.key()
		plain, err := k.OpenFrame(nil, v.Sealed, v.Offset, ContentID(v.Content), v.Number, v.Last)
		if err != nil || !bytes.Equal(plain, v.Plain) {
			t.Errorf("vector %d: %x, %v", i, plain, err)
		}
		if again := k.SealFrame(nil, plain, v.Offset, ContentID(v.Content), v.Number, v.Last); !bytes.Equal(again, v.Sealed) {
			t.Errorf("vector %d: seals to other bytes", i)
		}
	}
}

type sealVector struct {
	Key      packKeyVector
	Domain   Domain
	Position uint64
	AAD      hexed
	Plain    hexed
	Sealed   hexed
}

func TestVectorDomains(t *testing.T) {
	all := vectors(t, "domains.json", func() (all []sealVector) {
		for _, d := range []Domain{DomainFrame, DomainHead, DomainRecords, DomainContents} {
			v := sealVector{Key: newPackKeyVector(9), Domain: d, Position: 0x0102030405, AAD: pattern(5, 0), Plain: pattern(20, 1)}
			v.Sealed = v.Key.key().Seal(nil, v.Plain, v.Domain, v.Position, v.AAD)
			all = append(all, v)
		}
		return all
	})
	for _, v := range all {
		k := v.Key.key()
		if plain, err := k.Open(nil, v.Sealed, v.Domain, v.Position, v.AAD); err != nil || !bytes.Equal(plain, v.Plain) {
			t.Errorf("domain %d: %x, %v", v.Domain, plain, err)
		}
		if again := k.Seal(nil, v.Plain, v.Domain, v.Position, v.AAD); !bytes.Equal(again, v.Sealed) {
			t.Errorf("domain %d: seals to other bytes", v.Domain)
		}
	}
}

type padVector struct {
	Key     packKeyVector
	Offset  uint64
	Padding hexed
}

func TestVectorPadding(t *testing.T) {
	all := vectors(t, "padding.json", func() (all []padVector) {
		for i, n := range []int{1, 64, 200} {
			v := padVector{Key: newPackKeyVector(byte(i)), Offset: uint64(i) * 4097, Padding: make([]byte, n)}
			v.Key.key().Pad(v.Padding, v.Offset)
			all = append(all, v)
		}
		return all
	})
	for i, v := range all {
		got := make([]byte, len(v.Padding))
		if v.Key.key().Pad(got, v.Offset); !bytes.Equal(got, v.Padding) {
			t.Errorf("vector %d: %x", i, got)
		}
	}
}

type rootVector struct {
	PackID hexed
	Index  uint8
	Length uint64
	Blocks []hexed
	Root   hexed
}

func (v rootVector) root() Hash {
	hs := make([]Hash, len(v.Blocks))
	for i, b := range v.Blocks {
		hs[i] = Hash(b)
	}
	return ShardRoot(cairn.PackID(v.PackID), v.Index, v.Length, hs)
}

func TestVectorShardRoot(t *testing.T) {
	all := vectors(t, "root.json", func() (all []rootVector) {
		for i, n := range []int{1, 2, 5} {
			v := rootVector{PackID: pattern(16, byte(i)), Index: uint8(i * 3), Length: uint64(n) * 65536}
			for j := range n {
				h := Sum(pattern(100, byte(j)))
				v.Blocks = append(v.Blocks, h[:])
			}
			r := v.root()
			v.Root = r[:]
			all = append(all, v)
		}
		return all
	})
	for i, v := range all {
		if r := v.root(); !bytes.Equal(r[:], v.Root) {
			t.Errorf("vector %d: root is %x", i, r)
		}
	}
}

type identityVector struct {
	Random    hexed // the 96 bytes it was drawn from
	Kind      IdentityKind
	Store     string
	Text      string
	Recipient string
	Sign      hexed // public
	SSH       string
	CacheKey  hexed
	// A secret at rest.
	Purpose       string
	Nonce         hexed
	Plain, Sealed hexed
}

func TestVectorIdentity(t *testing.T) {
	make1 := func(v identityVector) identityVector {
		store, err := cairn.ParseStoreID(v.Store)
		if err != nil {
			t.Fatal(err)
		}
		id, err := NewIdentity(v.Kind, store, bytes.NewReader(v.Random))
		if err != nil {
			t.Fatal(err)
		}
		p, c := id.Public(), id.CacheKey()
		v.Text, v.Recipient, v.Sign, v.SSH, v.CacheKey = string(id.Encode()), p.Recipient, p.Sign[:], p.SSH, c[:]
		v.Sealed = id.Secrets().Seal(bytes.NewReader(v.Nonce), v.Purpose, v.Plain)
		return v
	}
	all := vectors(t, "identity.json", func() (all []identityVector) {
		for i, k := range []IdentityKind{Owner, Gateway} {
			all = append(all, make1(identityVector{Random: pattern(96, byte(i)), Kind: k, Store: hex.EncodeToString(pattern(16, 0x4f)),
				Purpose: "access AKIAEXAMPLE", Nonce: pattern(24, 7), Plain: pattern(40, byte(i))}))
		}
		return all
	})
	for _, v := range all {
		id, err := ParseIdentity([]byte(v.Text))
		if err != nil {
			t.Errorf("%s: %v", v.Kind, err)
			continue
		}
		if again := id.Encode(); string(again) != v.Text {
			t.Errorf("%s: encodes to other bytes", v.Kind)
		}
		if got := make1(v); got.Text != v.Text || got.Recipient != v.Recipient || !bytes.Equal(got.Sign, v.Sign) || got.SSH != v.SSH ||
			!bytes.Equal(got.CacheKey, v.CacheKey) || !bytes.Equal(got.Sealed, v.Sealed) {
			t.Errorf("%s: the same chance gives another identity: %+v", v.Kind, got)
		}
		if plain, err := id.Secrets().Open(v.Purpose, v.Sealed); err != nil || !bytes.Equal(plain, v.Plain) {
			t.Errorf("%s: secret at rest: %v", v.Kind, err)
		}
	}
}

type keysVector struct {
	File       hexed
	Store      hexed
	Epoch      uint32
	Recipients []string
	Tags       []hexed
	Signer     hexed
	Hash       hexed  // in the file's name
	Identity   string // text of a recipient's identity
	EpochKey   hexed
}

func TestVectorKeys(t *testing.T) {
	all := vectors(t, "keys.json", func() []keysVector {
		owner, gateway := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2)
		signer := gateway.Sign().Public()
		v := keysVector{Epoch: 3, EpochKey: pattern(32, 5), Signer: signer[:], Identity: string(owner.Encode()),
			Recipients: []string{owner.Public().Recipient, gateway.Public().Recipient}}
		store := owner.Store()
		v.Store = store[:]
		file, err := WrapEpoch(EpochKey(v.EpochKey), v.Epoch, store, v.Recipients, gateway.Sign())
		if err != nil {
			t.Fatal(err)
		}
		hash := KeysHash(file)
		v.File, v.Hash = file, hash[:]
		for _, r := range v.Recipients {
			tag := recipientTag(r)
			v.Tags = append(v.Tags, tag[:])
		}
		return []keysVector{v}
	})
	for _, v := range all {
		k, err := ParseKeys(v.File, TrustKeys(cairn.StoreID(v.Store), PublicKey(v.Signer)))
		if err != nil {
			t.Fatal(err)
		}
		if again := k.Encode(); !bytes.Equal(again, v.File) {
			t.Error("encodes to other bytes")
		}
		if h := KeysHash(v.File); !bytes.Equal(h[:], v.Hash) || k.Epoch != v.Epoch || len(k.Wraps) != len(v.Tags) {
			t.Errorf("hash %x, epoch %d, %d wraps", h, k.Epoch, len(k.Wraps))
		}
		for i, r := range v.Recipients {
			if tag := recipientTag(r); !bytes.Equal(tag[:], v.Tags[i]) || k.Wraps[i].Tag != tag {
				t.Errorf("tag of %s is %x", r, tag)
			}
		}
		id, err := ParseIdentity([]byte(v.Identity))
		if err != nil {
			t.Fatal(err)
		}
		if key, err := k.Open(id); err != nil || !bytes.Equal(key[:], v.EpochKey) {
			t.Errorf("epoch key differs, or %v", err)
		}
	}
}

type delegationVector struct {
	OwnerSeed, Store hexed
	Number           uint64
	Gateway          hexed
	Recipient        string
	Delegation       hexed
}

func TestVectorDelegation(t *testing.T) {
	make1 := func(v delegationVector) Delegation {
		d, err := Delegate(NewSigningKey([32]byte(v.OwnerSeed)), cairn.StoreID(v.Store), v.Number, PublicKey(v.Gateway), v.Recipient)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	all := vectors(t, "delegation.json", func() []delegationVector {
		gateway := testIdentity(t, Gateway, 2).Public()
		v := delegationVector{OwnerSeed: pattern(32, 1), Store: pattern(16, 0x4f), Number: 2, Gateway: gateway.Sign[:], Recipient: gateway.Recipient}
		v.Delegation = make1(v).Encode()
		return []delegationVector{v}
	})
	for _, v := range all {
		d, err := ParseDelegation(v.Delegation)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Verify(NewSigningKey([32]byte(v.OwnerSeed)).Public(), cairn.StoreID(v.Store)); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(d.Encode(), v.Delegation) || !bytes.Equal(make1(v).Encode(), v.Delegation) {
			t.Error("encodes to other bytes")
		}
	}
}
