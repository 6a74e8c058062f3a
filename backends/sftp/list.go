package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

const (
	// listWidth is how many directories are read at once: enough to hide the
	// four turns that each takes.
	listWidth = 8
	// maxDepth is far below what the layout makes; a deeper tree is a trap.
	maxDepth = 32
)

// List walks the tree below dir, links not followed. It yields what the node
// says, names that are not ours included.
func (r *Remote) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		if err := backends.CheckDir(dir); err != nil {
			yield(backends.Entry{}, r.fail(backends.OpList, dir, err))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()

		type page struct {
			place
			entries []fs.FileInfo
			err     error
		}
		pages := make(chan page, listWidth) // room for all: no reader is left blocked
		todo, reading := []place{{dir, 0}}, 0
		for len(todo) > 0 || reading > 0 {
			for len(todo) > 0 && reading < listWidth {
				next := todo[len(todo)-1]
				todo = todo[:len(todo)-1]
				reading++
				wg.Go(func() {
					entries, err := r.readDir(ctx, next)
					pages <- page{next, entries, err}
				})
			}
			p := <-pages
			reading--
			if p.err != nil {
				yield(backends.Entry{}, p.err)
				return
			}
			for _, e := range p.entries {
				name := path.Join(p.name, e.Name())
				switch {
				case e.IsDir():
					todo = append(todo, place{name, p.depth + 1})
				case e.Mode().IsRegular():
					if !yield(backends.Entry{Name: name, Size: e.Size()}, nil) {
						return
					}
				}
			}
		}
	}
}

// place is a directory that is to be read.
type place struct {
	name  string
	depth int // below the one that was asked for
}

// readDir reads one directory; a missing one is empty.
func (r *Remote) readDir(ctx context.Context, at place) ([]fs.FileInfo, error) {
	if at.depth > maxDepth {
		return nil, r.fail(backends.OpList, at.name, fmt.Errorf("more than %d directories deep: %w", maxDepth, cairn.ErrCorrupt))
	}
	answer := make(chan []fs.FileInfo, 1) // f may outlive this call
	err := r.do(ctx, backends.OpList, at.name, func(ctx context.Context, l *link) error {
		bounded, done := l.small().in.bound(ctx)
		defer done()
		entries, err := l.small().c.ReadDirContext(bounded, r.at(at.name))
		switch {
		case ctx.Err() != nil:
			return ended(ctx)
		case bounded.Err() != nil:
			return l.lose(context.Cause(bounded)) // the rest of it is still coming
		}
		err = r.confirmMissing(l.small(), l.small().onPath(err))
		if err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
		answer <- entries
		return nil
	})
	if err != nil {
		return nil, err
	}
	return <-answer, nil
}
