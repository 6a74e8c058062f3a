package index

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	memTable = 32 << 20 // bytes
	never    = 1 << 20  // memtables or levels: Pebble's own write stalls have no way out, ours has (flow)
)

// options are Pebble's. No log: the packs are one. Checksums of blocks are
// checked on every read; there is no option to turn that off.
func (x *Index) options() *pebble.Options {
	o := &pebble.Options{
		FS:                          brake{x.config.FS.VFS(), x.ill},
		Lock:                        x.lock,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		CacheSize:                   x.config.CacheBytes,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: never,
		L0StopWritesThreshold:       never,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      x.ill,
		EventListener: &pebble.EventListener{
			BackgroundError: x.ill.poison,
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				x.ill.poison(fmt.Errorf("%s: %w: %w", i.Path, i.Details, cairn.ErrCorrupt))
			},
			CompactionEnd: func(pebble.CompactionInfo) { x.flow.compactionEnded() },
		},
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most writes first ask for a key that is not there
	}
	return o
}

// illness is the first error of Pebble's own work, after which nothing more is
// written: Apply and Flush return it until the index is opened anew. It is
// Pebble's logger too, since Pebble's last words are a Fatalf, and a library
// must not end the process.
type illness struct {
	log  *slog.Logger
	once sync.Once
	err  error         // set before ill is closed
	ill  chan struct{} // closed by the first error
	halt sync.Once
	end  chan struct{} // closed by stop
}

func newIllness(log *slog.Logger) *illness {
	return &illness{log: log, ill: make(chan struct{}), end: make(chan struct{})}
}

// poison keeps the first error. Pebble calls it with its mutex held, so it
// must not call Pebble.
func (i *illness) poison(err error) {
	i.once.Do(func() {
		i.err = fmt.Errorf("index: no more writes until it is opened anew: %w", classed(err))
		close(i.ill)
		i.log.Error("index takes no more writes", "err", err)
	})
}

// check returns the first error, or nil.
func (i *illness) check() error {
	select {
	case <-i.ill:
		return i.err
	default:
		return nil
	}
}

// stop ends every wait in the brakes.
func (i *illness) stop() { i.halt.Do(func() { close(i.end) }) }

// Infof is Pebble's chatter.
func (i *illness) Infof(format string, args ...any) {
	i.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf is an error that Pebble also returns or reports.
func (i *illness) Errorf(format string, args ...any) {
	i.log.Warn("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf comes where Pebble expects to end the process: its memory and its
// files may differ from here on. It goes on, and what it still reads is
// checked block by block; what it writes is stopped by the brake.
func (i *illness) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok { // for its class
			err = fmt.Errorf("pebble gives up: %w", cause)
		}
	}
	i.poison(err)
}

// brake is the file system under Pebble. Once the index is ill, no file is
// made, so that no later work of Pebble can succeed on top of one that failed,
// and none is removed, since the manifest on disk may name it. Pebble repeats
// a failed flush at once and for ever; the wait keeps that from taking a core.
type brake struct {
	vfs.FS
	ill *illness
}

const brakeWait = time.Second

// Create makes a file while the index is well.
func (b brake) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := b.ill.check(); err != nil {
		t := time.NewTimer(brakeWait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-b.ill.end:
		}
		return nil, err
	}
	return b.FS.Create(name, c)
}

// Remove removes a file while the index is well.
func (b brake) Remove(name string) error {
	if err := b.ill.check(); err != nil {
		return err
	}
	return b.FS.Remove(name)
}

// takeLock keeps other processes and other Indexes out of dir.
func takeLock(on durable.FS, dir string) (*pebble.Lock, error) {
	l, err := pebble.LockDirectory(dir, on.VFS())
	if err == nil {
		return l, nil
	}
	if c := classed(err); cairn.Class(c) != nil {
		return nil, fmt.Errorf("index: lock: %w", c)
	}
	return nil, fmt.Errorf("index: lock: %w: %w", err, cairn.ErrUnavailable)
}

// classed gives an error of Pebble, or of the file system below it, its class.
func classed(err error) error {
	class := error(nil)
	switch {
	case err == nil, cairn.Class(err) != nil:
		return err
	case vfs.IsNoSpaceError(err), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		class = cairn.ErrFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		class = cairn.ErrDenied
	case pebble.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EIO):
		// A table that is gone or that the device cannot read is cured as one
		// whose bytes are wrong: by a rebuild.
		class = cairn.ErrCorrupt
	default:
		return err
	}
	return fmt.Errorf("%w: %w", err, class)
}

// ofDisk reports whether an error is one of the disk, and says nothing of what
// is on it.
func ofDisk(err error) bool {
	var errno syscall.Errno
	return cairn.Class(err) != nil || errors.As(err, &errno) || errors.Is(err, durable.ErrCrashed)
}

// openError is classed, and what is left is ErrCorrupt: Pebble gives most of
// what it finds wrong with its files no mark. Trouble that a rebuild would
// only meet again keeps its own.
func openError(err error) error {
	if err == nil {
		return nil
	}
	err = classed(err)
	if ofDisk(err) {
		return fmt.Errorf("index: open: %w", err)
	}
	return fmt.Errorf("index: open: %w: %w", err, cairn.ErrCorrupt)
}
