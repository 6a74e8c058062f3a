package recovery

import (
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// ageRecipients reads recipients as crypt does; one that is named twice counts
// once.
func ageRecipients(texts []string) ([]age.Recipient, error) {
	var out []age.Recipient
	seen := make(map[string]bool)
	for _, text := range texts {
		r, err := crypt.ParseRecipient(text)
		if err != nil {
			return nil, err
		}
		if seen[r.String()] {
			continue
		}
		seen[r.String()] = true
		var a age.Recipient
		switch {
		case r.Plugin() != "":
			a, err = pluginRecipient(r)
		case strings.HasPrefix(r.String(), "age1"):
			a, err = age.ParseX25519Recipient(r.String())
		default:
			a, err = agessh.ParseRecipient(r.String())
		}
		if err != nil {
			return nil, fmt.Errorf("recipient %q: %v: %w", r, err, cairn.ErrInvalid)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the store has no owner to make it for: %w", cairn.ErrInvalid)
	}
	return out, nil
}
