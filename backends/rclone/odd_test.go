package rclone

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/object"
)

// odd is an rclone backend with one fault, on top of a good one.
type odd struct {
	fs.Fs
	put    func(in io.Reader, name string) (fs.Object, error)
	open   func(o fs.Object, options []fs.OpenOption) (io.ReadCloser, error)
	lookup func(name string) error
	move   error
	noMove bool // as on backends that write in place and cannot rename
	noRoot bool
	listed fs.DirEntries
}

func (f *odd) Features() *fs.Features {
	features := *f.Fs.Features()
	features.IsLocal = false
	features.About, features.Shutdown = nil, nil
	inner := features.Move
	features.Move = func(ctx context.Context, src fs.Object, name string) (fs.Object, error) {
		if f.move != nil {
			return nil, f.move
		}
		if o, ok := src.(*oddObject); ok {
			src = o.Object
		}
		return inner(ctx, src, name)
	}
	if f.noMove {
		features.Move = nil
	}
	return &features
}

func (f *odd) Put(ctx context.Context, in io.Reader, src fs.ObjectInfo, options ...fs.OpenOption) (fs.Object, error) {
	if f.put != nil {
		return f.put(in, src.Remote())
	}
	return f.Fs.Put(ctx, in, src, options...)
}

func (f *odd) NewObject(ctx context.Context, name string) (fs.Object, error) {
	if f.lookup != nil {
		if err := f.lookup(name); err != nil {
			return nil, err
		}
	}
	o, err := f.Fs.NewObject(ctx, name)
	if err != nil {
		return nil, err
	}
	return &oddObject{o, f}, nil
}

func (f *odd) List(ctx context.Context, dir string) (fs.DirEntries, error) {
	if f.noRoot {
		return nil, fs.ErrorDirNotFound
	}
	if f.listed != nil {
		return f.listed, nil
	}
	return f.Fs.List(ctx, dir)
}

type oddObject struct {
	fs.Object
	fs *odd
}

func (o *oddObject) Open(ctx context.Context, options ...fs.OpenOption) (io.ReadCloser, error) {
	if o.fs.open != nil {
		return o.fs.open(o.Object, options)
	}
	return o.Object.Open(ctx, options...)
}

// openOdd is a node on f, which gets a local backend below it.
func openOdd(t *testing.T, f *odd) (*remote, string) {
	t.Helper()
	r, root := openLocal(t)
	good := r.(*onDisk).remote
	f.Fs = good.fs
	return &remote{node: "n1", kind: "odd", fs: f, settings: good.settings, viaTemp: f.Features().Move != nil}, root
}

// source is what rclone is told of an upload of unknown length.
func source(name string) fs.ObjectInfo {
	return object.NewStaticObjectInfo(name, time.Now(), -1, true, nil, nil)
}
