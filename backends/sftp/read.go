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
// open from an earlier read.
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
	if h := r.held.take(l, name); h != nil {
		err := h.read(buf, off)
		r.held.release(h, err == nil)
		if err == nil || lost(err) {
			return err
		}
		// A file that was open for a while proves nothing when it fails: ask
		// again by name.
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	h, err := r.open(l, name)
	if err != nil {
		return err
	}
	err = h.read(buf, off)
	r.held.release(h, err == nil)
	return err
}

func (r *Remote) open(l *link, name string) (*handle, error) {
	ch := l.bulk()
	epoch := r.held.now()
	f, err := ch.c.Open(r.at(name))
	if err = ch.onPath(err); err != nil {
		return nil, r.confirmMissing(ch, err)
	}
	return r.held.add(&handle{name: name, ch: ch, f: f}, epoch), nil
}

func (h *handle) read(buf []byte, off int64) error {
	h.ch.load.Add(1)
	defer h.ch.load.Add(-1)
	return h.ch.readFull(h.f, buf, off)
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
