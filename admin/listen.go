package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cairn-storage/cairn"
)

// Listen opens "host:port" or "unix:/path". ErrUnavailable when somebody has
// it, ErrDenied when this user may not. A unix socket can be opened by user and
// group; one that a killed process left behind is replaced.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(ctx, path, 0o660)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(address, err)
	}
	return ln, nil
}

// ListenSocket opens the socket that verbs arrive at; only this user can open
// it.
func ListenSocket(ctx context.Context, path string) (net.Listener, error) {
	return listenUnix(ctx, path, 0o600)
}

// listenUnix makes the socket in a directory of our own and moves it to its
// place when it has its mode, so that nobody else can ever connect, and a dead
// one is replaced without a moment of none.
func listenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if err := replaceable(ctx, path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, listenError(path, err)
	}
	var random [2]byte
	rand.Read(random[:]) // never fails
	private := filepath.Join(filepath.Dir(path), "."+hex.EncodeToString(random[:]))
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, listenError(path, err)
	}
	defer os.Remove(private)
	made := filepath.Join(private, "s")
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", made)
	if err != nil {
		return nil, listenError(path, err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // it will have another name
	if err = os.Chmod(made, mode); err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		_ = ln.Close()
		_ = os.Remove(made)
		return nil, listenError(path, err)
	}
	return &unixListener{Listener: ln, path: path}, nil
}

// replaceable returns nil when nothing stands at path or a socket that nobody
// answers.
func replaceable(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return listenError(path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen %s: that is a file and no socket; it is left alone: %w", path, cairn.ErrPrecondition)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	_ = c.Close()
	return fmt.Errorf("listen %s: another process answers there: %w", path, cairn.ErrUnavailable)
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	net.Listener
	path string
	once sync.Once
}

// Addr is where clients find it.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *unixListener) Close() error {
	// The name goes first: whoever opens it later finds none, not a dead one.
	l.once.Do(func() { _ = os.Remove(l.path) })
	return l.Listener.Close()
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen %s: address already in use: is another cairn running? %w", address, cairn.ErrUnavailable)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("listen %s: %w: %w", address, err, cairn.ErrDenied)
	}
	return fmt.Errorf("listen %s: %w: %w", address, err, cairn.ErrInvalid)
}
