package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/store"
)

func recoverVerb() verb {
	return verb{
		name: "recover", short: "bring a store back whose gateway is gone",
		usage: `
What it needs: an owner's identity, and the recovery kit or the address of one node.

  --identity FILE        the owner's: the file of cairn init, an age key (AGE-SECRET-KEY-1...,
                         AGE-PLUGIN-NAME-1...) or an OpenSSH ed25519 key. A passphrase,
                         or what a plugin wants, is asked for
  --passphrase-file FILE or read from a file
  --kit FILE             what cairn key kit wrote, or kit = PATH in cairn.toml
  --from REMOTE          in its place one node: sftp://user@host:port/path or local:/path;
                         logged in to with the owner's SSH key. Repeat for more
  --host-key SHA256:...  of the node of --from
  --key-file FILE        SSH key for the node of --from (the owner's)
  --gateway HEX          signing key of the gateway that is gone, for owners who have a key
                         of their own and no kit
  --store ID             which store, where nothing else tells

  --gateway-identity FILE  where the new gateway's identity goes (cairn.toml: identity)
  --takeover             also when the old gateway may be alive: it is off for good
  --accept-loss          go on without nodes that do not answer and what only they have
  --rehearse             do it all in a temporary directory, write nothing to any node, read
                         200 objects, and say how long it took. With --dir (or cairn.toml)
                         of a living store, its status remembers the rehearsal

The directory (--dir, or dir in cairn.toml) must hold no store. Cut off anywhere, the same
command begins anew.`,
		try: `
cairn recover --kit cairn-kit.age --identity mia.txt --dir /var/lib/cairn
cairn recover --from sftp://cairn@alice.example.org/ --host-key SHA256:XqzK... --identity mia.txt --rehearse`,
		run: runRecover,
	}
}

// sampled is how many objects a rehearsal reads.
const sampled = 200

// recoverFlags are the flags of the verb.
type recoverFlags struct {
	identity, passphrase, kit    string
	from, hostKeys               list
	keyFile, store, gatewayFile  string
	gateways                     list
	takeover, accept, rehearsing bool
}

func runRecover(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var r recoverFlags
	f.StringVar(&r.identity, "identity", "", "")
	f.StringVar(&r.passphrase, "passphrase-file", "", "")
	f.StringVar(&r.kit, "kit", "", "")
	f.Var(&r.from, "from", "")
	f.Var(&r.hostKeys, "host-key", "")
	f.StringVar(&r.keyFile, "key-file", "", "")
	f.Var(&r.gateways, "gateway", "")
	f.StringVar(&r.store, "store", "", "")
	f.StringVar(&r.gatewayFile, "gateway-identity", "", "")
	f.BoolVar(&r.takeover, "takeover", false, "")
	f.BoolVar(&r.accept, "accept-loss", false, "")
	f.BoolVar(&r.rehearsing, "rehearse", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	switch {
	case r.identity == "":
		return usageError(v, "cairn recover needs --identity FILE, an owner's")
	case r.kit == "" && len(r.from) == 0:
		return usageError(v, "cairn recover needs --kit FILE, or --from REMOTE, a node of the store")
	case len(r.hostKeys) > len(r.from):
		return usageError(v, "--host-key goes with --from, one for each")
	}
	return r.run(ctx, f)
}

func (r recoverFlags) run(ctx context.Context, f *flags) (err error) {
	c, path, err := f.settingsToBe()
	if err != nil {
		return err
	}
	live := c.Dir // whose status remembers a rehearsal
	if r.gatewayFile != "" {
		if c.Identity, err = absolute(r.gatewayFile); err != nil {
			return err
		}
	}
	if r.rehearsing {
		dir, err := os.MkdirTemp("", "cairn-rehearsal-")
		if err != nil {
			return fmt.Errorf("rehearsal: %w: %w", err, cairn.ErrUnavailable)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		c = rehearsal(c, dir)
	}
	rc, err := r.config(ctx, f, c)
	if err != nil {
		return err
	}
	if f.e.process && f.e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(rc.MemoryLimit())
	}
	out, err := f.recover(ctx, rc)
	if !f.json && out.Short != "" {
		f.e.printf("%s", indexText(out, err))
	}
	if err != nil {
		return err
	}
	if r.rehearsing {
		err = noteRehearsal(live, out)
	} else {
		_, err = writeConfig(path, c)
	}
	if f.json {
		return errors.Join(err, f.e.json(out))
	}
	f.e.printf("%s", endText(out, path))
	if err == nil && out.Failed > 0 {
		return fmt.Errorf("%d of %d objects could not be read: %w", out.Failed, out.Sampled, cairn.ErrUnavailable)
	}
	return err
}

// rehearsal is c in a directory of its own.
func rehearsal(c config.Config, dir string) config.Config {
	c.Dir, c.Kit = filepath.Join(dir, "state"), ""
	c.Identity, c.Cache.Dir, c.Admin.Socket = filepath.Join(dir, "identity"), filepath.Join(dir, "cache"), filepath.Join(dir, "admin.sock")
	return c
}

// noteRehearsal tells the store in dir, if there is one.
func noteRehearsal(dir string, out engine.RecoverReport) error {
	if _, err := os.Stat(filepath.Join(dir, "secrets")); err != nil {
		return nil // another machine: it is seen on the terminal only
	}
	return engine.NoteRehearsal(durable.OS(), dir, engine.Rehearsal{At: time.Now(), Took: out.Took, Objects: out.Objects, Read: out.Sampled - out.Failed, Failed: out.Failed})
}

// recover carries the recovery out and shows how far it is.
func (f *flags) recover(ctx context.Context, c engine.RecoverConfig) (engine.RecoverReport, error) {
	if !f.json {
		c.Found = func(found engine.RecoverFound) { f.e.printf("%s", foundText(found, time.Now())) }
	}
	c.Step = func(s store.RecoverStep) {
		if f.json {
			_ = f.e.json(map[string]any{"progress": s})
			return
		}
		f.e.progress(stepText(s))
	}
	out, err := engine.Recover(ctx, c)
	f.e.endProgress()
	return out, err
}
