package crypt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

const (
	keysMagic   = "cairnkey"
	keysVersion = 1
	wrapDomain  = "cairn/1 epoch key\x00"
	wrapPlain   = len(wrapDomain) + 32 + 16 + 4 + 32 // domain, key, store, epoch, signer

	maxWraps = 255
	maxWrap  = 4 << 10 // bytes of one age file; 32-byte keys take about 330
)

// Trust tells whether a key may sign for a store: the gateway's own, or one
// that an owner delegated to.
type Trust = func(cairn.StoreID, PublicKey) bool

// TrustKeys trusts just these keys for just this store.
func TrustKeys(store cairn.StoreID, keys ...PublicKey) Trust {
	return func(s cairn.StoreID, k PublicKey) bool {
		for _, known := range keys {
			if s == store && k == known {
				return true
			}
		}
		return false
	}
}

// Wrap is one epoch key encrypted to one recipient.
type Wrap struct {
	Tag  [8]byte // of the recipient, see Recipient.Tag
	File []byte  // an age file
}

// Keys is a file of keys/: the key of one epoch, wrapped for every recipient,
// signed by the gateway.
type Keys struct {
	Store  cairn.StoreID
	Epoch  uint32
	Wraps  []Wrap
	Signer PublicKey
	sig    Signature
}

// WrapEpoch wraps key for recipients (see ParseRecipient), each in an age file
// of its own, and signs the whole: the bytes of one file of keys/. age draws
// its own chance, so no two wraps are alike. Recipients that cannot be read,
// repeat, need a plugin, or are none or too many are ErrInvalid.
func WrapEpoch(key EpochKey, epoch uint32, store cairn.StoreID, recipients []string, sign SigningKey) ([]byte, error) {
	return Plugins(nil).WrapEpoch(key, epoch, store, recipients, sign)
}

// WrapEpoch is WrapEpoch that also wraps for recipients of plugins. An error of
// a plugin is returned as it is.
func (p Plugins) WrapEpoch(key EpochKey, epoch uint32, store cairn.StoreID, recipients []string, sign SigningKey) ([]byte, error) {
	k := Keys{Store: store, Epoch: epoch, Signer: sign.Public()}
	if len(recipients) == 0 || len(recipients) > maxWraps {
		return nil, fmt.Errorf("crypt: wrap epoch %d for %d recipients: needs 1 to %d: %w", epoch, len(recipients), maxWraps, cairn.ErrInvalid)
	}
	seen := make(map[[8]byte]bool, len(recipients))
	for _, text := range recipients {
		r, err := ParseRecipient(text)
		if err != nil {
			return nil, fmt.Errorf("crypt: wrap epoch %d: %w", epoch, err)
		}
		if seen[r.Tag()] {
			return nil, fmt.Errorf("crypt: wrap epoch %d: recipient %v is named twice: %w", epoch, r, cairn.ErrInvalid)
		}
		seen[r.Tag()] = true
		to, err := p.recipient(r)
		if err != nil {
			return nil, fmt.Errorf("crypt: wrap epoch %d: %w", epoch, err)
		}
		var file bytes.Buffer
		if err := encryptTo(&file, to, k.wrapped(key)); err != nil {
			return nil, fmt.Errorf("crypt: wrap epoch %d for %v: %w", epoch, r, err)
		}
		k.Wraps = append(k.Wraps, Wrap{Tag: r.Tag(), File: file.Bytes()})
	}
	k.sig = sign.Sign(SignKeys, k.signed())
	return k.Encode(), nil
}

func (p Plugins) recipient(r Recipient) (age.Recipient, error) {
	switch {
	case r.plugin == "":
		return r.age, nil
	case p == nil:
		return nil, fmt.Errorf("recipient %v needs the plugin %s: %w", r, r.plugin, cairn.ErrInvalid)
	}
	return p(r)
}

func encryptTo(to io.Writer, r age.Recipient, plain []byte) error {
	w, err := age.Encrypt(to, r)
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	return w.Close()
}

// wrapped is the plaintext of a wrap. It repeats what the file says around it,
// so that a wrap moved into another file does not open there.
func (k Keys) wrapped(key EpochKey) []byte {
	w := wire.Writer{B: make([]byte, 0, wrapPlain)}
	w.Raw([]byte(wrapDomain))
	w.Raw(key[:])
	w.Raw(k.Store[:])
	w.U32(k.Epoch)
	w.Raw(k.Signer[:])
	return w.B
}

func (k Keys) signed() []byte {
	var w wire.Writer
	w.Raw([]byte(keysMagic))
	w.U16(keysVersion)
	w.Raw(k.Store[:])
	w.U32(k.Epoch)
	w.U8(uint8(len(k.Wraps)))
	for _, wrap := range k.Wraps {
		w.Raw(wrap.Tag[:])
		w.Bytes(wrap.File)
	}
	w.Raw(k.Signer[:])
	return w.B
}

