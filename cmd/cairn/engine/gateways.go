package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// gatewaysFile lists every gateway that ever wrote to the store, the one that
// writes last. It is public. Without it, this gateway is the only one there was.
const gatewaysFile = "gateways"

const gatewaysHead = "# Every gateway of this store, oldest first: key, delegation, recipient; and of former ones the last of the log that counts.\n"

// gatewaysText is what ParseGateways reads.
func gatewaysText(all []pack.RootGateway) []byte {
	b := []byte(gatewaysHead)
	for _, g := range all {
		b = fmt.Appendf(b, "%x %d %s", g.Key, g.Number, g.Recipient)
		if !g.Until.IsZero() {
			b = fmt.Appendf(b, " until %d %d.%d %x", g.Until.Number, g.Until.Last.Life, g.Until.Last.LSN, g.Until.Seal)
		}
		b = append(b, '\n')
	}
	return b
}

// parseGateways is the inverse of gatewaysText; ErrCorrupt names the line.
func parseGateways(text []byte) (all []pack.RootGateway, err error) {
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		g, ok := parseGateway(strings.Split(line, " "))
		if !ok {
			return nil, fmt.Errorf("line %d is no gateway: %w", i+1, cairn.ErrCorrupt)
		}
		all = append(all, g)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no gateway in it: %w", cairn.ErrCorrupt)
	}
	return all, nil
}

func parseGateway(words []string) (g pack.RootGateway, ok bool) {
	if len(words) != 3 && (len(words) != 7 || words[3] != "until") {
		return g, false
	}
	number, err := strconv.ParseUint(words[1], 10, 64)
	_, rerr := crypt.ParseRecipient(words[2])
	if err != nil || rerr != nil || !unhex(g.Key[:], words[0]) {
		return g, false
	}
	g.Number, g.Recipient = number, words[2]
	if len(words) == 3 {
		return g, true
	}
	life, lsn, _ := strings.Cut(words[5], ".")
	last, lerr := strconv.ParseUint(life, 10, 32)
	g.Until.Last.Life = uint32(last)
	if g.Until.Last.LSN, err = strconv.ParseUint(lsn, 10, 64); err != nil || lerr != nil {
		return g, false
	}
	g.Until.Number, err = strconv.ParseUint(words[4], 10, 64)
	return g, err == nil && unhex(g.Until.Seal[:], words[6])
}

// unhex fills b from just as many digits.
func unhex(b []byte, text string) bool {
	if len(text) != 2*len(b) || strings.ToLower(text) != text {
		return false
	}
	_, err := hex.Decode(b, []byte(text))
	return err == nil
}

// readGateways is every gateway of the store, of which id must be the last.
func readGateways(fs durable.FS, at string, id crypt.Identity, delegation []byte) ([]pack.RootGateway, error) {
	name := filepath.Join(at, gatewaysFile)
	public := id.Public()
	text, err := durable.ReadFile(fs, name, maxSecretsFile)
	if errors.Is(err, cairn.ErrNotExist) {
		g := pack.RootGateway{Key: public.Sign, Recipient: public.Recipient}
		if delegation != nil {
			d, err := crypt.ParseDelegation(delegation)
			if err != nil {
				return nil, err
			}
			g.Number = d.Number
		}
		return []pack.RootGateway{g}, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := parseGateways(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; take it from a backup, or make this directory again with `cairn recover`", name, err)
	}
	if all[len(all)-1].Key != public.Sign {
		return nil, fmt.Errorf("%s: the gateway that writes now has another signing key than the identity: it is of before a takeover; use the identity that `cairn recover` wrote: %w", name, cairn.ErrDenied)
	}
	return all, nil
}

// keysOf are the signing keys of gateways.
func keysOf(all []pack.RootGateway) []crypt.PublicKey {
	keys := make([]crypt.PublicKey, len(all))
	for i, g := range all {
		keys[i] = g.Key
	}
	return keys
}

// readDelegation is the owner's word for the gateway with identity id; nil where
// no owner's identity signs for the store.
func readDelegation(fs durable.FS, at string, id crypt.Identity) ([]byte, error) {
	name := filepath.Join(at, delegationFile)
	b, err := durable.ReadFile(fs, name, maxSecretsFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := crypt.ParseDelegation(b)
	if err == nil {
		err = d.Verify(d.Owner, id.Store())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; take it from a backup, or make this directory again with `cairn recover`", name, err)
	}
	if d.Gateway != id.Public().Sign {
		return nil, fmt.Errorf("%s delegates to another gateway than the identity is of; use the identity that was made with it: %w", name, cairn.ErrDenied)
	}
	return b, nil
}

// readOwners are the recipients that recover the store.
func readOwners(fs durable.FS, at string) ([]string, error) {
	name := filepath.Join(at, ownersFile)
	text, err := durable.ReadFile(fs, name, maxSecretsFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: write the owners' recipients into it, one a line, as `cairn init` printed them: %w", name, err)
	}
	if err != nil {
		return nil, err
	}
	var owners []string
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		r, err := crypt.ParseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w; one recipient a line stands in it", name, i+1, err)
		}
		owners = append(owners, r.String())
	}
	return owners, nil
}
