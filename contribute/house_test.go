package contribute_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn/contribute"
)

// house is a running server and the key that opens it.
type house struct {
	dir  string
	addr string
	user contribute.Key
	host contribute.Key
	stop func() // ends it and waits; may be called twice
}

func serve(t *testing.T, c contribute.Config) *house {
	t.Helper()
	h := &house{dir: t.TempDir(), user: newKey(t), host: newKey(t)}
	h.start(t, c)
	return h
}

// start serves h's directory with c.
func (h *house) start(t *testing.T, c contribute.Config) {
	t.Helper()
	c.Dir, c.HostKey, c.Authorized = h.dir, h.host.Signer, []ssh.PublicKey{h.user.Public()}
	s, err := contribute.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	h.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(h.stop)
}

func newKey(t *testing.T) contribute.Key {
	t.Helper()
	k, err := contribute.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (h *house) dial(user string, key contribute.Key) (*ssh.Client, error) {
	return ssh.Dial("tcp", h.addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key.Signer)},
		HostKeyCallback: ssh.FixedHostKey(h.host.Public()),
	})
}

func (h *house) enter(t *testing.T) (*ssh.Client, *sftp.Client) {
	t.Helper()
	conn, err := h.dial("anyone", h.user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c, err := sftp.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return conn, c
}

// free is the space that is told, bytes.
func free(t *testing.T, c *sftp.Client) uint64 {
	t.Helper()
	vfs, err := c.StatVFS(".")
	if err != nil {
		t.Fatal(err)
	}
	return vfs.FreeSpace()
}

func put(c *sftp.Client, name string, data []byte) error {
	f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func get(t *testing.T, c *sftp.Client, name string) string {
	t.Helper()
	f, err := c.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not after 10 s")
		}
	}
}
