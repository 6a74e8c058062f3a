package contribute

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
)

// FuzzKeys: an authorized_keys file is keys without options, each written on
// one line that is read as the same key; a key file is Ed25519. Anything else is
// ErrInvalid.
func FuzzKeys(f *testing.F) {
	k, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	pem, err := k.PEM("a")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(AuthorizedKey(k.Public(), "a b\nc")))
	f.Add([]byte("# a\n\nrestrict " + AuthorizedKey(k.Public(), "")))
	f.Add(pem)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		keys, err := ParseAuthorizedKeys(file)
		if err != nil && !errors.Is(err, cairn.ErrInvalid) {
			t.Error(err)
		}
		for _, k := range keys {
			again, err := ParseAuthorizedKeys([]byte(AuthorizedKey(k, "x\ny")))
			if err != nil || len(again) != 1 || ssh.FingerprintSHA256(again[0]) != ssh.FingerprintSHA256(k) {
				t.Errorf("a key does not come back: %v", err)
			}
		}
		key, err := ParseKey(file)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		pem, err := key.PEM("")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKey(pem); err != nil || !bytes.Equal(again.private, key.private) {
			t.Errorf("a private key does not come back: %v", err)
		}
	})
}
