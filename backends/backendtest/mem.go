package backendtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// unlimited is what Free tells where there is no Capacity: 1 PiB.
const unlimited = 1 << 50

// Mem is a node in memory: an honest Remote that is never slow. The zero Mem
// is an empty node without limit. It starts no goroutines and holds its mutex
// only over its own maps, so it is safe in a synctest bubble.
//
// Directories are there while files are in them, as on an object store; a
// name cannot be a file and a directory at once, as on a disk.
type Mem struct {
	// Capacity in bytes of content, beyond which Put is ErrFull; 0 for none.
	// Not to be changed once in use.
	Capacity int64

	mu    sync.Mutex
	files map[string][]byte
	dirs  map[string]int // entries of each directory, "" is the root
	used  int64
}

// Put stores a copy of data.
func (m *Mem) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set(name, slices.Clone(data), true)
}

// Replace is Put, which is atomic here.
func (m *Mem) Replace(ctx context.Context, name string, data []byte) error {
	return m.Put(ctx, name, data)
}

// ReadAt fills p.
func (m *Mem) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	switch {
	case !ok:
		return fmt.Errorf("%s %w", name, cairn.ErrNotExist)
	case off < 0:
		return fmt.Errorf("read at %d: %w", off, cairn.ErrInvalid)
	case off > int64(len(data)) || int64(len(p)) > int64(len(data))-off:
		return fmt.Errorf("%s has %d bytes, wanted %d at %d: %w", name, len(data), len(p), off, cairn.ErrCorrupt)
	}
	copy(p, data[off:])
	return nil
}

// Stat returns the size.
func (m *Mem) Stat(ctx context.Context, name string) (int64, error) {
	if err := check(ctx, name); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	if !ok {
		return 0, fmt.Errorf("%s %w", name, cairn.ErrNotExist)
	}
	return int64(len(data)), nil
}

// List yields in byte order what stands when it begins.
func (m *Mem) List(ctx context.Context, dir string) iter.Seq2[backends.Entry, error] {
	return func(yield func(backends.Entry, error) bool) {
		if err := backends.CheckDir(dir); err != nil {
			yield(backends.Entry{}, err)
			return
		}
		for _, e := range m.below(dir) {
			if err := ctx.Err(); err != nil {
				yield(backends.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(backends.Entry{}, err)
		}
	}
}

func (m *Mem) below(dir string) []backends.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []backends.Entry
	for name, data := range m.files {
		if dir == "" || strings.HasPrefix(name, dir+"/") {
			entries = append(entries, backends.Entry{Name: name, Size: int64(len(data))})
		}
	}
	slices.SortFunc(entries, func(a, b backends.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// Delete removes name.
func (m *Mem) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.Drop(name)
	return nil
}

// Free tells Capacity less what is used, or 1 PiB without a Capacity.
func (m *Mem) Free(ctx context.Context) (free, total int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	total = m.Capacity
	if total == 0 {
		total = unlimited
	}
	return max(total-m.used, 0), total, nil
}

// Describe says what Mem is.
func (m *Mem) Describe(ctx context.Context) (backends.Traits, error) {
	return backends.Traits{Kind: "memory", AtomicRename: true}, ctx.Err()
}

// Names lists every file in byte order, whatever fates stand above.
func (m *Mem) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

// Bytes returns a copy of one file's content.
func (m *Mem) Bytes(name string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	return slices.Clone(data), ok
}

// Used is the bytes of content that stand.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// DirEntries tells how many files and directories each directory holds; ""
// is the root.
func (m *Mem) DirEntries() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.dirs)
}

// SetBytes gives name the content data, whatever stood there and whatever the
// Capacity: to corrupt a file, or to plant one. It panics on a name that no
// Remote takes.
func (m *Mem) SetBytes(name string, data []byte) {
	if err := backends.CheckName(name); err != nil {
		panic("backendtest: " + err.Error())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.set(name, slices.Clone(data), false); err != nil {
		panic("backendtest: " + err.Error())
	}
}

// Drop loses name, and reports whether it was there.
func (m *Mem) Drop(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	if !ok {
		return false
	}
	delete(m.files, name)
	m.used -= int64(len(data))
	for dir := parent(name); ; dir = parent(dir) {
		if m.dirs[dir]--; m.dirs[dir] > 0 || dir == "" {
			return true
		}
		delete(m.dirs, dir)
	}
}

// set stores data under name; the caller holds mu.
func (m *Mem) set(name string, data []byte, bounded bool) error {
	old, replaces := m.files[name]
	grows := int64(len(data)) - int64(len(old))
	if bounded && m.Capacity > 0 && m.used+grows > m.Capacity {
		return fmt.Errorf("%d of %d bytes used, %d more asked: %w", m.used, m.Capacity, grows, cairn.ErrFull)
	}
	if m.dirs[name] > 0 {
		return fmt.Errorf("%s is a directory: %w", name, cairn.ErrInvalid)
	}
	for dir := parent(name); dir != ""; dir = parent(dir) {
		if _, ok := m.files[dir]; ok {
			return fmt.Errorf("%s: %s is a file: %w", name, dir, cairn.ErrInvalid)
		}
	}
	if m.files == nil {
		m.files, m.dirs = map[string][]byte{}, map[string]int{}
	}
	m.files[name] = data
	m.used += grows
	if replaces {
		return nil
	}
	for dir := parent(name); ; dir = parent(dir) {
		if m.dirs[dir]++; m.dirs[dir] > 1 || dir == "" {
			return nil
		}
	}
}

func parent(name string) string { return name[:max(strings.LastIndexByte(name, '/'), 0)] }

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return backends.CheckName(name)
}
