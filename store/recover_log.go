package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// logWidth is how many log packs are made ready at a time while one is applied.
const logWidth = 8

// log applies the log packs above the cut-off in order.
func (r *recovering) log(ctx context.Context) error {
	r.begin("log", len(r.logs))
	r.may = make(map[cairn.PackID]bool)
	if len(r.journals) > 0 {
		r.applied = make(map[cairn.Stamp]bool)
	}
	var rows []index.PackRow // before any record: it may name a later one
	for _, l := range r.logs {
		rows = append(rows, l.row)
	}
	if err := r.idx.SetPack(rows...); err != nil {
		return err
	}
	err := inOrder(ctx, logWidth, len(r.logs), r.changes, func(i int, changes []index.Change) error {
		r.step.Packs++
		r.step.Objects += uint64(len(changes))
		r.step.Bytes += uint64(r.logs[i].row.Params.Contents)
		if r.step.Packs%16 == 0 {
			r.tell()
		}
		if err := r.apply(r.leaveToJournals(r.logs[i].row, changes)); err != nil {
			return fmt.Errorf("log pack %d: %w", r.logs[i].row.Number, err)
		}
		r.logs[i].contents.Records = nil
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.applyLater(); err != nil {
		return err
	}
	r.rep.Logs, r.rep.Records = len(r.logs), r.step.Objects
	r.end()
	return r.journaled(ctx)
}

// changes are the records of a log pack, with the lists that they name.
func (r *recovering) changes(ctx context.Context, i int) ([]index.Change, error) {
	l := &r.logs[i]
	id, c := l.row.Params.ID, l.contents
	if !l.whole {
		var err error
		if _, c, err = r.contents(ctx, id); err != nil {
			return nil, fmt.Errorf("log pack %d: %w", l.row.Number, err)
		}
	}
	key := r.c.Epochs[l.row.Params.Epoch].Pack(id, l.row.Params.Prefix) // it opened the contents
	var out []index.Change
	for _, rec := range c.Records {
		ch := index.Change{Record: rec}
		if _, list := whereOf(rec.Body); list != nil && r.mayStand(id) {
			var plain []byte
			var n uint64
			for _, e := range list.Extents {
				b := make([]byte, pack.SealedLength(int64(e.Length)))
				err := r.c.Nodes.Read(ctx, l.row.Params, l.row.At, uint64(e.Offset), b, 0)
				if err == nil {
					plain, n, err = openExtent(key, plain, b, *list, e, n)
				}
				if err != nil {
					return nil, fmt.Errorf("log pack %d: list of record %v: %w", l.row.Number, rec.Stamp, err)
				}
			}
			var err error
			if ch.Parts, err = pack.ParseParts(plain); err != nil {
				return nil, fmt.Errorf("log pack %d: list of record %v: %w", l.row.Number, rec.Stamp, err)
			}
		}
		out = append(out, ch)
	}
	return out, nil
}

// apply applies changes but those that name a pack of which fewer shards can
// exist than it takes: such a one does not replace what was there before, and
// what was there before stays, whatever retires its packs.
func (r *recovering) apply(changes []index.Change) error {
	batch := make([]index.Change, 0, min(len(changes), 1000))
	flush := func() error {
		err := r.idx.Apply(batch)
		batch = batch[:0]
		return err
	}
	for _, ch := range changes {
		r.saw(ch.Record.Stamp)
		if p, ok := ch.Record.Body.(pack.Retired); ok && r.pinned[p.Pack] {
			r.c.Log.Warn("a retired pack is needed again: what took its place does not stand", "pack", p.Pack)
			continue
		}
		if id, lost := r.lost(ch); lost {
			if err := flush(); err != nil {
				return err
			}
			if err := r.lose(ch, id); err != nil {
				return err
			}
			continue
		}
		if r.applied != nil {
			r.applied[ch.Record.Stamp] = true
		}
		if r.doubtful(ch) {
			r.later = append(r.later, ch)
			continue
		}
		if batch = append(batch, ch); len(batch) == 1000 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// applyLater applies what was put off, but for what a twin brought.
func (r *recovering) applyLater() error {
	later := slices.DeleteFunc(r.later, r.twinKnown)
	r.later = nil
	for batch := range slices.Chunk(later, 1000) {
		if err := r.idx.Apply(batch); err != nil {
			return err
		}
	}
	return nil
}

// lost returns the first pack that a change names and that cannot stand.
func (r *recovering) lost(ch index.Change) (cairn.PackID, bool) {
	for _, id := range packsOf(ch) {
		if !r.mayStand(id) {
			return id, true
		}
	}
	return cairn.PackID{}, false
}

// mayStand reports whether as many shards of a pack may exist as it takes: those
// that are listed, those that were on silent nodes, and one more on every other
// silent node. Of a pack that nobody lists it is not known how many it takes;
// while a node is silent it may stand there.
func (r *recovering) mayStand(id cairn.PackID) bool {
	if r.here[id] {
		return true
	}
	r.mu.Lock()
	may, known := r.may[id]
	r.mu.Unlock()
	if known {
		return may
	}
	if row, err := r.idx.Pack(id); err != nil {
		may = r.why != nil
	} else {
		may = r.mayHave(row)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.may) >= mayMost {
		clear(r.may)
	}
	r.may[id] = may
	return may
}

// mayMost is of how many packs it is remembered whether they may stand.
const mayMost = 1 << 16

func (r *recovering) mayHave(row index.PackRow) bool {
	shards := make(map[uint8]bool)
	on := make(map[cairn.NodeID]bool)
	for _, l := range row.At {
		shards[l.Index], on[l.Node] = true, true
	}
	n := len(shards)
	for id := range r.silent {
		if !on[id] {
			n++
		}
	}
	return n >= row.Params.Coding.K || r.why != nil && len(r.silent) == 0 // silent, and who is not known
}

// lose reports a change that is not applied and pins the version before it.
func (r *recovering) lose(ch index.Change, id cairn.PackID) error {
	l := Lost{Stamp: ch.Record.Stamp, Pack: id}
	var bucket uint64
	switch b := ch.Record.Body.(type) {
	case pack.UploadPart:
		u, err := r.idx.Upload(b.Upload)
		if err != nil && !errors.Is(err, cairn.ErrNotExist) {
			return err
		}
		bucket, l.Key, l.Part = u.Bucket, u.Key, b.Number
	case pack.Move:
		bucket, l.Key, l.Stamp = b.Bucket, b.Key, b.Of
	default:
		p, _ := putIn(b)
		bucket, l.Key = p.Bucket, p.Key
	}
	if l.Part == 0 {
		v, err := r.idx.Object(bucket, l.Key)
		switch {
		case err == nil:
			l.Older = true
			r.pin(v)
		case !errors.Is(err, cairn.ErrNotExist):
			return err
		}
	}
	r.report(l, bucket)
	return nil
}

func (r *recovering) pin(v index.Version) {
	if r.pinned == nil {
		r.pinned = make(map[cairn.PackID]bool)
	}
	parts := v.Put.Parts
	if v.Put.List != nil {
		parts = append(parts[:len(parts):len(parts)], *v.Put.List)
	}
	for _, p := range parts {
		for _, e := range p.Extents {
			r.pinned[e.Pack] = true
		}
	}
}

func (r *recovering) report(l Lost, bucket uint64) {
	l.Bucket = strconv.FormatUint(bucket, 10)
	if b, err := r.idx.Bucket(bucket); err == nil {
		l.Bucket = b.Name
	}
	r.rep.LostCount++
	if len(r.rep.Lost) < lostMost {
		r.rep.Lost = append(r.rep.Lost, l)
	}
}

// missing reports what the index names and cannot stand: what stood when the
// checkpoint was made, and does not any more.
func (r *recovering) missing() error {
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if r.here[row.Params.ID] || r.mayHave(row) {
			continue
		}
		for ref, err := range r.idx.Refs(row.Params.ID) {
			if err != nil {
				return err
			}
			l := Lost{Key: ref.Key, Part: ref.Part, Stamp: ref.Stamp, Pack: row.Params.ID}
			bucket := ref.Bucket
			if ref.Part > 0 {
				u, err := r.idx.Upload(ref.Upload)
				if err != nil && !errors.Is(err, cairn.ErrNotExist) {
					return err
				}
				bucket, l.Key = u.Bucket, u.Key
			}
			r.report(l, bucket)
		}
	}
	return nil
}
