package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/store"
)

// secrets are what a gateway runs with, and what brings the next one back.
type secrets struct {
	owner      crypt.Identity // offline
	gate       crypt.Identity
	delegation []byte
	gateways   []pack.RootGateway // of the store so far, the present one last
	recovery.Secrets
}

// newSecrets is what init makes.
func newSecrets(id cairn.StoreID, key crypt.EpochKey) (s secrets, err error) {
	if s.owner, err = crypt.NewIdentity(crypt.Owner, id, rand.NewChaCha8([32]byte{6})); err != nil {
		return s, err
	}
	if s.gate, err = crypt.NewIdentity(crypt.Gateway, id, rand.NewChaCha8([32]byte{7})); err != nil {
		return s, err
	}
	public := s.gate.Public()
	d, err := crypt.Delegate(s.owner.Sign(), id, 1, public.Sign, public.Recipient)
	if err != nil {
		return s, err
	}
	s.delegation = d.Encode()
	s.gateways = []pack.RootGateway{{Key: public.Sign, Number: 1, Recipient: public.Recipient}}
	owner := s.owner.Public().Recipient
	keys, err := crypt.WrapEpoch(key, 1, id, []string{public.Recipient, owner}, s.gate.Sign())
	s.Secrets = recovery.Secrets{Epochs: map[uint32]crypt.EpochKey{1: key}, Epoch: 1, Owners: []string{owner},
		Keys: []recovery.KeysFile{{Path: layout.KeyPath(1, crypt.KeysHash(keys)), Data: keys}}}
	return s, err
}

// trust believes every gateway that the store had.
func (s secrets) trust(id cairn.StoreID) crypt.Trust {
	var keys []crypt.PublicKey
	for _, g := range s.gateways {
		keys = append(keys, g.Key)
	}
	return crypt.TrustKeys(id, keys...)
}

// keeping is the keeper's settings in this life.
func (w *World) keeping(l *life, fs durable.FS) recovery.Config {
	return recovery.Config{FS: fs, Dir: dir, Store: w.id, Nodes: l.fl, Sign: w.gate.Sign(), Delegation: w.delegation, Gateways: w.gateways,
		Recipient: w.gate.Public().Recipient, Epochs: w.secrets.Epochs, Epoch: w.secrets.Epoch, Keys: w.secrets.Keys, Owners: w.secrets.Owners,
		Identity: w.gate.Encode(), Fork: func(err error) { l.forked(err) }, Log: w.log}
}

// burn destroys the gateway and all of its disk, and brings the store back on an
// empty one with the owner's identity and the address of one node.
func (w *World) burn(node int) error {
	if w.Beyond {
		return nil // it may not come back, and says so
	}
	if !w.calm && w.flushed.IsZero() {
		return nil // the nodes may not even have the buckets
	}
	w.relieve()
	fuse := w.disk.burning()
	w.disk.destroy()
	if err := w.close(); err != nil {
		return fmt.Errorf("burn: %w", err)
	}
	w.disk.replace()
	w.disk.light(fuse) // the power may go while the next gateway is made
	w.model.burnt()
	for _, u := range w.uploads {
		u.doubt = u.doubt || !u.began.Before(w.flushed) // it may have begun in the moment after
	}
	for w.bad(node % len(w.nodes)) {
		node++ // the owner asks somebody who is sound
	}
	for {
		err := w.recover(node % len(w.nodes))
		if err != nil && w.disk.dead() { // once more, in an empty directory
			w.disk.replace()
			continue
		}
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		return w.start()
	}
}

// recover makes the directory of the next gateway.
func (w *World) recover(node int) (err error) {
	l := &life{over: new(atomic.Bool)}
	defer l.over.Store(true)
	remote := func(_ context.Context, n pack.Node) (backends.Remote, error) { return w.connect(l, n) }
	first, err := remote(w.ctx, w.nodes[node].Node)
	if err != nil {
		return err
	}
	found, err := recovery.Find(w.ctx, recovery.FindConfig{Identity: &w.owner, From: []recovery.Candidate{{Node: w.nodes[node].Node, Remote: first}}, Open: remote, Log: w.log})
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	if len(found.Nodes) < len(w.nodes) {
		return fmt.Errorf("find: %d nodes of %d: %v", len(found.Nodes), len(w.nodes), found.Notes)
	}
	taken, err := recovery.MakeTakeover(recovery.TakeoverConfig{Found: found, Owner: &w.owner, Now: uint64(time.Now().UnixMilli()), Random: rand.NewChaCha8([32]byte{byte(w.lives), 8})})
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	w.gate, w.delegation, w.gateways, w.secrets.Secrets = taken.Identity, taken.Delegation, taken.Body.Gateways, taken.Secrets
	fs := w.disk.fs(l.over)
	if err := w.foundations(l, fs); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.fl.Close(), l.cache.Close()) }()
	nodes := make([]pack.Node, len(found.Nodes))
	for i, n := range found.Nodes {
		n.Credential = w.gate.Secrets().Seal(rand.NewChaCha8([32]byte{byte(i)}), store.CredentialPurpose(n.ID), n.Credential)
		nodes[i] = n
	}
	if err := l.fl.SetNodes(w.ctx, nodes); err != nil {
		return err
	}
	k, err := recovery.Takeover(w.ctx, w.keeping(l, fs), taken)
	if k == nil {
		return fmt.Errorf("takeover: %w", err)
	}
	defer func() { err = errors.Join(err, k.Close(w.ctx)) }()
	c := w.config(fs, l.fl)
	c.Roots = k
	out, err := store.Recover(w.ctx, c, store.Base{CutOff: found.Body.CutOff, Runs: found.Body.Runs, Gateways: found.Gateways, Nodes: nodes, Life: found.Body.Life, AcceptLoss: true})
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	w.recovered = out
	return nil
}
