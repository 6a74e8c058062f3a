package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/pelletier/go-toml/v2"
)

func initVerb() verb {
	return verb{
		name: "init", short: "make a store on this machine",
		usage: `
  --recipient KEY   an owner: age1..., age1name1... of an age plugin, or an ssh-ed25519
                    line; repeat for more. Any one owner recovers the store. No
                    owner's secret is made or stored then
  --owner FILE      without --recipient an owner's identity is made and written here
                    (DIR-owner-identity): keep it offline, it is not needed to run
  --passphrase      lock that file with a passphrase, asked for here
  --passphrase-file FILE   or read from a file

The gateway's own identity goes where cairn.toml says (DIR/identity). A cairn.toml is
written where there is none. Nothing is ever written over.`,
		try: `cairn init --dir /var/lib/cairn --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p`,
		run: runInit,
	}
}

// initOutput is what init prints with --json.
type initOutput struct {
	engine.InitResult
	Config  string            `json:"config"`
	Written bool              `json:"config_written"`
	Disk    engine.DiskReport `json:"disk"`
}

func runInit(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var recipients list
	f.Var(&recipients, "recipient", "")
	owner := f.String("owner", "", "")
	locked := f.Bool("passphrase", false, "")
	passphraseFile := f.String("passphrase-file", "", "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	c, path, err := f.settingsToBe()
	if err != nil {
		return err
	}
	if *owner == "" {
		*owner = c.Dir + "-owner-identity"
	}
	if *owner, err = filepath.Abs(*owner); err != nil {
		return fmt.Errorf("--owner: %w: %w", err, cairn.ErrInvalid)
	}
	passphrase, err := newPassphrase(ctx, e, *locked, *passphraseFile)
	if err != nil {
		return err
	}
	if passphrase != "" && len(recipients) > 0 {
		return usageError(v, "a passphrase locks the owner's identity, and with --recipient none is made")
	}
	out := initOutput{Config: path}
	// The file first: that it cannot be written is found out while nothing is
	// made yet.
	if out.Written, err = writeConfig(path, c); err != nil {
		return err
	}
	disk := durable.OS()
	out.InitResult, err = engine.Init(ctx, engine.InitConfig{FS: disk, Dir: c.Dir, Identity: c.Identity, Recipients: recipients, OwnerFile: *owner, Passphrase: passphrase})
	if err != nil {
		if out.Written {
			_ = os.Remove(path) // as it was
		}
		return err
	}
	if out.Disk, err = engine.MeasureDisk(disk, c.Dir); err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	out.print(e, c)
	return nil
}

func (o initOutput) print(e *env, c config.Config) {
	e.printf("Store %s.  Owners: %s (any one recovers)\n", o.Short, strings.Join(o.Owners, ", "))
	speed := fmt.Sprintf("fsync %v, %s/s in sequence, %s free", o.Disk.Sync.Round(100*time.Microsecond), bytesText(o.Disk.Speed), bytesText(int64(o.Disk.Free)))
	written := "was there before"
	if o.Written {
		written = "written; the rest is as by default: cairn config show"
	}
	rows := [][]string{
		{"  stage", filepath.Join(o.Dir, "stage"), speed},
		{"  identity", o.Identity, "the gateway's own; it reads the whole store, so nobody else may read this file"},
		{"  config", o.Config, written},
	}
	if o.OwnerFile != "" {
		note := "move it offline: it is what brings the store back when this machine is gone"
		if o.Locked {
			note += "; locked with your passphrase"
		}
		rows = append(rows, []string{"  OWNER", o.OwnerFile, note})
	} else {
		rows = append(rows, []string{"  owner", "no secret made", "the owners have theirs"})
	}
	if o.OwnerFile == "" {
		rows = append(rows, []string{"  note", o.Store.String() + " " + o.GatewayKey, "store and gateway key: without a kit, recover asks for them (--store, --gateway)"})
	}
	e.printf("%s", columns(rows))
	e.printf("%s", authorizedText(o.AuthorizedKeys))
	e.printf("No nodes yet: objects live on this disk only.  Next: cairn node add local:/srv/disk   |   cairn bucket create cache   |   cairn serve\n")
}

// settingsToBe are the settings for a store to be made, and the file that has
// them or is to have them.
func (f *flags) settingsToBe() (config.Config, string, error) {
	path := f.config
	if path == "" {
		path = firstFile(systemConfig, localConfig)
	}
	if path == "" {
		path = localConfig
		if writable(filepath.Dir(systemConfig)) {
			path = systemConfig
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return config.Config{}, "", fmt.Errorf("--config: %w: %w", err, cairn.ErrInvalid)
	}
	c, err := config.Load(path)
	if errors.Is(err, cairn.ErrNotExist) {
		c, err = config.Default(), nil
	}
	if err != nil {
		return c, path, manyErrors{err}
	}
	c, err = f.moved(c)
	return c, path, err
}

// writable reports whether a file can be made in dir.
func writable(dir string) bool {
	probe, err := os.CreateTemp(dir, ".cairn")
	if err != nil {
		return false
	}
	_ = probe.Close()
	return os.Remove(probe.Name()) == nil
}

// writeConfig writes a fresh cairn.toml unless there is one.
func writeConfig(path string, c config.Config) (written bool, err error) {
	text := "# This machine only. Nodes, buckets and access keys live in the store and\n" +
		"# come back with it. `cairn config show` has every key with its value.\n"
	for _, p := range []struct{ key, value, byDefault string }{
		{"dir", c.Dir, ""}, {"identity", c.Identity, filepath.Join(c.Dir, "identity")},
	} {
		if p.value == p.byDefault {
			continue
		}
		line, err := tomlLine(p.key, p.value)
		if err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
		text += line
	}
	text += fmt.Sprintf("\n[s3]\nlisten = %q\n# public_url = \"https://cache.example.org\"\n\n[admin]\nlisten = %q  # /healthz, /metrics, /api/status\n", c.S3.Listen, c.Admin.Listen)
	text += "\n[store]\ncoding = \"auto\"  # or k+m, such as \"4+3\"\n"
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("cannot write %s, give another place with --config: %w", path, cairn.ErrDenied)
	case err != nil:
		return false, fmt.Errorf("cannot write %s: %w: %w", path, err, cairn.ErrInvalid)
	}
	_, err = to.WriteString(text)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		_ = os.Remove(path)
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	return true, nil
}

// tomlLine is key = "value"; only what needs it is written otherwise.
func tomlLine(key, value string) (string, error) {
	if !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return fmt.Sprintf("%s = \"%s\"\n", key, value), nil
	}
	b, err := toml.Marshal(map[string]string{key: value})
	return string(b), err
}
