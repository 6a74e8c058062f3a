package crypt

import (
	"fmt"
	"strings"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/ssh"
)

// Recipient is whom epoch keys are wrapped for: an age X25519 key or an SSH
// Ed25519 key. Its text is public.
type Recipient struct {
	text string // the one spelling, without a comment
	age  age.Recipient
}

// ParseRecipient reads age1... or a line of authorized_keys with an
// ssh-ed25519 key, whose comment is dropped. An error is of class ErrInvalid
// and says what is taken.
func ParseRecipient(s string) (Recipient, error) {
	bad := func(why string) (Recipient, error) {
		return Recipient{}, fmt.Errorf("recipient %q: %s: %w", s, why, cairn.ErrInvalid)
	}
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-"):
		return Recipient{}, fmt.Errorf("recipient: this is a secret key; give its public half, age1...: %w", cairn.ErrInvalid)
	case strings.HasPrefix(s, "age1pq1"):
		return bad("post-quantum recipients are not taken yet; give age1... (X25519) or ssh-ed25519 ...")
	case strings.HasPrefix(s, "age1"):
		r, err := age.ParseX25519Recipient(s)
		if err != nil || r.String() != s {
			return bad("no age X25519 key; copy it again from the line # public key")
		}
		return Recipient{text: s, age: r}, nil
	case strings.HasPrefix(s, ssh.KeyAlgoED25519+" "):
		k, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(s))
		if err != nil || len(options) > 0 || len(rest) > 0 {
			return bad("no SSH Ed25519 key; give one line of a .pub file")
		}
		r, err := sshRecipient(k)
		if err != nil {
			return bad(err.Error())
		}
		return Recipient{text: strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k)), "\n"), age: r}, nil
	}
	return bad("give age1... or ssh-ed25519 ...; passphrases and other SSH keys cannot be recipients")
}

// String is the recipient's one spelling.
func (r Recipient) String() string { return r.text }

// Tag names the recipient in a file of keys: the first 8 bytes of the hash of
// its text.
func (r Recipient) Tag() [8]byte { return recipientTag(r.text) }

func recipientTag(text string) (tag [8]byte) {
	h := Sum([]byte(text))
	copy(tag[:], h[:])
	return tag
}
