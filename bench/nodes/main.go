// Command nodes is the SFTP servers of a few operators in one process, each in a
// directory of its own and behind a line with a delay: what a gateway is measured
// against. Its first line of input is the SSH key that may log in; it prints one
// JSON line with name, address and host key of each, then "wipe NAME" empties a
// node's packs and answers with the name. It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/internal/netfault"
	"golang.org/x/crypto/ssh"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

// node is one operator's server.
type node struct {
	Name    string `json:"name"`
	Address string `json:"address"` // of the line that leads to it
	HostKey string `json:"host_key"`

	dir   string
	key   contribute.Key
	enter ssh.PublicKey
	line  *netfault.Proxy
	stop  func()
}

// start serves the directory and leads the line there.
func (n *node) start(ctx context.Context) error {
	s, err := contribute.New(contribute.Config{Dir: n.dir, HostKey: n.key.Signer, Authorized: []ssh.PublicKey{n.enter}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx, ln) })
	n.stop = func() { cancel(); wg.Wait() }
	if n.line == nil {
		n.line, err = netfault.New(ln.Addr().String())
		return err
	}
	n.line.SetTarget(ln.Addr().String())
	return nil
}

// wipe leaves the marker and what else is not a pack.
func (n *node) wipe(ctx context.Context) error {
	n.stop() // else files that it has open are read on
	packs := filepath.Join(n.dir, "packs")
	if err := errors.Join(os.RemoveAll(packs), os.Mkdir(packs, 0o700)); err != nil {
		return err
	}
	return n.start(ctx)
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("give a directory, a round-trip time such as 20ms, and names")
	}
	rtt, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return errors.New("no key that may log in")
	}
	enter, _, _, _, err := ssh.ParseAuthorizedKey(in.Bytes())
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	var all []*node
	for _, name := range args[2:] {
		n := &node{Name: name, dir: filepath.Join(args[0], name), enter: enter}
		if n.key, err = contribute.NewKey(); err == nil {
			err = os.Mkdir(n.dir, 0o700)
		}
		if err == nil {
			err = n.start(ctx)
		}
		if err != nil {
			return fmt.Errorf("node %s: %w", name, err)
		}
		n.line.SetDelay(rtt / 2)
		n.Address, n.HostKey = n.line.Addr(), n.key.Fingerprint()
		all = append(all, n)
	}
	if err := out.Encode(all); err != nil {
		return err
	}
	for in.Scan() {
		name, ok := strings.CutPrefix(in.Text(), "wipe ")
		for _, n := range all {
			if ok && n.Name == name {
				if err := n.wipe(ctx); err != nil {
					return err
				}
			}
		}
		fmt.Println(strconv.Quote(name))
	}
	return in.Err()
}
