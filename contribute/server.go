// Package contribute is the node that an operator runs: an SFTP server over
// one directory that only the owner's gateway may use. A whole file never
// changes there: files are created, renamed once into a free name, read and
// removed. What is acknowledged at close is on the disk.
//
// Reading order: server.go (Server and Serve), session.go (one SSH
// connection: no shell, no forwarding, one subsystem), files.go (reading and
// writing), names.go (rename, remove, mkdir, stat, list, free space), ledger.go
// (the quota), trash.go (what was removed), keys.go (making keys), tap.go
// (misbehaving on purpose). It knows nothing of packs, shards and keys: to it a
// file is bytes.
package contribute

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
)

// Config says what is served to whom.
type Config struct {
	Dir        string          // the directory; it must exist
	HostKey    ssh.Signer      // identifies the server; gateways pin it
	Authorized []ssh.PublicKey // who may enter
	User       string          // the only user name that is let in; empty for any
	Quota      int64           // bytes of files in Dir altogether, the trash included; 0 leaves the disk as the only limit
	Trash      time.Duration   // for how long at least removed files are kept, out of sight; 0 removes them at once and leaves what is kept
	Log        *slog.Logger    // nil logs nothing
	Tap        Tap             // nil behaves well
}

// Server serves one directory. It is safe for concurrent use.
type Server struct {
	c     Config
	log   *slog.Logger
	ssh   *ssh.ServerConfig
	space *ledger
	trash *trash // nil where what is removed is gone

	// renames makes "the new name is free" and the rename one step. Nothing
	// waits under it but the disk, and this process alone writes to Dir.
	renames sync.Mutex
}

// New checks c and measures what Dir holds when there is a quota. It returns
// ErrInvalid for a config that cannot be served.
func New(c Config) (*Server, error) {
	switch {
	case c.HostKey == nil:
		return nil, fmt.Errorf("contribute: a host key is needed: %w", cairn.ErrInvalid)
	case len(c.Authorized) == 0:
		return nil, fmt.Errorf("contribute: nobody is authorized: %w", cairn.ErrInvalid)
	case c.Quota < 0:
		return nil, fmt.Errorf("contribute: quota of %d bytes: %w", c.Quota, cairn.ErrInvalid)
	case c.Trash < 0:
		return nil, fmt.Errorf("contribute: removed files kept for %v: %w", c.Trash, cairn.ErrInvalid)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tap == nil {
		c.Tap = noTap{}
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("contribute: %w: %w", cairn.ErrInvalid, err)
	}
	defer root.Close()
	s := &Server{c: c, log: c.Log}
	if s.space, err = openLedger(root, c.Quota); err != nil {
		return nil, fmt.Errorf("contribute: measure %s: %w", c.Dir, err)
	}
	if c.Trash > 0 {
		s.trash = &trash{dir: c.Dir, keep: c.Trash, space: s.space, log: c.Log}
	}
	s.ssh = &ssh.ServerConfig{
		ServerVersion:     "SSH-2.0-cairn",
		PublicKeyCallback: s.authorize,
	}
	s.ssh.AddHostKey(c.HostKey)
	return s, nil
}

func (s *Server) authorize(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if s.c.User != "" && meta.User() != s.c.User {
		return nil, fmt.Errorf("no user %q", meta.User())
	}
	for _, a := range s.c.Authorized {
		if bytes.Equal(a.Marshal(), key.Marshal()) {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("key %s is not authorized", ssh.FingerprintSHA256(key))
}

// maxConnections bounds what strangers can make us hold: each connection that
// has not shown its key yet costs some 100 KiB for at most handshakeTimeout.
const maxConnections = 64

// Serve accepts connections from ln until ctx ends, then closes ln and every
// connection, and returns nil after the last one has ended. Any other end of
// ln is returned as its error. Meanwhile it empties the trash of what was kept
// for long enough; a Server with a trash serves one listener at a time.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if s.trash != nil {
		if err := s.trash.open(ctx); err != nil {
			_ = ln.Close() // nobody was served
			return fmt.Errorf("contribute: trash: %w", err)
		}
		defer s.trash.close()
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()

	if s.trash != nil {
		wg.Go(func() { s.trash.watch(ctx) })
	}
	places := make(chan struct{}, maxConnections)
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("contribute: %w", err)
		}
		select {
		case places <- struct{}{}:
		default:
			s.log.Warn("contribute: too many connections", "from", c.RemoteAddr().String())
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-places }()
			s.connection(ctx, c)
		})
	}
}
