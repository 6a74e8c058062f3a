package store

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// Where returns where the shards of a spread pack stand, as the index has it
// now; ErrNotExist for a pack it does not know.
func (s *Store) Where(id cairn.PackID) ([]cairn.Location, error) {
	row, err := s.idx.Pack(id)
	return row.At, err
}

// Used is how many bytes of shards stand on a node, by the store's own account.
func (s *Store) Used(id cairn.NodeID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onNodes[id]
}

// Usage is what the objects of a bucket come to. A copy counts like any object,
// parts of uploads in progress do not.
type Usage struct {
	Objects int64
	Bytes   int64
}

// Usage tells how much a bucket holds; ErrNoBucket where there is none.
func (s *Store) Usage(ctx context.Context, bucket string) (Usage, error) {
	if err := s.err(); err != nil {
		return Usage{}, err
	}
	b, err := s.bucket(bucket)
	if err != nil {
		return Usage{}, fmt.Errorf("bucket %q: %w", bucket, err)
	}
	n := s.idx.Totals().Buckets[b.ID]
	return Usage{Objects: int64(n.Objects), Bytes: int64(n.Bytes)}, nil
}

// account takes the files of a row into the books of nodes, in place of those
// that were counted for it before; s.mu is held.
func (s *Store) account(row index.PackRow, counted []cairn.Location) {
	s.recount(row.Params.FileSize(), counted, row.At)
}

// recount changes the books from files of size bytes at was to such at is; s.mu
// is held.
func (s *Store) recount(size int64, was, is []cairn.Location) {
	if s.onNodes == nil {
		s.onNodes = make(map[cairn.NodeID]int64)
	}
	for _, l := range was {
		if s.onNodes[l.Node] -= size; s.onNodes[l.Node] == 0 {
			delete(s.onNodes, l.Node)
		}
	}
	for _, l := range is {
		s.onNodes[l.Node] += size
	}
}
