package engine

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// usage is what lies on one node.
type usage struct {
	Shards int   // files of shards
	Packs  int   // packs they are of
	Bytes  int64 // of the files
}

// usage lists the shards on a node, over a connection of its own.
func (e *Engine) usage(ctx context.Context, n pack.Node) (u usage, err error) {
	r, err := e.openOnce(ctx, n, false)
	if err != nil {
		return u, err
	}
	defer func() {
		if cerr := closeRemote(r); err == nil {
			err = cerr
		}
	}()
	if err := e.isNode(ctx, r, n); err != nil {
		return u, err
	}
	packs := make(map[cairn.PackID]bool)
	for entry, err := range r.List(ctx, layout.PacksDir) {
		if err != nil {
			return u, err
		}
		if s, err := layout.ParsePath(entry.Name); err == nil {
			packs[s.Pack] = true
			u.Shards++
			u.Bytes += entry.Size
		}
	}
	u.Packs = len(packs)
	return u, nil
}
