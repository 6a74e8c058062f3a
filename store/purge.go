package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// Purged is what a purge did.
type Purged struct {
	Packs int   `json:"packs"`            // that the object lay in, and their journals
	Moved int64 `json:"neighbours_bytes"` // of other objects, written anew
	// Copies are objects that have the same bytes, as copies of it do: bucket and
	// key. Those bytes are not purged.
	Copies []cairn.Key  `json:"copies"`
	Nodes  []PurgedNode `json:"nodes"` // in order of id
}

// PurgedNode is what one node said of the files it held.
type PurgedNode struct {
	Node cairn.NodeID `json:"node"`
	Name string       `json:"name"`
	Gone int          `json:"gone"` // files that it confirmed to be gone
	Left int          `json:"left"` // that it did not
	Why  string       `json:"why,omitempty"`
}

// Purge is the deliberate opposite of all care, for a secret that leaked: it
// deletes the object's current version at once from every node, without grace and
// without waiting for roots or readers. What shares its packs is written anew
// before. It returns node by node who confirmed; what is left goes on to be
// deleted in the background. t bounds what is moved with nodes where it is not nil;
// progress, where not nil, hears what is done.
//
// It may be ended at any moment; asked for again it goes on, also where the
// object is gone by then. Kept roots older than the checkpoint it makes may lack
// log packs afterwards, and say so if somebody recovers from one of them; every
// node that took the newest root has better. ErrUnavailable names uploads in
// progress that lie in the same packs: end them first. Bytes of earlier versions
// are not found by it, nor is what a node keeps in its trash.
//
// Order: what is to go, durable here; the delete, durable; neighbours spread
// elsewhere and moved; a checkpoint that knows all of it, on enough nodes; the
// retired records; the files.
func (s *Store) Purge(ctx context.Context, k cairn.Key, t Traffic, progress func(string)) (out Purged, err error) {
	if progress == nil {
		progress = func(string) {}
	}
	if err := k.Check(); err != nil {
		return out, err
	}
	if !s.collects() {
		return out, errNoCollection
	}
	p := &purge{s: s, ctx: ctx, out: &out, say: progress, traffic: t}
	if err := p.begin(k); err != nil {
		return out, err
	}
	if err := p.empty(); err != nil {
		return out, err
	}
	if err := p.retire(); err != nil {
		return out, err
	}
	if err := p.remove(); err != nil {
		return out, err
	}
	return out, removeFile(s.c.FS, s.c.purgeName())
}

func (c *Config) purgeName() string { return filepath.Join(c.Dir, "purging") }

// purge is one under way.
type purge struct {
	s       *Store
	ctx     context.Context // of the purge
	out     *Purged
	say     func(string)
	traffic Traffic
	ids     map[cairn.PackID]bool
}

// begin finds the packs and deletes the object.
func (p *purge) begin(k cairn.Key) error {
	s := p.s
	var err error
	if p.ids, err = s.purging(); err != nil {
		return err
	}
	v, err := s.version(k)
	if errors.Is(err, cairn.ErrNotExist) && len(p.ids) > 0 {
		p.say("going on with a purge that was cut off")
		return nil
	}
	if err != nil {
		return err
	}
	parts := v.Put.Parts
	contents := make(map[crypt.ContentID]bool)
	if v.Put.List != nil {
		parts = append(parts[:len(parts):len(parts)], *v.Put.List)
	}
	for _, part := range parts {
		contents[part.ID] = true
		for _, e := range part.Extents {
			p.ids[e.Pack] = true
		}
	}
	if err := p.keep(); err != nil {
		return err
	}
	p.say("deleting the object")
	if err := s.Delete(p.ctx, k, Condition{}); err != nil {
		return err
	}
	return p.copies(contents)
}

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

// empty moves the neighbours out and makes a checkpoint that knows.
func (p *purge) empty() error {
	s := p.s
	p.say("sending what is staged")
	if err := s.Flush(p.ctx); err != nil {
		return err
	}
	p.say("writing what shares its packs anew")
	c, err := s.Compact(p.ctx, Compaction{Traffic: p.traffic, Urgent: true, Want: func(row index.PackRow, _ uint64) bool { return p.ids[row.Params.ID] }}, nil)
	p.out.Moved = c.Live
	if err != nil {
		return err
	}
	if c.Waiting > 0 {
		return fmt.Errorf("store: purge: uploads in progress hold %d of its packs; complete or abort them and purge again: %w", c.Waiting, cairn.ErrUnavailable)
	}
	p.say("checkpoint")
	if err := s.Flush(p.ctx); err != nil {
		return err
	}
	_, err = s.Checkpoint(p.ctx)
	return err
}

