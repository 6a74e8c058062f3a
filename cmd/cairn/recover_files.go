package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/rclone"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/recovery"
	"golang.org/x/crypto/ssh"
)

// config reads the files that the flags name.
func (r recoverFlags) config(ctx context.Context, f *flags, c config.Config) (out engine.RecoverConfig, err error) {
	log, err := f.logger("off")
	if err != nil {
		return out, err
	}
	if f.e.process {
		rclone.RouteLog(log)
	}
	c.Cache.Limit = 0 // as for every verb
	out = engine.RecoverConfig{Config: engine.Config{FS: durable.OS(), File: c, Log: log},
		Takeover: r.takeover, AcceptLoss: r.accept, Rehearse: r.rehearsing, Sample: sampled}
	if out.Owner, out.OwnerSSH, err = r.owner(ctx, f.e); err != nil {
		return out, err
	}
	if r.kit != "" {
		if out.Kit, err = readKit(r.kit, out.Owner); err != nil {
			return out, err
		}
	}
	if r.store != "" {
		if out.Store, err = cairn.ParseStoreID(r.store); err != nil {
			return out, fmt.Errorf("--store: %w", err)
		}
	}
	for _, text := range r.gateways {
		key, err := hex.DecodeString(text)
		if err != nil || len(key) != len(crypt.PublicKey{}) {
			return out, fmt.Errorf("--gateway %q: write 64 hex digits, as cairn init and cairn status --json print them: %w", text, cairn.ErrInvalid)
		}
		out.Trust = append(out.Trust, crypt.PublicKey(key))
	}
	login, err := readLogin(f.e, r.keyFile, "")
	if err != nil {
		return out, err
	}
	for i, remote := range r.from {
		from := engine.From{Remote: remote, Login: login}
		if i < len(r.hostKeys) {
			from.HostKey = r.hostKeys[i]
		} else {
			s := engine.NodeSpec{Remote: remote}
			if err := compareHostKey(ctx, f.e, &s); err != nil {
				return out, err
			}
			from.HostKey = s.HostKey
		}
		out.From = append(out.From, from)
	}
	return out, nil
}

// owner opens the identity file, and is the SSH key in it where it is one.
func (r recoverFlags) owner(ctx context.Context, e *env) (o recovery.Owner, key ssh.Signer, err error) {
	name, err := absolute(r.identity)
	if err != nil {
		return o, nil, err
	}
	b, err := config.ReadSecret(name)
	if err != nil {
		return o, nil, fmt.Errorf("--identity: %w", err)
	}
	var word string
	ask := e.askForPlugins(ctx)
	ask.Passphrase = func() (string, error) {
		word, err = readPassphrase(ctx, e, r.passphrase, "Passphrase of "+r.identity+": ")
		return word, err
	}
	o, err = ask.OpenIdentityFile(b)
	if err != nil {
		return o, nil, fmt.Errorf("--identity %s: %w", r.identity, err)
	}
	if o.Identity != nil {
		return o, nil, nil
	}
	if word == "" {
		key, err = ssh.ParsePrivateKey(b)
	} else {
		key, err = ssh.ParsePrivateKeyWithPassphrase(b, []byte(word))
	}
	if err != nil {
		return o, nil, nil // an age key: it opens, and logs in nowhere
	}
	return o, key, nil
}

func readKit(name string, o recovery.Owner) (*recovery.Kit, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("--kit: %w: %w", err, cairn.ErrNotExist)
	}
	if info.Size() > maxKitFile {
		return nil, fmt.Errorf("--kit %s: %d bytes are no recovery kit: %w", name, info.Size(), cairn.ErrInvalid)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--kit: %w: %w", err, cairn.ErrDenied)
	}
	kit, err := recovery.OpenKit(b, o.Ages...)
	if err != nil {
		return nil, fmt.Errorf("--kit %s: %w", name, err)
	}
	return &kit, nil
}

// maxKitFile bounds what is read as a kit, bytes.
const maxKitFile = 32 << 20
