package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/recovery"
)

// gateway makes the gateway's identity, or takes up that of an interrupted run.
// secrets.new/store is written before the identity, so an identity without it
// beside is somebody else's and left alone.
func (m *maker) gateway() (crypt.Identity, error) {
	begun, err := durable.ReadFile(m.FS, filepath.Join(m.at, storeFile), maxSecretsFile)
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return crypt.Identity{}, err
	}
	old, err := m.existing(m.Identity, "")
	switch {
	case errors.Is(err, cairn.ErrNotExist):
	case err != nil:
		return crypt.Identity{}, err
	case string(secretfile.StoreText(old.Public())) == string(begun):
		return old, nil
	default:
		return crypt.Identity{}, fmt.Errorf("%s exists already, of store %s; set identity in cairn.toml to another file: %w",
			m.Identity, old.Store().Short(), cairn.ErrPrecondition)
	}
	var store cairn.StoreID
	rand.Read(store[:]) // never fails
	id, err := crypt.NewIdentity(crypt.Gateway, store, rand.Reader)
	if err != nil {
		return crypt.Identity{}, err
	}
	if err := m.FS.MkdirAll(m.at); err != nil {
		return crypt.Identity{}, err
	}
	if err := m.write(filepath.Join(m.at, storeFile), secretfile.StoreText(id.Public())); err != nil {
		return crypt.Identity{}, err
	}
	return id, m.write(m.Identity, id.Encode())
}

// owner makes the owner's identity, or takes up that of an interrupted run.
func (m *maker) owner(store cairn.StoreID) (crypt.Identity, error) {
	id, err := m.makeOwner(store)
	if err != nil {
		return id, fmt.Errorf("the owner's identity: %w; --owner FILE puts it elsewhere", err)
	}
	return id, nil
}

func (m *maker) makeOwner(store cairn.StoreID) (crypt.Identity, error) {
	old, err := m.existing(m.OwnerFile, m.Passphrase)
	switch {
	case errors.Is(err, cairn.ErrNotExist):
	case err != nil:
		return crypt.Identity{}, err
	case old.Store() == store && old.Kind() == crypt.Owner:
		return old, nil
	default:
		return crypt.Identity{}, fmt.Errorf("%s exists already, of store %s: %w",
			m.OwnerFile, old.Store().Short(), cairn.ErrPrecondition)
	}
	id, err := crypt.NewIdentity(crypt.Owner, store, rand.Reader)
	if err != nil {
		return crypt.Identity{}, err
	}
	file := id.Encode()
	if m.Passphrase != "" {
		if file, err = LockFile(file, m.Passphrase, m.Work); err != nil {
			return id, err
		}
	}
	return id, m.write(m.OwnerFile, file)
}

// existing reads an identity that stands already, locked or not; whatever else
// stands there is ErrPrecondition.
func (m *maker) existing(name, passphrase string) (crypt.Identity, error) {
	b, err := durable.ReadFile(m.FS, name, maxSecretsFile)
	if err != nil {
		return crypt.Identity{}, err
	}
	o, err := recovery.OpenIdentityFile(b, func() (string, error) { return passphrase, nil })
	if err != nil || o.Identity == nil {
		return crypt.Identity{}, fmt.Errorf("%s exists already and is no identity; it is left alone: %w", name, cairn.ErrPrecondition)
	}
	return *o.Identity, nil
}
