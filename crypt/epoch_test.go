package crypt

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
)

func wrapped(t testing.TB, recipients ...string) (file []byte, key EpochKey, trust Trust) {
	t.Helper()
	gateway := testIdentity(t, Gateway, 2)
	copy(key[:], pattern(32, 5))
	file, err := WrapEpoch(key, 3, gateway.Store(), recipients, gateway.Sign())
	if err != nil {
		t.Fatal(err)
	}
	return file, key, TrustKeys(gateway.Store(), gateway.Sign().Public())
}

func TestEveryRecipientOpensTheEpochKey(t *testing.T) {
	owner, second, gateway := testIdentity(t, Owner, 1), testIdentity(t, Owner, 9), testIdentity(t, Gateway, 2)
	file, want, trust := wrapped(t, owner.Public().Recipient, second.Public().Recipient, gateway.Public().Recipient)
	k, err := ParseKeys(file, trust)
	if err != nil {
		t.Fatal(err)
	}
	if k.Epoch != 3 || k.Store != gateway.Store() || len(k.Wraps) != 3 || !bytes.Equal(k.Encode(), file) {
		t.Errorf("epoch %d, store %v, %d wraps", k.Epoch, k.Store, len(k.Wraps))
	}
	for _, id := range []Identity{owner, second, gateway} {
		if got, err := k.Open(id); err != nil || got != want {
			t.Errorf("%s %v: %v", id.Kind(), id.Public().Recipient, err)
		}
		if got, err := k.OpenAge(id.Age()); err != nil || got != want {
			t.Errorf("as an age key, %s: %v", id.Kind(), err)
		}
	}
	stranger := testIdentity(t, Owner, 77)
	if got, err := k.Open(stranger); !errors.Is(err, cairn.ErrDenied) || got != (EpochKey{}) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := k.OpenAge(stranger.Age()); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("a stranger with an age key: %v", err)
	}
}

func TestWrapEpochRefusesRecipientsItCannotServe(t *testing.T) {
	sign := testIdentity(t, Gateway, 2).Sign()
	one := testIdentity(t, Owner, 1).Public().Recipient
	many := make([]string, maxWraps+1)
	for i := range many {
		many[i] = one
	}
	for name, recipients := range map[string][]string{
		"none":             nil,
		"too many":         many,
		"one twice":        {one, one},
		"a secret key":     {testIdentity(t, Owner, 1).Age().String()},
		"a passphrase":     {"correct horse"},
		"in capitals":      {"AGE1" + one[4:]},
		"a typing error":   {one[:len(one)-1] + "1"},
		"an RSA key":       {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ"},
		"post-quantum":     {"age1pq1abc"},
		"two SSH lines":    {"ssh-ed25519 AAAA\nssh-ed25519 AAAA"},
		"a broken SSH key": {"ssh-ed25519 AAAA"},
	} {
		if _, err := WrapEpoch(EpochKey{}, 1, cairn.StoreID{}, recipients, sign); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		} else if bytes.Contains([]byte(err.Error()), []byte("AGE-SECRET")) {
			t.Errorf("%s: the error quotes a secret", name)
		}
	}
}

