package crypt

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

const (
	delegationMagic   = "cairndlg"
	delegationVersion = 1
	maxRecipient      = 255 // bytes of a recipient's text
)

// Delegation is an owner's word that a gateway may sign for a store. The
// highest number wins: recovery issues the next one, which ends the standing
// of gateways before it.
type Delegation struct {
	Store     cairn.StoreID
	Number    uint64 // from 1
	Gateway   PublicKey
	Recipient string // of the gateway, for the epoch keys
	Owner     PublicKey
	sig       Signature
}

// Delegate signs delegation number of store to gateway.
func Delegate(owner SigningKey, store cairn.StoreID, number uint64, gateway PublicKey, recipient string) (Delegation, error) {
	d := Delegation{Store: store, Number: number, Gateway: gateway, Recipient: recipient, Owner: owner.Public()}
	if err := d.check(); err != nil {
		return Delegation{}, err
	}
	d.sig = owner.Sign(SignDelegation, d.signed())
	return d, nil
}

func (d Delegation) check() error {
	if d.Number == 0 {
		return fmt.Errorf("crypt: delegation: numbers begin at 1: %w", cairn.ErrInvalid)
	}
	r, err := ParseRecipient(d.Recipient)
	if err != nil {
		return fmt.Errorf("crypt: delegation %d: %w", d.Number, err)
	}
	if r.String() != d.Recipient {
		return fmt.Errorf("crypt: delegation %d: recipient %q must stand without a comment: %w", d.Number, d.Recipient, cairn.ErrInvalid)
	}
	return nil
}

func (d Delegation) signed() []byte {
	var w wire.Writer
	w.Raw([]byte(delegationMagic))
	w.U16(delegationVersion)
	w.Raw(d.Store[:])
	w.U64(d.Number)
	w.Raw(d.Gateway[:])
	w.String(d.Recipient)
	w.Raw(d.Owner[:])
	return w.B
}

// Encode is the delegation's bytes.
func (d Delegation) Encode() []byte { return append(d.signed(), d.sig[:]...) }

// ParseDelegation reads exactly one delegation. What it says counts only after
// Verify.
func ParseDelegation(b []byte) (Delegation, error) {
	r := wire.NewReader(b)
	var magic [len(delegationMagic)]byte
	r.Raw(magic[:])
	if string(magic[:]) != delegationMagic {
		r.Fail("not a delegation")
	}
	if v := r.U16(); v != delegationVersion {
		r.Fail("format version %d, this release knows %d", v, delegationVersion)
	}
	var d Delegation
	r.Raw(d.Store[:])
	d.Number = r.U64()
	r.Raw(d.Gateway[:])
	d.Recipient = r.String(maxRecipient)
	r.Raw(d.Owner[:])
	r.Raw(d.sig[:])
	if r.Err() == nil && d.check() != nil {
		r.Fail("number %d or recipient %q", d.Number, d.Recipient)
	}
	if err := r.Done(); err != nil {
		return Delegation{}, fmt.Errorf("crypt: delegation: %w", err)
	}
	return d, nil
}

// Verify returns ErrDenied unless owner signed d for store. owner comes from
// the identity file, never from what was fetched.
func (d Delegation) Verify(owner PublicKey, store cairn.StoreID) error {
	if d.Store != store || d.Owner != owner || !owner.Verify(SignDelegation, d.signed(), d.sig) {
		return fmt.Errorf("crypt: delegation %d of store %s is not signed by its owner: %w", d.Number, store.Short(), cairn.ErrDenied)
	}
	return nil
}
