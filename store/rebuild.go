package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
	"golang.org/x/sync/errgroup"
)

// rebuild makes a lost index again from the packs on the nodes, beginning from the
// checkpoint that the newest root here names, if any. Packs that are
// still staged are left to replay: a few of their shards may stand already, and
// the stage must not be given up for those.
//
// Every log pack must be found, by the chain of their numbers and up to the last
// that left the stage; a hole is
// ErrUnavailable, since the pack may lie on nodes that do not answer now, and
// nothing is changed that another try would miss. The mark of a damaged index
// goes only after the new one is durable.
//
// What only journals hold is laid out in stages of its own, which are returned
// with files for replay, also where an error is.
func (s *Store) rebuild(ctx context.Context, files []*stage.File) ([]*stage.File, error) {
	made, err := s.rebuildIndex(ctx, files)
	return append(files, made...), err
}

func (s *Store) rebuildIndex(ctx context.Context, files []*stage.File) (made []*stage.File, err error) {
	s.markDamaged()
	if err := removeFile(s.c.FS, s.c.graceName()); err != nil { // every grace begins anew
		return nil, err
	}
	ns, err := readNodes(s.c.FS, s.c.Dir, s.c.Store)
	if err != nil {
		return nil, err
	}
	if err := s.c.Nodes.SetNodes(ctx, ns); err != nil {
		return nil, err
	}
	found, silent := s.c.Nodes.Survey(ctx)
	numbers := make(map[uint64]bool)
	here := make(map[cairn.PackID][]cairn.Location)
	for _, f := range files {
		if f.Kind == pack.Checkpoint && f.Sealed() == nil {
			continue // never spread, or its seal is damaged and its shards are all there is
		}
		here[f.Pack] = found[f.Pack] // the checkpoint may lie there
		delete(found, f.Pack)
		if f.Kind == pack.Log {
			numbers[f.Number] = true
		}
	}
	cut, err := s.rebuildBase(ctx, here, found, silent)
	if err != nil {
		return nil, fmt.Errorf("store: rebuild the index: %w", err)
	}
	got, err := s.gatherContents(ctx, found)
	if err != nil {
		return nil, fmt.Errorf("store: rebuild the index: %w", whileSilent(err, silent))
	}
	got.cut = cut
	released, err := s.c.readReleased()
	if err != nil {
		return nil, fmt.Errorf("store: rebuild the index: %w", err)
	}
	top := max(cut.Number, released)
	for _, r := range got.rows {
		if r.Kind == pack.Log {
			numbers[r.Number] = true
		}
	}
	for n := range numbers {
		top = max(top, n)
	}
	for n := cut.Number + 1; n <= top; n++ {
		if !numbers[n] { // journals have only a part of it
			return nil, fmt.Errorf("store: rebuild the index: log pack %d of %d is on no node that answers; start again when more nodes are there: %w", n, top, errors.Join(cairn.ErrUnavailable, silent))
		}
	}
	s.twins(&got, files)
	rest, err := s.restageFound(ctx, &got, files, top, silent)
	if err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	rows, changes := append(got.rows, rest.rows...), got.changes
	for batch := range slices.Chunk(changes, 1000) {
		if err := s.idx.Apply(batch); err != nil {
			return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
		}
	}
	if err := s.idx.SetPack(rows...); err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.complete(changes, files, silent); err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.idx.Flush(); err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.c.FS.Remove(s.rebuildName()); err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	if err := s.c.FS.SyncDir(s.c.Dir); err != nil {
		return rest.files, fmt.Errorf("store: rebuild the index: %w", err)
	}
	if len(rows) > 0 || silent != nil {
		s.c.Log.Warn("index made again from nodes", "packs", len(rows), "records", len(changes), "from_journals", rest.records, "silent", silent)
	}
	return rest.files, nil
}

