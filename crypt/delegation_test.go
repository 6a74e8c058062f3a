package crypt

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

func testDelegation(t testing.TB, number uint64) Delegation {
	t.Helper()
	gateway := testIdentity(t, Gateway, 2).Public()
	d, err := Delegate(testIdentity(t, Owner, 1).Sign(), gateway.Store, number, gateway.Sign, gateway.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADelegationHoldsOnlyAsTheOwnerSignedIt(t *testing.T) {
	owner := testIdentity(t, Owner, 1).Public()
	d := testDelegation(t, 4)
	got, err := ParseDelegation(d.Encode())
	if err != nil || got != d {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := got.Verify(owner.Sign, owner.Store); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Delegation){
		"another store":     func(d *Delegation) { d.Store[0]++ },
		"another number":    func(d *Delegation) { d.Number++ },
		"another gateway":   func(d *Delegation) { d.Gateway[0]++ },
		"another recipient": func(d *Delegation) { d.Recipient = testIdentity(t, Gateway, 5).Public().Recipient },
		"another owner":     func(d *Delegation) { d.Owner = testIdentity(t, Owner, 5).Public().Sign },
		"no signature":      func(d *Delegation) { d.sig = Signature{} },
	} {
		changed := d
		change(&changed)
		if err := changed.Verify(owner.Sign, owner.Store); !errors.Is(err, cairn.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Verify(owner.Sign, cairn.StoreID{1}); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("asked for another store: %v", err)
	}
}

func TestEveryChangeOfADelegationIsNoticed(t *testing.T) {
	owner := testIdentity(t, Owner, 1).Public()
	b := testDelegation(t, 1).Encode()
	for i := range b {
		flipped := slices.Clone(b)
		flipped[i] ^= 1
		d, err := ParseDelegation(flipped)
		if err == nil {
			err = d.Verify(owner.Sign, owner.Store)
		}
		if !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrDenied) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for n := range len(b) {
		if _, err := ParseDelegation(b[:n]); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

func TestDelegateRefusesWhatItCouldNotRead(t *testing.T) {
	owner, gateway := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2).Public()
	for name, d := range map[string]Delegation{
		"number 0":     {Number: 0, Recipient: gateway.Recipient},
		"no recipient": {Number: 1},
		"a passphrase": {Number: 1, Recipient: "correct horse"},
	} {
		if _, err := Delegate(owner.Sign(), gateway.Store, d.Number, gateway.Sign, d.Recipient); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseDelegation(f *testing.F) {
	f.Add(testDelegation(f, 1).Encode())
	f.Add([]byte("cairndlg\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDelegation(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := d.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}
