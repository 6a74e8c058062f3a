package crypt

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
)

// A10: an owner whose recipient is an SSH key, or who has only the recovery SSH
// key, opens the store too.
func TestAnSSHKeyIsARecipient(t *testing.T) {
	owner := testIdentity(t, Owner, 1)
	file, want, trust := wrapped(t, owner.Public().SSH+" tom@example", testIdentity(t, Owner, 9).Public().Recipient)
	k, err := ParseKeys(file, trust)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(owner); err != nil || got != want {
		t.Errorf("by identity: %v", err)
	}
	if _, err := k.Open(testIdentity(t, Owner, 77)); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("a stranger: %v", err)
	}
	r, err := ParseRecipient(owner.Public().SSH + " tom@example")
	if err != nil || r.String() != owner.Public().SSH || r.Tag() != k.Wraps[0].Tag {
		t.Errorf("recipient %v, %v", r, err)
	}
	if _, err := ParseRecipient(`command="x" ` + owner.Public().SSH); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("with options: %v", err)
	}
}
