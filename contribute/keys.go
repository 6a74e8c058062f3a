package contribute

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
)

// Key is an Ed25519 key of a host or a user.
type Key struct {
	Signer  ssh.Signer
	private ed25519.PrivateKey
}

// NewKey draws a key.
func NewKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("contribute: make key: %w", err)
	}
	return keyOf(private)
}

// ParseKey reads what PEM wrote; ErrInvalid for anything else.
func ParseKey(file []byte) (Key, error) {
	raw, err := ssh.ParseRawPrivateKey(file)
	if err != nil {
		return Key{}, fmt.Errorf("contribute: key file: %w: %w", cairn.ErrInvalid, err)
	}
	private, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("contribute: key file holds a %T, not an Ed25519 key: %w", raw, cairn.ErrInvalid)
	}
	return keyOf(*private)
}

func keyOf(private ed25519.PrivateKey) (Key, error) {
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("contribute: key: %w", err)
	}
	return Key{Signer: signer, private: private}, nil
}

// Public is the public half.
func (k Key) Public() ssh.PublicKey { return k.Signer.PublicKey() }

// Fingerprint is SHA256:..., as ssh-keygen -l prints it.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Public()) }

// PEM is the private key as an OpenSSH key file, without a passphrase.
func (k Key) PEM(comment string) ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(k.private, comment)
	if err != nil {
		return nil, fmt.Errorf("contribute: key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}

// AuthorizedKey is the line of an authorized_keys file that lets key in. Line
// ends in comment become spaces, so that it stays one line.
func AuthorizedKey(key ssh.PublicKey, comment string) string {
	line := string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))
	if comment = strings.Join(strings.Fields(comment), " "); comment != "" {
		line += " " + comment
	}
	return line + "\n"
}

// ParseAuthorizedKeys reads the lines of an authorized_keys file; ErrInvalid
// when one does not parse or none is there. Options before a key are refused:
// they restrict what this server would not honour.
func ParseAuthorizedKeys(file []byte) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	number := 0
	for line := range bytes.Lines(file) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, fmt.Errorf("contribute: authorized keys, line %d: %w: %w", number, cairn.ErrInvalid, err)
		}
		if len(options) > 0 {
			return nil, fmt.Errorf("contribute: authorized keys, line %d: options are not honoured here: %w", number, cairn.ErrInvalid)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("contribute: authorized keys: none found: %w", cairn.ErrInvalid)
	}
	return keys, nil
}
