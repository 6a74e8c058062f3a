package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/durable"
)

// loopback is the address that everything of a demo listens on.
const loopback = "127.0.0.1"

// storeDir is where below what a node serves the store is.
const storeDir = "cairn"

// maxKeyFile bounds what is read of a host key's file, bytes.
const maxKeyFile = 16 << 10

// operators lend the nodes, in order.
var operators = []string{"alice", "bob", "carol", "dora", "erik", "fay", "gus"}

// operator is the name of node number n, from 1 on.
func operator(n int) string {
	if n <= len(operators) {
		return operators[n-1]
	}
	return "friend" + strconv.Itoa(n)
}

// node is one embedded SFTP node. Only the goroutine that runs the demo starts
// and stops it.
type node struct {
	number  int
	name    string // the operator's too
	served  string // directory that it serves
	dir     string // below: the store's
	key     contribute.Key
	id      cairn.NodeID // known once it is in the store
	address string       // host:port, also while it is killed
	tap     *mischief
	lost    bool // the store was told that it comes back never

	server *contribute.Server
	cancel context.CancelFunc // nil while it is killed
	ended  chan error         // what Serve returned
}

// newNode prepares node number n below dir: its directory and its host key,
// which is made only once.
func newNode(fs durable.FS, dir string, n int) (*node, error) {
	d := &node{number: n, name: operator(n), served: filepath.Join(dir, "nodes", strconv.Itoa(n)), tap: &mischief{}}
	d.dir = filepath.Join(d.served, storeDir)
	keys := filepath.Join(dir, "hostkeys")
	for _, made := range []string{d.dir, keys} {
		if err := fs.MkdirAll(made); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(keys, strconv.Itoa(n))
	text, err := durable.ReadFile(fs, file, maxKeyFile)
	if errors.Is(err, cairn.ErrNotExist) {
		key, err := contribute.NewKey()
		if err != nil {
			return nil, err
		}
		if text, err = key.PEM("cairn demo node " + d.name); err != nil {
			return nil, err
		}
		if err := durable.WriteFile(fs, file, text); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if d.key, err = contribute.ParseKey(text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// serve prepares the server that admits the keys; start runs it.
func (d *node) serve(admit []ssh.PublicKey, log *slog.Logger) (err error) {
	d.server, err = contribute.New(contribute.Config{Dir: d.served, HostKey: d.key.Signer, Authorized: admit, Log: log.With("node", d.name), Tap: d.tap})
	return err
}

// listenTime bounds how long start waits for its old port.
const listenTime = time.Second

// start serves again at the address the node had, or at another where that has
// been taken meanwhile.
func (d *node) start(ctx context.Context) error {
	l, err := listen(ctx, d.address)
	if err != nil {
		return fmt.Errorf("node %d: %w", d.number, err)
	}
	d.address = l.Addr().String()
	ctx, d.cancel = context.WithCancel(ctx)
	d.ended = make(chan error, 1) // room: Serve never waits for stop
	go func() { d.ended <- d.server.Serve(ctx, d.tap.listen(l)) }()
	return nil
}

// listen takes address, or any free port where that is in use or empty.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var c net.ListenConfig
	if address != "" {
		ctx, cancel := context.WithTimeout(ctx, listenTime)
		defer cancel()
		if l, err := c.Listen(ctx, "tcp", address); err == nil {
			return l, nil
		}
	}
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
	}
	return l, nil
}

// stop closes the listener and ends every connection at once, as a machine
// that loses its power does. It returns after the last has ended; a node that
// is stopped stays so.
func (d *node) stop() error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	d.cancel = nil
	return <-d.ended
}

func (d *node) alive() bool { return d.cancel != nil }

// remote is the node's address as its record in the store has it.
func (d *node) remote() string { return "sftp://cairn@" + d.address + "/" + storeDir }
