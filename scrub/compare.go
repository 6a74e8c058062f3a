package scrub

import (
	"context"
	"fmt"
	"iter"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
)

// found is what the listing of one node came to.
type found struct {
	files, shards int64 // listed; recorded for the node
	absent        []absence
	extras        []place
	strangers     []place
	more          bool // than a listing keeps
}

// absence is a recorded shard that was not listed as it should be.
type absence struct {
	place
	whole bool // it is listed with another size: read it whole
}

// compare joins what the node lists with what the rows say of it, both in order
// of pack, in bounded memory and without asking the node for anything else.
func (s *Scrub) compare(ctx context.Context, id cairn.NodeID) (*found, error) {
	s.mu.Lock()
	s.spools++ // two listings of one node may be under way
	sp := &spool{fs: s.c.FS, dir: s.c.Dir, tag: fmt.Sprint(s.spools), room: s.spoolRoom}
	s.mu.Unlock()
	defer func() {
		if err := sp.close(); err != nil {
			s.c.Log.Warn("files of a listing could not be removed", "err", err)
		}
	}()
	f := &found{}
	for file, err := range s.c.Nodes.Files(ctx, id) {
		if err != nil {
			return nil, err
		}
		f.files++
		if err := sp.add(file); err != nil {
			return nil, fmt.Errorf("scrub: listing of %s: %w", s.name(id), err)
		}
	}
	next, stop := iter.Pull2(sp.sorted(ctx))
	defer stop()
	file, err, ok := next()
	n := 0
	for row, rerr := range s.c.Store.Packs(cairn.PackID{}) {
		if rerr != nil {
			return nil, rerr
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for ok && err == nil && order(file.Shard.Pack, row.Params.ID) < 0 {
			f.strange(id, file)
			file, err, ok = next()
		}
		var here []fleet.File
		for ok && err == nil && file.Shard.Pack == row.Params.ID {
			here = append(here, file)
			file, err, ok = next()
		}
		if err != nil {
			return nil, err
		}
		if row.State != index.Staged { // those are the store's
			f.row(id, row, here)
		}
	}
	for ok && err == nil {
		f.strange(id, file)
		file, err, ok = next()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func order(a, b cairn.PackID) int { return comparePlaces(place{pack: a}, place{pack: b}) }

func (f *found) strange(node cairn.NodeID, file fleet.File) {
	if len(f.strangers) >= marksMost {
		f.more = true
		return
	}
	f.strangers = append(f.strangers, place{file.Shard.Pack, cairn.Location{Index: file.Shard.Index, Node: node, Write: file.Shard.Write}})
}

// row compares what a row says of the node with what the node lists of its pack.
func (f *found) row(node cairn.NodeID, row index.PackRow, here []fleet.File) {
	id := row.Params.ID
	for _, l := range row.At {
		if l.Node != node || row.State != index.Spread {
			continue // what goes need not be there
		}
		f.shards++
		size, listed := int64(0), false
		for _, file := range here {
			if file.Shard == l.Name(id) {
				size, listed = file.Size, true
			}
		}
		if listed && size == row.Params.FileSize() {
			continue
		}
		if len(f.absent) >= marksMost {
			f.more = true
			continue
		}
		f.absent = append(f.absent, absence{place{id, l}, listed})
	}
	for _, file := range here {
		l := cairn.Location{Index: file.Shard.Index, Node: node, Write: file.Shard.Write}
		if recorded(row, l) {
			continue
		}
		if len(f.extras) >= marksMost {
			f.more = true
			return
		}
		f.extras = append(f.extras, place{id, l})
	}
}

func recorded(row index.PackRow, l cairn.Location) bool {
	for _, o := range row.At {
		if o == l {
			return true
		}
	}
	return false
}
