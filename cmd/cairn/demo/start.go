package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/contribute"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
)

const (
	// flushAge is short, so that a person who kills a node does not have to
	// know that the last objects were not on any yet.
	flushAge = 2 * time.Second
	// settle is how long packs stay readable here that stand on the nodes; load
	// and flush wait for it.
	settle = 100 * time.Millisecond
	// blocks is the memory for blocks that were read: enough for reading ahead,
	// too little to hide from a person that nodes are gone.
	blocks = 4 * config.MiB
	// buffers and tables keep the whole demo, nodes included, below 300 MiB.
	buffers = 64 * config.MiB
	tables  = 16 << 20 // bytes
)

// start makes the demo of d.dir, or goes on with it. Each step is done again by
// the next start if this one is killed in it. life is the nodes'; what was
// started is in d also when it fails.
func (d *demo) start(ctx, life context.Context) (err error) {
	id, err := d.identity(ctx)
	if err != nil {
		return err
	}
	if err := d.startNodes(life, id); err != nil {
		return err
	}
	if err := d.open(ctx, id); err != nil {
		return err
	}
	if err := d.recordNodes(ctx); err != nil {
		return err
	}
	if err := d.furnish(ctx); err != nil {
		return err
	}
	if err := d.meet(ctx); err != nil {
		return err
	}
	if d.s3, err = listen(ctx, d.state.S3); err != nil {
		return err
	}
	if d.admin, err = listen(ctx, d.state.Admin); err != nil {
		return errors.Join(err, d.s3.Close())
	}
	// Addresses are kept, so that what was set up for them works next time.
	d.state.S3, d.state.Admin = d.s3.Addr().String(), d.admin.Addr().String()
	for i, n := range d.nodes {
		d.state.Addresses[i] = n.address
	}
	return d.state.write(d.fs, d.dir)
}

func (d *demo) file() config.Config {
	f := config.Default()
	f.Dir = filepath.Join(d.dir, "gateway")
	f.Store.Coding, f.Store.Flush.Max = config.Coding(d.coding), config.Duration(flushAge)
	f.Stage.Settle = config.Duration(settle)
	f.Cache.Limit, f.Cache.Memory, f.Memory = 0, blocks, buffers
	return f.Resolve()
}

// identity is the gateway's, of the store that is made where there is none.
func (d *demo) identity(ctx context.Context) (crypt.Identity, error) {
	f := d.file()
	// Only a store that was finished has its secrets directory.
	if _, err := d.fs.List(filepath.Join(f.Dir, "secrets")); errors.Is(err, cairn.ErrNotExist) {
		if _, err := engine.Init(ctx, engine.InitConfig{FS: d.fs, Dir: f.Dir, Identity: f.Identity, OwnerFile: filepath.Join(d.dir, "owner-identity")}); err != nil {
			return crypt.Identity{}, err
		}
	}
	return engine.LoadIdentity(f.Identity)
}

func (d *demo) startNodes(life context.Context, id crypt.Identity) error {
	lines, err := engine.AuthorizedKeys(d.fs, d.file().Dir, id)
	if err != nil {
		return err
	}
	admit, err := contribute.ParseAuthorizedKeys([]byte(strings.Join(lines, "\n")))
	if err != nil {
		return err
	}
	for i, address := range d.state.Addresses {
		n, err := newNode(d.fs, d.dir, i+1)
		if err != nil {
			return err
		}
		n.address = address
		if err := d.serveNode(life, n, admit); err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	return nil
}

func (d *demo) serveNode(life context.Context, n *node, admit []ssh.PublicKey) error {
	if err := n.serve(admit, d.log); err != nil {
		return err
	}
	return n.start(life)
}

func (d *demo) open(ctx context.Context, id crypt.Identity) (err error) {
	var counted durable.FS
	counted, d.counts = durable.Count(d.fs)
	d.engine, err = engine.Open(ctx, engine.Config{FS: durable.Slow(counted, d.c.SyncDelay), File: d.file(), Identity: id, Log: d.log,
		Registry: d.metrics, Counts: d.counts, IndexCache: tables})
	return err
}

// recordNodes adds the nodes that the store does not have yet, and tells it the
// address of those that had to take another port, and which came back after all.
func (d *demo) recordNodes(ctx context.Context) error {
	known, err := d.engine.Store.Nodes()
	if err != nil {
		return err
	}
	for _, n := range d.nodes {
		i := slices.IndexFunc(known, func(k pack.Node) bool { return k.Name == n.name })
		remote := n.remote()
		switch {
		case i < 0:
			_, err = d.engine.AddNode(ctx, engine.NodeSpec{Name: n.name, Operator: n.name, Remote: remote, HostKey: n.key.Fingerprint(), SkipChecks: true}, nil)
		case known[i].Remote != remote || known[i].State == "gone" && !n.lost:
			change := engine.NodeChange{Remote: &remote}
			if !n.lost {
				ok := "ok"
				change.State = &ok
			}
			_, err = d.engine.SetNode(ctx, n.name, change)
		}
		if err != nil {
			return err
		}
		record, err := d.engine.Store.Node(n.name)
		if err != nil {
			return err
		}
		n.id = record.ID
	}
	return nil
}

// furnish makes the bucket and the access key, once.
func (d *demo) furnish(ctx context.Context) error {
	s := d.engine.Store
	if err := s.CreateBucket(ctx, bucket); err != nil && !errors.Is(err, store.ErrBucketExists) {
		return err
	}
	all, err := s.Accesses(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a store.Access) bool { return a.Name == bucket })
	if i < 0 {
		a, err := s.CreateAccess(ctx, bucket, []store.Grant{{Bucket: "*", Level: store.Admin}})
		if err != nil {
			return err
		}
		all, i = append(all, a), len(all)
	}
	d.keys = keys{all[i].ID, all[i].Secret, region}
	return nil
}

// meet waits until the gateway has spoken to every node, so that the first
// look at the demo shows it whole. Nodes begin honest, so what the gateway
// remembers against one of an earlier demo in the same directory is forgotten.
func (d *demo) meet(ctx context.Context) error {
	for _, n := range d.nodes {
		if err := d.engine.Fleet.Reset(n.id); err != nil {
			return err
		}
	}
	late := time.NewTimer(backTime)
	defer late.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		known := d.known()
		i := slices.IndexFunc(d.nodes, func(n *node) bool { return known[n.name].State != "ok" })
		if i < 0 {
			return nil
		}
		select {
		case <-look.C:
		case <-late.C:
			s := known[d.nodes[i].name]
			return fmt.Errorf("node %s is %s: %s: %w", s.Name, s.State, s.Why, cairn.ErrUnavailable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
