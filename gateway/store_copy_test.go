package gateway

import (
	"context"
	"fmt"
	"maps"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

func (m *memStore) Copy(ctx context.Context, c store.Copy) (cairn.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range []cairn.Key{c.From, c.To} {
		if err := m.failing(k.Bucket); err != nil {
			return cairn.Object{}, err
		}
	}
	source, ok := m.objects[c.From]
	if !ok {
		return cairn.Object{}, fmt.Errorf("mem: %v: %w", c.From, cairn.ErrNotExist)
	}
	if c.Check != nil {
		if err := c.Check(source.Object); err != nil {
			return cairn.Object{}, fmt.Errorf("mem: source: %w", err)
		}
	}
	if err := m.check(c.From, c.Source); err != nil {
		return cairn.Object{}, err
	}
	if err := m.check(c.To, c.If); err != nil {
		return cairn.Object{}, err
	}
	m.copies++
	to := source
	to.Key, to.Modified = c.To, m.now()
	to.Header, to.Meta = maps.Clone(source.Header), maps.Clone(source.Meta)
	if c.Replace {
		to.Header, to.Meta = maps.Clone(c.Header), c.Meta
	}
	tags := source.Header[store.TagsHeader]
	if c.Tags != nil {
		tags = *c.Tags
	}
	to.Header = tagged(to.Header, tags)
	m.objects[c.To] = to
	return to.Object, nil
}

func tagged(header map[string]string, tags string) map[string]string {
	delete(header, store.TagsHeader)
	if tags != "" {
		if header == nil {
			header = map[string]string{}
		}
		header[store.TagsHeader] = tags
	}
	return header
}

func (m *memStore) SetTags(ctx context.Context, k cairn.Key, tags string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(k.Bucket); err != nil {
		return err
	}
	o, ok := m.objects[k]
	if !ok {
		return fmt.Errorf("mem: %v: %w", k, cairn.ErrNotExist)
	}
	o.Header = tagged(maps.Clone(o.Header), tags)
	m.objects[k] = o
	return nil
}

func (m *memStore) SetBucketCORS(ctx context.Context, name, rules string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing(name); err != nil {
		return err
	}
	if len(rules) > 8<<10 {
		return fmt.Errorf("mem: rules of %d bytes: %w", len(rules), cairn.ErrInvalid)
	}
	b := m.buckets[name]
	b.CORS = rules
	m.buckets[name] = b
	return nil
}
