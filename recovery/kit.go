package recovery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// Kit is what an owner needs beside an identity file to bring a store back, or
// what spares asking for it: where the nodes are, how to log in, and whose
// signature counts. It holds secrets in the clear and prints as a placeholder.
type Kit struct {
	Store    cairn.StoreID
	Made     uint64 // Unix milliseconds
	Gateways []KitGateway
	Owner    crypt.PublicKey // that signs delegations; zero where none does
	Owners   []string        // recipients
	Nodes    []pack.Node     // Credential in the clear
	Coding   string
	Identity []byte     // the gateway's identity file
	Keys     []KeysFile // of all epochs, for a store whose nodes lost theirs
	Sequence uint64     // of the newest root when it was made
	Root     crypt.Hash // of that root
}

// KitGateway is a gateway of the store, the writing one last.
type KitGateway struct {
	Key        crypt.PublicKey
	Number     uint64 // of its delegation
	Recipient  string
	Delegation []byte // of the writing one, where there is one
}

// ownerSetting is the setting of a body that holds the key with which an owner
// signs delegations, in hex. A gateway may delegate to the next where no owner
// is at hand, so the newest delegation does not always tell.
const ownerSetting = "owner-key"

func ownerKey(body pack.RootBody) (key crypt.PublicKey, ok bool) {
	return key, unhex(key[:], body.Setting[ownerSetting])
}

// maxKit bounds an opened kit, bytes.
const maxKit = 16 << 20

// Kit is the kit as of the newest root. ErrNotExist before the first.
func (k *Keeper) Kit() (Kit, error) {
	body, err := k.copyBody()
	if err != nil {
		return Kit{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.chain.newest == nil {
		return Kit{}, fmt.Errorf("recovery: kit: no root was written yet: %w", cairn.ErrNotExist)
	}
	kit := Kit{Store: k.c.Store, Made: uint64(time.Now().UnixMilli()), Owners: body.Owners, Nodes: body.Nodes, Coding: body.Coding, Identity: body.Identity,
		Keys: append([]KeysFile(nil), k.secrets.Keys...), Sequence: k.chain.newest.Sequence, Root: k.chain.newest.hash}
	for _, g := range body.Gateways {
		kit.Gateways = append(kit.Gateways, KitGateway{Key: g.Key, Number: g.Number, Recipient: g.Recipient})
	}
	kit.Gateways[len(kit.Gateways)-1].Delegation = k.c.Delegation
	kit.Owner, _ = ownerKey(body)
	return kit, nil
}

// isGateway reports whether key is one of all: where no owner signs, a gateway
// signs the delegation of the next.
func isGateway(all []pack.RootGateway, key crypt.PublicKey) bool {
	for _, g := range all {
		if g.Key == key {
			return true
		}
	}
	return false
}

// SealKit is the kit's file: an age file that any one of recipients opens (see
// crypt.ParseRecipient). ErrInvalid where there are none, or one cannot be read.
func SealKit(kit Kit, recipients []string) ([]byte, error) {
	to, err := ageRecipients(recipients)
	if err != nil {
		return nil, fmt.Errorf("recovery: kit: %w", err)
	}
	plain, err := kit.encode()
	if err != nil {
		return nil, fmt.Errorf("recovery: kit: %w", err)
	}
	defer clear(plain)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to...)
	if err = recipientsError(err); err != nil {
		return nil, fmt.Errorf("recovery: kit: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("recovery: kit: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("recovery: kit: %w", err)
	}
	return file.Bytes(), nil
}

// OpenKit opens a kit with an owner's keys. ErrInvalid for what is no kit,
// ErrDenied for one that was made for others, ErrCorrupt for one that was
// changed or cut, ErrUnavailable for a plugin that does not work here.
func OpenKit(b []byte, ids ...age.Identity) (Kit, error) {
	if !bytes.HasPrefix(b, []byte(ageMagic)) {
		return Kit{}, fmt.Errorf("recovery: not a recovery kit: `cairn key kit --out FILE` makes one: %w", cairn.ErrInvalid)
	}
	if len(ids) == 0 {
		return Kit{}, fmt.Errorf("recovery: the kit opens with an owner's identity, and none is given: %w", cairn.ErrInvalid)
	}
	r, err := age.Decrypt(bytes.NewReader(b), ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return Kit{}, fmt.Errorf("recovery: the kit was made for other owners than this identity is of; give the identity file of one who was an owner when it was made: %w", cairn.ErrDenied)
	}
	if cairn.Class(err) != nil { // a plugin's
		return Kit{}, fmt.Errorf("recovery: kit: %w", err)
	}
	if err != nil {
		return Kit{}, fmt.Errorf("recovery: kit: %v: %w", err, cairn.ErrCorrupt)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxKit+1))
	if err != nil {
		return Kit{}, fmt.Errorf("recovery: the kit was changed or cut: %v: %w", err, cairn.ErrCorrupt)
	}
	defer clear(plain)
	if len(plain) > maxKit {
		return Kit{}, fmt.Errorf("recovery: the kit holds more than %d MiB: %w", maxKit>>20, cairn.ErrCorrupt)
	}
	kit, err := parseKit(plain)
	if err != nil {
		return Kit{}, fmt.Errorf("recovery: kit: %w", err)
	}
	return kit, nil
}

const hiddenKit = "recovery kit (hidden)"

// String hides the kit.
func (Kit) String() string { return hiddenKit }

// GoString hides the kit.
func (Kit) GoString() string { return hiddenKit }

// Format hides the kit from every verb.
func (Kit) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenKit) } // fmt.State does not fail

// LogValue hides the kit.
func (Kit) LogValue() slog.Value { return slog.StringValue(hiddenKit) }

// MarshalText hides the kit from encoders.
func (Kit) MarshalText() ([]byte, error) { return []byte(hiddenKit), nil }
