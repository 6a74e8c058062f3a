package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// What one node may make a search read. A node holds eight roots of each
// gateway that ever wrote, and a file of keys for each change of owners.
const (
	askRoots     = 64
	askRootBytes = 16 << 20
	askKeys      = 512
	askKeysBytes = 16 << 20
	maxKeysFile  = 1100 << 10 // 255 wraps of 4 KiB, and what is around them
)

// answer is what one node told.
type answer struct {
	node  pack.Node
	shows []shelfName // every name of a root, newest first
	err   error
	ok    bool // it was asked and showed its marker
}

// key tells nodes apart, also those whose id is not known yet.
func askKey(n pack.Node) string {
	if n.ID != (cairn.NodeID{}) {
		return n.ID.String()
	}
	return "at " + n.Remote + " " + n.Name
}

// question is a node to be asked; remote is nil where it is to be opened.
type question struct {
	node   pack.Node
	remote backends.Remote
}

// begin is the nodes to ask first.
func (f *finder) begin() []question {
	var out []question
	for _, c := range f.c.From {
		out = append(out, question{c.Node, c.Remote})
	}
	if f.c.Kit != nil {
		out = append(out, f.fresh(f.c.Kit.Nodes, out)...)
	}
	return out
}

// fresh is those of nodes that are not among the questions already.
func (f *finder) fresh(nodes []pack.Node, already []question) []question {
	var out []question
next:
	for _, n := range nodes {
		if n.State == "gone" {
			continue
		}
		for _, q := range already {
			if q.node.ID == n.ID {
				continue next
			}
		}
		out = append(out, question{node: n})
	}
	return out
}

// unasked is the nodes that the newest root names and that did not answer yet
// at the address it gives.
func (f *finder) unasked() []question {
	if f.best == nil {
		return nil
	}
	var out []question
	for _, n := range f.body.Nodes {
		a := f.answers[askKey(n)]
		if n.State != "gone" && (a == nil || !a.ok && !sameAddress(a.node, n)) {
			out = append(out, question{node: n})
		}
	}
	return out
}

// round asks nodes, some at a time.
func (f *finder) round(ctx context.Context, all []question) {
	slots := make(chan struct{}, askWidth)
	var wg sync.WaitGroup
	for _, q := range all {
		wg.Go(func() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-slots }()
			a := f.ask(ctx, q)
			f.mu.Lock()
			defer f.mu.Unlock()
			if old := f.answers[askKey(a.node)]; old == nil || !old.ok {
				f.answers[askKey(a.node)] = a
			}
		})
	}
	wg.Wait()
}

// ask asks one node for everything it has.
func (f *finder) ask(ctx context.Context, q question) *answer {
	a := &answer{node: q.node}
	fail := func(err error) *answer {
		if cairn.Class(err) == nil {
			err = fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
		}
		var named *backends.Error
		if !errors.As(err, &named) {
			err = fmt.Errorf("node %s: %w", cmpOr(q.node.Name, q.node.Remote), err)
		}
		a.err = err
		return a
	}
	r := q.remote
	if r == nil {
		if f.c.Open == nil {
			return fail(errNoOpen)
		}
		var err error
		if r, err = f.c.Open(ctx, q.node); err != nil {
			return fail(err)
		}
		defer func() {
			if c, ok := backends.As[backends.Closer](r); ok {
				_ = c.Close() // it was for reading
			}
		}()
	}
	m, err := fleet.ReadMarker(ctx, r)
	switch {
	case errors.Is(err, cairn.ErrNotExist):
		return fail(fmt.Errorf("its %s is missing: is its disk mounted, is the path right? %w", layout.MarkerName, cairn.ErrUnavailable))
	case err != nil:
		return fail(err)
	case m.Store != f.store:
		return fail(fmt.Errorf("it is a node of store %s, not of %s: %w", m.Store.Short(), f.store.Short(), cairn.ErrInvalid))
	case q.node.ID != (cairn.NodeID{}) && q.node.ID != m.Node:
		return fail(fmt.Errorf("the address leads to node %s now: %w", m.Node, cairn.ErrUnavailable))
	}
	a.node.ID, a.ok = m.Node, true
	if err := errors.Join(f.askKeys(ctx, r), f.askRoots(ctx, r, a)); err != nil {
		return fail(err)
	}
	return a
}

func (f *finder) askKeys(ctx context.Context, r backends.Remote) error {
	read, size := 0, int64(0)
	for e, err := range r.List(ctx, layout.KeysDir) {
		if errors.Is(err, cairn.ErrCorrupt) {
			return nil // more than can be there, or not only ours: what came counts by its signature
		}
		if err != nil {
			return err
		}
		_, hash, perr := layout.ParseKeyPath(e.Name)
		f.mu.Lock()
		_, known := f.files[e.Name]
		f.mu.Unlock()
		if perr != nil || known || e.Size <= 0 || e.Size > maxKeysFile {
			continue
		}
		if read, size = read+1, size+e.Size; read > askKeys || size > askKeysBytes {
			return nil
		}
		data := make([]byte, e.Size)
		switch err := r.ReadAt(ctx, e.Name, data, 0); {
		case errors.Is(err, cairn.ErrNotExist), errors.Is(err, cairn.ErrCorrupt):
			continue
		case err != nil:
			return err
		}
		if keysHash(data) == hash {
			f.mu.Lock()
			f.files[e.Name] = KeysFile{strings.Clone(e.Name), data}
			f.mu.Unlock()
		}
	}
	return nil
}

func (f *finder) askRoots(ctx context.Context, r backends.Remote, a *answer) error {
	s, err := listShelf(ctx, r)
	if err != nil {
		return err
	}
	read, size := 0, int64(0)
	for _, n := range s.names {
		f.mu.Lock()
		_, known := f.roots[n.base]
		f.mu.Unlock()
		if !known {
			if read++; read > askRoots || size > askRootBytes {
				break
			}
			size += min(max(n.size, 0), pack.MaxRoot)
			file, err := readRoot(ctx, r, n, f.store)
			switch {
			case errors.Is(err, cairn.ErrNotExist), errors.Is(err, cairn.ErrCorrupt):
				continue
			case err != nil:
				return err
			}
			f.mu.Lock()
			f.roots[n.base] = file
			f.mu.Unlock()
		}
		a.shows = append(a.shows, n)
	}
	return nil
}
