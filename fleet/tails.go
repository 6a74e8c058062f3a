package fleet

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// tailsBytes bounds the verified tails kept in memory: those of some 8,000
// shards of 4 MiB.
const tailsBytes = 24 << 20

type tailKey struct {
	pack  cairn.PackID
	index uint8
}

// tails are verified tails, the least lately used leaving first. A pack is
// sealed once, so the tail of a shard is the same wherever a file of it stands.
type tails struct {
	most int // bytes

	mu   sync.Mutex
	used int // guarded by mu
	lru  *simplelru.LRU[tailKey, *pack.Tail]
}

func newTails(most int) *tails {
	l, err := simplelru.NewLRU[tailKey, *pack.Tail](math.MaxInt, nil)
	if err != nil {
		panic("fleet: " + err.Error()) // unreachable: the size is positive
	}
	return &tails{most: most, lru: l}
}

// tailCost is what a tail takes of memory, with its place in maps and lists.
func tailCost(t *pack.Tail) int { return 32*(len(t.Blocks)+len(t.Roots)) + 512 }

// get returns the tail of shard index of the pack that p describes, or nil.
func (ts *tails) get(p pack.Params, index uint8) *pack.Tail {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t, ok := ts.lru.Get(tailKey{p.ID, index})
	if !ok || t.Params != p {
		return nil
	}
	return t
}

func (ts *tails) put(t *pack.Tail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	key := tailKey{t.ID, t.Index}
	if old, ok := ts.lru.Peek(key); ok {
		ts.used -= tailCost(old)
	}
	ts.lru.Add(key, t)
	ts.used += tailCost(t)
	for ts.used > ts.most {
		_, old, ok := ts.lru.RemoveOldest()
		if !ok {
			return
		}
		ts.used -= tailCost(old)
	}
}

// readTail reads the tail of the shard at l from node n and verifies it.
func (f *Fleet) readTail(ctx context.Context, n *node, p pack.Params, l cairn.Location) (*pack.Tail, error) {
	name := layout.Path(l.Name(p.ID))
	b := make([]byte, p.TailSize())
	if err := n.readAt(ctx, name, b, p.TailOffset()); err != nil {
		return nil, f.short(n, err)
	}
	t, err := pack.OpenTail(b, p, l.Index, f.c.Trust)
	if err != nil {
		err = n.fault(backends.OpRead, name, fmt.Errorf("its end: %w", err))
		f.caught(n, err, []Evidence{exhibit(p.ID, l, partEnd, 0, nil, b)}, func(ctx context.Context, r backends.Remote) ([]Evidence, error) {
			b := make([]byte, len(b))
			if err := r.ReadAt(ctx, name, b, p.TailOffset()); err != nil {
				return nil, nil // no bytes, none wrong
			}
			if _, err := pack.OpenTail(b, p, l.Index, f.c.Trust); err != nil {
				return []Evidence{exhibit(p.ID, l, partEnd, 0, nil, b)}, err
			}
			return nil, nil
		})
		return nil, err
	}
	f.tails.put(t)
	return t, nil
}
