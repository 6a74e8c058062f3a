package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/recovery"
)

// InitConfig says what store to make. FS, Dir and Identity are needed, and
// either Recipients or OwnerFile.
type InitConfig struct {
	FS       durable.FS
	Dir      string // state directory; it is made, or must hold no store
	Identity string // where the gateway's identity file goes
	// Recipients are the owners, age1... or ssh-ed25519 ..., any of whom
	// recovers the store. No owner's secret is made then.
	Recipients []string
	// OwnerFile takes the owner's identity that is made where there are no
	// Recipients. It is to be kept offline and is not needed to run.
	OwnerFile string
	// Passphrase locks OwnerFile, as age does; empty leaves it open.
	Passphrase string
	Work       int // of scrypt, 0 for age's own
}

// InitResult is what was made.
type InitResult struct {
	Store         cairn.StoreID `json:"-"`
	Short         string        `json:"store"`
	Dir           string        `json:"dir"`
	Identity      string        `json:"identity"`     // file of the gateway's identity
	OwnerFile     string        `json:"owner_file"`   // file of the owner's, empty with Recipients
	Owners        []string      `json:"owners"`       // recipients
	Locked        bool          `json:"owner_locked"` // with a passphrase
	AuthorizedKey string        `json:"authorized_key"`
	// AuthorizedKeys are that line and those of the owners.
	AuthorizedKeys []string `json:"authorized_keys"`
	// GatewayKey is the gateway's signing key in hex: recover takes an owner's
	// word for it where there is no kit.
	GatewayKey string `json:"gateway_key"`
}

// Init makes a store. It never writes over anything: ErrPrecondition where a
// store or one of its files is already.
//
// Order: identities first, each durable; then secrets/ under another name; then
// the rename that makes it a store. A crash before the rename leaves secrets
// that nothing was ever sealed under and no store, and Init simply run again
// goes on with them, since secrets.new names them. An error takes back what
// this call made.
func Init(ctx context.Context, c InitConfig) (InitResult, error) {
	if len(c.Recipients) == 0 && c.OwnerFile == "" {
		return InitResult{}, fmt.Errorf("init: give recipients, or a file for the owner's identity: %w", cairn.ErrInvalid)
	}
	if len(c.Recipients) > 0 {
		if err := recovery.CheckRecipients(c.Recipients); err != nil {
			return InitResult{}, fmt.Errorf("init: %w", err)
		}
	}
	if c.Passphrase != "" {
		if err := CheckPassphrase(c.Passphrase); err != nil {
			return InitResult{}, fmt.Errorf("init: %w", err)
		}
	}
	if err := c.makeDir(); err != nil {
		return InitResult{}, err
	}
	lock, err := c.FS.Lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return InitResult{}, fmt.Errorf("init: %s is in use by another cairn: %w", c.Dir, err)
	}
	defer lock.Close()
	if err := c.vacant(); err != nil {
		return InitResult{}, err
	}
	m := maker{InitConfig: c, at: filepath.Join(c.Dir, secretsDir+".new")}
	out, err := m.make(ctx)
	if err != nil {
		m.undo()
		return InitResult{}, fmt.Errorf("init: %w", err)
	}
	return out, nil
}

func (c InitConfig) makeDir() error {
	for _, dir := range []string{c.Dir, filepath.Dir(c.Identity)} {
		err := c.FS.MkdirAll(dir)
		if err != nil && cairn.Class(err) == nil {
			err = fmt.Errorf("%w: %w", err, cairn.ErrInvalid) // a file stands in its way, most often
		}
		if err != nil {
			return fmt.Errorf("init: cannot make %s: %w", dir, err)
		}
	}
	return nil
}

// vacant refuses a directory in which a store stands, or the remains of one.
func (c InitConfig) vacant() error {
	names, err := c.FS.List(c.Dir)
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	for _, name := range names {
		switch name {
		case secretsDir, "stage", "index":
			return fmt.Errorf("init: %s holds a store already; start it with `cairn serve`, or give another directory with --dir: %w", c.Dir, cairn.ErrPrecondition)
		}
	}
	return nil
}