func TestEveryChangeOfAKeysFileIsNoticed(t *testing.T) {
	file, _, trust := wrapped(t, testIdentity(t, Owner, 1).Public().Recipient)
	for i := range file {
		b := slices.Clone(file)
		b[i] ^= 1
		if _, err := ParseKeys(b, trust); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for n := range len(file) {
		if _, err := ParseKeys(file[:n], trust); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := ParseKeys(append(slices.Clone(file), 0), trust); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("extended: %v", err)
	}
}

// A11 H3: a node knows the owners' recipients, so it can wrap a key of its own
// for them and serve a store that agrees with itself. Its signature chain does
// not end in the identity file.
func TestHazardA11InventedEpochKey(t *testing.T) {
	owner, gateway, node := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2), testIdentity(t, Gateway, 66)
	file, err := WrapEpoch(EpochKey{6, 6, 6}, 3, owner.Store(), []string{owner.Public().Recipient}, node.Sign())
	if err != nil {
		t.Fatal(err)
	}
	trust := TrustKeys(owner.Store(), gateway.Sign().Public())
	if _, err := ParseKeys(file, trust); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("an invented epoch key is taken: %v", err)
	}
	if _, err := ParseKeys(file, TrustKeys(cairn.StoreID{1}, node.Sign().Public())); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("a key trusted for another store: %v", err)
	}
	forged, err := Delegate(node.Sign(), owner.Store(), 9, node.Public().Sign, node.Public().Recipient)
	if err != nil {
		t.Fatal(err)
	}
	if err := forged.Verify(owner.Public().Sign, owner.Store()); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("a node delegates to itself: %v", err)
	}
}

// A wrap that is moved into another, rightly signed file does not open there:
// the plaintext says where it belongs.
func TestAWrapOfAnotherFileDoesNotOpen(t *testing.T) {
	owner, gateway := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2)
	file, _, trust := wrapped(t, owner.Public().Recipient)
	k, err := ParseKeys(file, trust)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Keys){
		"another epoch":  func(k *Keys) { k.Epoch++ },
		"another store":  func(k *Keys) { k.Store[0]++ },
		"another signer": func(k *Keys) { k.Signer = testIdentity(t, Gateway, 66).Public().Sign },
	} {
		moved := k
		change(&moved)
		sign := gateway.Sign()
		if moved.Signer != k.Signer {
			sign = testIdentity(t, Gateway, 66).Sign()
		}
		moved.sig = sign.Sign(SignKeys, moved.signed())
		got, err := ParseKeys(moved.Encode(), TrustKeys(moved.Store, moved.Signer))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := got.Open(owner); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWrapOfForeignPlaintextIsCorrupt(t *testing.T) {
	owner, gateway := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2)
	r, err := age.ParseX25519Recipient(owner.Public().Recipient)
	if err != nil {
		t.Fatal(err)
	}
	k := Keys{Store: owner.Store(), Epoch: 3, Signer: gateway.Public().Sign}
	for name, plain := range map[string][]byte{
		"empty":    nil,
		"short":    k.wrapped(EpochKey{})[:wrapPlain-1],
		"long":     append(k.wrapped(EpochKey{}), 0),
		"no magic": make([]byte, wrapPlain),
	} {
		var file bytes.Buffer
		if err := encryptTo(&file, r, plain); err != nil {
			t.Fatal(err)
		}
		k.Wraps = []Wrap{{Tag: recipientTag(owner.Public().Recipient), File: file.Bytes()}}
		if _, err := k.Open(owner); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	gateway := testIdentity(f, Gateway, 2)
	file, _, _ := wrapped(f, testIdentity(f, Owner, 1).Public().Recipient)
	body := file[:len(file)-64-32]
	f.Add(body)
	f.Add(body[:31])
	f.Add([]byte("cairnkey\x00\x01"))
	// Signer and signature are put on here, so that the fuzzer gets past them.
	f.Fuzz(func(t *testing.T, body []byte) {
		signer := gateway.Public().Sign
		b := append(slices.Clone(body), signer[:]...)
		sig := gateway.Sign().Sign(SignKeys, b)
		b = append(b, sig[:]...)
		for _, b := range [][]byte{b, body} {
			k, err := ParseKeys(b, func(cairn.StoreID, PublicKey) bool { return true })
			if err != nil {
				if !errors.Is(err, cairn.ErrCorrupt) {
					t.Fatalf("class of %v", err)
				}
				continue
			}
			if again := k.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("two spellings: %x and %x", b, again)
			}
			if _, err := k.Open(gateway); err != nil && !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrDenied) {
				t.Fatalf("class of %v", err)
			}
		}
	})
}
