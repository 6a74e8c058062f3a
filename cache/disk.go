package cache

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/zeebo/blake3"
)

// queueLength is how many blocks may wait to be written: 4 MiB.
const queueLength = 64

// disk is the file and who writes it: one goroutine, from openDisk to close.
type disk struct {
	file   durable.File
	store  cairn.StoreID
	log    *slog.Logger
	slots  uint32 // one more than blocks are held, so that there is one to write
	hashes sync.Pool

	queue chan job
	quit  chan struct{}
	ended sync.WaitGroup
	once  sync.Once

	mu     sync.Mutex
	blocks *twoQ[location]
	free   []uint32 // slots below next that hold nothing
	next   uint32   // slots from here on were never written
	closed bool
	stats  Stats

	stamp   uint64 // of the writer alone
	failing bool   // of the writer alone: the last write failed
}

// job is a block to write or, without one, a block that has become frequent.
type job struct {
	key   Key
	block []byte
}

func openDisk(c Config) (*disk, error) {
	d := &disk{
		store: c.Store, log: c.Log, slots: slotsIn(c.DiskBytes),
		queue: make(chan job, queueLength), quit: make(chan struct{}),
	}
	switch {
	case d.slots < 2:
		return nil, fmt.Errorf("%d bytes of disk hold no block: give it %d or 0: %w", c.DiskBytes, slotOffset(2), cairn.ErrInvalid)
	case c.FS == nil || c.Store == (cairn.StoreID{}) || c.MAC == [32]byte{}:
		return nil, fmt.Errorf("a cache on disk needs a file system, a store and a key: %w", cairn.ErrInvalid)
	}
	d.hashes.New = func() any {
		h, err := blake3.NewKeyed(c.MAC[:])
		if err != nil {
			panic("cache: " + err.Error()) // unreachable: the key has its one size
		}
		return h
	}
	d.blocks = newTwoQ(int64(d.slots-1), int(d.slots/2), func(l location) { d.free = append(d.free, l.slot) })
	if err := c.FS.MkdirAll(c.Dir); err != nil {
		return nil, err
	}
	f, err := d.open(c)
	if err != nil {
		return nil, err
	}
	d.file = f
	d.ended.Go(d.run)
	return d, nil
}

// open returns the file as an earlier process left it, or a new one.
func (d *disk) open(c Config) (durable.File, error) {
	name := filepath.Join(c.Dir, fileName)
	h := d.hashes.Get().(*blake3.Hasher)
	defer d.hashes.Put(h)
	f, err := c.FS.OpenReadWrite(name)
	if err == nil {
		usable, err := d.check(f, h, c.DiskBytes)
		if usable {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		d.log.Info("cache begun anew: the file was of another version, key or size", "file", name)
		if err := c.FS.Remove(name); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, cairn.ErrNotExist) {
		return nil, err
	}
	if f, err = c.FS.Create(name); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(encodeHead(h, d.store), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *disk) check(f durable.File, h *blake3.Hasher, most int64) (usable bool, err error) {
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	usable, err = checkHead(head[:n], h, d.store)
	return usable && size <= most, err
}

func (d *disk) close() (err error) {
	d.once.Do(func() {
		close(d.quit)
		d.ended.Wait()
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		err = d.file.Close()
	})
	return err
}

// has reports whether the block k was written.
func (d *disk) has(k Key) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok, _ := d.blocks.peek(k)
	return ok && !d.closed
}

// get reads the block k and checks it.
func (d *disk) get(k Key) ([]byte, bool) {
	d.mu.Lock()
	at, ok, promoted := d.blocks.get(k)
	ok = ok && !d.closed
	d.mu.Unlock()
	if !ok {
		return nil, false
	}
	// The slot may be written anew meanwhile: then the sum does not match.
	block := make([]byte, at.length)
	_, err := d.file.ReadAt(block, slotOffset(at.slot))
	if err != nil && err != io.EOF {
		d.forget(k, at, err)
		return nil, false
	}
	if d.sum(k, block) != at.sum {
		d.forget(k, at, nil)
		return nil, false
	}
	if promoted {
		select {
		case d.queue <- job{key: k}:
		default: // it is only less lasting
		}
	}
	return block, true
}

// forget drops the block k, which lay at at, because of err or of its bytes.
func (d *disk) forget(k Key, at location, err error) {
	d.mu.Lock()
	now, there, _ := d.blocks.peek(k)
	ours := there && now == at && !d.closed
	if ours {
		d.blocks.remove(k)
		if err != nil {
			d.stats.Failed++
		} else {
			d.stats.Corrupt++
		}
	}
	d.mu.Unlock()
	if ours && err != nil {
		d.log.Warn("cache: a block cannot be read", "err", err)
	}
}

// offer has the block k written, unless it is there or the writer is behind.
func (d *disk) offer(k Key, block []byte) {
	d.mu.Lock()
	_, there, _ := d.blocks.peek(k)
	there = there || d.closed
	d.mu.Unlock()
	if there {
		return
	}
	select {
	case d.queue <- job{k, block}:
	default:
		d.mu.Lock()
		d.stats.Dropped++
		d.mu.Unlock()
	}
}

func (d *disk) sum(k Key, block []byte) [32]byte {
	h := d.hashes.Get().(*blake3.Hasher)
	defer d.hashes.Put(h)
	return sumBlock(h, d.store, k, block)
}

func (d *disk) addTo(s *Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Dropped, s.Corrupt, s.Failed = d.stats.Dropped, d.stats.Corrupt, d.stats.Failed
	s.DiskBlocks, s.Loaded = int64(d.blocks.len()), d.stats.Loaded
}