// retire logs that the packs are retired, with the journals of those that are
// log packs: they have the same frames.
func (p *purge) retire() error {
	s := p.s
	if err := s.releaseNow(p.ctx, p.ids); err != nil {
		return err
	}
	numbers := make(map[uint64]bool)
	for id := range p.ids {
		row, err := s.idx.Pack(id)
		if errors.Is(err, cairn.ErrNotExist) {
			delete(p.ids, id)
			continue
		}
		if err != nil {
			return s.indexError("pack", err)
		}
		if row.Kind == pack.Log {
			numbers[row.Number] = true
		}
	}
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return s.indexError("packs", err)
		}
		if row.Kind == pack.Journal && numbers[row.Number] {
			p.ids[row.Params.ID] = true
		}
	}
	p.out.Packs = len(p.ids)
	for ids := range slices.Chunk(sortedPacks(p.ids), retireMost) {
		for _, id := range ids {
			row, err := s.idx.Pack(id)
			switch {
			case err != nil || row.State != index.Spread:
			case row.Kind == pack.Journal:
				s.jour.retire(row.Number) // its log pack stands
			default:
				_, err = s.mark(row)
			}
			if err != nil {
				return s.indexError("pack", err)
			}
		}
		if _, err := s.retirePacks(p.ctx, ids, true); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the files, and asks every node.
func (p *purge) remove() error {
	s := p.s
	p.say("deleting on all nodes")
	ns, err := s.idx.Nodes()
	if err != nil {
		return s.indexError("nodes", err)
	}
	names := make(map[cairn.NodeID]string)
	for _, n := range ns {
		names[n.ID] = n.Name
	}
	by := make(map[cairn.NodeID]*PurgedNode)
	r := &remover{s: s, failed: make(map[cairn.NodeID]int)}
	var needed []cairn.PackID
	for _, id := range sortedPacks(p.ids) {
		row, err := s.idx.Pack(id)
		if err != nil || row.State != index.Retired {
			needed = append(needed, id)
			continue
		}
		_, err = r.pack(p.ctx, row, func(l cairn.Location, err error) {
			n := by[l.Node]
			if n == nil {
				n = &PurgedNode{Node: l.Node, Name: names[l.Node]}
				by[l.Node] = n
			}
			if err == nil && s.c.Nodes.Gone(l.Node) {
				err = errors.New("it was given up or taken out of the store, and is not asked")
			}
			if err == nil {
				n.Gone++
				return
			}
			n.Left++
			n.Why = cmp.Or(n.Why, err.Error())
		})
		if err != nil {
			return err
		}
	}
	for _, n := range by {
		p.out.Nodes = append(p.out.Nodes, *n)
	}
	slices.SortFunc(p.out.Nodes, func(a, b PurgedNode) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	if len(needed) > 0 {
		return fmt.Errorf("store: purge: %d packs came to be needed meanwhile, %v; purge again: %w", len(needed), needed[0], cairn.ErrUnavailable)
	}
	return nil
}

// releaseNow waits until none of the packs is staged, without their time to
// settle.
func (s *Store) releaseNow(ctx context.Context, ids map[cairn.PackID]bool) error {
	for {
		if err := s.writable(); err != nil {
			return err
		}
		s.releaseDue(time.Now().Add(s.c.Settle + 2*max(releaseWait, 4*s.c.Settle)))
		s.mu.Lock()
		eased, staged := s.eased, 0
		for id := range ids {
			if s.packs[id] != nil {
				staged++
			}
		}
		s.mu.Unlock()
		if staged == 0 {
			return nil
		}
		select {
		case <-eased:
		case <-ctx.Done():
			return fmt.Errorf("store: %d packs are still staged: %w: %w", staged, ctx.Err(), cairn.ErrUnavailable)
		}
	}
}
