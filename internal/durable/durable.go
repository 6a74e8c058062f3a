// Package durable is the file system of one gateway: the stage, the index,
// the cache and the secrets all write through one FS, so that one simulated
// power loss hits all of them at the same instant. It is real (OS) or in
// memory and crashable (Mem), and Watch stands around either to count, delay
// and break its steps. Pebble is given the very same files through FS.VFS.
//
// Reading order: durable.go (the contract), disk.go (the contract over a
// vfs.FS), errors.go (classes), whole.go (small files, replaced whole), os.go
// and lock_*.go (the real one), mem.go, tree.go, change.go, treefs.go,
// treefile.go and treelock.go (the one in memory, and what a power loss
// leaves of it), watch.go and watchfs.go (steps and hooks), count.go, slow.go;
// around.go with attend.go and hang.go (calls that a disk does not answer).
//
// It refuses to know what is in the files, and it never retries.
package durable

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system that says what survives a power loss: the bytes of a
// file after File.Sync, and a name (made, replaced or removed) after SyncDir
// of its directory. Whatever is not synced may survive in part, in any order.
//
// It is safe for concurrent use. Errors name the file and carry a class:
// cairn.ErrNotExist, cairn.ErrFull, cairn.ErrDenied, cairn.ErrUnavailable (a
// lock that is held); an error of the device itself has none.
//
// Only this package implements it; others stand around it with Watch.
type FS interface {
	// Create makes an empty file, open for reading and writing. A name that
	// exists is left alone and the error wraps fs.ErrExist.
	Create(name string) (File, error)
	// Open opens a file for reading only.
	Open(name string) (File, error)
	// OpenReadWrite opens a file that must exist, without emptying it.
	OpenReadWrite(name string) (File, error)
	// Rename replaces newname by oldname in one step: at any moment, and
	// after a power loss, newname is the old file or the new one.
	Rename(oldname, newname string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// List returns the base names in dir, sorted.
	List(dir string) ([]string, error)
	// Size returns the size of a file in bytes.
	Size(name string) (int64, error)
	// MkdirAll makes dir and its parents. When it returns nil a power loss
	// takes none of them away, even if an earlier process made them and was
	// killed before its sync. It costs a sync per path element, so it is for
	// start-up and not for every file.
	MkdirAll(dir string) error
	// SyncDir makes every change of names in dir durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the file name, made if missing,
	// between processes as well as within this one. It does not wait: a held
	// lock is cairn.ErrUnavailable. The end of the process frees it.
	Lock(name string) (io.Closer, error)
	// Free tells the bytes that may still be written below dir and the size
	// of the whole file system, both in bytes.
	Free(dir string) (free, total uint64, err error)
	// VFS is this file system as Pebble wants it: the same files, the same
	// hooks, the same counts. Its errors carry no class.
	VFS() vfs.FS

	layer() layer // what Watch stands around
}

// File is an open file. Calls may run at the same time, except that two
// writes of the same bytes have no defined winner.
type File interface {
	// ReadAt is io.ReaderAt: less than len(p) bytes come with io.EOF.
	io.ReaderAt
	// WriteAt is io.WriterAt. After an error the bytes asked for may be
	// there in part; a sync that failed must never be taken back by a later
	// one that works.
	io.WriterAt
	io.Closer
	// Sync returns nil when the bytes and the size are durable. The name is
	// durable only after SyncDir.
	Sync() error
	// Size returns the size in bytes.
	Size() (int64, error)
	// Allocate reserves room for n bytes at off without changing the size, so
	// that writing there does not fail with cairn.ErrFull. A file system that
	// cannot reserve says nil.
	Allocate(off, n int64) error
}

// layer is a vfs.FS with the two verbs that Pebble does without and cairn
// needs. OS, Mem and Watch are layers, and every FS is a disk over one.
type layer interface {
	vfs.FS
	// createNew is Create that fails with fs.ErrExist where the name exists.
	createNew(name string) (vfs.File, error)
	// openExisting is OpenReadWrite that fails where the name does not exist.
	openExisting(name string) (vfs.File, error)
}

// writer is the category Pebble's file system asks for with each writer; its
// metrics by category are not used.
const writer = vfs.WriteCategoryUnspecified
