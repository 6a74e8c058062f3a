package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// marker is the file that tells a node's root from any other directory.
const marker = "cairn.json"

// disk is what a local directory needs beside rclone: rclone's local backend
// makes missing roots, never syncs, and its listings hide what it cannot read.
type disk struct {
	root string                  // absolute
	sync func(path string) error // syncPath, but for tests that watch it

	mu   sync.Mutex
	seen os.FileInfo // the root that was last known to be the node's
	// durable are directories whose own entries, up to the root, are synced.
	durable map[string]bool
}

// manyDirs bounds durable. Forgetting costs only syncs that were not needed.
const manyDirs = 4096

func (d *disk) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

// begin takes the root as it stands for the node's.
func (d *disk) begin() error {
	info, err := d.stand()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = info
	return nil
}

// check refuses to work when the root is away, or when another directory has
// come to stand there: an unmounted disk leaves an empty mount point, which
// would look like a node that lost everything and takes writes gladly. A new
// directory is the node's again when the marker is in it (a disk mounted anew).
func (d *disk) check() error {
	info, err := d.stand()
	if err != nil {
		return err
	}
	d.mu.Lock()
	same := os.SameFile(info, d.seen)
	d.mu.Unlock()
	if same {
		return nil
	}
	if _, err := os.Lstat(d.path(marker)); err != nil {
		return fmt.Errorf("another directory without %s stands at %s, is the disk mounted?: %w", marker, d.root, cairn.ErrUnavailable)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = info
	clear(d.durable)
	return nil
}

func (d *disk) stand() (os.FileInfo, error) {
	info, err := os.Stat(d.root)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, fmt.Errorf("the root directory is not there, is the disk mounted?: %w: %w", cairn.ErrUnavailable, err)
	}
	return info, nil
}

// list walks dir. It does not use rclone's List, which answers an unreadable
// directory as an empty one and leaves files out that it cannot stat: either
// would look like lost shards.
func (d *disk) list(ctx context.Context, dir string, yield func(backends.Entry) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	more, err := d.walk(ctx, dir, yield)
	if err != nil || !more {
		return err
	}
	// The disk may have gone while directories vanished one by one.
	if err := d.check(); err != nil {
		return err
	}
	return ctx.Err()
}

// walk reports whether yield wants more.
func (d *disk) walk(ctx context.Context, dir string, yield func(backends.Entry) bool) (bool, error) {
	f, err := os.Open(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // never there, or emptied meanwhile
	}
	if err != nil {
		return false, classed(ctx, err)
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		entries, err := f.ReadDir(256) // a full leaf of the layout
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, classed(ctx, err)
		}
		for _, e := range entries {
			if more, err := d.visit(ctx, path.Join(dir, e.Name()), e, yield); !more || err != nil {
				return false, err
			}
		}
	}
}

func (d *disk) visit(ctx context.Context, name string, e os.DirEntry, yield func(backends.Entry) bool) (bool, error) {
	switch {
	case e.IsDir():
		// lost+found and the like; what lies in them is not ours.
		if backends.CheckName(name) != nil {
			return true, nil
		}
		return d.walk(ctx, name, yield)
	case !e.Type().IsRegular():
		return true, nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // deleted meanwhile
	}
	if err != nil {
		return false, classed(ctx, err)
	}
	return yield(backends.Entry{Name: name, Size: info.Size()}), nil
}

func (d *disk) syncFile(name string) error { return d.sync(d.path(name)) }

// syncDir makes the entry of name in its directory durable.
func (d *disk) syncDir(name string) error { return d.syncDirectory(filepath.Dir(d.path(name))) }

// makeDirs makes the directories that name needs, and their entries durable up
// to the root. A directory is trusted to be durable only if this process made
// sure of it and it still stands.
func (d *disk) makeDirs(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	_, err := os.Stat(d.path(dir))
	if err == nil && d.isDurable(dir) {
		return nil
	}
	if err := os.MkdirAll(d.path(dir), 0o777); err != nil {
		return err
	}
	for up := path.Dir(dir); ; up = path.Dir(up) {
		if err := d.syncDirectory(d.path(up)); err != nil {
			return err
		}
		if up == "." {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.durable) >= manyDirs {
		clear(d.durable)
	}
	d.durable[dir] = true
	return nil
}

func (d *disk) isDurable(dir string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.durable[dir]
}

// syncDirectory syncs a directory, but for file systems (some network mounts) that
// have no sync of directories: there it is as durable as it gets.
func (d *disk) syncDirectory(name string) error {
	err := d.sync(name)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// syncPath syncs one file or directory. Linux syncs what others wrote to it,
// too, so a handle of our own does for a file that rclone wrote.
func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
