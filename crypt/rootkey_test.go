package crypt

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestARootOpensOnlyAsItWasSealed(t *testing.T) {
	epoch, store, nonce := EpochKey(pattern(32, 1)), cairn.StoreID(pattern(16, 2)), RootNonce(pattern(24, 3))
	plain, aad := pattern(100, 4), pattern(50, 5)
	sealed := epoch.Root(store).Seal([]byte("before"), nonce, plain, aad)
	if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != 6+100+Overhead {
		t.Fatalf("%d bytes", len(sealed))
	}
	sealed = sealed[6:]
	if got, err := epoch.Root(store).Open([]byte("x"), nonce, sealed, aad); err != nil || !bytes.Equal(got[1:], plain) {
		t.Fatalf("%x, %v", got, err)
	}
	other := epoch
	other[0]++
	for name, open := range map[string]func() ([]byte, error){
		"another epoch key": func() ([]byte, error) { return other.Root(store).Open(nil, nonce, sealed, aad) },
		"another store":     func() ([]byte, error) { return epoch.Root(cairn.StoreID{}).Open(nil, nonce, sealed, aad) },
		"another nonce":     func() ([]byte, error) { return epoch.Root(store).Open(nil, RootNonce{}, sealed, aad) },
		"another place":     func() ([]byte, error) { return epoch.Root(store).Open(nil, nonce, sealed, aad[1:]) },
		"a byte less":       func() ([]byte, error) { return epoch.Root(store).Open(nil, nonce, sealed[1:], aad) },
		"nothing":           func() ([]byte, error) { return epoch.Root(store).Open(nil, nonce, nil, aad) },
		// The ids of a pack and of a store have one length: only the info's words
		// keep the two keys apart.
		"the key of a pack with the same id": func() ([]byte, error) {
			p := epoch.Pack(cairn.PackID(store), NoncePrefix(nonce[:16]))
			return p.aead.Open(nil, nonce[:], sealed, aad)
		},
	} {
		if got, err := open(); err == nil || got != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		} else if name != "the key of a pack with the same id" && !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type rootKeyVector struct {
	EpochKey, Store, Nonce, AAD, Plain, Sealed hexed
}

func TestVectorRootKey(t *testing.T) {
	seal := func(v rootKeyVector) []byte {
		return EpochKey(v.EpochKey).Root(cairn.StoreID(v.Store)).Seal(nil, RootNonce(v.Nonce), v.Plain, v.AAD)
	}
	all := vectors(t, "rootkey.json", func() (all []rootKeyVector) {
		for i, n := range []int{0, 1, 100} {
			seed := byte(i * 16)
			v := rootKeyVector{EpochKey: pattern(32, seed), Store: pattern(16, seed+1), Nonce: pattern(24, seed+2), AAD: pattern(40*i, 7), Plain: pattern(n, seed+3)}
			v.Sealed = seal(v)
			all = append(all, v)
		}
		return all
	})
	for i, v := range all {
		if got := seal(v); !bytes.Equal(got, v.Sealed) {
			t.Errorf("vector %d: seals to %x", i, got)
		}
		plain, err := EpochKey(v.EpochKey).Root(cairn.StoreID(v.Store)).Open(nil, RootNonce(v.Nonce), v.Sealed, v.AAD)
		if err != nil || !bytes.Equal(plain, v.Plain) {
			t.Errorf("vector %d: %x, %v", i, plain, err)
		}
	}
}