// maker makes one store.
type maker struct {
	InitConfig
	at   string   // secrets.new
	made []string // files to take back on an error, newest last
}

func (m *maker) make(ctx context.Context) (InitResult, error) {
	gate, err := m.gateway()
	if err != nil {
		return InitResult{}, err
	}
	public := gate.Public()
	owners := m.Recipients
	var delegation []byte
	var admitted []string
	if len(owners) == 0 {
		owner, err := m.owner(gate.Store())
		if err != nil {
			return InitResult{}, err
		}
		d, err := crypt.Delegate(owner.Sign(), gate.Store(), 1, public.Sign, public.Recipient)
		if err != nil {
			return InitResult{}, err
		}
		delegation, owners = d.Encode(), []string{owner.Public().Recipient}
		admitted = []string{recoveryKey(owner.Public())}
	}
	if err := ctx.Err(); err != nil {
		return InitResult{}, err
	}
	var key crypt.EpochKey
	rand.Read(key[:]) // never fails
	keys, err := recovery.WrapEpoch(key, 1, gate.Store(), append([]string{public.Recipient}, owners...), gate.Sign())
	if err != nil {
		return InitResult{}, err
	}
	keysDir := filepath.Join(m.at, layout.KeysDir)
	if err := m.empty(keysDir); err != nil {
		return InitResult{}, err
	}
	files := []struct {
		name string
		data []byte
	}{
		{filepath.FromSlash(layout.KeyPath(1, crypt.KeysHash(keys))), keys},
		{ownersFile, linesOf(owners)},
		{delegationFile, delegation},
		{recoveryFile, linesOf(admitted)},
	}
	for _, f := range files {
		if f.data == nil {
			continue
		}
		if err := m.write(filepath.Join(m.at, f.name), f.data); err != nil {
			return InitResult{}, err
		}
	}
	// From here on it is a store.
	if err := m.FS.Rename(m.at, filepath.Join(m.Dir, secretsDir)); err != nil {
		return InitResult{}, err
	}
	m.made = nil
	if err := m.FS.SyncDir(m.Dir); err != nil {
		return InitResult{}, err
	}
	out := InitResult{Store: gate.Store(), Short: gate.Store().Short(), Dir: m.Dir, Identity: m.Identity, Owners: owners,
		AuthorizedKeys: authorizedKeys(gate, owners, admitted)}
	out.AuthorizedKey, out.GatewayKey = out.AuthorizedKeys[0], hex.EncodeToString(public.Sign[:])
	if delegation != nil {
		out.OwnerFile, out.Locked = m.OwnerFile, m.Passphrase != ""
	}
	return out, nil
}

// linesOf is one line each; nil for none.
func linesOf(all []string) []byte {
	if len(all) == 0 {
		return nil
	}
	return []byte(strings.Join(all, "\n") + "\n")
}

// empty makes dir and removes what an interrupted run left in it.
func (m *maker) empty(dir string) error {
	if err := m.FS.MkdirAll(dir); err != nil {
		return err
	}
	names, err := m.FS.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := m.FS.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// write makes one small file durable and remembers it for undo.
func (m *maker) write(name string, data []byte) error {
	if _, err := m.FS.Size(name); errors.Is(err, cairn.ErrNotExist) {
		m.made = append(m.made, name)
	}
	return durable.WriteFile(m.FS, name, data)
}

// undo takes back what this run made. What cannot be removed is harmless: the
// next run goes on with it.
func (m *maker) undo() {
	for i := len(m.made) - 1; i >= 0; i-- {
		_ = m.FS.Remove(m.made[i])
	}
	if len(m.made) > 0 {
		_ = m.FS.Remove(filepath.Join(m.at, layout.KeysDir))
		_ = m.FS.Remove(m.at)
	}
}
