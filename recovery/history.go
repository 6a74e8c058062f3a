package recovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// historyFile keeps sequence and hash of every root of our chain that stands
// here no more: a node that was away for a year shows roots which are ours all
// the same, and must not pass for a fork. A record that a crash tore matches no
// root, and is appended again: the root it is of goes only after it is synced.
const (
	historyFile   = "chain"
	historyRecord = 8 + 16
	historyMost   = historyRecord << 20 // a million roots
)

func (k *Keeper) loadHistory(own map[[16]byte]uint64) error {
	b, err := durable.ReadFile(k.c.FS, k.path(historyFile), historyMost)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	for ; len(b) >= historyRecord; b = b[historyRecord:] {
		own[[16]byte(b[8:historyRecord])] = binary.BigEndian.Uint64(b)
	}
	return nil
}

// prune removes the roots here beyond keepRoots, after their hashes are kept.
// It is called by whoever writes roots.
func (k *Keeper) prune() error {
	k.mu.Lock()
	var old []string
	if n := len(k.chain.here); n > keepRoots {
		old = k.chain.here[:n-keepRoots]
	}
	k.mu.Unlock()
	if len(old) == 0 {
		return nil
	}
	var b []byte
	for _, name := range old {
		seq, hash, _ := parseName(name) // only such are in here
		b = append(binary.BigEndian.AppendUint64(b, seq), hash[:]...)
	}
	if err := k.appendHistory(b); err != nil {
		return err
	}
	for _, name := range old {
		if err := k.c.FS.Remove(k.path(name)); err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.chain.here, k.chain.kept = k.chain.here[len(old):], k.chain.kept[len(old):]
	return nil
}

func (k *Keeper) appendHistory(b []byte) error {
	name := k.path(historyFile)
	f, err := k.c.FS.Create(name)
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		f, err = k.c.FS.OpenReadWrite(name)
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		_, err = f.WriteAt(b, size-size%historyRecord)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil && made {
		err = k.c.FS.SyncDir(k.dir())
	}
	return err
}
