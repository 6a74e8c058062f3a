package crypt

import (
	"fmt"
	"strings"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"golang.org/x/crypto/ssh"
)

// Recipient is whom epoch keys are wrapped for: an age X25519 key, an SSH
// Ed25519 key, or whatever a plugin of age makes of it. Its text is public.
type Recipient struct {
	text   string // the one spelling, without a comment
	age    age.Recipient
	plugin string // name of the plugin; age is nil then
}

// Plugins makes a recipient of age from a text that belongs to a plugin, such as
// age1yubikey1...: to wrap for it runs a program, which is not done here.
type Plugins func(Recipient) (age.Recipient, error)

// ParseRecipient reads age1..., age1name1... of a plugin, or a line of
// authorized_keys with an ssh-ed25519 key, whose comment is dropped. An error is
// of class ErrInvalid and says what is taken.
func ParseRecipient(s string) (Recipient, error) {
	bad := func(why string) (Recipient, error) {
		return Recipient{}, fmt.Errorf("recipient %q: %s: %w", s, why, cairn.ErrInvalid)
	}
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-"):
		return Recipient{}, fmt.Errorf("recipient: this is a secret key; give its public half, age1...: %w", cairn.ErrInvalid)
	case strings.HasPrefix(s, "age1pq1"), strings.HasPrefix(s, "age1tag1"), strings.HasPrefix(s, "age1tagpq1"):
		return bad("post-quantum and tagged recipients are not taken yet; give age1... (X25519), age1name1... of a plugin, or ssh-ed25519 ...")
	case strings.HasPrefix(s, "age1") && strings.LastIndexByte(s, '1') > len("age"):
		name, ok := parsePlugin(s)
		if !ok {
			return bad("no recipient of an age plugin; copy it again from the line # recipient")
		}
		return Recipient{text: s, plugin: name}, nil
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
	return bad("give age1..., age1name1... of an age plugin, or ssh-ed25519 ...; passphrases and other SSH keys cannot be recipients")
}

// String is the recipient's one spelling.
func (r Recipient) String() string { return r.text }

// Plugin is the name of the plugin that wraps for the recipient, whose program
// is age-plugin-name; empty where none is needed.
func (r Recipient) Plugin() string { return r.plugin }

// parsePlugin is the name in age1name1..., whose spelling is checked. What the
// data means only the plugin knows.
func parsePlugin(s string) (name string, ok bool) {
	if len(s) > maxPlugin {
		return "", false
	}
	at := strings.LastIndexByte(s, '1')
	name = strings.TrimPrefix(s[:at], "age1")
	// As age has it, but for capitals, which are another spelling, and for what
	// could lead out of the directory of a program's name.
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789+-._") != "" {
		return "", false
	}
	return name, bech32Valid(s[:at], s[at+1:])
}

// maxPlugin bounds a plugin's recipient, bytes; post-quantum keys take 2,000.
const maxPlugin = 8 << 10

// Tag names the recipient in a file of keys: the first 8 bytes of the hash of
// its text.
func (r Recipient) Tag() [8]byte { return recipientTag(r.text) }

func recipientTag(text string) (tag [8]byte) {
	h := Sum([]byte(text))
	copy(tag[:], h[:])
	return tag
}
