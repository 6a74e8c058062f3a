package crypt

import (
	"errors"
	"testing"

	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
)

// FuzzParseRecipient: a recipient has one spelling, which is read as itself,
// and anything else is ErrInvalid.
func FuzzParseRecipient(f *testing.F) {
	f.Add("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtwGcWB2gCgPhk a comment")
	f.Add("age1pq1x")
	f.Add(plugin.EncodeRecipient("yubikey", []byte("some bytes")))
	f.Add(plugin.EncodeRecipient("a-b.c_d+1", nil))
	f.Add("AGE-SECRET-KEY-1")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecipient(s)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if name := r.Plugin(); name != "" {
			if got, _, err := plugin.ParseRecipient(r.String()); err != nil || got != name {
				t.Errorf("%q is taken as of plugin %q, and age reads %q, %v", s, name, got, err)
			}
		}
		again, err := ParseRecipient(r.String())
		if err != nil || again.String() != r.String() || again.Tag() != r.Tag() {
			t.Errorf("%q is written %q and read as %q, %v", s, r, again, err)
		}
	})
}