// Encode is the file's bytes.
func (k Keys) Encode() []byte { return append(k.signed(), k.sig[:]...) }

// ParseKeys reads exactly one file of keys/. It is ErrCorrupt unless a key that
// trust admits signed it: anybody who knows a recipient can wrap a key for it,
// so an unsigned key must never be used.
func ParseKeys(b []byte, trust Trust) (Keys, error) {
	r := wire.NewReader(b)
	var magic [len(keysMagic)]byte
	r.Raw(magic[:])
	if string(magic[:]) != keysMagic {
		r.Fail("not a file of keys")
	}
	if v := r.U16(); v != keysVersion {
		r.Fail("format version %d, this release knows %d", v, keysVersion)
	}
	var k Keys
	r.Raw(k.Store[:])
	k.Epoch = r.U32()
	n := r.U8()
	if n == 0 {
		r.Fail("no wraps")
	}
	seen := make(map[[8]byte]bool)
	for range n {
		var wrap Wrap
		r.Raw(wrap.Tag[:])
		wrap.File = r.Bytes(maxWrap)
		if r.Err() == nil && (seen[wrap.Tag] || len(wrap.File) == 0) {
			r.Fail("a wrap is empty or there twice")
		}
		if r.Err() != nil {
			break
		}
		seen[wrap.Tag] = true
		k.Wraps = append(k.Wraps, wrap)
	}
	r.Raw(k.Signer[:])
	r.Raw(k.sig[:])
	if err := r.Done(); err != nil {
		return Keys{}, fmt.Errorf("crypt: keys: %w", err)
	}
	if !k.Signer.Verify(SignKeys, k.signed(), k.sig) {
		return Keys{}, fmt.Errorf("crypt: keys of epoch %d: signature is not its signer's: %w", k.Epoch, cairn.ErrCorrupt)
	}
	if !trust(k.Store, k.Signer) {
		return Keys{}, fmt.Errorf("crypt: keys of epoch %d are signed by a key that may not sign for this store: %w", k.Epoch, cairn.ErrCorrupt)
	}
	return k, nil
}

// KeysHash is the hash in the name keys/<epoch>-<hash> of a file of keys: the
// first 16 bytes of the hash of its bytes.
func KeysHash(b []byte) (h [16]byte) {
	sum := Sum(b)
	copy(h[:], sum[:])
	return h
}

// Open unwraps the epoch key with id's age or SSH key. ErrDenied when it is
// wrapped for neither, ErrCorrupt when a wrap is of another file.
func (k Keys) Open(id Identity) (EpochKey, error) {
	public := id.Public()
	for _, wrap := range k.Wraps {
		switch wrap.Tag {
		case recipientTag(public.Recipient):
			return k.open(wrap, id.age)
		case recipientTag(public.SSH):
			s, err := sshIdentity(ed25519.NewKeyFromSeed(id.ssh[:]))
			if err != nil {
				return EpochKey{}, fmt.Errorf("crypt: keys of epoch %d: %w", k.Epoch, err)
			}
			return k.open(wrap, s)
		}
	}
	return EpochKey{}, k.denied()
}

// OpenAge unwraps the epoch key with the keys of an owner who brought a
// recipient of their own. It tries every wrap; ErrDenied when none is for ids,
// ErrUnavailable when an identity says that it could not try.
func (k Keys) OpenAge(ids ...age.Identity) (EpochKey, error) {
	why := k.denied()
	for _, wrap := range k.Wraps {
		for _, id := range ids {
			key, err := k.open(wrap, id)
			if err == nil {
				return key, nil
			}
			if errors.Is(err, cairn.ErrUnavailable) {
				why = err
			}
		}
	}
	return EpochKey{}, why
}

func (k Keys) denied() error {
	return fmt.Errorf("crypt: keys of epoch %d: this identity is none of its %d recipients: %w", k.Epoch, len(k.Wraps), cairn.ErrDenied)
}

func (k Keys) open(wrap Wrap, id age.Identity) (EpochKey, error) {
	bad := func(why any) (EpochKey, error) {
		return EpochKey{}, fmt.Errorf("crypt: keys of epoch %d: wrap does not open: %v: %w", k.Epoch, why, cairn.ErrCorrupt)
	}
	r, err := age.Decrypt(bytes.NewReader(wrap.File), id)
	if errors.Is(err, cairn.ErrUnavailable) {
		return EpochKey{}, fmt.Errorf("crypt: keys of epoch %d: %w", k.Epoch, err)
	}
	if err != nil {
		return bad(err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(wrapPlain)+1))
	if err != nil {
		return bad(err)
	}
	var key EpochKey
	if len(plain) == wrapPlain {
		copy(key[:], plain[len(wrapDomain):])
	}
	if !bytes.Equal(plain, k.wrapped(key)) {
		return bad("it belongs to another file")
	}
	return key, nil
}
