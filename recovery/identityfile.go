package recovery

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"golang.org/x/crypto/ssh"
)

const (
	ageMagic   = "age-encryption.org/"
	armorMagic = "-----BEGIN AGE ENCRYPTED FILE-----"
	sshMagic   = "-----BEGIN OPENSSH PRIVATE KEY-----"

	maxIdentityFile = 64 << 10 // bytes, locked or not
)

// Owner is what an owner's identity file holds: a cairn identity, or the plain
// keys of an owner who brought a recipient.
type Owner struct {
	Identity *crypt.Identity // nil for plain keys
	Ages     []age.Identity  // what opens files for the owner; never empty
}

// Ask is what an identity may want of a person; what is nil cannot be asked.
type Ask struct {
	Passphrase func() (string, error) // of the file
	// What a plugin of age asks for or shows, by its name; Value is a PIN, say,
	// and Confirm's no may be empty where there is nothing to choose.
	Message func(plugin, text string)
	Value   func(plugin, prompt string, secret bool) (string, error)
	Confirm func(plugin, question, yes, no string) (bool, error)
}

// OpenIdentityFile is Ask.OpenIdentityFile where nothing but a passphrase can be
// asked, and that neither where passphrase is nil.
func OpenIdentityFile(b []byte, passphrase func() (string, error)) (Owner, error) {
	return Ask{Passphrase: passphrase}.OpenIdentityFile(b)
}

// OpenIdentityFile reads the file that an owner recovers with: one that cairn
// init wrote, a file of age keys (AGE-SECRET-KEY-1..., AGE-PLUGIN-NAME-1... of
// a plugin, whose program runs when something is to be opened), or an OpenSSH
// private key of kind ed25519; all but the last may be locked with a passphrase
// by age, the last by ssh-keygen.
//
// ErrInvalid says what the file is instead and what to do, ErrDenied that the
// passphrase is wrong. Errors quote nothing of the file.
func (a Ask) OpenIdentityFile(b []byte) (Owner, error) {
	passphrase := a.Passphrase
	bad := func(why string) (Owner, error) {
		return Owner{}, fmt.Errorf("identity file: %s: %w", why, cairn.ErrInvalid)
	}
	if len(b) > maxIdentityFile {
		return bad("it is too long for one; give the file that cairn init wrote")
	}
	text := bytes.TrimLeft(b, " \t\r\n")
	switch {
	case bytes.HasPrefix(b, []byte(ageMagic)), bytes.HasPrefix(text, []byte(armorMagic)):
		plain, err := unlock(b, text, passphrase)
		if err != nil {
			return Owner{}, err
		}
		defer clear(plain)
		if bytes.HasPrefix(plain, []byte(ageMagic)) || bytes.HasPrefix(plain, []byte(armorMagic)) {
			return bad("it is locked twice; unlock it with age --decrypt first")
		}
		a.Passphrase = nil
		return a.OpenIdentityFile(plain)
	case bytes.HasPrefix(text, []byte(sshMagic)):
		id, err := openSSH(text, passphrase)
		if err != nil {
			return Owner{}, err
		}
		return Owner{Ages: []age.Identity{id}}, nil
	}
	switch first := firstLine(b); {
	case strings.HasPrefix(first, "AGE-SECRET-KEY-PQ-"):
		return bad("post-quantum keys are not taken yet; recover with another owner's identity")
	case strings.HasPrefix(first, "AGE-SECRET-KEY-1"), strings.HasPrefix(first, "AGE-PLUGIN-"):
		ids, err := a.ageKeys(b)
		if err != nil {
			return bad("a line of it is no age key; use an untouched copy")
		}
		return Owner{Ages: ids}, nil
	case strings.HasPrefix(first, "-----BEGIN"):
		return bad("it is a key of a kind that is not taken; give an OpenSSH ed25519 key, an age key or the file that cairn init wrote")
	}
	id, err := crypt.ParseIdentity(b)
	if err != nil {
		return Owner{}, err
	}
	return Owner{Identity: &id, Ages: []age.Identity{id.Age()}}, nil
}

// ageKeys reads one key a line, of age itself or of a plugin.
func (a Ask) ageKeys(b []byte) (ids []age.Identity, err error) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		var id age.Identity
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			id, err = a.plugin(line)
		default:
			id, err = age.ParseX25519Identity(line)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// firstLine is the first line that is no comment and not empty.
func firstLine(b []byte) string {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}

func askPassphrase(passphrase func() (string, error)) (string, error) {
	if passphrase == nil {
		return "", fmt.Errorf("identity file: it is locked with a passphrase, and there is nobody to ask for it; unlock it first: %w", cairn.ErrInvalid)
	}
	return passphrase()
}

// unlock opens an age file that is locked with a passphrase.
func unlock(b, text []byte, passphrase func() (string, error)) ([]byte, error) {
	var r io.Reader = bytes.NewReader(b)
	if bytes.HasPrefix(text, []byte(armorMagic)) {
		r = armor.NewReader(bytes.NewReader(text))
	}
	word, err := askPassphrase(passphrase)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(word)
	if err != nil {
		return nil, fmt.Errorf("identity file: the passphrase is empty: %w", cairn.ErrInvalid)
	}
	open, err := age.Decrypt(r, id)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fmt.Errorf("identity file: the passphrase is wrong, or the file is locked for a key and not with a passphrase: %w", cairn.ErrDenied)
	case err != nil:
		return nil, fmt.Errorf("identity file: it does not open: %v: %w", err, cairn.ErrInvalid)
	}
	plain, err := io.ReadAll(io.LimitReader(open, maxIdentityFile+1))
	if err != nil {
		return nil, fmt.Errorf("identity file: it was changed or cut: %v: %w", err, cairn.ErrInvalid)
	}
	return plain, nil
}

func openSSH(b []byte, passphrase func() (string, error)) (age.Identity, error) {
	raw, err := ssh.ParseRawPrivateKey(b)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		word, aerr := askPassphrase(passphrase)
		if aerr != nil {
			return nil, aerr
		}
		if raw, err = ssh.ParseRawPrivateKeyWithPassphrase(b, []byte(word)); err != nil {
			return nil, fmt.Errorf("identity file: the passphrase of the SSH key is wrong: %w", cairn.ErrDenied)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("identity file: the SSH key cannot be read; use an untouched copy: %w", cairn.ErrInvalid)
	}
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("identity file: only ed25519 SSH keys are taken: %w", cairn.ErrInvalid)
	}
	id, err := agessh.NewEd25519Identity(*key)
	if err != nil {
		return nil, fmt.Errorf("identity file: %v: %w", err, cairn.ErrInvalid)
	}
	return id, nil
}
