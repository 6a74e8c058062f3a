package engine

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/rclone"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
	"golang.org/x/crypto/ssh"
)

// callsAtOnce is how many calls run on one node: enough for the pipelines of
// writes, reads and their hedges, and few enough for providers that count.
const callsAtOnce = 16

// credential is what logs in to a node. Both empty: the gateway's own key.
type credential struct {
	Key      string `json:"key,omitempty"` // private key, PEM
	Password string `json:"password,omitempty"`
}

// openNode connects to a node of the store, in the whole stack of wrappers.
func (e *Engine) openNode(ctx context.Context, n pack.Node) (backends.Remote, error) {
	r, err := e.connect(ctx, n, false)
	if err != nil {
		return nil, err
	}
	if e.c.ReadOnly {
		r = readOnly(r)
	}
	r = backends.Guard(r, backends.Bounds{})
	r = backends.Deadline(r, e.c.Deadline)
	r = backends.Limit(r, callsAtOnce)
	r = backends.Retry(r, e.c.Retry)
	return backends.Meter(r, n.Name, e.metrics), nil
}

// readOnly refuses whatever would change a node.
func readOnly(r backends.Remote) backends.Remote {
	return &backends.Around{Inner: r, Do: func(ctx context.Context, c backends.Call, run func(context.Context) error) error {
		switch c.Op {
		case backends.OpPut, backends.OpDelete, backends.OpReplace:
			return fmt.Errorf("%s %s: this is a look at the store, which writes nothing: %w", c.Op, c.Name, cairn.ErrDenied)
		}
		return run(ctx)
	}}
}

// mounted refuses to put anything into a directory of this machine while its
// marker is missing: there is no connection that an unmounted disk would break,
// and what were put below the mount point would be lost when it is back (B7).
func mounted(r backends.Remote, marker string) backends.Remote {
	return &backends.Around{Inner: r, Do: func(ctx context.Context, c backends.Call, run func(context.Context) error) error {
		if c.Op == backends.OpPut || c.Op == backends.OpReplace {
			if _, err := os.Lstat(marker); err != nil {
				return fmt.Errorf("%s %s: its marker is missing, is its disk mounted? %v: %w", c.Op, c.Name, err, cairn.ErrUnavailable)
			}
		}
		return run(ctx)
	}}
}

// openOnce connects for one look at a node: every failure is told at once.
// create makes the directory.
func (e *Engine) openOnce(ctx context.Context, n pack.Node, create bool) (backends.Remote, error) {
	r, err := e.connect(ctx, n, create)
	if err != nil {
		return nil, err
	}
	return backends.Meter(backends.Deadline(backends.Guard(r, backends.Bounds{}), e.c.Deadline), n.Name, nil), nil
}

// closeRemote ends the connections of r.
func closeRemote(r backends.Remote) error {
	if c, ok := backends.As[backends.Closer](r); ok {
		return c.Close()
	}
	return nil
}

// connect opens the bare transport of a node.
func (e *Engine) connect(ctx context.Context, n pack.Node, create bool) (backends.Remote, error) {
	return e.c.dial(ctx, n, create, func(c *sftp.Config) error { return e.login(n, c) })
}

// dial is connect for whoever logs in; login fills in with what.
func (c Config) dial(ctx context.Context, n pack.Node, create bool, login func(*sftp.Config) error) (backends.Remote, error) {
	if !isSFTP(n.Remote) {
		r, err := rclone.Open(ctx, rclone.Config{Node: n.Name, Spec: n.Remote, Options: backendOptions(n), Create: create, Log: c.Log})
		if dir, local := strings.CutPrefix(n.Remote, "local:"); err == nil && local && !create {
			return mounted(r, filepath.Join(dir, layout.MarkerName)), nil
		}
		return r, err
	}
	at, err := sftpPlace(n.Remote)
	if err != nil {
		return nil, err
	}
	s := sftp.Config{Node: n.Name, Address: at.address, User: at.user, Path: at.path, MakePath: create, HostKey: n.HostKey,
		ConnectTimeout: c.Connect, KeepAlive: c.KeepAlive, Patience: c.Patience, Log: c.Log}
	if !create { // it is a node already
		s.Marker = layout.MarkerName
	}
	if err := login(&s); err != nil {
		return nil, err
	}
	return sftp.Open(ctx, s)
}

// login fills in what the node's record keeps sealed.
func (e *Engine) login(n pack.Node, c *sftp.Config) error {
	if len(n.Credential) == 0 {
		key, err := sshKey(e.c.Identity)
		c.Key = key
		return err
	}
	login, err := e.credentialOf(n)
	if err != nil {
		return err
	}
	return login.into(c)
}

// into makes c log in with l.
func (l credential) into(c *sftp.Config) (err error) {
	c.Password = l.Password
	if l.Key != "" {
		c.Key, err = parseKey([]byte(l.Key))
	}
	return err
}

// credentialOf opens the credential of a node's record.
func (e *Engine) credentialOf(n pack.Node) (login credential, err error) {
	plain, err := e.c.Identity.Secrets().Open(store.CredentialPurpose(n.ID), n.Credential)
	if err != nil {
		return login, fmt.Errorf("node %s: its credential is not sealed under this gateway's identity; give it again with `cairn node set %s --key-file FILE`: %w", n.Name, n.Name, cairn.ErrDenied)
	}
	if err := json.Unmarshal(plain, &login); err != nil {
		return login, fmt.Errorf("node %s: credential: %w", n.Name, cairn.ErrCorrupt)
	}
	return login, nil
}

// sshKey is the SSH key of an identity: a gateway's logs in where a node has no
// key of its own, an owner's where it is admitted.
func sshKey(id crypt.Identity) (ssh.Signer, error) {
	seed := id.SSHSeed()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return nil, fmt.Errorf("the SSH key of the %s identity: %w", id.Kind(), err)
	}
	return s, nil
}

func parseKey(pem []byte) (ssh.Signer, error) {
	s, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("SSH key: %v; give a private key without passphrase, as ssh-keygen -t ed25519 -N '' makes it: %w", err, cairn.ErrInvalid)
	}
	return s, nil
}

// seal makes the record's credential, nil for the gateway's own key.
func (e *Engine) seal(n cairn.NodeID, login credential) ([]byte, error) {
	if login == (credential{}) {
		return nil, nil
	}
	if login.Key != "" {
		if _, err := parseKey([]byte(login.Key)); err != nil {
			return nil, err
		}
	}
	plain, err := json.Marshal(login)
	if err != nil {
		return nil, err
	}
	return e.Store.SealCredential(n, plain), nil
}
