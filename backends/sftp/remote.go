// Package sftp is the native transport to a node that speaks SFTP: one SSH
// connection, a few channels on it, as few round trips as the protocol allows.
//
// Reading order: remote.go (Config and Open), connect.go (one attempt shared
// by all callers), dial.go and hostkey.go (SSH and the pinned key), link.go
// (one connection and how it is given up), channel.go (one SFTP session),
// call.go (how a call gets a deadline), then the verbs: put.go with source.go,
// replace.go, read.go with handles.go, list.go with intake.go, stat.go,
// node.go; errors.go says what the node's answers mean.
//
// It knows nothing of shards and stores no state but open handles. It does
// not retry, except once when a connection that had been made before the call
// turns out to be dead.
package sftp

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Config says where a node is and how to enter it. Zero values are useful but
// for Address, User, HostKey and one of Key and Password.
type Config struct {
	Node     string     // the node's name in errors and logs; empty for the address
	Address  string     // host or host:port; port 22 unless given
	User     string     // the account there
	Path     string     // directory that holds the store; relative ones start at the account's home
	MakePath bool       // make Path when it is missing; only when the node is new: a missing directory is how an unmounted disk looks
	Marker   string     // a file of Path that must stand before directories are made in it: an empty mount point has none; empty asks for none
	Key      ssh.Signer // tried first
	Password string     // for servers without keys
	HostKey  string     // SHA256:..., as Probe returns it; the only key that is accepted

	// Dial connects to Address in its own way; nil uses TCP.
	Dial func(ctx context.Context) (net.Conn, error)

	Channels       int           // SFTP sessions at most: one for small operations, the others for bulk; 0 means 3
	Handles        int           // files held open for reading at most; 0 means 32, negative none
	ConnectTimeout time.Duration // for TCP, SSH and SFTP together; 0 means 15 s
	KeepAlive      time.Duration // between probes of a silent connection; 0 means 15 s
	Patience       time.Duration // how long a probe may go unanswered; 0 means 3 s

	Log *slog.Logger // nil logs nothing

	drain time.Duration // for tests; 0 means maxDrain
}

// Remote is one node. It implements backends.Remote, Capacity, Replacer,
// Describer and Closer.
type Remote struct {
	c    Config // never changes
	log  *slog.Logger
	held handles

	life context.Context // ends with Close
	end  context.CancelCauseFunc
	wg   sync.WaitGroup // attempts and links

	mu        sync.Mutex
	link      *link    // guarded by mu, as all below; may be dead
	dialing   *attempt // in progress, or nil
	closed    bool
	hostAlgos []string // what made the server show the pinned key; nil for any
	leftovers []string // temporaries to remove on the next connection
}

// Open checks c and returns a Remote that connects when it is first used, and
// again whenever its connection broke. ctx gives values, not a deadline: the
// Remote lives until Close. ErrInvalid means that c can never work.
func Open(ctx context.Context, c Config) (*Remote, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	r := &Remote{c: c, log: c.Log}
	r.held.max = c.Handles
	// The caller's deadline is for opening; connections outlive it.
	r.life, r.end = context.WithCancelCause(context.WithoutCancel(ctx))
	return r, nil
}

func (c Config) complete() (Config, error) {
	bad := func(why string) (Config, error) {
		return Config{}, fmt.Errorf("sftp node %s: %s: %w", c.Node, why, cairn.ErrInvalid)
	}
	if c.Address == "" {
		return bad("address is missing")
	}
	c.Address = withPort(c.Address)
	if c.Node == "" {
		c.Node = c.Address
	}
	switch {
	case c.User == "":
		return bad("user is missing")
	case c.Key == nil && c.Password == "":
		return bad("a key or a password is needed")
	case c.HostKey == "":
		return bad("host key is not pinned; without it anyone between could be the node")
	case !isFingerprint(c.HostKey):
		return bad(fmt.Sprintf("host key %.60q is not of the form SHA256:..., as ssh-keygen -l prints it", c.HostKey))
	case strings.ContainsRune(c.Path, 0):
		return bad("path holds a zero byte")
	case c.Channels < 0 || c.ConnectTimeout < 0 || c.KeepAlive < 0 || c.Patience < 0:
		return bad("channels and times cannot be negative")
	}
	if c.Path != "" {
		c.Path = path.Clean(c.Path)
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", c.Address)
		}
	}
	if c.Channels == 0 {
		c.Channels = 3 // one small, two bulk: what fills a 100 Mbit/s line at 100 ms
	}
	if c.Handles == 0 {
		c.Handles = 32
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 15 * time.Second
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 15 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 3 * time.Second
	}
	if c.drain == 0 {
		c.drain = maxDrain
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Close ends the connection and waits for every goroutine of r. Calls in
// progress fail with ErrUnavailable.
func (r *Remote) Close() error {
	r.mu.Lock()
	r.closed = true
	l := r.link
	r.mu.Unlock()
	r.end(errClosed)
	if l != nil {
		l.drop(errClosed)
	}
	r.wg.Wait()
	return nil
}

// at is the path on the node of a name; "" is the store's directory.
func (r *Remote) at(name string) string {
	if p := path.Join(r.c.Path, name); p != "" {
		return p
	}
	return "."
}

func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), "22")
}

func isFingerprint(s string) bool {
	hash, ok := strings.CutPrefix(s, "SHA256:")
	if !ok {
		return false
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(hash)
	return err == nil && len(raw) == 32
}

// It is more than a Remote.
var _ interface {
	backends.Remote
	backends.Capacity
	backends.Replacer
	backends.Describer
	backends.Closer
} = (*Remote)(nil)
