package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fileMode is the permission of new files, see dirMode.
const fileMode fs.FileMode = 0o600

// OS returns the file system of this machine. Files are made with mode 0600
// and directories with 0700.
func OS() FS { return disk{osLayer{vfs.Default}} }

// osLayer is Pebble's default file system with private modes, with a lock
// that also excludes a second opener in this process, and without SyncTo.
type osLayer struct{ vfs.FS }

func (o osLayer) createNew(name string) (vfs.File, error) {
	// vfs can neither create exclusively nor set a mode, so the file is made
	// here and opened there. It is ours alone from its first moment.
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	w, err := o.openForWrite(name)
	if err != nil {
		_ = os.Remove(name) // an error means: not made
		return nil, err
	}
	return w, nil
}

func (o osLayer) openExisting(name string) (vfs.File, error) {
	if _, err := os.Stat(name); err != nil { // vfs would make it
		return nil, err
	}
	return o.openForWrite(name)
}

func (o osLayer) openForWrite(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := o.FS.OpenReadWrite(name, writer, opts...)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Create replaces an existing name by a new file, as Pebble expects.
func (o osLayer) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	for {
		f, err := o.createNew(name)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func (o osLayer) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := o.createNew(name)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	return o.openForWrite(name, opts...)
}

func (o osLayer) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := o.FS.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return o.openForWrite(newname)
}

func (o osLayer) MkdirAll(dir string, _ os.FileMode) error { return os.MkdirAll(dir, dirMode) }
func (o osLayer) Lock(name string) (io.Closer, error)      { return lockFile(name) }
func (o osLayer) Unwrap() vfs.FS                           { return nil }

// osFile is a file for writing.
type osFile struct{ vfs.File }

// SyncTo does nothing, which is all it promises. On ext4 it only smooths
// write-back; elsewhere vfs makes it a whole fdatasync each 512 KiB, which a
// shingled disk feels and no count of syncs should have to explain.
func (f osFile) SyncTo(int64) (bool, error) { return false, nil }

// SyncData repeats an fdatasync that a signal interrupted: it has said
// nothing yet about the data, unlike one that failed.
func (f osFile) SyncData() error {
	for {
		if err := f.File.SyncData(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
