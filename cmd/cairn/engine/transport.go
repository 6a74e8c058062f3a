package engine

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/rclone"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/crypt"
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
	r = backends.Guard(r, backends.Bounds{})
	r = backends.Deadline(r, e.c.Deadline)
	r = backends.Limit(r, callsAtOnce)
	r = backends.Retry(r, e.c.Retry)
	return backends.Meter(r, n.Name, e.metrics), nil
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
	if !isSFTP(n.Remote) {
		return rclone.Open(ctx, rclone.Config{Node: n.Name, Spec: n.Remote, Options: n.Option, Create: create, Log: e.c.Log})
	}
	at, err := sftpPlace(n.Remote)
	if err != nil {
		return nil, err
	}
	c := sftp.Config{Node: n.Name, Address: at.address, User: at.user, Path: at.path, MakePath: create, HostKey: n.HostKey,
		ConnectTimeout: e.c.Connect, KeepAlive: e.c.KeepAlive, Patience: e.c.Patience, Log: e.c.Log}
	if err := e.login(n, &c); err != nil {
		return nil, err
	}
	return sftp.Open(ctx, c)
}

// login fills in what the node's record keeps sealed.
func (e *Engine) login(n pack.Node, c *sftp.Config) error {
	if len(n.Credential) == 0 {
		key, err := e.ownKey()
		c.Key = key
		return err
	}
	login, err := e.credentialOf(n)
	if err != nil {
		return err
	}
	c.Password = login.Password
	if login.Key != "" {
		c.Key, err = parseKey([]byte(login.Key))
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

// ownKey is the gateway's SSH key, which logs in where a node has no key of its
// own.
func (e *Engine) ownKey() (ssh.Signer, error) {
	seed := e.c.Identity.SSHSeed()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return nil, fmt.Errorf("the gateway's SSH key: %w", err)
	}
	return s, nil
}

// AuthorizedKey is the line of authorized_keys that lets this gateway in to a
// node.
func (e *Engine) AuthorizedKey() string { return authorizedKey(e.c.Identity) }

func authorizedKey(id crypt.Identity) string {
	return id.Public().SSH + " cairn-" + id.Store().Short()
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
