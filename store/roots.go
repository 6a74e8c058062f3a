package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Roots is what the store needs of the keeper of roots.
type Roots interface {
	// Root makes a root of the newest one's body after change: durable here
	// and standing on enough nodes when it returns nil. An error means unknown:
	// the root may stand on some nodes, or come to stand later.
	Root(ctx context.Context, change func(*pack.RootBody)) error
	// Body is the body of the newest root, false while there is none.
	Body() (pack.RootBody, bool)
	// Older are the bodies of the roots before it that are kept, newest first.
	Older() []pack.RootBody
	// Everywhere is the newest root that every node not gone is known to have
	// taken, it or one after it: its sequence, and the cut-off of its checkpoint.
	// Zeros while there is none.
	Everywhere() (sequence uint64, cut pack.CutOff)
	// Kept is what the roots need that are kept, here and on nodes: log packs
	// above low, and the packs of their checkpoints. known is false while that
	// cannot be told.
	Kept() (low uint64, packs map[cairn.PackID]bool, known bool)
}

// A root that could not be written is tried again after rootRetry, then twice
// as long each time up to rootRetryMost, and at once when nodes change.
const (
	rootRetry     = time.Second
	rootRetryMost = time.Minute
)

// rooted ends a change of what roots carry: a root that says so is written. The
// change is durable by then, so that a root that cannot be written now is
// reported in the log, not to the caller, and tried again until it stands.
func (s *Store) rooted(ctx context.Context) {
	if s.c.Roots == nil {
		return
	}
	if err := s.root(ctx, nil); err != nil {
		s.c.Log.Warn("a root that names the new nodes or coding is not on enough nodes yet; it is tried again", "err", err)
		s.unrooted()
	}
}

// unrooted wakes the rooter.
func (s *Store) unrooted() {
	select {
	case s.rootless <- struct{}{}:
	default: // it is awake already
	}
}

// root writes a root with the nodes and the coding as they are now, and what
// more changes.
func (s *Store) root(ctx context.Context, more func(*pack.RootBody)) error {
	if err := s.halt(); err != nil {
		return err
	}
	select { // one at a time, so that the last root tells the newest
	case s.rootTurn <- struct{}{}:
		defer func() { <-s.rootTurn }()
	case <-ctx.Done():
		return fmt.Errorf("store: root: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	ns, err := s.openNodes()
	if err != nil {
		return fmt.Errorf("store: root: %w", err)
	}
	coding, life := s.Coding(), s.com.life.number
	err = s.c.Roots.Root(ctx, func(b *pack.RootBody) {
		b.Nodes, b.Coding, b.Life = ns, coding, life
		if more != nil {
			more(b)
		}
	})
	if err != nil {
		return fmt.Errorf("store: root: %w", err)
	}
	return nil
}

// openNodes returns the nodes with their credentials in the clear.
func (s *Store) openNodes() ([]pack.Node, error) {
	ns, err := s.idx.Nodes()
	if err != nil {
		return nil, err
	}
	for i, n := range ns {
		if len(n.Credential) == 0 {
			continue
		}
		if ns[i].Credential, err = s.c.Box.Open(CredentialPurpose(n.ID), n.Credential); err != nil {
			return nil, fmt.Errorf("node %q: %w", n.Name, err)
		}
	}
	return ns, nil
}

// rooter writes the root that is missing: at start, where the newest one tells
// other nodes or another coding than the index, and after a change whose root
// could not be written. It runs until ctx ends.
func (s *Store) rooter(ctx context.Context) {
	if s.isRooted() {
		select {
		case <-s.rootless:
		case <-ctx.Done():
			return
		}
	}
	for wait := rootRetry; ; {
		changed := s.c.Nodes.Changed()
		err := s.root(ctx, nil)
		if err == nil {
			wait = rootRetry
			select {
			case <-s.rootless:
				continue
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.c.Log.Info("a root waits for nodes", "again_in", wait, "err", err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			wait = min(2*wait, rootRetryMost)
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// isRooted reports whether the newest root tells what the index does.
func (s *Store) isRooted() bool {
	b, ok := s.c.Roots.Body()
	ns, err := s.openNodes()
	if err != nil || !ok || b.Coding != s.Coding() || len(b.Nodes) != len(ns) {
		return false
	}
	told := make(map[cairn.NodeID]pack.Node, len(b.Nodes))
	for _, n := range b.Nodes {
		told[n.ID] = n
	}
	for _, n := range ns {
		if o, ok := told[n.ID]; !ok || !sameNode(n, o) {
			return false
		}
	}
	return true
}

func sameNode(a, b pack.Node) bool {
	return bytes.Equal(pack.Record{Body: a}.AppendTo(nil), pack.Record{Body: b}.AppendTo(nil))
}
