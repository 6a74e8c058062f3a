package secretfile

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

const (
	someAge = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	someSSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtwGcWB2gCgPhk"
)

// FuzzStore: what is read as the file of a store says again what it said, in
// its first three lines.
func FuzzStore(f *testing.F) {
	f.Add(StoreText(crypt.Public{Store: cairn.StoreID{1, 2}, Recipient: someAge, SSH: someSSH}))
	f.Add([]byte("store \ngateway \nssh \n"))
	f.Add([]byte("store 00000000000000000000000000000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, recipient, ssh, err := ParseStore(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		if again := StoreText(crypt.Public{Store: id, Recipient: recipient, SSH: ssh}); !bytes.HasPrefix(append(b, '\n'), again) {
			t.Errorf("%q is written as %q", b, again)
		}
	})
}

// FuzzGateways: a list of gateways that is taken is written and read back as the
// same list.
func FuzzGateways(f *testing.F) {
	f.Add(GatewaysText([]pack.RootGateway{
		{Key: crypt.PublicKey{1, 2}, Recipient: someAge, Until: pack.CutOff{Number: 7, Last: cairn.Stamp{Life: 3, LSN: 99}, Seal: crypt.Hash{5}}},
		{Key: crypt.PublicKey{3}, Number: 2, Recipient: someAge},
	}))
	f.Add([]byte(""))
	f.Add([]byte("#\n"))
	f.Add([]byte(strings.Repeat("0", 64) + " +1 " + someAge))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ParseGateways(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		if again, err := ParseGateways(GatewaysText(all)); err != nil || !reflect.DeepEqual(again, all) {
			t.Errorf("%q is %+v, and read again %+v, %v", b, all, again, err)
		}
	})
}

// FuzzOwners: owners and the keys that nodes admit for them have one spelling
// each, in which they are written; anything else is refused by its class.
func FuzzOwners(f *testing.F) {
	f.Add(someAge + "\n" + someSSH + " tom\n")
	f.Add(someSSH + " " + someAge + "\n")
	f.Add(plugin.EncodeRecipient("yubikey", []byte("x")))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		owners, err := ParseOwners(text)
		if err != nil && !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("owners %q: %v", text, err)
		}
		if err == nil {
			if again, err := ParseOwners(strings.Join(owners, "\n")); err != nil || !reflect.DeepEqual(again, owners) {
				t.Errorf("owners %q are %q, and read again %q, %v", text, owners, again, err)
			}
		}
		lines, err := ParseRecoveryKeys(text)
		if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("keys %q: %v", text, err)
		}
		for _, line := range lines {
			key, owner := SplitRecoveryKey(line)
			if line != key+" "+owner || !strings.HasPrefix(key, "ssh-ed25519 ") || strings.Contains(owner, " ") {
				t.Errorf("%q: key %q of %q", line, key, owner)
			}
		}
	})
}
