package engine

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// gatewaysFile lists every gateway that ever wrote to the store, the one that
// writes last. It is public. Without it, this gateway is the only one there was.
const gatewaysFile = "gateways"

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
	all, err := secretfile.ParseGateways(text)
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
	owners, err := secretfile.ParseOwners(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return owners, nil
}
