package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// journalRun is a row of frames in a journal.
type journalRun struct {
	row index.PackRow
	key *crypt.PackKey
	pack.Run
}

// restager writes the stages.
type restager struct {
	c      *Config
	from   restageFrom
	out    *restaged
	frames map[crypt.ContentID][]journalRun // where they are, by content

	file  *stage.File // being written, the last of out.files
	key   *crypt.PackKey
	off   uint32
	link  pack.Link
	used  int // bytes of records in it
	group *pack.GroupBuilder
	buf   []byte
}

// piece is an extent of a record: where it stands, or the plaintext of its frames.
type piece struct {
	ext   pack.Extent
	first uint64
	plain []byte
	end   bool
}

// record adds rec, its frames before it, or notes that it is lost.
func (r *restager) record(ctx context.Context, rec pack.Record) error {
	parts, list := whereOf(rec.Body)
	if list != nil {
		pieces, ok, err := r.fetch(ctx, *list)
		if err != nil {
			return err
		}
		if !ok {
			r.out.lost = append(r.out.lost, rec)
			return nil
		}
		if parts, err = r.listed(ctx, *list, pieces); err != nil {
			return err
		}
	}
	fetched := make([][]piece, len(parts))
	size := 0
	for i, part := range parts {
		pieces, ok, err := r.fetch(ctx, part)
		if err != nil {
			return err
		}
		if !ok {
			r.out.lost = append(r.out.lost, rec)
			return nil
		}
		fetched[i] = pieces
		for _, p := range pieces {
			size += int(pack.SealedLength(int64(len(p.plain))))
		}
	}
	// The list is made again and may be some bytes longer than it was.
	size += int(pack.SealedLength(int64(len(pack.AppendParts(nil, parts)) + 16*len(parts) + 64<<10)))
	bytes := len(rec.AppendTo(nil)) + pack.InlineExtents
	if err := r.room(size, bytes); err != nil {
		return err
	}
	moved := slices.Clone(parts)
	for i, pieces := range fetched {
		moved[i].Extents = nil
		for _, p := range pieces {
			e := p.ext
			if p.plain != nil {
				e = r.group.Frames(moved[i].ID, p.first, p.plain, p.end)
			}
			moved[i].Extents = append(moved[i].Extents, e)
		}
	}
	body, err := r.placed(rec.Body, moved)
	if err != nil {
		return err
	}
	rec.Body = body
	if err := rec.Check(); err != nil {
		return err
	}
	r.group.Add(rec)
	r.out.records++
	r.out.stamps[rec.Stamp] = true
	return nil
}

// placed is body with its content at parts.
func (r *restager) placed(body pack.Body, parts []pack.Part) (pack.Body, error) {
	if had, list := whereOf(body); list == nil && len(had) == 0 {
		return body, nil
	}
	var list *pack.Part
	if enc := pack.AppendParts(nil, parts); len(enc) > pack.InlineExtents {
		id, err := newContentID()
		if err != nil {
			return nil, err
		}
		list = &pack.Part{ID: id, Size: uint64(len(enc)), Extents: []pack.Extent{r.group.Frames(id, 0, enc, true)}}
		parts = nil
	}
	switch b := body.(type) {
	case pack.Put:
		b.Parts, b.List = parts, list
		return b, nil
	case pack.Move:
		b.Parts, b.List = parts, list
		return b, nil
	case pack.UploadPart:
		b.Parts, b.List = parts, list
		return b, nil
	case pack.UploadDone:
		b.Put.Parts, b.Put.List = parts, list
		return b, nil
	}
	return body, nil
}

// fetch returns the extents of part: those in packs that stand as they are, the
// others' bytes from journals. ok is false where neither has one.
func (r *restager) fetch(ctx context.Context, part pack.Part) (pieces []piece, ok bool, err error) {
	var done uint64
	for _, e := range part.Extents {
		p := piece{ext: e, first: done / pack.FrameSize}
		done += e.Length
		p.end = done == part.Size
		if !r.from.stands(e.Pack) {
			i := slices.IndexFunc(r.frames[part.ID], func(run journalRun) bool { return run.First == p.first && run.Length == e.Length })
			if i < 0 {
				return nil, false, nil
			}
			if p.plain, err = r.read(ctx, r.frames[part.ID][i], part); err != nil {
				return nil, false, err
			}
		}
		pieces = append(pieces, p)
	}
	return pieces, true, nil
}

