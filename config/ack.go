package config

import (
	"fmt"

	"github.com/cairn-storage/cairn"
)

// Ack is when a PUT is answered. The zero value means Staged.
type Ack string

// The acks.
const (
	Staged Ack = "staged" // this disk has it for certain
	Spread Ack = "spread" // m+1 nodes have it too
)

// String is "staged" or "spread".
func (a Ack) String() string {
	if a == "" {
		return string(Staged)
	}
	return string(a)
}

// MarshalText is String.
func (a Ack) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads "staged" or "spread".
func (a *Ack) UnmarshalText(text []byte) error {
	*a = Ack(text)
	if *a != Staged && *a != Spread {
		return fmt.Errorf("%q: write \"staged\" or \"spread\": %w", text, cairn.ErrInvalid)
	}
	return nil
}
