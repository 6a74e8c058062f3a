package crypt

import (
	"fmt"
	"io"
)

// Successor is id with a signing key of its own, drawn as 32 bytes of random:
// store, kind, age and SSH keys stay, so that secrets at rest open and nodes
// admit the log-in as before. A gateway that takes over from one whose identity
// was recovered becomes this, so that what the old one still signs can be told
// from what the new one does. An error is random's.
func (id Identity) Successor(random io.Reader) (Identity, error) {
	next := id
	if _, err := io.ReadFull(random, next.sign[:]); err != nil {
		return Identity{}, fmt.Errorf("crypt: successor of an identity: %w", err)
	}
	return next, nil
}