// read returns the plaintext of a run of part.
func (r *restager) read(ctx context.Context, run journalRun, part pack.Part) ([]byte, error) {
	sealed := make([]byte, pack.SealedLength(int64(run.Length)))
	if err := r.c.Nodes.Read(ctx, run.row.Params, run.row.At, uint64(run.Offset), sealed, 0); err != nil {
		return nil, fmt.Errorf("journal %v: %w", run.row.Params.ID, err)
	}
	e := pack.Extent{Pack: run.row.Params.ID, Offset: run.Offset, Length: run.Length}
	plain, _, err := openExtent(run.key, make([]byte, 0, run.Length), sealed, part, e, run.First)
	if err != nil {
		return nil, fmt.Errorf("journal %v: %w", run.row.Params.ID, err)
	}
	return plain, nil
}

// listed reads the parts that a list names.
func (r *restager) listed(ctx context.Context, list pack.Part, pieces []piece) ([]pack.Part, error) {
	var plain []byte
	for _, p := range pieces {
		if p.plain == nil { // its log pack stands, although the record's does not: they are one
			return nil, fmt.Errorf("its list lies in pack %v: %w", p.ext.Pack, cairn.ErrCorrupt)
		}
		plain = append(plain, p.plain...)
	}
	return pack.ParseParts(plain)
}

// room makes sure that the group takes so many bytes of frames and of a record.
func (r *restager) room(frames, record int) error {
	if r.group != nil && r.group.Size()+frames > maxGroup {
		if err := r.finishGroup(); err != nil {
			return err
		}
	}
	need := pack.MinGroup + frames + record
	if r.group != nil {
		need += r.group.Size()
	}
	if r.file != nil && (int(r.off)+need > int(r.file.Capacity) || r.used+record > pack.MaxRecords) {
		if err := r.finishGroup(); err != nil {
			return err
		}
		r.file = nil
	}
	if r.file == nil {
		if err := r.newStage(max(int(r.c.PackSize), need)); err != nil {
			return err
		}
	}
	if r.group == nil {
		r.group = pack.NewGroup(r.key, r.file.Pack, uint64(r.off), r.link, r.buf)
	}
	r.used += record
	return nil
}

// newStage begins the next log stage.
func (r *restager) newStage(capacity int) error {
	var random [10]byte
	var prefix crypt.NoncePrefix
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("random bytes: %w", err)
	}
	if _, err := rand.Read(prefix[:]); err != nil {
		return fmt.Errorf("random bytes: %w", err)
	}
	h := stage.Header{Kind: pack.Log, Capacity: uint32(capacity), Store: r.c.Store, Epoch: r.c.Epoch, Prefix: prefix,
		Pack: cairn.NewPackID(r.from.seq+1+uint64(len(r.out.files)), random), Number: r.from.next + uint64(len(r.out.files))}
	f, err := stage.Create(r.c.FS, r.c.stageDir(), h)
	if err != nil {
		return diskError(err)
	}
	r.out.files = append(r.out.files, f)
	r.file, r.key, r.off, r.link, r.used = f, r.c.Epochs[h.Epoch].Pack(h.Pack, h.Prefix), 0, pack.FirstLink(h.Pack), 0
	return nil
}

// finishGroup makes the group durable. One after the other, so that a power loss
// leaves whole groups and not damage.
func (r *restager) finishGroup() error {
	if r.group == nil {
		return nil
	}
	b, link := r.group.Finish()
	r.group, r.buf = nil, b
	if err := r.file.WriteAt(b, r.off); err != nil {
		return diskError(err)
	}
	if err := r.file.Sync(); err != nil {
		return diskError(err)
	}
	r.off += uint32(len(b))
	r.link = link
	return nil
}
