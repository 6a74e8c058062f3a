package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/rclone/rclone/fs"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// remote is a node behind any rclone backend.
type remote struct {
	node     string
	kind     string // rclone's name of the backend
	fs       fs.Fs
	settings context.Context // carries rclone's configuration, see with
	viaTemp  bool            // Put writes to tmp/ and renames
	disk     *disk           // nil unless the backend is a local directory
}

// withSpace is a remote whose backend tells its space.
type withSpace struct{ *remote }

// onDisk is a remote in a local directory.
type onDisk struct{ withSpace }

// fail names the operation, once.
func (r *remote) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &backends.Error{Op: op, Node: r.node, Name: name, Err: err}
}

// ready checks what can be checked before rclone is asked.
func (r *remote) ready(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if r.disk != nil {
		return r.disk.check()
	}
	return nil
}

// object looks name up. Only a clean "not found" of a node whose root stands
// is ErrNotExist.
func (r *remote) object(ctx context.Context, name string) (fs.Object, error) {
	o, err := r.fs.NewObject(r.with(ctx), name)
	switch {
	case errors.Is(err, fs.ErrorObjectNotFound), errors.Is(err, fs.ErrorDirNotFound):
		if err := r.rootStands(ctx); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s %w", name, cairn.ErrNotExist)
	case err != nil:
		return nil, classed(ctx, err)
	case !o.Storable():
		// A link, pipe or device: reading it could hang or leave the root.
		return nil, fmt.Errorf("%s is not a plain file: %w", name, cairn.ErrCorrupt)
	}
	return o, nil
}

// rootStands tells a missing file from a missing disk.
func (r *remote) rootStands(ctx context.Context) error {
	if r.disk != nil {
		return r.disk.check()
	}
	if _, err := r.fs.List(r.with(ctx), ""); err != nil {
		return fmt.Errorf("the root directory cannot be listed: %w: %w", cairn.ErrUnavailable, err)
	}
	return nil
}

// Stat returns the size.
func (r *remote) Stat(ctx context.Context, name string) (int64, error) {
	size, err := r.stat(ctx, name)
	return size, r.fail(backends.OpStat, name, err)
}

func (r *remote) stat(ctx context.Context, name string) (int64, error) {
	if err := r.ready(ctx, name); err != nil {
		return 0, err
	}
	o, err := r.object(ctx, name)
	if err != nil {
		return 0, err
	}
	if o.Size() < 0 {
		return 0, fmt.Errorf("the backend does not tell sizes: %w", cairn.ErrUnavailable)
	}
	return o.Size(), nil
}

// ReadAt fills p and nothing more.
func (r *remote) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	return r.fail(backends.OpRead, name, r.readAt(ctx, name, p, off))
}

func (r *remote) readAt(ctx context.Context, name string, p []byte, off int64) error {
	if err := r.ready(ctx, name); err != nil {
		return err
	}
	if off < 0 {
		return fmt.Errorf("read at %d: %w", off, cairn.ErrInvalid)
	}
	o, err := r.object(ctx, name)
	if err != nil {
		return err
	}
	want := int64(len(p))
	if size := o.Size(); off > size || want > size-off {
		return fmt.Errorf("it has %d bytes, wanted %d at %d: %w", size, want, off, cairn.ErrCorrupt)
	}
	if want == 0 {
		return nil
	}
	in, err := o.Open(r.with(ctx), &fs.RangeOption{Start: off, End: off + want - 1})
	if err != nil {
		return classed(ctx, err)
	}
	defer in.Close()
	n, err := io.ReadFull(in, p)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it ended after %d of %d bytes: %w", n, want, cairn.ErrCorrupt)
	case err != nil:
		return classed(ctx, err)
	}
	// A server that ignores the range sends other bytes, but also more of
	// them than were asked for.
	switch n, err := in.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("more came than the range asked for: %w", cairn.ErrCorrupt)
	case err != nil && !errors.Is(err, io.EOF):
		return classed(ctx, err)
	}
	return nil
}

// Delete removes name.
func (r *remote) Delete(ctx context.Context, name string) error {
	return r.fail(backends.OpDelete, name, r.delete(ctx, name))
}

func (r *remote) delete(ctx context.Context, name string) error {
	if err := r.ready(ctx, name); err != nil {
		return err
	}
	o, err := r.object(ctx, name)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = o.Remove(r.with(ctx))
	if gone(err) {
		return nil // another delete was faster
	}
	return classed(ctx, err)
}

// List walks the directories below dir.
func (r *remote) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		more := true
		err := r.list(ctx, dir, func(e backends.Entry) bool {
			more = more && yield(e, nil)
			return more
		})
		if err != nil && more { // who has stopped is not called again
			yield(backends.Entry{}, r.fail(backends.OpList, dir, err))
		}
	}
}

// list returns the error that ends the listing, nil also when yield ended it.
func (r *remote) list(ctx context.Context, dir string, yield func(backends.Entry) bool) error {
	if err := backends.CheckDir(dir); err != nil {
		return err
	}
	if r.disk != nil {
		return r.disk.list(ctx, dir, yield)
	}
	for todo := []string{dir}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		entries, err := r.fs.List(r.with(ctx), next)
		switch {
		case errors.Is(err, fs.ErrorDirNotFound):
			if err := r.rootStands(ctx); err != nil {
				return err
			}
			continue // never there, or emptied meanwhile
		case err != nil:
			return classed(ctx, err)
		}
		for _, entry := range entries {
			switch e := entry.(type) {
			case fs.Directory:
				// What lies in a directory with a foreign name is not ours.
				if backends.CheckName(e.Remote()) == nil {
					todo = append(todo, e.Remote())
				}
			case fs.Object:
				if !yield(backends.Entry{Name: e.Remote(), Size: e.Size()}) {
					return nil
				}
			}
		}
	}
	return ctx.Err()
}

// Free tells the node's space.
func (r *withSpace) Free(ctx context.Context) (free, total int64, err error) {
	free, total, err = r.space(ctx)
	return free, total, r.fail(backends.OpFree, "", err)
}

func (r *withSpace) space(ctx context.Context) (free, total int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if r.disk != nil {
		if err := r.disk.check(); err != nil {
			return 0, 0, err
		}
	}
	usage, err := r.fs.Features().About(r.with(ctx))
	if err != nil {
		return 0, 0, classed(ctx, err)
	}
	if usage == nil || usage.Free == nil || usage.Total == nil {
		return 0, 0, fmt.Errorf("the server does not tell its space: %w", cairn.ErrUnavailable)
	}
	return *usage.Free, *usage.Total, nil
}

// Describe tells what the backend can do; RTT is that of one look-up.
func (r *remote) Describe(ctx context.Context) (backends.Traits, error) {
	began := time.Now()
	if _, err := r.stat(ctx, marker); err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return backends.Traits{}, r.fail(backends.OpDescribe, "", err)
	}
	return backends.Traits{Kind: r.kind, AtomicRename: r.viaTemp, Fsync: r.disk != nil, RTT: time.Since(began)}, nil
}

// Close ends the backend's connections and goroutines.
func (r *remote) Close() error {
	return r.fail("close", "", classed(r.settings, shutdown(r.settings, r.fs)))
}
