package engine

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/cairn-storage/cairn"
)

// minPassphrase is the least that guards an owner's identity, characters.
const minPassphrase = 10

// CheckPassphrase returns ErrInvalid for one that guards nothing.
func CheckPassphrase(p string) error {
	if !utf8.ValidString(p) || utf8.RuneCountInString(p) < minPassphrase {
		return fmt.Errorf("the passphrase has fewer than %d characters; it guards the whole store: use several random words: %w", minPassphrase, cairn.ErrInvalid)
	}
	return nil
}

// LockFile encrypts an identity file with a passphrase, as `age --passphrase
// --armor` does. work is scrypt's, 0 for age's own (about a second).
func LockFile(plain []byte, passphrase string, work int) ([]byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	if work > 0 {
		r.SetWorkFactor(work)
	}
	var out bytes.Buffer
	coat := armor.NewWriter(&out)
	w, err := age.Encrypt(coat, r)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(plain)
	err = errors.Join(err, w.Close(), coat.Close())
	return out.Bytes(), err
}
