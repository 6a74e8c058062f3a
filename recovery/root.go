package recovery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// errClosed is the answer to every call after Close.
var errClosed = fmt.Errorf("recovery: closed: %w", cairn.ErrUnavailable)

// request is one caller of Root.
type request struct {
	change func(*pack.RootBody) // nil: none
	done   chan error           // takes one
}

// Root writes the next root: the body of the newest one, after change (which
// may run more than once, and may be nil). It returns nil when that root is
// durable here and stands on enough nodes, see Config.Need, or on all there are
// where they are fewer. Changes that wait together make one root. A body that
// stays as it was writes none; the newest root then has to stand.
//
// ErrUnavailable names the nodes that did not take it once every node was
// tried; it is durable here all the same, and is brought to the others when
// they answer. ErrInvalid is a body that no root can hold: nothing was written.
// ErrFork is for good. When ctx ends first, the outcome is unknown.
func (k *Keeper) Root(ctx context.Context, change func(*pack.RootBody)) error {
	r := &request{change: change, done: make(chan error, 1)}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return errClosed
	}
	k.waiting = append(k.waiting, r)
	k.wg.Go(func() { k.lead(k.life) })
	k.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("recovery: waiting for a root: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
}

// lead makes one root of all changes that wait, if there are any left.
func (k *Keeper) lead(ctx context.Context) {
	select {
	case k.writing <- struct{}{}:
	case <-ctx.Done():
		return // Close answers those that wait
	}
	defer func() { <-k.writing }()
	k.mu.Lock()
	all := k.waiting
	k.waiting = nil
	k.mu.Unlock()
	if len(all) == 0 {
		return // whoever had the turn before took them along
	}
	err := k.write(ctx, all)
	k.mu.Lock()
	k.last = err
	k.mu.Unlock()
	k.m.roots.WithLabelValues(cairn.ClassName(err)).Inc()
	for _, r := range all {
		select {
		case r.done <- err:
		default: // it was refused already
		}
	}
}

// write makes one root of all changes. A change that no root can hold is
// refused alone.
func (k *Keeper) write(ctx context.Context, all []*request) error {
	if err := k.forked(); err != nil {
		return err
	}
	before, err := k.copyBody()
	if err != nil {
		return err
	}
	was, err := canonical(k.c.Store, before)
	if err != nil {
		return err
	}
	var good []*request
	var body pack.RootBody
	is := was
	for _, r := range all {
		next, err := k.copyBody()
		if err != nil {
			return err
		}
		for _, g := range append(good, r) {
			if g.change != nil {
				g.change(&next)
			}
		}
		k.fill(&next)
		text, err := canonical(k.c.Store, next)
		if err != nil {
			r.done <- fmt.Errorf("recovery: root: %w", err)
			continue
		}
		good, body, is = append(good, r), next, text
	}
	if !bytes.Equal(was, is) {
		if err := k.add(body); err != nil {
			return err
		}
	}
	return k.stand(ctx)
}

// copyBody opens the newest body afresh, so that changing it changes no other.
func (k *Keeper) copyBody() (pack.RootBody, error) {
	k.mu.Lock()
	newest, secrets := k.chain.newest, k.secrets
	k.mu.Unlock()
	if newest == nil {
		return pack.RootBody{}, nil
	}
	key, ok := secrets.Epochs[newest.Epoch]
	if !ok {
		return pack.RootBody{}, fmt.Errorf("recovery: root %d: no key for epoch %d: %w", newest.Sequence, newest.Epoch, cairn.ErrLost)
	}
	return newest.Open(key)
}

// fill sets what the keeper knows of the body.
func (k *Keeper) fill(body *pack.RootBody) {
	k.mu.Lock()
	secrets := k.secrets
	k.mu.Unlock()
	own := k.c.Sign.Public()
	if len(body.Gateways) == 0 {
		body.Gateways = slices.Clone(k.c.Gateways)
	}
	if n := len(body.Gateways); n == 0 || body.Gateways[n-1].Key != own {
		body.Gateways = append(body.Gateways, pack.RootGateway{Key: own, Number: k.number, Recipient: k.c.Recipient})
	}
	body.Owners, body.Identity = slices.Clone(secrets.Owners), k.c.Identity
	body.Epochs = secrets.epochs()
	if len(k.c.Delegation) > 0 && !isGateway(body.Gateways, k.owner) {
		setOwner(body, k.owner)
	}
}

