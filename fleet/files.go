package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
)

// File is one file that has the name of a shard. What is in it is unknown.
type File struct {
	Shard cairn.ShardName
	Size  int64 // bytes
}

// Files lists the files of one node that have the name of a shard; other names
// are left out. An error is the last pair: ErrUnavailable while the node does not
// answer or shows no marker, which is looked at after the last file, since the
// place where a disk was mounted lists nothing and no error. Only a listing that
// ended without one tells that a file is not there.
func (f *Fleet) Files(ctx context.Context, node cairn.NodeID) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for e, err := range f.listing(ctx, node, layout.PacksDir) {
			if err != nil {
				yield(File{}, err)
				return
			}
			s, err := layout.ParsePath(e.Name)
			if err == nil && !yield(File{Shard: s, Size: e.Size}, nil) {
				return
			}
		}
	}
}

// Temporaries lists the files that are on their way to a name on a node, or were
// when they were left; an error is as with Files.
func (f *Fleet) Temporaries(ctx context.Context, node cairn.NodeID) iter.Seq2[backends.Entry, error] {
	return f.listing(ctx, node, strings.TrimSuffix(layout.TempPrefix, "/"))
}

// listing yields the files of a node below dir, and then its marker's error if
// it has one. A listing that ends with ErrForeign is complete.
func (f *Fleet) listing(ctx context.Context, id cairn.NodeID, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		n := f.node(id)
		if n == nil {
			yield(backends.Entry{}, fmt.Errorf("fleet: node %v: %w", id, errLeft))
			return
		}
		for e, err := range n.list(ctx, dir) {
			switch {
			case errors.Is(err, backends.ErrForeign):
				f.c.Log.Info("files that are not ours lie among ours", "node", n.Name, "dir", dir, "err", err)
				continue // it was the last pair
			case err != nil:
				yield(e, unlisted(n, dir, err))
				return
			case !yield(e, nil):
				return
			}
		}
		if err := n.present(ctx); err != nil {
			yield(backends.Entry{}, unlisted(n, dir, err))
		}
	}
}

// unlisted is the error of a listing: nothing was found out.
func unlisted(n *node, dir string, err error) error {
	if cairn.Class(err) == cairn.ErrUnavailable {
		return err
	}
	return &failure{what: "listing " + dir + " of node " + n.Name, class: cairn.ErrUnavailable, causes: []error{err}}
}

// Remove deletes the file of the shard of pack id at l, and no other. nil means
// that the node, its marker good, said afterwards that there is no such file,
// whatever became of the call that deleted it; else the file may still be there
// and the class is ErrUnavailable. Whether it may be deleted is the caller's
// question.
func (f *Fleet) Remove(ctx context.Context, id cairn.PackID, l cairn.Location) error {
	return f.remove(ctx, l.Node, layout.Path(l.Name(id)))
}

// RemoveTemporary deletes a file that Temporaries listed, as Remove does.
func (f *Fleet) RemoveTemporary(ctx context.Context, node cairn.NodeID, name string) error {
	if !strings.HasPrefix(name, layout.TempPrefix) {
		return fmt.Errorf("fleet: %q is no temporary: %w", name, cairn.ErrInvalid)
	}
	return f.remove(ctx, node, name)
}

// remove deletes, then asks. A delete that failed may have worked, one that
// worked may be a lie, and a missing file is fine to delete also where a disk is
// not mounted: only the answer to the question counts, given beside a good
// marker.
func (f *Fleet) remove(ctx context.Context, id cairn.NodeID, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	n := f.node(id)
	if n == nil {
		return fmt.Errorf("fleet: delete %s: node %v: %w", name, id, errLeft)
	}
	deleted := n.do(ctx, backends.OpDelete, name, func(ctx context.Context, r backends.Remote) error { return r.Delete(ctx, name) })
	_, err := n.stat(ctx, name)
	switch {
	case errors.Is(err, cairn.ErrNotExist):
		return nil
	case err == nil:
		err = n.fault(backends.OpDelete, name, fmt.Errorf("the node still has it: %w", cairn.ErrUnavailable))
	}
	return &failure{what: "delete " + name, class: cairn.ErrUnavailable, ended: ctx.Err(), causes: join(join(nil, deleted), err)}
}
