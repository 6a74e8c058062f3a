package secretfile

import (
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// ParseOwners reads one recipient a line; ErrInvalid names the line. Comments of
// SSH keys are dropped.
func ParseOwners(text string) (owners []string, err error) {
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		r, err := crypt.ParseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; one recipient a line stands in it", i+1, err)
		}
		owners = append(owners, r.String())
	}
	return owners, nil
}

// ParseRecoveryKeys reads lines of an ssh-ed25519 key and its owner's recipient;
// ErrCorrupt names the line.
func ParseRecoveryKeys(text string) (lines []string, err error) {
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		key, owner := SplitRecoveryKey(line)
		r, err := crypt.ParseRecipient(key)
		_, oerr := crypt.ParseRecipient(owner)
		if err != nil || oerr != nil || !strings.HasPrefix(key, "ssh-") || r.String() != key {
			return nil, fmt.Errorf("line %d is no ssh-ed25519 key and its owner's recipient: %w", i+1, cairn.ErrCorrupt)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// SplitRecoveryKey is the key and the recipient of such a line.
func SplitRecoveryKey(line string) (key, owner string) {
	i := strings.LastIndexByte(line, ' ')
	return line[:max(i, 0)], line[i+1:]
}
