package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// One visit reads at most so many roots that are not ours, newest first; the
// next one goes on behind them.
const (
	foreignMost  = 32
	foreignBytes = 4 * pack.MaxRoot
	judgedMost   = 2 * shelfMost // names of a node that are remembered as harmless
)

// judge reads the roots that are not of our chain and returns an error of class
// ErrFork when one shows that another gateway writes to the store. The others
// are left alone: a former gateway's are history, and what nobody signed who
// may is worth nothing.
func (k *Keeper) judge(ctx context.Context, n pack.Node, r backends.Remote, m *nodeMemory, foreign []shelfName) error {
	read, size := 0, int64(0)
	for _, name := range foreign {
		k.mu.Lock()
		known := m.judged[name.base]
		if len(m.judged) >= judgedMost {
			clear(m.judged)
		}
		k.mu.Unlock()
		if known {
			continue
		}
		if read++; read > foreignMost || size > foreignBytes {
			break
		}
		size += min(max(name.size, 0), pack.MaxRoot)
		f, err := readRoot(ctx, r, name, k.c.Store)
		var fork error
		switch {
		case errors.Is(err, cairn.ErrNotExist):
			continue
		case errors.Is(err, cairn.ErrCorrupt):
			if k.once("junk " + n.ID.String()) {
				k.c.Log.Warn("node has files among its roots that are none; they are ignored", "node", n.Name, "file", name.base, "err", err)
			}
		case err != nil:
			return err
		default:
			fork = k.verdict(n, f)
		}
		if fork != nil {
			k.setFork(fork, n.Name, f)
			return fork
		}
		k.mu.Lock()
		m.judged[name.base] = true
		k.mu.Unlock()
	}
	return nil
}

// verdict is an error of class ErrFork when f, which is not of our chain, was
// written by somebody who may: with our own key, or under a delegation of our
// number or a higher one.
func (k *Keeper) verdict(n pack.Node, f *rootFile) error {
	k.mu.Lock()
	body, newest, secrets := k.chain.body, k.chain.newest, k.secrets
	k.mu.Unlock()
	own := k.c.Sign.Public()
	at := uint64(0)
	if newest != nil {
		at = newest.Sequence
	}
	shown := fmt.Sprintf("node %s shows root %d (%s), signed by key %s", n.Name, f.Sequence, f.name(), keyName(f.Signer))
	if f.Signer == own {
		return fmt.Errorf("recovery: %s, this gateway's own, and not written here, where root %d is the newest: this directory is an old copy, or a second gateway runs with the same identity; "+
			"writing has stopped. Stop the other one, then run `cairn recover` to go on from the newest root: %w", shown, at, cairn.ErrFork)
	}
	number, trusted := k.standing(f, body, own)
	if !trusted && knowsUs(f, secrets.Epochs, own) {
		// Only a gateway of this store holds the epoch key, and it names us: a
		// successor whose delegation we cannot follow.
		number, trusted = max(number, k.number), true
	}
	switch {
	case !trusted:
		if k.once("unknown " + n.ID.String()) {
			k.c.Log.Warn("node has roots that nobody signed who may; they are ignored", "node", n.Name, "root", f.name(), "signer", keyName(f.Signer))
		}
		return nil
	case number < k.number:
		if k.once("former " + n.ID.String()) {
			k.c.Log.Info("node has roots of a former gateway", "node", n.Name, "root", f.name(), "signer", keyName(f.Signer), "delegation", number)
		}
		return nil
	}
	return fmt.Errorf("recovery: %s under delegation %d; this gateway has delegation %d and wrote root %d last: another gateway writes to the store, and writing has stopped here. "+
		"If the other one recovered the store, leave this one off; if this is the right one, stop the other and run `cairn recover` here, which takes the store over: %w",
		shown, number, k.number, at, cairn.ErrFork)
}

// standing is the number of the delegation under which f was signed, and whether
// that is by somebody whom we know to have a say.
func (k *Keeper) standing(f *rootFile, body pack.RootBody, own crypt.PublicKey) (uint64, bool) {
	if d, err := crypt.ParseDelegation(f.Delegation); err == nil && d.Gateway == f.Signer && d.Verify(d.Owner, k.c.Store) == nil {
		known := d.Owner == own || len(k.c.Delegation) > 0 && d.Owner == k.owner
		first, ok := ownerKey(body)
		known = known || ok && d.Owner == first
		known = known || slices.ContainsFunc(body.Gateways, func(g pack.RootGateway) bool { return g.Key == d.Owner })
		if known {
			return d.Number, true
		}
	}
	for _, g := range body.Gateways {
		if g.Key == f.Signer {
			return g.Number, true
		}
	}
	return 0, false
}

// knowsUs reports whether f opens with an epoch key of ours and names own among
// its gateways.
func knowsUs(f *rootFile, epochs map[uint32]crypt.EpochKey, own crypt.PublicKey) bool {
	key, ok := epochs[f.Epoch]
	if !ok {
		return false
	}
	body, err := f.Open(key)
	return err == nil && slices.ContainsFunc(body.Gateways, func(g pack.RootGateway) bool { return g.Key == own })
}