func setOwner(body *pack.RootBody, key crypt.PublicKey) {
	if body.Setting == nil {
		body.Setting = make(map[string]string)
	}
	body.Setting[ownerSetting] = hex.EncodeToString(key[:])
}

// epochs is the epochs as a root names them.
func (s *Secrets) epochs() []pack.RootEpoch {
	files := make(map[uint32][][16]byte)
	for _, f := range s.Keys {
		if epoch, hash, err := layout.ParseKeyPath(f.Path); err == nil && epoch != delegationEpoch {
			files[epoch] = append(files[epoch], hash)
		}
	}
	var out []pack.RootEpoch
	for epoch := range s.Epochs {
		keys := files[epoch]
		slices.SortFunc(keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
		out = append(out, pack.RootEpoch{Number: epoch, Closed: slices.Contains(s.Closed, epoch), Keys: slices.Compact(keys)})
	}
	slices.SortFunc(out, func(a, b pack.RootEpoch) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// canonical gives equal bytes for equal bodies, and ErrInvalid for one that no
// root can hold. It seals under a key that everybody knows, and keeps nothing.
func canonical(store cairn.StoreID, body pack.RootBody) ([]byte, error) {
	return pack.SealRoot(pack.Root{Store: store, Sequence: 1}, body, crypt.EpochKey{}, zeroes{}, crypt.NewSigningKey([32]byte{}))
}

// zeroes is a reader of zeroes without end.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// add seals body as the next root and makes it durable here. A sequence is
// tried once: were it used again after a write that failed, a power loss could
// bring the failed one back as newest, with the other on the nodes.
func (k *Keeper) add(body pack.RootBody) error {
	k.mu.Lock()
	prev, old, top, secrets := k.chain.newest, k.chain.body, k.chain.top, k.secrets
	k.mu.Unlock()
	r := pack.Root{Store: k.c.Store, Sequence: top + 1, Delegation: k.c.Delegation, Signer: k.c.Sign.Public(), Epoch: secrets.Epoch}
	body.Written = max(uint64(time.Now().UnixMilli()), old.Written)
	if prev != nil {
		r.Prev = prev.hash
		body.Ancestors = ancestors(prev.hash, old.Ancestors)
	}
	data, err := pack.SealRoot(r, body, secrets.Epochs[secrets.Epoch], rand.Reader, k.c.Sign)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	f := &rootFile{hash: pack.RootHash(data), data: data}
	if f.Root, err = pack.ParseRoot(data); err != nil {
		return fmt.Errorf("recovery: own root %d cannot be read back: %w", r.Sequence, err)
	}
	if body, err = f.Open(secrets.Epochs[secrets.Epoch]); err != nil { // what is kept shares nothing with callers
		return fmt.Errorf("recovery: own root %d cannot be read back: %w", r.Sequence, err)
	}
	err = durable.WriteFile(k.c.FS, k.path(f.name()), data)
	k.mu.Lock()
	k.chain.top = r.Sequence
	if err == nil {
		k.chain.set(f, body)
	}
	k.mu.Unlock()
	if err != nil {
		return fmt.Errorf("recovery: root %d is not durable here: %w", r.Sequence, err)
	}
	k.c.Log.Info("root written", "sequence", r.Sequence, "bytes", len(data))
	if err := k.prune(); err != nil {
		k.c.Log.Warn("old roots on this disk stay", "err", err)
	}
	if kitChanged(old, body) {
		k.tellKit(f.Root, body)
	}
	return nil
}

// ancestors is what the root after the one of hash prev names.
func ancestors(prev crypt.Hash, older []crypt.Hash) []crypt.Hash {
	all := append([]crypt.Hash{prev}, older...)
	return all[:min(len(all), pack.MaxAncestors)]
}
