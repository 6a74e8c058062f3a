package engine

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
)

// settingRecovery names, in the settings of roots, the owners' keys that nodes
// admit: lines as in the file of that purpose.
const settingRecovery = "recovery-keys"

// openKeeper makes the keeper of roots. It comes after the fleet that it writes
// to, and before the store that tells it what to write.
func (e *Engine) openKeeper(ctx context.Context) (err error) {
	s := e.secretsNow()
	keys := s.forKeeper()
	e.keeper, err = recovery.New(ctx, recovery.Config{FS: e.c.FS, Dir: e.c.File.Dir, Store: e.ID, Nodes: e.Fleet,
		Sign: e.c.Identity.Sign(), Delegation: s.delegation, Gateways: s.gateways, Recipient: e.c.Identity.Public().Recipient,
		Epochs: keys.Epochs, Epoch: keys.Epoch, Closed: keys.Closed, Keys: keys.Keys, Owners: keys.Owners, Identity: e.c.Identity.Encode(),
		Gone: e.Fleet.Gone, Fork: e.forked, Kit: e.kit.hear, Log: e.c.Log, Registry: e.c.Registry})
	return err
}

// forKeeper is what of the secrets roots are made with.
func (s secrets) forKeeper() recovery.Secrets {
	out := recovery.Secrets{Epochs: maps.Clone(s.epochs), Epoch: s.epoch, Closed: s.closed, Owners: s.owners}
	for _, k := range s.keys {
		out.Keys = append(out.Keys, recovery.KeysFile{Path: k.path, Data: k.data})
	}
	return out
}

// forked is told once that another gateway writes to the store.
func (e *Engine) forked(err error) {
	e.c.Log.Error("another gateway writes to this store: nothing is written any more; find out which of the two is to go on, and stop the other", "err", err)
	e.fork.Store(&err)
	if s := e.opened.Load(); s != nil {
		s.Halt(err)
	}
}

// forkPatience is how long a person waits for nodes to show their roots.
const forkPatience = 10 * time.Second

// Alone asks the nodes whether another gateway writes to this store, and returns
// ErrFork, which says what to do, when one does. Nodes that do not answer soon
// are not waited for.
func (e *Engine) Alone(ctx context.Context) error {
	if e.keeper == nil {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, forkPatience)
	defer cancel()
	if err := e.keeper.Look(soon); err != nil {
		return err
	}
	return ctx.Err()
}

// Forked is the error of class ErrFork that ended all writing, or nil.
func (e *Engine) Forked() error {
	if p := e.fork.Load(); p != nil {
		return *p
	}
	return nil
}

// roots is the keeper as the store sees it. Every root also carries what only
// the engine knows.
type roots struct{ e *Engine }

func (r roots) Root(ctx context.Context, change func(*pack.RootBody)) error {
	return r.e.keeper.Root(ctx, func(b *pack.RootBody) {
		if change != nil {
			change(b)
		}
		r.e.amend(b)
	})
}

func (r roots) Body() (pack.RootBody, bool) { return r.e.keeper.Body() }

func (r roots) Older() []pack.RootBody { return r.e.keeper.Older() }

func (r roots) Everywhere() (uint64, pack.CutOff) { return r.e.keeper.Everywhere() }

func (r roots) Kept() (uint64, map[cairn.PackID]bool, bool) { return r.e.keeper.Kept() }

// amend sets what the store does not know of a root.
func (e *Engine) amend(b *pack.RootBody) {
	b.Ack = e.c.File.Store.Ack.String()
	keys := strings.Join(e.secretsNow().recovery, "\n")
	switch {
	case keys == "":
		delete(b.Setting, settingRecovery)
	case b.Setting == nil:
		b.Setting = map[string]string{settingRecovery: keys}
	default:
		b.Setting[settingRecovery] = keys
	}
}

// closedEpochs are the epochs that no new pack takes, as the newest root on this
// disk has them; none without one.
func closedEpochs(fs durable.FS, dir string, s secrets) ([]uint32, error) {
	_, body, ok, err := recovery.ReadLocal(fs, dir, s.store, s.epochs)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && !ok {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var closed []uint32
	for _, epoch := range body.Epochs {
		if epoch.Closed {
			closed = append(closed, epoch.Number)
		}
	}
	return closed, nil
}
