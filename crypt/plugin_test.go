package crypt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
)

// A plugin's recipient has one spelling, and its name leads to no other program
// than age-plugin-name.
func TestPluginRecipientsAreReadStrictly(t *testing.T) {
	good := plugin.EncodeRecipient("yubikey", []byte("public half"))
	r, err := ParseRecipient(good)
	if err != nil || r.String() != good || r.Plugin() != "yubikey" || r.Tag() == [8]byte{} {
		t.Errorf("%q: %+v, %v", good, r, err)
	}
	swapped := []byte(good)
	swapped[len(swapped)-1], swapped[len(swapped)-2] = swapped[len(swapped)-2], swapped[len(swapped)-1]
	for what, s := range map[string]string{
		"capitals":                 strings.ToUpper(good),
		"one capital":              good[:5] + "U" + good[6:],
		"a typing error":           string(swapped),
		"cut":                      good[:len(good)-1],
		"a space behind":           good + " ",
		"a name that leads out":    bech32("age1../../bin/x", []byte("y")),
		"a name that is none":      bech32("age1", []byte("y")) + "1",
		"an identity in its place": plugin.EncodeIdentity("yubikey", []byte("y")),
		"bits that mean nothing":   bech32("age1x", []byte("y"))[:6] + "q1qqqq",
		"endless":                  bech32("age1x", make([]byte, maxPlugin)),
		"post-quantum":             plugin.EncodeRecipient("pq", []byte("y")),
		"tagged":                   plugin.EncodeRecipient("tag", []byte("y")),
	} {
		if r, err := ParseRecipient(s); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %q is taken as %v, %v", what, s, r, err)
		}
	}
}

// Wrapping for a plugin's recipient is what Plugins makes of it; without it is
// refused, and what a plugin says is told on.
func TestWrapsForPluginsByWhoRunsThem(t *testing.T) {
	owner, gateway := testIdentity(t, Owner, 1), testIdentity(t, Gateway, 2)
	inner := owner.Age().Recipient()
	text := plugin.EncodeRecipient("test", []byte(inner.String()))
	all := []string{gateway.Public().Recipient, text}
	key := EpochKey{1, 2, 3}
	if _, err := WrapEpoch(key, 1, owner.Store(), all, gateway.Sign()); !errors.Is(err, cairn.ErrInvalid) || !strings.Contains(err.Error(), "plugin test") {
		t.Errorf("without plugins: %v", err)
	}
	broken := Plugins(func(Recipient) (age.Recipient, error) { return nil, cairn.ErrUnavailable })
	if _, err := broken.WrapEpoch(key, 1, owner.Store(), all, gateway.Sign()); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("a plugin that does not work: %v", err)
	}
	p := Plugins(func(r Recipient) (age.Recipient, error) {
		_, data, err := plugin.ParseRecipient(r.String())
		if err != nil || r.Plugin() != "test" || !bytes.Equal(data, []byte(inner.String())) {
			t.Errorf("the plugin is given %v: %q, %v", r, data, err)
		}
		return inner, nil
	})
	b, err := p.WrapEpoch(key, 1, owner.Store(), all, gateway.Sign())
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKeys(b, TrustKeys(owner.Store(), gateway.Public().Sign))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.OpenAge(owner.Age()); err != nil || got != key {
		t.Errorf("by the plugin's key: %v", err)
	}
	if _, err := k.OpenAge(refuser{}); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("by a plugin that does not work: %v, want that, and not that it is no owner", err)
	}
}

// refuser is an identity that cannot try.
type refuser struct{}

func (refuser) Unwrap([]*age.Stanza) ([]byte, error) { return nil, cairn.ErrUnavailable }
