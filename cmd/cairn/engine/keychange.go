package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/recovery"
)

// pendingDir, below secrets/, holds owners and keys as they are to be, from
// before the nodes hear of them until after they stand there. What is in it is
// nowhere in use.
const pendingDir = "pending"

// secretsNow is what the directory holds now.
func (e *Engine) secretsNow() secrets {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.secrets
}

// changeKeys wraps the key of every epoch for these owners, with one more epoch
// where fresh is set, and returns when that stands on enough nodes and is in
// use. A change that was cut off is finished first, whatever it was.
//
// Order: the new files below pending/, durable under their final names; on m+1
// nodes, with a root that names them; then in place here; then the store seals
// under the newest epoch. So no pack ever needs a key that only this disk has,
// and a change that is cut off anywhere is either not begun or gone on with.
func (e *Engine) changeKeys(ctx context.Context, owners []string, fresh bool) error {
	select { // one at a time
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return fmt.Errorf("keys: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	if err := e.finishKeys(ctx); err != nil {
		return err
	}
	s := e.secretsNow()
	if !fresh && slices.Equal(owners, s.owners) {
		return nil
	}
	if err := e.writePending(s, owners, fresh); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return e.finishKeys(ctx)
}

func (e *Engine) at(names ...string) string {
	return filepath.Join(append([]string{e.c.File.Dir, secretsDir}, names...)...)
}

// writePending makes pending/ under another name and then renames it.
func (e *Engine) writePending(s secrets, owners []string, fresh bool) error {
	fs, made := e.c.FS, e.at(pendingDir+".new")
	if err := removeAll(fs, e.at(pendingDir)); err != nil { // what a finished one left
		return err
	}
	epochs := make(map[uint32]crypt.EpochKey, len(s.epochs)+1)
	for n, key := range s.epochs {
		epochs[n] = key
	}
	if fresh {
		var key crypt.EpochKey
		rand.Read(key[:]) // never fails
		epochs[s.epoch+1] = key
	}
	if err := removeAll(fs, made); err != nil {
		return err
	}
	if err := fs.MkdirAll(filepath.Join(made, layout.KeysDir)); err != nil {
		return err
	}
	public := e.c.Identity.Public()
	for n, key := range epochs {
		b, err := recovery.WrapEpoch(key, n, e.ID, append([]string{public.Recipient}, owners...), e.c.Identity.Sign())
		if err != nil {
			return err
		}
		if err := durable.WriteFile(fs, filepath.Join(made, filepath.FromSlash(layout.KeyPath(n, crypt.KeysHash(b)))), b); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(fs, filepath.Join(made, ownersFile), linesOf(owners)); err != nil {
		return err
	}
	if err := fs.Rename(made, e.at(pendingDir)); err != nil {
		return err
	}
	return fs.SyncDir(e.at())
}

// hasPending reports whether a change of keys was begun and not finished.
func (e *Engine) hasPending() bool {
	_, err := e.c.FS.Size(e.at(pendingDir, ownersFile))
	return err == nil
}

// finishKeys carries out what pending/ says, if there is one.
func (e *Engine) finishKeys(ctx context.Context) error {
	if !e.hasPending() {
		return nil
	}
	now := e.secretsNow()
	next, err := e.readPending(now)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := e.tellKeys(ctx, next); err != nil {
		return fmt.Errorf("the new keys are not on enough nodes yet, and not in use; the same command goes on with it: %w", err)
	}
	if err := e.install(next); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	e.mu.Lock()
	e.secrets = next
	e.mu.Unlock()
	if next.epoch != now.epoch {
		e.Store.SetEpoch(next.epoch, next.epochs[next.epoch])
	}
	return nil
}

// tellKeys puts the files of keys on enough nodes, and then a root that names
// them.
func (e *Engine) tellKeys(ctx context.Context, s secrets) error {
	if err := e.keeper.SetSecrets(ctx, s.forKeeper()); err != nil {
		return err
	}
	return e.keeper.Root(ctx, e.amend)
}

// readPending is now with owners and keys as pending/ has them.
func (e *Engine) readPending(now secrets) (secrets, error) {
	next, at := now, e.at(pendingDir)
	next.epochs, next.epoch, next.keys = make(map[uint32]crypt.EpochKey), 0, nil
	names, err := e.c.FS.List(filepath.Join(at, layout.KeysDir))
	if err != nil {
		return next, err
	}
	for _, name := range names {
		if err := next.addKeys(e.c.FS, at, layout.KeysDir+"/"+name, e.c.Identity); err != nil {
			return next, err
		}
	}
	for n, key := range now.epochs {
		if next.epochs[n] != key {
			return next, fmt.Errorf("%s lacks epoch %d: remove that directory: %w", at, n, cairn.ErrCorrupt)
		}
	}
	if next.owners, err = readOwners(e.c.FS, at); err != nil {
		return next, err
	}
	next.recovery = slices.DeleteFunc(slices.Clone(now.recovery), func(line string) bool {
		_, owner := secretfile.SplitRecoveryKey(line)
		return !slices.Contains(next.owners, owner)
	})
	return next, nil
}

// install puts next in place: what is added first, what is replaced last.
func (e *Engine) install(next secrets) error {
	fs := e.c.FS
	for _, k := range next.keys {
		if err := durable.WriteFile(fs, e.at(filepath.FromSlash(k.path)), k.data); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(fs, e.at(ownersFile), linesOf(next.owners)); err != nil {
		return err
	}
	if len(next.recovery) > 0 {
		if err := durable.WriteFile(fs, e.at(recoveryFile), linesOf(next.recovery)); err != nil {
			return err
		}
	} else if err := fs.Remove(e.at(recoveryFile)); err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return err
	}
	names, err := fs.List(e.at(layout.KeysDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		wanted := func(k keysFile) bool { return strings.HasSuffix(k.path, "/"+name) }
		if !slices.ContainsFunc(next.keys, wanted) {
			if err := fs.Remove(e.at(layout.KeysDir, name)); err != nil {
				return err
			}
		}
	}
	if err := fs.SyncDir(e.at(layout.KeysDir)); err != nil {
		return err
	}
	return removeAll(fs, e.at(pendingDir))
}

// removeAll removes what writePending made, the owners first: without them it
// counts for nothing.
func removeAll(fs durable.FS, dir string) error {
	names := []string{filepath.Join(dir, ownersFile)}
	keys, err := fs.List(filepath.Join(dir, layout.KeysDir))
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return err
	}
	for _, name := range keys {
		names = append(names, filepath.Join(dir, layout.KeysDir, name))
	}
	for i, name := range append(names, filepath.Join(dir, layout.KeysDir), dir) {
		if err := fs.Remove(name); err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
		if i > 0 {
			continue
		}
		if err := fs.SyncDir(dir); err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
	}
	return nil
}
