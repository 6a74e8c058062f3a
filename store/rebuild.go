package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
	"golang.org/x/sync/errgroup"
)

// rebuild makes a lost index again from the packs on the nodes. Packs that are
// still staged are left to replay: a few of their shards may stand already, and
// the stage must not be given up for those.
//
// Every log pack must be found, by the chain of their numbers; a hole is
// ErrUnavailable, since the pack may lie on nodes that do not answer now, and
// nothing is changed that another try would miss. The mark of a damaged index
// goes only after the new one is durable.
func (s *Store) rebuild(ctx context.Context, files []*stage.File) error {
	s.markDamaged()
	ns, err := readNodes(s.c.FS, s.c.Dir, s.c.Store)
	if err != nil {
		return err
	}
	if err := s.c.Nodes.SetNodes(ctx, ns); err != nil {
		return err
	}
	found, silent := s.c.Nodes.Survey(ctx)
	numbers := make(map[uint64]bool)
	for _, f := range files {
		delete(found, f.Pack)
		if f.Kind == pack.Log {
			numbers[f.Number] = true
		}
	}
	rows, changes, err := s.gatherContents(ctx, found)
	if err != nil {
		return fmt.Errorf("store: rebuild the index: %w", errors.Join(err, silent))
	}
	var top uint64
	for _, r := range rows {
		if r.Kind == pack.Log {
			numbers[r.Number] = true
		}
	}
	for n := range numbers {
		top = max(top, n)
	}
	for n := uint64(1); n <= top; n++ {
		if !numbers[n] {
			return fmt.Errorf("store: rebuild the index: log pack %d of %d is on no node that answers; start again when more nodes are there: %w", n, top, errors.Join(cairn.ErrUnavailable, silent))
		}
	}
	slices.SortFunc(changes, func(a, b index.Change) int { return a.Record.Stamp.Compare(b.Record.Stamp) })
	for batch := range slices.Chunk(changes, 1000) {
		if err := s.idx.Apply(batch); err != nil {
			return fmt.Errorf("store: rebuild the index: %w", err)
		}
	}
	if err := s.idx.SetPack(rows...); err != nil {
		return fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.complete(changes, files, silent); err != nil {
		return fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.idx.Flush(); err != nil {
		return fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.c.FS.Remove(s.rebuildName()); err != nil {
		return fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.c.FS.SyncDir(s.c.Dir); err != nil {
		return fmt.Errorf("store: rebuild the index: %w", err)
	}
	if len(rows) > 0 || silent != nil {
		s.c.Log.Warn("index made again from nodes", "packs", len(rows), "records", len(changes), "silent", silent)
	}
	return nil
}

// complete refuses an index that names packs of which nothing was found while
// nodes are silent that may hold them.
func (s *Store) complete(changes []index.Change, files []*stage.File, silent error) error {
	here := make(map[cairn.PackID]bool)
	for _, f := range files {
		here[f.Pack] = true
	}
	for _, ch := range changes {
		for _, id := range packsOf(ch) {
			if here[id] {
				continue
			}
			here[id] = true // asked
			if _, err := s.idx.Pack(id); !errors.Is(err, cairn.ErrNotExist) {
				if err != nil {
					return err
				}
				continue
			}
			switch used, err := s.idx.Referenced(id); {
			case err != nil:
				return err
			case used && silent != nil:
				return fmt.Errorf("pack %v is on no node that answers; start again when more nodes are there: %w", id, errors.Join(cairn.ErrUnavailable, silent))
			case used:
				s.c.Log.Error("no node has a shard of a pack; its objects are lost", "pack", id)
			}
		}
	}
	return nil
}

// gatherWidth is how many packs' contents are fetched at a time.
const gatherWidth = 8

func (s *Store) gatherContents(ctx context.Context, found map[cairn.PackID][]cairn.Location) ([]index.PackRow, []index.Change, error) {
	var mu sync.Mutex
	var rows []index.PackRow
	var changes []index.Change
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(gatherWidth)
	for _, id := range slices.SortedFunc(maps.Keys(found), func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) }) {
		g.Go(func() error {
			row, chs, err := s.readContents(ctx, id, found[id])
			if errors.Is(err, errNoShard) {
				// Whoever lists it may have made it up. If it was real and mattered, a
				// log number or a pack that records name is found missing.
				s.c.Log.Warn("a pack is listed, but no file of it verifies; it is left out", "pack", id, "err", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("pack %v: %w", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			rows, changes = append(rows, row), append(changes, chs...)
			return nil
		})
	}
	err := g.Wait()
	return rows, changes, err
}

// errNoShard is that every place of a pack answered and none holds a shard of it.
var errNoShard = errors.New("no shard stands where it is listed")

// readContents returns what one pack on the nodes says of itself.
func (s *Store) readContents(ctx context.Context, id cairn.PackID, at []cairn.Location) (index.PackRow, []index.Change, error) {
	t, err := s.c.Nodes.Trailer(ctx, id, at)
	if errors.Is(err, cairn.ErrCorrupt) {
		return index.PackRow{}, nil, fmt.Errorf("%w: %w", errNoShard, err)
	}
	if err != nil {
		return index.PackRow{}, nil, err
	}
	epoch, ok := s.c.Epochs[t.Epoch]
	if !ok {
		return index.PackRow{}, nil, fmt.Errorf("no key for epoch %d: %w", t.Epoch, cairn.ErrDenied)
	}
	sealed, err := s.c.Nodes.Contents(ctx, t.Params, at)
	if err != nil {
		return index.PackRow{}, nil, err
	}
	key := epoch.Pack(id, t.Prefix)
	c, err := pack.OpenContents(key, t.Params, sealed)
	if err != nil {
		return index.PackRow{}, nil, err
	}
	row := index.PackRow{Params: t.Params, Kind: c.Kind, Bytes: c.Length, Number: c.Number, SealHash: t.SealHash(),
		First: c.First, Last: c.Last, State: index.Spread, At: at}
	var changes []index.Change
	for _, r := range c.Records {
		ch := index.Change{Record: r}
		if _, list := whereOf(r.Body); list != nil {
			var plain []byte
			var n uint64
			for _, e := range list.Extents {
				b := make([]byte, pack.SealedLength(int64(e.Length)))
				if err := s.c.Nodes.Read(ctx, t.Params, at, uint64(e.Offset), b, 0); err != nil {
					return row, nil, err
				}
				if plain, n, err = openExtent(key, plain, b, *list, e, n); err != nil {
					return row, nil, err
				}
			}
			if ch.Parts, err = pack.ParseParts(plain); err != nil {
				return row, nil, err
			}
		}
		changes = append(changes, ch)
	}
	return row, changes, nil
}
