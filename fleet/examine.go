package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// windowBlocks is the most that one read of an examination asks for: 1 MiB.
const windowBlocks = repairWindow / pack.BlockSize

// Examine reads n bytes of the shard of pack p at l from off, the blocks they
// lie in, from its node and nobody else, and proves each block by the signed
// root; n = 0 is the whole file, with its contents, its tail read anew and its
// size. The file is opened for it: one that is gone reads well no longer, though
// clients still have it open. Nothing is kept of what is read but the tail. Windows of at most 1 MiB
// are read one after another.
//
// nil: proven. ErrNotExist: the node, its marker good, says that there is no such
// file. ErrCorrupt: bytes that are not those that were signed, which are counted,
// read again on a second connection and kept as evidence, or a file that ends
// early. ErrUnavailable: it was not found out, whatever the reason; nothing is
// proven or missing. ErrInvalid: there are no such bytes.
func (f *Fleet) Examine(ctx context.Context, p pack.Params, l cairn.Location, off, n uint64) (Moved, error) {
	if err := repairable(p, []uint8{l.Index}); err != nil {
		return Moved{}, err
	}
	if off >= p.Length || n > p.Length-off {
		return Moved{}, fmt.Errorf("fleet: examine %d bytes at %d of a shard of %d: %w", n, off, p.Length, cairn.ErrInvalid)
	}
	node := f.node(l.Node)
	if node == nil {
		return Moved{}, &failure{what: fmt.Sprintf("shard %d of pack %v: node %v", l.Index, p.ID, l.Node), class: cairn.ErrUnavailable, causes: []error{errLeft}}
	}
	ctx, t := counted(backends.Background(ctx), nil)
	err := f.examine(backends.Afresh(ctx), node, p, l, off, n)
	return t.cost(), node.seen(ctx, p, l, err)
}

func (f *Fleet) examine(ctx context.Context, n *node, p pack.Params, l cairn.Location, off, length uint64) error {
	lo, hi := int(off/pack.BlockSize), pack.Blocks(off+length)
	if length == 0 {
		lo, hi = 0, pack.Blocks(p.Length)
		if err := f.examineEnd(ctx, n, p, l); err != nil {
			return err
		}
	}
	for ; lo < hi; lo += windowBlocks {
		if _, _, err := f.direct(ctx, n, p, l, lo, min(lo+windowBlocks, hi)); err != nil {
			return err
		}
	}
	return nil
}

// examineEnd proves all of the file but its blocks. The size is part of it:
// recovery finds a tail by the end of the file.
func (f *Fleet) examineEnd(ctx context.Context, n *node, p pack.Params, l cairn.Location) error {
	name := layout.Path(l.Name(p.ID))
	size, err := n.stat(ctx, name)
	if err == nil && size != p.FileSize() {
		err = f.short(n, n.fault(backends.OpStat, name, fmt.Errorf("the file has %d bytes, %d were put: %w", size, p.FileSize(), cairn.ErrCorrupt)))
	}
	if err == nil {
		_, err = f.readTail(ctx, n, p, l)
	}
	if err == nil {
		_, err = f.contents(ctx, n, p, l)
	}
	return err
}

// seen gives what came of looking at the shard at l one of the classes that are
// told apart: not there, wrong, or not found out.
func (n *node) seen(ctx context.Context, p pack.Params, l cairn.Location, err error) error {
	if err == nil || errors.Is(err, cairn.ErrNotExist) || cairn.Class(err) == cairn.ErrCorrupt {
		return err
	}
	return &failure{what: fmt.Sprintf("shard %d of pack %v on node %s", l.Index, p.ID, n.Name), class: cairn.ErrUnavailable, ended: ctx.Err(), causes: []error{err}}
}
