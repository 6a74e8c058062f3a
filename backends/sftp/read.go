package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pkg/sftp"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// ReadAt asks for exactly the range: two turns, or one on a file that is held
// open from an earlier read, of the same Look where ctx is of one. Reads of one
// file that begin together open it once.
func (r *Remote) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if err := backends.CheckName(name); err != nil {
		return r.fail(backends.OpRead, name, err)
	}
	if off < 0 || off+int64(len(p)) < off {
		return r.fail(backends.OpRead, name, fmt.Errorf("range of %d bytes from %d: %w", len(p), off, cairn.ErrInvalid))
	}
	// A buffer of its own, because a call that is given up may still fill it.
	buf := make([]byte, len(p))
	err := r.do(ctx, backends.OpRead, name, func(ctx context.Context, l *link) error {
		return r.readOn(ctx, l, name, buf, off)
	})
	if err == nil {
		copy(p, buf)
	}
	return err
}

func (r *Remote) readOn(ctx context.Context, l *link, name string, buf []byte, off int64) error {
	ch := r.held.choose(l, name, len(buf))
	defer ch.load.Add(-int64(len(buf)))
	h, old, err := r.take(ctx, ch, name)
	if err != nil {
		return err
	}
	err = ch.readFull(h.f, buf, off)
	r.held.release(h, err == nil)
	if err == nil || !old || lost(err) {
		return err
	}
	// A file that was open before proves nothing when it fails: ask again by
	// name.
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if h, err = r.open(ch, name, backends.LookOf(ctx)); err != nil {
		return err
	}
	err = ch.readFull(h.f, buf, off)
	r.held.release(h, err == nil)
	return err
}

// take returns the file, open on ch and to be released; old tells that another
// call opened it. All that want it at once share one attempt to open it, but
// not its failure, which may be an answer from before a call began.
func (r *Remote) take(ctx context.Context, ch *channel, name string) (h *handle, old bool, err error) {
	if ctx.Err() != nil {
		return nil, false, ended(ctx)
	}
	look := backends.LookOf(ctx)
	h, wait := r.held.take(ch, name, look)
	switch {
	case h != nil:
		return h, true, nil
	case wait == nil:
		defer r.held.opened(ch, name)
		h, err = r.open(ch, name, look)
		return h, false, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, false, ended(ctx)
	}
	if h = r.held.get(ch, name, look); h != nil {
		return h, true, nil
	}
	h, err = r.open(ch, name, look)
	return h, false, err
}

func (r *Remote) open(ch *channel, name string, look *backends.Look) (*handle, error) {
	epoch := r.held.now()
	f, err := ch.c.Open(r.at(name))
	if err = ch.onPath(err); err != nil {
		return nil, r.confirmMissing(ch, err)
	}
	return r.held.add(&handle{name: name, ch: ch, f: f, look: look}, epoch), nil
}

// readFull fills p or fails. The library takes a short answer for the end of
// the file; it may as well be a server that gives less than it was asked for,
// so the rest is asked for packet by packet until nothing comes.
func (ch *channel) readFull(f *sftp.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	for err == io.EOF && n > 0 && n < len(p) {
		var m int
		m, err = f.ReadAt(p[n:min(n+ch.packet, len(p))], off+int64(n))
		n += m
		if m == 0 {
			break
		}
		if err == nil && n < len(p) {
			err = io.EOF // go on
		}
	}
	switch {
	case n == len(p):
		return nil
	case !errors.Is(err, io.EOF):
		return ch.onHandle(err)
	}
	// A lost connection shows as EOF too; only the node's own word counts.
	info, err := f.Stat()
	if err != nil {
		return ch.onHandle(err)
	}
	return fmt.Errorf("%d bytes of a file of %d bytes, wanted %d from %d: %w", n, info.Size(), len(p), off, cairn.ErrCorrupt)
}
