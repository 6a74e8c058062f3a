package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Nix runs Nix's programs on stores below one folder: no /nix, no daemon, no
// root. The store "src" is the one that commands work on.
type Nix struct {
	Dir    string
	Public string // the key that this folder's secret key signs for
	CA     string // file of the authority that https needs; "" for the machine's

	runs int
}

// NewNix makes a folder for Nix and a pair of signing keys in it.
func NewNix(ctx context.Context, dir string) (*Nix, error) {
	n := &Nix{Dir: dir}
	for _, name := range []string{"src", "conf"} {
		if err := os.Mkdir(n.path(name), 0o700); err != nil {
			return nil, err
		}
	}
	// Nothing is trusted, and no substituter asked, but what a command names.
	if err := n.Netrc("nobody", "", ""); err != nil {
		return nil, err
	}
	public, err := n.NewKeys(ctx, "cairn-test-1")
	n.Public = public
	return n, err
}

func (n *Nix) path(name string) string { return filepath.Join(n.Dir, name) }

// Secret is the file of the secret key with that name.
func (n *Nix) Secret(name string) string { return n.path(name + ".secret") }

// NewKeys makes a pair of signing keys and returns the public one.
func (n *Nix) NewKeys(ctx context.Context, name string) (public string, err error) {
	file := n.path(name + ".public")
	if _, err := n.Run(ctx, "nix-store", "--generate-binary-cache-key", name, n.Secret(name), file); err != nil {
		return "", err
	}
	key, err := os.ReadFile(file)
	return strings.TrimSpace(string(key)), err
}

// Netrc sets what Nix logs in with at a host, given without its port.
func (n *Nix) Netrc(host, login, password string) error {
	text := ""
	if login != "" {
		text = fmt.Sprintf("machine %s login %s password %s\n", host, login, password)
	}
	return os.WriteFile(n.path("netrc"), []byte(text), 0o600)
}

// Store is the address of a store below the folder, which need not exist yet.
func (n *Nix) Store(name string) string { return "local?root=" + n.path(name) }

// Run runs one program of Nix and returns what it printed on stdout. What Nix
// remembers about caches is forgotten before, so that it asks the gateway.
func (n *Nix) Run(ctx context.Context, program string, args ...string) (stdout string, err error) {
	return n.RunWith(ctx, "", program, args...)
}

// RunWith is Run with text as the standard input.
func (n *Nix) RunWith(ctx context.Context, text, program string, args ...string) (stdout string, err error) {
	n.runs++
	memory := n.path("memory")
	if err := os.RemoveAll(memory); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + n.Dir, "LC_ALL=C.UTF-8", "TMPDIR=" + n.Dir,
		"NIX_REMOTE=" + n.Store("src"), "NIX_CONF_DIR=" + n.path("conf"), "NIX_STATE_DIR=" + n.path("state"),
		"XDG_CACHE_HOME=" + memory, "NIX_CONFIG=" + strings.Join([]string{
			"experimental-features = nix-command", "build-users-group =", "substituters =", "trusted-public-keys =",
			"sandbox = false", "netrc-file = " + n.path("netrc"),
		}, "\n"),
	}
	if n.CA != "" {
		cmd.Env = append(cmd.Env, "NIX_SSL_CERT_FILE="+n.CA)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin = strings.NewReader(text)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		words := said.String()
		return out.String(), fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), errors.Join(err, ctx.Err()), words[max(0, len(words)-4000):])
	}
	return out.String(), nil
}

// Push copies the paths that top needs to a binary cache, signed.
func (n *Nix) Push(ctx context.Context, cache, top string, options ...string) error {
	address := cache + "?" + strings.Join(append([]string{"secret-key=" + n.Secret("cairn-test-1"), "compression=zstd"}, options...), "&")
	_, err := n.Run(ctx, "nix", "copy", "--to", address, top)
	return err
}

// Pull copies top and what it needs from a binary cache into a store, for
// somebody who trusts that public key.
func (n *Nix) Pull(ctx context.Context, cache, store, key, top string) error {
	_, err := n.Run(ctx, "nix", "copy", "--from", cache, "--to", n.Store(store), "--option", "trusted-public-keys", key, top)
	return err
}

// Substitute is Pull in the way of a build that finds the cache among its
// substituters.
func (n *Nix) Substitute(ctx context.Context, cache, store, key, top string, jobs int) error {
	_, err := n.Run(ctx, "nix-store", "--store", n.Store(store), "--realise", top, "--option", "substituters", cache,
		"--option", "trusted-public-keys", key, "--option", "max-jobs", fmt.Sprint(jobs))
	return err
}

// Verify returns an error unless a store holds exactly count paths below top,
// each with the contents that its hash and the signature say. The count comes
// first: Nix finds nothing wrong with a store that is not there.
func (n *Nix) Verify(ctx context.Context, store, top string, count int) error {
	list, err := n.Run(ctx, "nix", "path-info", "--store", n.Store(store), "-r", top)
	if err != nil {
		return err
	}
	if got := len(strings.Fields(list)); got != count {
		return fmt.Errorf("store %s has %d paths, want %d", store, got, count)
	}
	if _, err := n.Run(ctx, "nix-store", "--store", n.Store(store), "--verify", "--check-contents"); err != nil {
		return err
	}
	_, err = n.Run(ctx, "nix", "store", "verify", "--store", n.Store(store), "-r", "--option", "trusted-public-keys", n.Public, top)
	return err
}
