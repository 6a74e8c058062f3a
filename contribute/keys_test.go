package contribute_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

func TestKeysSurviveTheirFiles(t *testing.T) {
	k := newKey(t)
	pem, err := k.PEM("bob's node")
	if err != nil {
		t.Fatal(err)
	}
	again, err := contribute.ParseKey(pem)
	if err != nil || again.Fingerprint() != k.Fingerprint() {
		t.Errorf("%v, %s and %s", err, again.Fingerprint(), k.Fingerprint())
	}
	if _, err := contribute.ParseKey(pem[:len(pem)/2]); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("half a key file: %v", err)
	}

	other := newKey(t)
	lines := "# friends\n\n" + contribute.AuthorizedKey(k.Public(), "bob\nssh-ed25519 AAAA") + contribute.AuthorizedKey(other.Public(), "")
	keys, err := contribute.ParseAuthorizedKeys([]byte(lines))
	if err != nil || len(keys) != 2 || !bytes.Equal(keys[0].Marshal(), k.Public().Marshal()) || !bytes.Equal(keys[1].Marshal(), other.Public().Marshal()) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	for name, bad := range map[string]string{
		"none":    "# nobody\n",
		"garbage": lines + "ssh-ed25519 garbage\n",
		"options": "no-pty " + contribute.AuthorizedKey(k.Public(), ""),
	} {
		if _, err := contribute.ParseAuthorizedKeys([]byte(bad)); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}
