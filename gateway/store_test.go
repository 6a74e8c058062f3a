package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// memStore is a Store in memory that keeps the contract and can be told to
// break.
type memStore struct {
	mu      sync.Mutex
	objects map[cairn.Key]memObject
	buckets map[string]store.Bucket
	access  map[string]store.Access
	uploads map[string]*memUpload // by id
	clock   time.Time             // Modified of the next write when set

	fail     error                                              // of every call on objects
	byLength bool                                               // Put stops reading at the announced size
	ranged   func(content io.ReadCloser) (io.ReadCloser, error) // stands between Range and its reader
	puts     int
	copies   int
	opened   int // sources not closed yet
}

type memObject struct {
	cairn.Object
	content []byte
}

func newMemStore() *memStore {
	return &memStore{objects: map[cairn.Key]memObject{}, buckets: map[string]store.Bucket{}, access: map[string]store.Access{}}
}

func (m *memStore) failing(bucket string) error {
	if m.fail != nil {
		return m.fail
	}
	if _, ok := m.buckets[bucket]; !ok {
		return fmt.Errorf("bucket %s: %w", bucket, store.ErrNoBucket)
	}
	return nil
}

func (m *memStore) Put(ctx context.Context, p store.Put) (cairn.Object, error) {
	m.mu.Lock()
	err := m.failing(p.Key.Bucket)
	m.puts++
	m.mu.Unlock()
	if err != nil {
		return cairn.Object{}, err
	}
	var content []byte
	if m.byLength {
		content = make([]byte, p.Size)
		_, err = io.ReadFull(p.Body, content)
	} else {
		content, err = io.ReadAll(p.Body)
	}
	if err != nil {
		return cairn.Object{}, fmt.Errorf("mem: read body: %w", err)
	}
	if p.Size >= 0 && p.Size != int64(len(content)) {
		return cairn.Object{}, fmt.Errorf("mem: %d bytes of %d ended cleanly", len(content), p.Size)
	}
	d, err := p.Digest()
	if err != nil {
		return cairn.Object{}, fmt.Errorf("mem: digest: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(p.Key, p.If); err != nil {
		return cairn.Object{}, err
	}
	at := m.clock
	if at.IsZero() {
		at = time.Now().Truncate(time.Millisecond)
	}
	o := cairn.Object{Key: p.Key, Size: int64(len(content)), ETag: d.ETag, Modified: at, Header: p.Header, Meta: p.Meta, Checksum: d.Checksum}
	m.objects[p.Key] = memObject{o, content}
	return o, nil
}

// check decides a condition; mu is held.
func (m *memStore) check(k cairn.Key, c store.Condition) error {
	o, exists := m.objects[k]
	fits := func(tags []string) bool {
		return exists && (slices.Contains(tags, "*") || slices.Contains(tags, o.ETag))
	}
	if c.Match != nil && !exists {
		return fmt.Errorf("mem: %v: %w", k, cairn.ErrNotExist)
	}
	if c.Match != nil && !fits(c.Match) || c.NoneMatch != nil && fits(c.NoneMatch) {
		return fmt.Errorf("mem: %v: %w", k, cairn.ErrPrecondition)
	}
	return nil
}

func (m *memStore) Stat(ctx context.Context, k cairn.Key) (cairn.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(k.Bucket); err != nil {
		return cairn.Object{}, err
	}
	o, ok := m.objects[k]
	if !ok {
		return cairn.Object{}, fmt.Errorf("mem: %v: %w", k, cairn.ErrNotExist)
	}
	return o.Object, nil
}

func (m *memStore) Open(ctx context.Context, k cairn.Key) (cairn.Object, store.Source, error) {
	o, err := m.Stat(ctx, k)
	if err != nil {
		return o, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
	return o, &memSource{m, m.objects[k].content}, nil
}

type memSource struct {
	m       *memStore
	content []byte
}

func (s *memSource) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 || off+n > int64(len(s.content)) {
		return nil, errors.New("mem: a range outside of the object was asked for")
	}
	r := io.NopCloser(bytes.NewReader(s.content[off : off+n]))
	if s.m.ranged != nil {
		return s.m.ranged(r)
	}
	return r, nil
}

func (s *memSource) Close() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.opened--
	return nil
}

func (m *memStore) Delete(ctx context.Context, k cairn.Key, c store.Condition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(k.Bucket); err != nil {
		return err
	}
	if err := m.check(k, c); err != nil {
		return err
	}
	delete(m.objects, k)
	return nil
}

func (m *memStore) List(ctx context.Context, r store.ListRequest) (store.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(r.Bucket); err != nil {
		return store.Listing{}, err
	}
	if r.Max < 1 || r.Max > 1000 {
		return store.Listing{}, fmt.Errorf("mem: a page of %d", r.Max)
	}
	var l store.Listing
	keys := slices.SortedFunc(maps.Keys(m.objects), func(a, b cairn.Key) int { return strings.Compare(a.Object, b.Object) })
	last := ""
	for _, k := range keys {
		if k.Bucket != r.Bucket || !strings.HasPrefix(k.Object, r.Prefix) || k.Object <= r.After {
			continue
		}
		name, common := k.Object, false
		if r.Delimiter != "" {
			if i := strings.Index(k.Object[len(r.Prefix):], r.Delimiter); i >= 0 {
				name, common = k.Object[:len(r.Prefix)+i+len(r.Delimiter)], true
			}
		}
		if common && (name == last || name <= r.After) {
			continue
		}
		if len(l.Objects)+len(l.Prefixes) == r.Max {
			l.More, l.Next = true, last
			return l, nil
		}
		last = name
		if common {
			l.Prefixes = append(l.Prefixes, name)
		} else {
			l.Objects = append(l.Objects, m.objects[k].Object)
		}
	}
	return l, nil
}

func (m *memStore) CreateBucket(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.buckets[name]; ok {
		return fmt.Errorf("bucket %s: %w", name, store.ErrBucketExists)
	}
	m.buckets[name] = store.Bucket{Name: name, Created: time.Now()}
	return nil
}

func (m *memStore) DeleteBucket(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(name); err != nil {
		return err
	}
	for k := range m.objects {
		if k.Bucket == name {
			return fmt.Errorf("bucket %s: %w", name, store.ErrBucketNotEmpty)
		}
	}
	delete(m.buckets, name)
	return nil
}

func (m *memStore) Bucket(ctx context.Context, name string) (store.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buckets[name], m.failing(name)
}

func (m *memStore) Buckets(ctx context.Context) ([]store.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.buckets), func(a, b store.Bucket) int { return strings.Compare(a.Name, b.Name) }), m.fail
}

func (m *memStore) Access(ctx context.Context, id string) (store.Access, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.access[id]
	if !ok {
		return a, fmt.Errorf("access key %s: %w", id, cairn.ErrNotExist)
	}
	return a, nil
}
