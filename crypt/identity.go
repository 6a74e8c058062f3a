package crypt

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/ssh"
)

// IdentityKind tells the two kinds of identities apart.
type IdentityKind string

// The kinds. An owner's identity is kept offline and recovers the store; a
// gateway's is what the gateway runs with.
const (
	Owner   IdentityKind = "owner"
	Gateway IdentityKind = "gateway"
)

// Identity is the secrets of one owner or one gateway of one store. It prints
// as a placeholder. The zero Identity has no secrets and must not be used.
type Identity struct {
	kind  IdentityKind
	store cairn.StoreID
	age   *age.X25519Identity
	sign  [32]byte // Ed25519 seed
	ssh   [32]byte // Ed25519 seed
}

// NewIdentity draws an identity of store: 96 bytes of random. An error is
// random's, or ErrInvalid for a kind that is none.
func NewIdentity(kind IdentityKind, store cairn.StoreID, random io.Reader) (Identity, error) {
	if kind != Owner && kind != Gateway {
		return Identity{}, fmt.Errorf("crypt: identity of kind %q: there are %s and %s: %w", string(kind), Owner, Gateway, cairn.ErrInvalid)
	}
	id := Identity{kind: kind, store: store}
	var scalar [32]byte
	for _, p := range [][]byte{scalar[:], id.sign[:], id.ssh[:]} {
		if _, err := io.ReadFull(random, p); err != nil {
			return Identity{}, fmt.Errorf("crypt: new identity: %w", err)
		}
	}
	var err error
	if id.age, err = age.ParseX25519Identity(strings.ToUpper(bech32("age-secret-key-", scalar[:]))); err != nil {
		panic("crypt: " + err.Error()) // unreachable: any 32 bytes are an X25519 key
	}
	return id, nil
}

// Kind is owner or gateway.
func (id Identity) Kind() IdentityKind { return id.kind }

// Store is the store that the identity belongs to.
func (id Identity) Store() cairn.StoreID { return id.store }

// Need returns ErrInvalid, and says which file is wanted instead, unless id is
// of that kind.
func (id Identity) Need(kind IdentityKind) error {
	if id.kind == kind {
		return nil
	}
	return fmt.Errorf("this is the %s identity of store %s; here the %s identity is needed: %w", id.kind, id.store.Short(), kind, cairn.ErrInvalid)
}

// Age opens what is encrypted to Public().Recipient.
func (id Identity) Age() *age.X25519Identity { return id.age }

// Sign is the signing key: an owner's signs delegations, a gateway's signs
// packs, epoch keys and roots.
func (id Identity) Sign() SigningKey { return NewSigningKey(id.sign) }

// SSHSeed is the Ed25519 seed of the SSH key: an owner's is the recovery key
// that nodes admit, a gateway's the one it logs in to nodes with. It is a
// secret.
func (id Identity) SSHSeed() [32]byte { return id.ssh }

// Public is what others may know of an identity.
type Public struct {
	Kind      IdentityKind
	Store     cairn.StoreID
	Recipient string    // age1...
	Sign      PublicKey // of Identity.Sign
	SSH       string    // ssh-ed25519 and base64, a line of authorized_keys without a comment
}

// Public is the public half of every secret in id.
func (id Identity) Public() Public {
	return Public{
		Kind: id.kind, Store: id.store,
		Recipient: id.age.Recipient().String(),
		Sign:      id.Sign().Public(),
		SSH:       sshLine(ed25519.NewKeyFromSeed(id.ssh[:]).Public().(ed25519.PublicKey)),
	}
}

func sshLine(pub ed25519.PublicKey) string {
	k, err := ssh.NewPublicKey(pub)
	if err != nil {
		panic("crypt: " + err.Error()) // unreachable: an Ed25519 key of the right size
	}
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k)), "\n")
}
