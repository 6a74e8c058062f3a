// Command memserver is cairn's gateway, store and fleet over seven nodes in
// memory, coded 4+3, with stage and index on this machine's disk: what the
// gateway itself costs, without a line or an SSH server. It prints its
// endpoint, access key and secret as one JSON line, and ends with its input.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/gateway"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
)

const (
	nodes  = 7
	bucket = "bench"
	budget = 64 << 20 // bytes, of the gateway and of the store each
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "memserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) != 1 {
		return errors.New("give a directory for stage and index")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, stop, err := open(ctx, args[0], log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := s.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	key, err := s.CreateAccess(ctx, "bench", []store.Grant{{Bucket: bucket, Level: store.Write}})
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{Store: s, Log: log, MemoryBudget: budget})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- g.Serve(life, ln) }()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"endpoint": "http://" + ln.Addr().String(), "bucket": bucket, "id": key.ID, "secret": key.Secret}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	cancel()
	return <-served
}

// open makes a new store in dir.
func open(ctx context.Context, dir string, log *slog.Logger) (*store.Store, func() error, error) {
	var id cairn.StoreID
	if _, err := rand.Read(id[:]); err != nil {
		return nil, nil, err
	}
	gate, err := crypt.NewIdentity(crypt.Gateway, id, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	ca, err := cache.New(cache.Config{MemoryBytes: 64 << 20})
	if err != nil {
		return nil, nil, err
	}
	remotes := map[cairn.NodeID]*backendtest.Mem{}
	f, err := fleet.New(ctx, fleet.Config{Store: id, Cache: ca, Trust: pack.Trust(crypt.TrustKeys(id, gate.Sign().Public())), Log: log,
		Open: func(_ context.Context, n pack.Node) (backends.Remote, error) { return remotes[n.ID], nil }})
	if err != nil {
		return nil, nil, err
	}
	fs := durable.OS()
	if err := fs.MkdirAll(filepath.Join(dir, "state")); err != nil {
		return nil, nil, err
	}
	s, err := store.Open(ctx, store.Config{FS: fs, Dir: filepath.Join(dir, "state"), Nodes: f, Store: id,
		Epochs: map[uint32]crypt.EpochKey{1: {1}}, Epoch: 1, Sign: gate.Sign(), Box: gate.Secrets(), Coding: "4+3",
		FlushAge: 30 * time.Second, Settle: 10 * time.Minute, StageLimit: 4 << 30, Memory: budget, IndexCache: 64 << 20, Log: log})
	if err != nil {
		return nil, nil, err
	}
	stop := func() error { return errors.Join(s.Close(ctx), f.Close(), ca.Close()) }
	for i := range nodes {
		n := pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: "mem", State: "ok"}
		remotes[n.ID] = &backendtest.Mem{}
	}
	for i := range nodes {
		n := pack.Node{ID: cairn.NodeID{byte(i + 1)}, Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Remote: "mem", State: "ok"}
		marker, err := layout.Marker{Version: layout.MarkerVersion, Store: id, Node: n.ID}.Encode()
		if err == nil {
			err = remotes[n.ID].Put(ctx, layout.MarkerName, marker)
		}
		if err == nil {
			err = s.SetNode(ctx, n)
		}
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
	}
	return s, stop, nil
}
