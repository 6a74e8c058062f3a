package pack

import (
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// MaxRoot is the most bytes of a root's file. A store of 1,000 nodes whose
// checkpoint fills 4,096 packs of 7 shards takes under 0.5 MiB.
const MaxRoot = 4 << 20

const (
	rootMagic     = "cairnroo"
	maxDelegation = 1 << 10 // bytes
)

// Root is a file of roots/: the state of a store as of one moment, signed,
// chained to the root before it, its body sealed under an epoch key.
type Root struct {
	Store      cairn.StoreID
	Sequence   uint64
	Prev       crypt.Hash      // RootHash of the root before; zero for the first
	Delegation []byte          // to the signer; empty where no owner signs
	Signer     crypt.PublicKey // set from the key by SealRoot
	Epoch      uint32          // whose key seals the body

	nonce  crypt.RootNonce
	sealed []byte
	sig    crypt.Signature
}

// SealRoot makes the file of root r with body: seals it with key, that of epoch
// r.Epoch, under a nonce drawn from random, and signs the whole. What could not
// be read again is ErrInvalid and names the field; other errors are those of
// random.
func SealRoot(r Root, body RootBody, key crypt.EpochKey, random io.Reader, sign crypt.SigningKey) ([]byte, error) {
	plain, err := body.press(r.Store)
	if err != nil {
		return nil, fmt.Errorf("pack: root %d: %w", r.Sequence, err)
	}
	defer clear(plain)
	if len(r.Delegation) > maxDelegation {
		return nil, fmt.Errorf("pack: root %d: delegation of %d bytes: %w", r.Sequence, len(r.Delegation), cairn.ErrInvalid)
	}
	if _, err := io.ReadFull(random, r.nonce[:]); err != nil {
		return nil, fmt.Errorf("pack: root %d: %w", r.Sequence, err)
	}
	return r.seal(plain, key, sign), nil
}

// seal is SealRoot for a body that is pressed, with r's nonce.
func (r Root) seal(plain []byte, key crypt.EpochKey, sign crypt.SigningKey) []byte {
	r.Signer = sign.Public()
	r.sealed = key.Root(r.Store).Seal(nil, r.nonce, plain, r.head())
	r.sig = sign.Sign(crypt.SignRoot, r.signed())
	return r.encode()
}

// head is all before the sealed body: what that is bound to.
func (r Root) head() []byte {
	var w wire.Writer
	w.Raw([]byte(rootMagic))
	w.U16(Version)
	w.Raw(r.Store[:])
	w.U64(r.Sequence)
	w.Raw(r.Prev[:])
	w.Bytes(r.Delegation)
	w.Raw(r.Signer[:])
	w.U32(r.Epoch)
	w.Raw(r.nonce[:])
	return w.B
}

func (r Root) signed() []byte {
	w := wire.Writer{B: r.head()}
	w.Bytes(r.sealed)
	return w.B
}

func (r Root) encode() []byte { return append(r.signed(), r.sig[:]...) }

// ParseRoot reads exactly one root and checks the signature against the key it
// names; whether that key may sign for this store is the caller's question (a
// delegation, or a key that is known), as is whether it follows the root it
// names.
func ParseRoot(b []byte) (Root, error) {
	if len(b) > MaxRoot {
		return Root{}, fmt.Errorf("pack: root of %d bytes is over the limit of %d: %w", len(b), MaxRoot, cairn.ErrCorrupt)
	}
	r := wire.NewReader(b)
	var magic [len(rootMagic)]byte
	r.Raw(magic[:])
	if string(magic[:]) != rootMagic {
		r.Fail("not a root")
	}
	if v := r.U16(); v != Version {
		r.Fail("format version %d, this release knows %d", v, Version)
	}
	var root Root
	r.Raw(root.Store[:])
	root.Sequence = r.U64()
	r.Raw(root.Prev[:])
	root.Delegation = r.Bytes(maxDelegation)
	r.Raw(root.Signer[:])
	root.Epoch = r.U32()
	r.Raw(root.nonce[:])
	root.sealed = r.Bytes(MaxRoot)
	r.Raw(root.sig[:])
	if n := uint64(len(root.sealed)); r.Err() == nil && n != Padded(n) {
		r.Fail("sealed body of %d bytes", n)
	}
	if err := r.Done(); err != nil {
		return Root{}, fmt.Errorf("pack: root: %w", err)
	}
	if !root.Signer.Verify(crypt.SignRoot, root.signed(), root.sig) {
		return Root{}, fmt.Errorf("pack: root %d: signature is not its signer's: %w", root.Sequence, cairn.ErrCorrupt)
	}
	return root, nil
}

// Open opens the body with key, that of epoch r.Epoch; another key is
// ErrCorrupt.
func (r Root) Open(key crypt.EpochKey) (RootBody, error) {
	plain, err := key.Root(r.Store).Open(nil, r.nonce, r.sealed, r.head())
	if err != nil {
		return RootBody{}, fmt.Errorf("pack: root %d: body does not open with the key of epoch %d: %w", r.Sequence, r.Epoch, err)
	}
	defer clear(plain)
	b, err := unpress(plain, maxRootPlain)
	if err != nil {
		return RootBody{}, fmt.Errorf("pack: root %d: body: %w", r.Sequence, err)
	}
	defer clear(b)
	body, err := parseRootBody(b, r.Store)
	if err != nil {
		return RootBody{}, fmt.Errorf("pack: root %d: body: %w", r.Sequence, err)
	}
	return body, nil
}

// RootHash names a root: the hash of its file. The next root carries it, and
// the file's name its first 16 bytes.
func RootHash(b []byte) crypt.Hash { return crypt.Sum(b) }
