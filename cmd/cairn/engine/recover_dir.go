package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
)

// begunFile, in secrets.new, marks a recovery that did not come to its end: what
// is in the directory is then of no use to anybody.
const begunFile = "recovering"

// vacant refuses a directory in which a store stands, or the remains of one that
// no recovery left.
func (r *recoverer) vacant() error {
	if err := (InitConfig{FS: r.FS, Dir: r.File.Dir, Identity: r.File.Identity}).makeDir(); err != nil {
		return err
	}
	_, err := r.FS.Size(filepath.Join(r.at, begunFile))
	r.again = err == nil
	names, err := r.FS.List(r.File.Dir)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if slices.Contains(names, secretsDir) && !(r.again && r.unfinished()) {
		return fmt.Errorf("recover: %s holds a store already; start it with `cairn serve`, or give another directory with --dir: %w", r.File.Dir, cairn.ErrPrecondition)
	}
	for _, name := range names {
		if !r.again && slices.Contains([]string{"stage", "index", layout.RootsDir}, name) {
			return fmt.Errorf("recover: %s holds the %s of a store that lost its secrets; what only that disk has may be in it: move it away, or give an empty directory with --dir: %w", r.File.Dir, name, cairn.ErrPrecondition)
		}
	}
	if _, err := r.FS.Size(r.File.Identity); err == nil && !r.again {
		return fmt.Errorf("recover: %s exists already; move it away, or name another with --gateway-identity: %w", r.File.Identity, cairn.ErrPrecondition)
	}
	return nil
}

// unfinished reports whether secrets/ is not that of a store: the index was made,
// and what goes with it is still under another name.
func (r *recoverer) unfinished() bool {
	_, err := r.FS.Size(filepath.Join(r.File.Dir, secretsDir, storeFile))
	return errors.Is(err, cairn.ErrNotExist)
}

// writeSecrets writes secrets.new and the identity. What a recovery before this
// one left is given up first: its root is on the nodes, or nowhere.
func (r *recoverer) writeSecrets() error {
	if err := r.FS.MkdirAll(filepath.Join(r.at, layout.KeysDir)); err != nil {
		return err
	}
	if err := r.write(begunFile, []byte("store "+r.found.Store.String()+"\n")); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(r.at, layout.KeysDir), filepath.Join(r.File.Dir, layout.RootsDir), filepath.Join(r.File.Dir, "stage")} {
		if err := r.empty(dir); err != nil {
			return err
		}
	}
	t := r.taken
	if err := durable.WriteFile(r.FS, r.File.Identity, t.Identity.Encode()); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{storeFile, secretfile.StoreText(t.Identity.Public())},
		{ownersFile, linesOf(t.Owners)},
		{delegationFile, t.Delegation},
		{gatewaysFile, secretfile.GatewaysText(t.Body.Gateways)},
		{recoveryFile, linesOf(r.recoveryKeys())},
	} {
		if f.data == nil {
			continue
		}
		if err := r.write(f.name, f.data); err != nil {
			return err
		}
	}
	for _, k := range t.Keys {
		if err := r.write(filepath.FromSlash(k.Path), k.Data); err != nil {
			return err
		}
	}
	return nil
}

// recoveryKeys are the owners' SSH keys: those that the root names, and that of
// the owner who recovers.
func (r *recoverer) recoveryKeys() []string {
	lines, err := secretfile.ParseRecoveryKeys(r.taken.Body.Setting[settingRecovery])
	if err != nil {
		lines = nil // none, or of a later release: the owner's own is known
	}
	if id := r.Owner.Identity; id != nil && id.Kind() == crypt.Owner {
		if line := recoveryKey(id.Public()); !slices.Contains(lines, line) && slices.Contains(r.taken.Owners, id.Public().Recipient) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (r *recoverer) write(name string, data []byte) error {
	return durable.WriteFile(r.FS, filepath.Join(r.at, name), data)
}

// empty removes the files of dir, which may be missing.
func (r *recoverer) empty(dir string) error {
	names, err := r.FS.List(dir)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if err == nil {
			err = r.FS.Remove(filepath.Join(dir, name))
		}
	}
	return err
}

// install makes a store of the directory. The list of nodes that the store wrote
// beside the index comes along.
func (r *recoverer) install() error {
	fs, dir := r.FS, filepath.Join(r.File.Dir, secretsDir)
	nodes := filepath.Join(dir, "nodes")
	b, err := durable.ReadFile(fs, nodes, 64<<20)
	if err == nil {
		err = r.write("nodes", b)
	}
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for _, name := range []string{nodes, dir} {
		if err := fs.Remove(name); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
	}
	// From here on it is a store.
	err = fs.Rename(r.at, dir)
	if err == nil {
		err = fs.SyncDir(r.File.Dir)
	}
	if err == nil {
		err = fs.Remove(filepath.Join(dir, begunFile))
	}
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}
