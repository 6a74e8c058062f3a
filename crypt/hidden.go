package crypt

import (
	"fmt"
	"io"
	"log/slog"
)

// Every type that holds a secret prints as a placeholder, by any verb of fmt,
// in logs and in JSON: String alone would leave %d and %x to print the bytes.
const (
	hiddenEpoch    = "epoch key (hidden)"
	hiddenPack     = "pack key (hidden)"
	hiddenRoot     = "root key (hidden)"
	hiddenSigning  = "signing key (hidden)"
	hiddenBox      = "box of secrets (hidden)"
	hiddenIdentity = "identity (hidden)"
)

func hide(w io.Writer, what string) { _, _ = io.WriteString(w, what) } // fmt.State does not fail

// String hides the key.
func (EpochKey) String() string { return hiddenEpoch }

// GoString hides the key.
func (EpochKey) GoString() string { return hiddenEpoch }

// Format hides the key from every verb.
func (EpochKey) Format(s fmt.State, _ rune) { hide(s, hiddenEpoch) }

// LogValue hides the key.
func (EpochKey) LogValue() slog.Value { return slog.StringValue(hiddenEpoch) }

// MarshalText hides the key from encoders.
func (EpochKey) MarshalText() ([]byte, error) { return []byte(hiddenEpoch), nil }

// String hides the key.
func (*PackKey) String() string { return hiddenPack }

// GoString hides the key.
func (*PackKey) GoString() string { return hiddenPack }

// Format hides the key from every verb.
func (*PackKey) Format(s fmt.State, _ rune) { hide(s, hiddenPack) }

// LogValue hides the key.
func (*PackKey) LogValue() slog.Value { return slog.StringValue(hiddenPack) }

// String hides the key.
func (*RootKey) String() string { return hiddenRoot }

// GoString hides the key.
func (*RootKey) GoString() string { return hiddenRoot }

// Format hides the key from every verb.
func (*RootKey) Format(s fmt.State, _ rune) { hide(s, hiddenRoot) }

// LogValue hides the key.
func (*RootKey) LogValue() slog.Value { return slog.StringValue(hiddenRoot) }

// String hides the key.
func (SigningKey) String() string { return hiddenSigning }

// GoString hides the key.
func (SigningKey) GoString() string { return hiddenSigning }

// Format hides the key from every verb.
func (SigningKey) Format(s fmt.State, _ rune) { hide(s, hiddenSigning) }

// LogValue hides the key.
func (SigningKey) LogValue() slog.Value { return slog.StringValue(hiddenSigning) }

// String hides the key.
func (*Box) String() string { return hiddenBox }

// GoString hides the key.
func (*Box) GoString() string { return hiddenBox }

// Format hides the key from every verb.
func (*Box) Format(s fmt.State, _ rune) { hide(s, hiddenBox) }

// LogValue hides the key.
func (*Box) LogValue() slog.Value { return slog.StringValue(hiddenBox) }

// String hides the secrets.
func (Identity) String() string { return hiddenIdentity }

// GoString hides the secrets.
func (Identity) GoString() string { return hiddenIdentity }

// Format hides the secrets from every verb.
func (Identity) Format(s fmt.State, _ rune) { hide(s, hiddenIdentity) }

// LogValue hides the secrets.
func (Identity) LogValue() slog.Value { return slog.StringValue(hiddenIdentity) }
