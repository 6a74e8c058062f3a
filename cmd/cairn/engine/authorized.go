package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
)

// recoveryFile holds the SSH keys that log in to nodes when the gateway is gone
// and there is no kit: those in owners' identities, each with its owner's
// recipient behind it. It is public. Owners that are SSH keys themselves are not
// in it.
const recoveryFile = "recovery"

// AuthorizedKeys are the lines of authorized_keys for a node of the store in
// dir: the gateway's, which is id, then those of its owners, who recover the
// store from any node that admits them.
func AuthorizedKeys(fs durable.FS, dir string, id crypt.Identity) ([]string, error) {
	at := filepath.Join(dir, secretsDir)
	owners, err := readOwners(fs, at)
	if err != nil {
		return nil, err
	}
	keys, err := readRecoveryKeys(fs, at)
	if err != nil {
		return nil, err
	}
	return authorizedKeys(id, owners, keys), nil
}

// AuthorizedKeys are the lines of authorized_keys that let this gateway in to a
// node, and the owners after it.
func (e *Engine) AuthorizedKeys() []string {
	s := e.secretsNow()
	return authorizedKeys(e.c.Identity, s.owners, s.recovery)
}

// AuthorizedKey is the gateway's line alone.
func (e *Engine) AuthorizedKey() string { return e.AuthorizedKeys()[0] }

func authorizedKeys(id crypt.Identity, owners, recovery []string) []string {
	short := id.Store().Short()
	lines := []string{id.Public().SSH + " cairn-" + short}
	for _, line := range recovery {
		key, _ := secretfile.SplitRecoveryKey(line)
		lines = append(lines, key+" cairn-owner-"+short)
	}
	for _, o := range owners {
		if isSSH(o) {
			lines = append(lines, o+" cairn-owner-"+short)
		}
	}
	return lines
}

func isSSH(recipient string) bool { return strings.HasPrefix(recipient, "ssh-") }

// readRecoveryKeys are the keys of owners' identities; none where no identity
// was made with the store.
func readRecoveryKeys(fs durable.FS, at string) ([]string, error) {
	name := filepath.Join(at, recoveryFile)
	text, err := durable.ReadFile(fs, name, maxSecretsFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := secretfile.ParseRecoveryKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return keys, nil
}

// recoveryKey is the line of an owner's identity.
func recoveryKey(p crypt.Public) string { return p.SSH + " " + p.Recipient }
