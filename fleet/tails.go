package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

type tailKey struct {
	pack  cairn.PackID
	index uint8
}

// readTail reads and verifies the tail of the shard at l from node n.
func (f *Fleet) readTail(ctx context.Context, n *node, p pack.Params, l cairn.Location) (*pack.Tail, error) {
	b := make([]byte, p.TailSize())
	if err := n.readAt(ctx, layout.Path(l.Name(p.ID)), b, p.TailOffset()); err != nil {
		return nil, err
	}
	t, err := pack.OpenTail(b, p, l.Index, f.c.Trust)
	if err != nil {
		f.wrong(n, err)
		return nil, n.fault("read", fmt.Errorf("shard %d of %v: %w", l.Index, p.ID, err))
	}
	return t, nil
}

// tail returns the shard's verified tail, from memory or from the node at l.
func (f *Fleet) tail(ctx context.Context, n *node, p pack.Params, l cairn.Location) (*pack.Tail, error) {
	if t, ok := f.tails.Get(tailKey{p.ID, l.Index}); ok && t.Params == p {
		return t, nil
	}
	t, err := f.readTail(ctx, n, p, l)
	if err != nil {
		return nil, err
	}
	f.tails.Add(tailKey{p.ID, l.Index}, t)
	return t, nil
}

// wrong notes that a node answered with bytes that do not verify.
func (f *Fleet) wrong(n *node, err error) {
	n.link.mu.Lock()
	n.link.wrong++
	n.link.mu.Unlock()
	f.m.bad.WithLabelValues(n.Name, cairn.ClassName(err)).Inc()
}

// corrupt reports that err is about bytes that a node sent and that do not
// verify, not about a node that does not answer.
func corrupt(err error) bool { return errors.Is(err, cairn.ErrCorrupt) }
