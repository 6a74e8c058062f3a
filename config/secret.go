package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
)

// MaxSecret is the longest secret file in bytes.
const MaxSecret = 64 << 10

// nixStore is readable by everyone on the machine and copied to others.
const nixStore = "/nix/store"

// ReadSecret returns the content of a file that only its owner and group can
// read, as it stands (a final newline too). It returns ErrDenied with the chmod
// to run when others can read or change it, ErrInvalid when it lies under
// /nix/store, is not a file, is empty or has more than MaxSecret bytes, and
// ErrNotExist when there is none.
func ReadSecret(path string) ([]byte, error) {
	if err := secretPath(path); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", classed(err))
	}
	if err := secretPath(real); err != nil {
		return nil, fmt.Errorf("secret %s: %w", path, err)
	}
	// A look before opening: opening a pipe would wait for its writer.
	info, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", classed(err))
	}
	if err := usable(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", classed(err))
	}
	defer f.Close()
	// And the look that counts, at the very file that is read.
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("secret: %w", classed(err))
	}
	if err := usable(path, info); err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(io.LimitReader(f, MaxSecret+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("secret: %w", classed(err))
	case len(secret) == 0:
		return nil, fmt.Errorf("secret %s is empty: %w", path, cairn.ErrInvalid)
	case len(secret) > MaxSecret:
		return nil, fmt.Errorf("secret %s: more than 64 KiB is no secret: %w", path, cairn.ErrInvalid)
	}
	return secret, nil
}

// CheckSecrets reads every secret file that c names and returns one line for
// each that cannot be used; a missing identity is fine, since init makes it.
func (c Config) CheckSecrets() error {
	var errs []error
	add := func(key, path string, required bool) {
		if path == "" {
			return
		}
		_, err := ReadSecret(path)
		if err != nil && (required || !errors.Is(err, cairn.ErrNotExist)) {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	add("identity", c.Identity, false)
	if c.S3.TLS.On() {
		if _, err := ReadPair(c.S3.TLS.Cert, c.S3.TLS.Key); err != nil {
			errs = append(errs, fmt.Errorf("s3.tls: %w", err))
		}
	}
	for i, n := range c.Nodes {
		add(entry("node", i, n.Name)+": key_file", n.KeyFile, true)
		add(entry("node", i, n.Name)+": password_file", n.PasswordFile, true)
	}
	return errors.Join(errs...)
}

func secretPath(path string) error {
	if err := absolute(path); err != nil {
		return err
	}
	if clean := filepath.Clean(path); clean == nixStore || strings.HasPrefix(clean, nixStore+"/") {
		return invalid("%s is under /nix/store, which everyone can read: keep it elsewhere, such as /run/secrets", path)
	}
	return nil
}

// usable says whether a file of this kind and mode may hold a secret.
func usable(path string, info os.FileInfo) error {
	const others = 0o007
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("secret %s is not a file: %w", path, cairn.ErrInvalid)
	case info.Mode().Perm()&others != 0:
		return fmt.Errorf("secret %s is open to everyone on this machine: run `chmod o= %s`: %w", path, path, cairn.ErrDenied)
	}
	return nil
}