// whileSilent is err, of contents read from nodes, as it is meant where silent says
// that some did not answer: what is wrong where it is listed may be right on those.
func whileSilent(err, silent error) error {
	if silent == nil || !errors.Is(err, cairn.ErrCorrupt) {
		return errors.Join(err, silent)
	}
	return fmt.Errorf("%v; start again when more nodes are there: %w", err, errors.Join(cairn.ErrUnavailable, silent))
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

// gathered is what packs on the nodes say of themselves.
type gathered struct {
	cut      pack.CutOff     // up to which a checkpoint has everything, which is left out here
	rows     []index.PackRow // but those of journals
	changes  []index.Change  // of log packs
	journals []journalPack
}

func (s *Store) gatherContents(ctx context.Context, found map[cairn.PackID][]cairn.Location) (gathered, error) {
	var mu sync.Mutex
	var out gathered
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(gatherWidth)
	for _, id := range slices.SortedFunc(maps.Keys(found), func(a, b cairn.PackID) int { return slices.Compare(a[:], b[:]) }) {
		g.Go(func() error {
			row, contents, chs, err := s.readContentsPatiently(ctx, id, found[id])
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
			if row.Kind == pack.Journal {
				out.journals = append(out.journals, journalPack{row, contents})
				return nil
			}
			out.rows, out.changes = append(out.rows, row), append(out.changes, chs...)
			return nil
		})
	}
	err := g.Wait()
	return out, err
}

// A pack that cannot be read now is asked for gatherTries times in all, after
// gatherFirst, then twice as long each time: a node that fails now and then must
// not keep a gateway from starting, and leaving the pack out could lose what
// nobody else tells of.
const (
	gatherTries = 4
	gatherFirst = time.Second
)

func (s *Store) readContentsPatiently(ctx context.Context, id cairn.PackID, at []cairn.Location) (row index.PackRow, c pack.Contents, chs []index.Change, err error) {
	for try := range gatherTries {
		if try > 0 {
			t := time.NewTimer(gatherFirst << (try - 1))
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return row, c, chs, err
			}
		}
		row, c, chs, err = s.readContents(ctx, id, at)
		if !errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, errNoShard) {
			break
		}
	}
	return row, c, chs, err
}

// errNoShard is that every place of a pack answered and none holds a shard of it.
var errNoShard = errors.New("no shard stands where it is listed")

// readContents returns what one pack on the nodes says of itself, and the
// changes that its records are. Those of a journal are left to restage: what
// they name is elsewhere than they say.
func (s *Store) readContents(ctx context.Context, id cairn.PackID, at []cairn.Location) (index.PackRow, pack.Contents, []index.Change, error) {
	var row index.PackRow
	t, err := s.c.Nodes.Trailer(ctx, id, at)
	if errors.Is(err, cairn.ErrCorrupt) {
		return row, pack.Contents{}, nil, fmt.Errorf("%w: %w", errNoShard, err)
	}
	if err != nil {
		return row, pack.Contents{}, nil, err
	}
	epoch, ok := s.keys.key(t.Epoch)
	if !ok {
		return row, pack.Contents{}, nil, fmt.Errorf("no key for epoch %d: %w", t.Epoch, cairn.ErrDenied)
	}
	sealed, err := s.c.Nodes.Contents(ctx, t.Params, at)
	if err != nil {
		return row, pack.Contents{}, nil, err
	}
	key := epoch.Pack(id, t.Prefix)
	c, err := pack.OpenContents(key, t.Params, sealed)
	if err != nil {
		return row, c, nil, err
	}
	row = index.PackRow{Params: t.Params, Kind: c.Kind, Bytes: c.Length, Number: c.Number, SealHash: t.SealHash(),
		First: c.First, Last: c.Last, State: index.Spread, At: at}
	if c.Kind == pack.Journal {
		return row, c, nil, nil
	}
	var changes []index.Change
	for _, r := range c.Records {
		ch := index.Change{Record: r}
		if _, list := whereOf(r.Body); list != nil {
			ch.Parts, err = s.readList(ctx, row, key, *list)
			if err != nil && !readable(row) {
				s.c.Log.Error("a record names a list in a pack of which no node has enough; it is left out unless a journal has it", "record", r.Stamp, "pack", id, "err", err)
				continue
			}
			if err != nil {
				return row, c, nil, err
			}
		}
		changes = append(changes, ch)
	}
	return row, c, changes, nil
}

// readList reads the list of a record from its log pack on the nodes.
func (s *Store) readList(ctx context.Context, row index.PackRow, key *crypt.PackKey, list pack.Part) ([]pack.Part, error) {
	var plain []byte
	var n uint64
	for _, e := range list.Extents {
		b := make([]byte, pack.SealedLength(int64(e.Length)))
		if err := s.c.Nodes.Read(ctx, row.Params, row.At, uint64(e.Offset), b, 0); err != nil {
			return nil, err
		}
		var err error
		if plain, n, err = openExtent(key, plain, b, list, e, n); err != nil {
			return nil, err
		}
	}
	return pack.ParseParts(plain)
}
