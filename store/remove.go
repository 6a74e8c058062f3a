package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

const (
	// removeWidth is how many packs are deleted at a time.
	removeWidth = 8
	// removePatience is after how many failures a node is left alone until the
	// next round.
	removePatience = 3
	// removeWait is the longest that one file is waited for; transports have
	// deadlines of their own, this one keeps a round from standing still.
	removeWait = 2 * time.Minute
)

// remover deletes files of packs on nodes, and keeps away from nodes that do not
// answer.
type remover struct {
	s     *Store
	files int   // gone
	bytes int64 // of those

	mu     sync.Mutex
	failed map[cairn.NodeID]int // guarded by mu, as are files and bytes
}

// remove deletes what is ripe.
func (c *collection) remove() error {
	r := &remover{s: c.s, failed: make(map[cairn.NodeID]int)}
	g, ctx := errgroup.WithContext(c.ctx)
	g.SetLimit(removeWidth)
	var mu sync.Mutex
	for _, id := range c.ripe {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			row, ok, err := c.still(id)
			if err != nil || !ok {
				return err
			}
			gone, err := r.pack(ctx, row, nil)
			if err != nil || !gone {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			c.out.Deleted++
			c.out.Unsure--
			c.out.Packs--
			return nil
		})
	}
	err := g.Wait()
	c.out.Files, c.out.Freed = r.files, r.bytes
	c.out.Bytes -= r.bytes
	return err
}

// still looks once more, just before the first file of a pack goes, whether all
// is as it was when it was decided: the plan may be old, and this process may
// have slept since.
func (c *collection) still(id cairn.PackID) (index.PackRow, bool, error) {
	s := c.s
	if s.clock.Gap() != c.gap {
		return index.PackRow{}, false, fmt.Errorf("store: collect: the machine slept or its clock was set; the plan is made again: %w", cairn.ErrUnavailable)
	}
	if err := s.writable(); err != nil {
		return index.PackRow{}, false, err
	}
	row, err := s.idx.Pack(id)
	if errors.Is(err, cairn.ErrNotExist) || err == nil && row.State != index.Retired {
		return row, false, nil
	}
	if err != nil {
		return row, false, s.indexError("collect", err)
	}
	n := s.needed()
	idle, err := s.idle(row, &n)
	if err != nil {
		return row, false, s.indexError("collect", err)
	}
	if !idle {
		s.c.Log.Error("a retired pack is needed by something; it is not deleted", "pack", id)
		return row, false, nil
	}
	return row, len(s.pins.among(map[cairn.PackID]bool{id: true})) == 0, nil
}

// pack deletes the files of a retired pack and then its row; gone is false where
// a node did not confirm. tell, where it is not nil, hears of every place.
//
// A node that a person removed, or that was away for too long, is not waited for.
func (r *remover) pack(ctx context.Context, row index.PackRow, tell func(cairn.Location, error)) (gone bool, err error) {
	var left []cairn.Location
	for _, l := range row.At {
		err := r.file(ctx, row.Params.ID, l)
		if tell != nil {
			tell(l, err)
		}
		if err != nil {
			left = append(left, l)
			continue
		}
		r.mu.Lock()
		r.files++
		r.bytes += row.Params.FileSize()
		r.mu.Unlock()
	}
	if err := r.s.unplace(row, left); err != nil {
		return false, err
	}
	if len(left) > 0 {
		return false, ctx.Err()
	}
	return r.s.dropPack(row.Params.ID)
}

// file deletes one file; nil: it is not there, or nobody waits for its node.
func (r *remover) file(ctx context.Context, id cairn.PackID, l cairn.Location) error {
	if r.s.c.Nodes.Gone(l.Node) {
		return nil
	}
	r.mu.Lock()
	failed := r.failed[l.Node]
	r.mu.Unlock()
	if failed >= removePatience {
		return errNotTried
	}
	one, cancel := context.WithTimeout(ctx, removeWait)
	defer cancel()
	err := r.s.c.Nodes.Remove(one, id, l)
	if err != nil && ctx.Err() == nil {
		r.mu.Lock()
		r.failed[l.Node]++
		r.mu.Unlock()
		r.s.c.Log.Debug("a file of a retired pack stays until its node answers", "pack", id, "node", l.Node, "err", err)
	}
	return err
}

var errNotTried = fmt.Errorf("the node did not answer before: %w", cairn.ErrUnavailable)

// unplace takes the files that are gone out of a retired pack's row and out of the books.
// Places that came in meanwhile stay.
func (s *Store) unplace(row index.PackRow, left []cairn.Location) error {
	var was, is []cairn.Location
	err := s.idx.UpdatePack(row.Params.ID, func(r *index.PackRow) error {
		was = slices.Clone(r.At)
		is = slices.DeleteFunc(slices.Clone(r.At), func(l cairn.Location) bool {
			return slices.Contains(row.At, l) && !slices.Contains(left, l)
		})
		r.At = is
		return nil
	})
	if errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.indexError("retired pack", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recount(row.Params.FileSize(), was, is)
	if row.Kind == pack.Journal {
		s.jour.freed(row.Params.FileSize()*int64(len(was)-len(is)), false)
	}
	return nil
}

// dropPack forgets a retired pack none of whose files is left. The row is looked
// at again: a stray file of it may have been found meanwhile.
func (s *Store) dropPack(id cairn.PackID) (bool, error) {
	row, err := s.idx.Pack(id)
	if errors.Is(err, cairn.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, s.indexError("retired pack", err)
	}
	if len(row.At) > 0 {
		return false, nil
	}
	if err := s.idx.DropPack(id); err != nil {
		return false, s.indexError("retired pack", err)
	}
	if row.Kind == pack.Journal {
		s.jour.freed(0, true)
	}
	return true, nil
}
