// Package secretfile reads and writes the small text files below secrets/ of a
// gateway's directory, which people may look at and mend by hand. It knows no
// store and touches no disk, so that what it reads can be fuzzed.
//
// Reading order: store.go (whose directory it is), owners.go (who recovers it,
// and with which SSH keys), gateways.go (who ever wrote to it).
package secretfile

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// StoreText says which store the directory is of, for people and for ParseStore.
func StoreText(p crypt.Public) []byte {
	return fmt.Appendf(nil, "store %s\ngateway %s\nssh %s\n", p.Store, p.Recipient, p.SSH)
}

// ParseStore is the inverse of StoreText; ErrCorrupt for anything else. What
// follows the third line is left alone.
func ParseStore(b []byte) (id cairn.StoreID, recipient, ssh string, err error) {
	bad := fmt.Errorf("not a file of cairn init: %w", cairn.ErrCorrupt)
	lines := bytes.Split(b, []byte("\n"))
	if len(lines) < 3 {
		return id, "", "", bad
	}
	text, ok := strings.CutPrefix(string(lines[0]), "store ")
	recipient, ok2 := strings.CutPrefix(string(lines[1]), "gateway ")
	ssh, ok3 := strings.CutPrefix(string(lines[2]), "ssh ")
	if !ok || !ok2 || !ok3 {
		return id, "", "", bad
	}
	if id, err = cairn.ParseStoreID(text); err != nil {
		return id, "", "", bad
	}
	return id, recipient, ssh, nil
}
