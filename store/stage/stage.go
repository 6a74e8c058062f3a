// Package stage is one pack in progress on the gateway's own disk: the file
// that is the log and later the pack. header.go makes and reads the first
// 4 KiB, stage.go the file, scan.go replays its groups, seal.go the seal block
// and the placement intents behind it. The package orders no writes among
// files: that is store's. It has no goroutines and no clock.
//
// Layout of a stage file (version 1, doc/format.md):
//
//	0          header, 4096 bytes
//	4096       pack bytes, as they will be coded; room for Capacity bytes
//	4096+cap   seal block: contents and trailer, fsynced before a shard leaves
//	behind it  intents, 4096 bytes aligned: where shards are about to be put
package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

const (
	suffix = ".stage"
	// sealRoom is what is preallocated behind the pack bytes, so that a pack
	// can be sealed and placed on a disk that has filled up meanwhile.
	sealRoom = 256 << 10
)

// File is one stage file. Reads may be concurrent; writes are the one owner's.
type File struct {
	Header
	fs      durable.FS
	name    string
	f       durable.File
	seal    *Seal
	intents []cairn.Location
	next    int64 // where the next intent goes
}

// Name is the file name of the stage of pack id in dir.
func Name(dir string, id cairn.PackID) string { return filepath.Join(dir, id.String()+suffix) }

// Create makes the stage of a new pack; header and name are durable when it
// returns, before any pack byte is written. So a file whose header is not whole
// either holds nothing else, or has rotted.
func Create(fs durable.FS, dir string, h Header) (*File, error) {
	name := Name(dir, h.Pack)
	f, err := fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("stage: create: %w", err)
	}
	s := &File{Header: h, fs: fs, name: name, f: f}
	err = f.Allocate(0, headerSize+int64(h.Capacity)+sealRoom)
	if err == nil {
		_, err = f.WriteAt(h.encode(), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		_ = f.Close()
		_ = fs.Remove(name) // best effort: an empty stage of this life is dropped at the next start
		return nil, fmt.Errorf("stage: create %v: %w", h.Pack, err)
	}
	return s, nil
}

// ErrEmpty is a stage that a crash left before its header was durable: nothing
// was ever in it.
var ErrEmpty = fmt.Errorf("stage holds nothing: %w", cairn.ErrNotExist)

// Open reads header, seal block and intents of an existing stage. ErrEmpty where
// its making was cut short, ErrCorrupt where it rotted, ErrInvalid for a stage
// of another store.
func Open(fs durable.FS, dir string, id cairn.PackID, store cairn.StoreID) (*File, error) {
	name := Name(dir, id)
	f, err := fs.OpenReadWrite(name)
	if err != nil {
		return nil, fmt.Errorf("stage: open: %w", err)
	}
	s := &File{fs: fs, name: name, f: f}
	if err := s.load(id, store); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("stage: %s: %w", name, err)
	}
	return s, nil
}

func (s *File) load(id cairn.PackID, store cairn.StoreID) error {
	size, err := s.f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, min(size, headerSize))
	if err := readFull(s.f, b, 0); err != nil {
		return err
	}
	h, err := parseHeader(b)
	if errors.Is(err, cairn.ErrCorrupt) && size <= headerSize {
		return ErrEmpty
	}
	if err != nil {
		return err
	}
	if h.Store != store {
		return fmt.Errorf("belongs to store %s, not to %s; move it away: %w", h.Store.Short(), store.Short(), cairn.ErrInvalid)
	}
	if h.Pack != id {
		return fmt.Errorf("holds pack %v: %w", h.Pack, cairn.ErrCorrupt)
	}
	s.Header = h
	return s.loadSeal()
}

// List returns the packs that have a stage in dir, in order of sequence.
func List(fs durable.FS, dir string) ([]cairn.PackID, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("stage: list: %w", err)
	}
	var ids []cairn.PackID
	for _, n := range names {
		if base, ok := strings.CutSuffix(n, suffix); ok {
			id, err := cairn.ParsePackID(base)
			if err != nil {
				return nil, fmt.Errorf("stage: %s is not a stage of cairn; move it away: %w", n, err)
			}
			ids = append(ids, id)
		}
	}
	return ids, nil // names sort as ids, ids as sequences
}

// WriteAt writes pack bytes at offset off of the pack; not durable before Sync.
func (s *File) WriteAt(b []byte, off uint32) error {
	if int64(off)+int64(len(b)) > int64(s.Capacity) {
		return fmt.Errorf("stage: %v: %d bytes at %d pass its capacity %d: %w", s.Pack, len(b), off, s.Capacity, cairn.ErrInvalid)
	}
	if _, err := s.f.WriteAt(b, headerSize+int64(off)); err != nil {
		return fmt.Errorf("stage: write %v: %w", s.Pack, err)
	}
	return nil
}

// Sync makes everything written durable. After an error the stage must not be
// written or synced again: the kernel may have dropped the pages.
func (s *File) Sync() error {
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("stage: sync %v: %w", s.Pack, err)
	}
	return nil
}

// ReadAt fills p from offset off of the pack; an end before that is ErrCorrupt.
func (s *File) ReadAt(p []byte, off uint32) error {
	if err := readFull(s.f, p, headerSize+int64(off)); err != nil {
		return fmt.Errorf("stage: read %v: %w", s.Pack, err)
	}
	return nil
}

// Close closes the file and leaves it.
func (s *File) Close() error { return s.f.Close() }

// Remove unlinks the file; open readers keep theirs. The unlink is made durable
// by the directory's next sync; a stage that comes back after a power loss is
// recognised by the index and removed again.
func (s *File) Remove() error {
	if err := s.fs.Remove(s.name); err != nil {
		return fmt.Errorf("stage: remove %v: %w", s.Pack, err)
	}
	return nil
}

func readFull(f durable.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || isEOF(err) {
		return fmt.Errorf("ends %d bytes early: %w", len(p)-n, cairn.ErrCorrupt)
	}
	return err
}

// Room is how many bytes a group may have at offset off.
func (s *File) Room(off uint32) int { return int(s.Capacity) - int(off) }

// MaxFrames is how many whole frames fit in capacity bytes.
func MaxFrames(capacity uint32) int { return int(capacity) / pack.SealedSize }
