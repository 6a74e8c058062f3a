package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// memUpload is an upload of a memStore.
type memUpload struct {
	store.Upload
	parts map[int]memPart
	etag  string       // that it was completed with; "" while in progress
	made  cairn.Object // what it became
}

type memPart struct {
	store.Part
	content []byte
}

// now is the time of the next write; mu is held.
func (m *memStore) now() time.Time {
	if !m.clock.IsZero() {
		return m.clock
	}
	return time.Now().Truncate(time.Millisecond)
}

// upload finds one in progress; mu is held.
func (m *memStore) upload(k cairn.Key, id string) (*memUpload, error) {
	u, err := m.anyUpload(k, id)
	if err == nil && u.etag != "" {
		return nil, fmt.Errorf("mem: %s was completed: %w", id, store.ErrNoUpload)
	}
	return u, err
}

// anyUpload finds completed ones too; mu is held.
func (m *memStore) anyUpload(k cairn.Key, id string) (*memUpload, error) {
	if err := m.failing(k.Bucket); err != nil {
		return nil, err
	}
	u, ok := m.uploads[id]
	if !ok || u.Key != k {
		return nil, fmt.Errorf("mem: %s: %w", id, store.ErrNoUpload)
	}
	return u, nil
}

func (m *memStore) CreateUpload(ctx context.Context, u store.Upload) (store.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(u.Key.Bucket); err != nil {
		return u, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return u, err
	}
	u.ID, u.Created = hex.EncodeToString(id), m.now()
	if m.uploads == nil {
		m.uploads = map[string]*memUpload{}
	}
	m.uploads[u.ID] = &memUpload{Upload: u, parts: map[int]memPart{}}
	return u, nil
}

func (m *memStore) Upload(ctx context.Context, k cairn.Key, id string) (store.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.upload(k, id)
	if err != nil {
		return store.Upload{}, err
	}
	return u.Upload, nil
}

func (m *memStore) PutPart(ctx context.Context, p store.PutPart) (store.Part, error) {
	if _, err := m.Upload(ctx, p.Key, p.Upload); err != nil {
		return store.Part{}, err
	}
	if p.Number < 1 || p.Number > store.MaxParts {
		return store.Part{}, fmt.Errorf("mem: part %d: %w", p.Number, cairn.ErrInvalid)
	}
	var content []byte
	var err error
	if m.byLength {
		content = make([]byte, p.Size)
		_, err = io.ReadFull(p.Body, content)
	} else {
		content, err = io.ReadAll(p.Body)
	}
	if err != nil {
		return store.Part{}, fmt.Errorf("mem: read part: %w", err)
	}
	if p.Size >= 0 && p.Size != int64(len(content)) {
		return store.Part{}, fmt.Errorf("mem: %d bytes of %d ended cleanly", len(content), p.Size)
	}
	d, err := p.Digest()
	if err != nil {
		return store.Part{}, fmt.Errorf("mem: digest: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.upload(p.Key, p.Upload) // again: it may have ended meanwhile
	if err != nil {
		return store.Part{}, err
	}
	part := store.Part{Number: p.Number, Size: int64(len(content)), ETag: d.ETag, Modified: m.now(), Checksum: d.Checksum}
	u.parts[p.Number] = memPart{part, content}
	return part, nil
}

func (m *memStore) Parts(ctx context.Context, k cairn.Key, id string, after, limit int) (store.PartList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.upload(k, id)
	if err != nil {
		return store.PartList{}, err
	}
	if limit < 1 || limit > 1000 {
		return store.PartList{}, fmt.Errorf("mem: a page of %d", limit)
	}
	l := store.PartList{Upload: u.Upload}
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= after {
			continue
		}
		if len(l.Parts) == limit {
			l.More = true
			break
		}
		l.Parts = append(l.Parts, u.parts[n].Part)
	}
	return l, nil
}

func (m *memStore) Uploads(ctx context.Context, r store.UploadsRequest) (store.UploadList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var l store.UploadList
	if err := m.failing(r.Bucket); err != nil {
		return l, err
	}
	if r.Max < 1 || r.Max > 1000 {
		return l, fmt.Errorf("mem: a page of %d", r.Max)
	}
	order := func(a, b *memUpload) int {
		return cmp.Or(strings.Compare(a.Key.Object, b.Key.Object), a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	}
	mark := m.uploads[r.AfterUpload] // nil without one
	last := ""
	for _, u := range slices.SortedFunc(maps.Values(m.uploads), order) {
		key := u.Key.Object
		switch {
		case u.etag != "" || u.Key.Bucket != r.Bucket || !strings.HasPrefix(key, r.Prefix), key < r.AfterKey:
			continue
		case key == r.AfterKey && key != "" && (mark == nil || order(u, mark) <= 0):
			continue
		}
		prefix := ""
		if i := strings.Index(key[len(r.Prefix):], r.Delimiter); r.Delimiter != "" && i >= 0 {
			prefix = key[:len(r.Prefix)+i+len(r.Delimiter)]
		}
		if prefix != "" && (prefix == last || prefix <= r.AfterKey) {
			continue
		}
		if len(l.Uploads)+len(l.Prefixes) == r.Max {
			l.More = true
			return l, nil
		}
		if last = prefix; prefix != "" {
			l.Prefixes = append(l.Prefixes, prefix)
			l.NextKey, l.NextUpload = prefix, ""
			continue
		}
		one := u.Upload
		one.Header, one.Meta = nil, nil
		l.Uploads = append(l.Uploads, one)
		l.NextKey, l.NextUpload = key, u.ID
	}
	return l, nil
}

func (m *memStore) CompleteUpload(ctx context.Context, c store.CompleteUpload) (cairn.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.anyUpload(c.Key, c.Upload)
	if err != nil {
		return cairn.Object{}, err
	}
	if u.etag != "" {
		if u.etag == c.ETag {
			return u.made, nil
		}
		return cairn.Object{}, fmt.Errorf("mem: %s was completed: %w", c.Upload, store.ErrNoUpload)
	}
	var parts []store.Part
	var sizes []int64
	var content []byte
	for i, n := range c.Numbers {
		if i > 0 && n <= c.Numbers[i-1] {
			return cairn.Object{}, fmt.Errorf("mem: part %d after %d", n, c.Numbers[i-1])
		}
		p, ok := u.parts[n]
		if !ok {
			return cairn.Object{}, fmt.Errorf("mem: part %d: %w", n, store.ErrNoPart)
		}
		parts, sizes, content = append(parts, p.Part), append(sizes, p.Size), append(content, p.content...)
	}
	if _, err := c.Decide(parts); err != nil { // it may be called more than once
		return cairn.Object{}, fmt.Errorf("mem: %w", err)
	}
	d, err := c.Decide(parts)
	if err != nil {
		return cairn.Object{}, fmt.Errorf("mem: the second time: %w", err)
	}
	if d.ETag != c.ETag {
		return cairn.Object{}, fmt.Errorf("mem: ETag %s was announced, %s decided", c.ETag, d.ETag)
	}
	if err := m.check(c.Key, c.If); err != nil {
		return cairn.Object{}, err
	}
	u.etag = c.ETag
	u.made = cairn.Object{Key: c.Key, Size: int64(len(content)), ETag: d.ETag, Modified: m.now(), Header: u.Header, Meta: u.Meta, Checksum: d.Checksum, Parts: sizes}
	u.parts = nil
	m.objects[c.Key] = memObject{u.made, content}
	return u.made, nil
}

func (m *memStore) AbortUpload(ctx context.Context, k cairn.Key, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.upload(k, id); err != nil {
		return err
	}
	delete(m.uploads, id)
	return nil
}
