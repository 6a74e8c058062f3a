package crypt

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// What the old gateway sealed opens, and nodes admit the log-in as before; what
// the old one still signs is told from what the new one does.
func TestASuccessorDiffersInItsSigningKeyAlone(t *testing.T) {
	for _, kind := range []IdentityKind{Owner, Gateway} {
		old := testIdentity(t, kind, 2)
		next, err := old.Successor(bytes.NewReader(pattern(32, 0x77)))
		if err != nil {
			t.Fatal(err)
		}
		if next.Sign().Public() == old.Sign().Public() || next.Sign().Public() != NewSigningKey([32]byte(pattern(32, 0x77))).Public() {
			t.Errorf("%s: the signing key is not the one that was drawn", kind)
		}
		a, b := old.Public(), next.Public()
		if a.Sign = b.Sign; a != b || next.SSHSeed() != old.SSHSeed() || next.CacheKey() != old.CacheKey() {
			t.Errorf("%s: %+v became %+v", kind, old.Public(), b)
		}
		sealed := old.Secrets().Seal(bytes.NewReader(pattern(24, 1)), "access AKIA1", []byte("secret"))
		if plain, err := next.Secrets().Open("access AKIA1", sealed); err != nil || string(plain) != "secret" {
			t.Errorf("%s: a secret at rest: %q, %v", kind, plain, err)
		}
		got, err := ParseIdentity(next.Encode())
		if err != nil || got.Public() != b {
			t.Errorf("%s: its file: %v", kind, err)
		}
		if old.Sign().Public() != testIdentity(t, kind, 2).Sign().Public() {
			t.Errorf("%s: the old identity was changed", kind)
		}
	}
}

func TestWithoutChanceThereIsNoSuccessor(t *testing.T) {
	id, err := testIdentity(t, Gateway, 2).Successor(bytes.NewReader(make([]byte, 31)))
	if !errors.Is(err, io.ErrUnexpectedEOF) || id != (Identity{}) {
		t.Errorf("got %v", err)
	}
}

// Where owners brought recipients of their own there is no owner's signing key:
// the identity that a root holds signs for its successor, and the old public
// key, which the kit or a person names, is what the chain ends in.
func TestAGatewayDelegatesToItsSuccessor(t *testing.T) {
	old := testIdentity(t, Gateway, 2)
	next, err := old.Successor(bytes.NewReader(pattern(32, 0x77)))
	if err != nil {
		t.Fatal(err)
	}
	p := next.Public()
	d, err := Delegate(old.Sign(), p.Store, 2, p.Sign, p.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDelegation(d.Encode())
	if err != nil || got.Verify(old.Sign().Public(), p.Store) != nil || got.Gateway != p.Sign {
		t.Errorf("%+v, %v", got, err)
	}
	if got.Verify(p.Sign, p.Store) == nil {
		t.Error("the successor may delegate to itself")
	}
}
