package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func (c *Config) purgeName() string { return filepath.Join(c.Dir, "purging") }

// keep makes what is to go durable.
func (p *purge) keep() error {
	var b bytes.Buffer
	for _, id := range sortedPacks(p.ids) {
		fmt.Fprintln(&b, id)
	}
	if err := durable.WriteFile(p.s.c.FS, p.s.c.purgeName(), b.Bytes()); err != nil {
		return diskError(err)
	}
	return nil
}

func sortedPacks(ids map[cairn.PackID]bool) []cairn.PackID {
	return slices.SortedFunc(maps.Keys(ids), func(a, b cairn.PackID) int { return bytes.Compare(a[:], b[:]) })
}

// purging is what a purge that was cut off was to delete.
func (s *Store) purging() (map[cairn.PackID]bool, error) {
	ids := make(map[cairn.PackID]bool)
	b, err := durable.ReadFile(s.c.FS, s.c.purgeName(), 64<<20)
	if errors.Is(err, cairn.ErrNotExist) {
		return ids, nil
	}
	if err != nil {
		return nil, diskError(err)
	}
	for line := range bytes.Lines(b) {
		id, err := cairn.ParsePackID(string(bytes.TrimSpace(line)))
		if err != nil {
			return nil, fmt.Errorf("store: %s: %w", s.c.purgeName(), err)
		}
		ids[id] = true
	}
	return ids, nil
}

// copies finds who else has those contents.
func (p *purge) copies(contents map[crypt.ContentID]bool) error {
	s := p.s
	seen := make(map[objectID]bool)
	for id := range p.ids {
		for ref, err := range s.idx.Refs(id) {
			if err != nil {
				return s.indexError("references", err)
			}
			o := objectID{ref.Bucket, ref.Key}
			if ref.Part != 0 || seen[o] {
				continue
			}
			seen[o] = true
			v, err := s.idx.Object(o.bucket, o.key)
			if err != nil || !slices.ContainsFunc(v.Put.Parts, func(part pack.Part) bool { return contents[part.ID] }) {
				continue
			}
			if b, err := s.idx.Bucket(o.bucket); err == nil {
				p.out.Copies = append(p.out.Copies, cairn.Key{Bucket: b.Name, Object: o.key})
			}
		}
	}
	slices.SortFunc(p.out.Copies, func(a, b cairn.Key) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Object, b.Object))
	})
	return nil
}
