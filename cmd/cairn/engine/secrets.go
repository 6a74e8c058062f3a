package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// What stands in <dir>/secrets. Nothing in it opens anything without the
// identity, which may be kept elsewhere.
const (
	secretsDir     = "secrets"
	storeFile      = "store"      // store id and the gateway's keys, one line each; public
	ownersFile     = "owners"     // recipients that recover the store, one a line; public
	delegationFile = "delegation" // where an owner's identity was made with the store
	// and keys/<epoch>-<hash>, the very files that stand on the nodes; recovery;
	// gateways after a takeover; and the store's own list of nodes.
)

// maxSecretsFile bounds what is read of each of them, bytes.
const maxSecretsFile = 1 << 20

// keysFile is one wrapped epoch as it stands on every node.
type keysFile struct {
	path string // keys/<epoch>-<hash>
	data []byte
}

// secrets is what Open needs of the directory.
type secrets struct {
	store  cairn.StoreID
	owners []string
	epochs map[uint32]crypt.EpochKey
	epoch  uint32 // the newest
	keys   []keysFile

	gateways   []pack.RootGateway // every one there was, this one last
	delegation []byte             // nil where no owner's identity signs for the store
	recovery   []string           // SSH keys of owners' identities, see recoveryFile
	closed     []uint32           // epochs that no new pack takes
}

// LoadIdentity reads the gateway's identity file. ErrDenied when others on the
// machine can read it, ErrNotExist when there is none, ErrInvalid when it is no
// gateway's.
func LoadIdentity(path string) (crypt.Identity, error) {
	b, err := config.ReadSecret(path)
	if errors.Is(err, cairn.ErrNotExist) {
		return crypt.Identity{}, fmt.Errorf("identity %s is missing; `cairn init` makes a store with one: %w", path, cairn.ErrNotExist)
	}
	if err != nil {
		return crypt.Identity{}, fmt.Errorf("identity: %w", err)
	}
	id, err := crypt.ParseIdentity(b)
	if err == nil {
		err = id.Need(crypt.Gateway)
	}
	if err != nil {
		return crypt.Identity{}, fmt.Errorf("identity %s: %w", path, err)
	}
	return id, nil
}

// Identity is LoadIdentity for the store in dir, which is looked for first.
func Identity(fs durable.FS, dir, path string) (crypt.Identity, error) {
	if _, err := fs.Size(filepath.Join(dir, secretsDir, storeFile)); errors.Is(err, cairn.ErrNotExist) {
		return crypt.Identity{}, noStore(dir)
	}
	return LoadIdentity(path)
}

func noStore(dir string) error {
	return fmt.Errorf("%s holds no store; make one with `cairn init --dir %s`: %w", dir, dir, cairn.ErrNotExist)
}

func readSecrets(fs durable.FS, dir string, id crypt.Identity) (secrets, error) {
	s := secrets{store: id.Store(), epochs: make(map[uint32]crypt.EpochKey)}
	at := filepath.Join(dir, secretsDir)
	text, err := durable.ReadFile(fs, filepath.Join(at, storeFile), maxSecretsFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return s, noStore(dir)
	}
	if err != nil {
		return s, err
	}
	theirs, signer, ssh, err := secretfile.ParseStore(text)
	if err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(at, storeFile), err)
	}
	if public := id.Public(); theirs != s.store || signer != public.Recipient {
		return s, fmt.Errorf("the identity is of another gateway (store %s), %s holds store %s: set identity in cairn.toml to the file made with this store: %w",
			s.store.Short(), dir, theirs.Short(), cairn.ErrDenied)
	}
	if id.Public().SSH != ssh {
		// No node would let it in, which would look as if all of them had shut us out.
		return s, fmt.Errorf("the SSH key in the gateway's identity is not the one made with this store (%s): the file is damaged; take it from its backup: %w",
			filepath.Join(at, storeFile), cairn.ErrCorrupt)
	}
	if s.delegation, err = readDelegation(fs, at, id); err != nil {
		return s, err
	}
	if s.gateways, err = readGateways(fs, at, id, s.delegation); err != nil {
		return s, err
	}
	names, err := fs.List(filepath.Join(at, layout.KeysDir))
	if err != nil {
		return s, fmt.Errorf("keys of store %s: %w", s.store.Short(), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, durable.TempSuffix) {
			continue
		}
		if err := s.addKeys(fs, at, layout.KeysDir+"/"+name, id); err != nil {
			return s, err
		}
	}
	if err := s.addPending(fs, at, id); err != nil {
		return s, err
	}
	if len(s.epochs) == 0 {
		return s, fmt.Errorf("%s has no epoch key: %w", filepath.Join(at, layout.KeysDir), cairn.ErrLost)
	}
	if s.owners, err = readOwners(fs, at); err != nil {
		return s, err
	}
	s.recovery, err = readRecoveryKeys(fs, at)
	return s, err
}

// addPending adds the keys of a change that was begun: roots may be sealed under
// them already. New packs are not, so the epoch stays.
func (s *secrets) addPending(fs durable.FS, at string, id crypt.Identity) error {
	at = filepath.Join(at, pendingDir)
	if _, err := fs.Size(filepath.Join(at, ownersFile)); errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	names, err := fs.List(filepath.Join(at, layout.KeysDir))
	if err != nil {
		return err
	}
	now := s.epoch
	for _, name := range names {
		if strings.HasSuffix(name, durable.TempSuffix) {
			continue
		}
		if err := s.addKeys(fs, at, layout.KeysDir+"/"+name, id); err != nil {
			return err
		}
	}
	s.epoch = now
	return nil
}

func (s *secrets) addKeys(fs durable.FS, at, path string, id crypt.Identity) error {
	full := filepath.Join(at, filepath.FromSlash(path))
	epoch, hash, err := layout.ParseKeyPath(path)
	if err != nil {
		return fmt.Errorf("%s is no file of keys: %w", full, err)
	}
	b, err := durable.ReadFile(fs, full, maxSecretsFile)
	if err != nil {
		return err
	}
	if crypt.KeysHash(b) != hash {
		return fmt.Errorf("%s is not what was written: take it from any node: %w", full, cairn.ErrCorrupt)
	}
	k, err := crypt.ParseKeys(b, crypt.TrustKeys(s.store, keysOf(s.gateways)...))
	if err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	key, err := k.Open(id)
	if err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	if k.Epoch != epoch {
		return fmt.Errorf("%s holds epoch %d: %w", full, k.Epoch, cairn.ErrCorrupt)
	}
	if old, ok := s.epochs[epoch]; ok && old != key {
		return fmt.Errorf("%s holds another key of epoch %d than the file beside it: %w", full, epoch, cairn.ErrCorrupt)
	}
	s.epochs[epoch] = key
	s.epoch = max(s.epoch, epoch)
	s.keys = append(s.keys, keysFile{path, b})
	return nil
}
