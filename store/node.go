package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

// Nodes returns the nodes of the store, credentials sealed, in order of id.
func (s *Store) Nodes() ([]pack.Node, error) { return s.idx.Nodes() }

// Node returns the node of that name.
func (s *Store) Node(name string) (pack.Node, error) {
	ns, err := s.idx.Nodes()
	if err != nil {
		return pack.Node{}, err
	}
	i := slices.IndexFunc(ns, func(n pack.Node) bool { return n.Name == name })
	if i < 0 {
		return pack.Node{}, fmt.Errorf("store: node %q: %w", name, cairn.ErrNotExist)
	}
	return ns[i], nil
}

// SealCredential seals a node's secret for its record.
func (s *Store) SealCredential(id cairn.NodeID, secret []byte) []byte {
	return s.c.Box.Seal(rand.Reader, CredentialPurpose(id), secret)
}

// CredentialPurpose is what a node's credential is sealed for.
func CredentialPurpose(id cairn.NodeID) string { return "node " + id.String() }

// SetNode adds a node or changes it; names stay unique.
//
// Order: the record durable, then the fleet told, then a root written that names
// the node. Where there are roots a new node gets its first shard only after
// that root stands; one that could not be written now fails nothing, is logged,
// and is tried again until it does.
func (s *Store) SetNode(ctx context.Context, n pack.Node) error {
	err := s.decide(ctx, func(t *txn) error {
		ns, err := s.idx.Nodes()
		if err != nil {
			return err
		}
		for _, o := range ns {
			if o.Name == n.Name && o.ID != n.ID {
				return fmt.Errorf("store: a node %q is there already: %w", n.Name, cairn.ErrPrecondition)
			}
		}
		return t.log(n)
	})
	if err != nil {
		return err
	}
	if err := s.nodesChanged(ctx); err != nil {
		return err
	}
	s.rooted(ctx)
	return nil
}

// RemoveNode takes a node out of the store; its shards count as gone. Order and
// what a root that cannot be written means are as with SetNode.
func (s *Store) RemoveNode(ctx context.Context, id cairn.NodeID) error {
	err := s.decide(ctx, func(t *txn) error {
		if _, err := s.idx.Node(id); err != nil {
			return fmt.Errorf("store: node %v: %w", id, err)
		}
		return t.log(pack.NodeGone{ID: id})
	})
	if err != nil {
		return err
	}
	if err := s.nodesChanged(ctx); err != nil {
		return err
	}
	s.rooted(ctx)
	return nil
}

// nodesChanged hands the nodes to the fleet, after they are durable outside of
// the index too: a lost index is made again from the nodes, so their addresses
// must not be lost with it.
func (s *Store) nodesChanged(ctx context.Context) error {
	select { // one at a time: the last to come tells the newest
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("store: nodes: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	ns, err := s.idx.Nodes()
	if err != nil {
		return err
	}
	if err := writeNodes(s.c.FS, s.c.Dir, s.c.Store, ns); err != nil {
		return err
	}
	return s.c.Nodes.SetNodes(ctx, ns)
}

const nodesMagic = "cairnnod"

func nodesName(dir string) string { return filepath.Join(dir, "secrets", "nodes") }

// writeNodes replaces the list of nodes beside the index.
func writeNodes(fs durable.FS, dir string, store cairn.StoreID, ns []pack.Node) error {
	w := wire.Writer{}
	w.Raw([]byte(nodesMagic))
	w.U16(1)
	w.Raw(store[:])
	w.Uvarint(uint64(len(ns)))
	for i, n := range ns {
		w.Bytes(pack.Record{Stamp: cairn.Stamp{LSN: uint64(i) + 1}, Body: n}.AppendTo(nil))
	}
	sum := crypt.Sum(w.B)
	w.Raw(sum[:])
	if err := fs.MkdirAll(filepath.Dir(nodesName(dir))); err != nil {
		return fmt.Errorf("store: list of nodes: %w", err)
	}
	if err := durable.WriteFile(fs, nodesName(dir), w.B); err != nil {
		return fmt.Errorf("store: list of nodes: %w", err)
	}
	return nil
}

// readNodes reads that list; none where there is no file.
func readNodes(fs durable.FS, dir string, store cairn.StoreID) ([]pack.Node, error) {
	b, err := durable.ReadFile(fs, nodesName(dir), 64<<20)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: list of nodes: %w", err)
	}
	r := wire.NewReader(b)
	var magic [8]byte
	r.Raw(magic[:])
	if v := r.U16(); string(magic[:]) != nodesMagic || v != 1 {
		r.Fail("not a list of nodes of version 1")
	}
	var of cairn.StoreID
	r.Raw(of[:])
	if r.Err() == nil && of != store {
		return nil, fmt.Errorf("store: %s belongs to store %s: %w", nodesName(dir), of.Short(), cairn.ErrInvalid)
	}
	var ns []pack.Node
	for range r.Uvarint(1 << 16) {
		rec, err := pack.ParseRecord(r.Bytes(1 << 20))
		n, ok := rec.Body.(pack.Node)
		if err != nil || !ok {
			r.Fail("a node does not parse")
			break
		}
		ns = append(ns, n)
	}
	n := len(b) - r.Len()
	var sum crypt.Hash
	r.Raw(sum[:])
	if err := r.Done(); err != nil || crypt.Sum(b[:n]) != sum {
		return nil, fmt.Errorf("store: %s is damaged: %w", nodesName(dir), cairn.ErrCorrupt)
	}
	return ns, nil
}
