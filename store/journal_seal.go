package store

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// seal makes the files of the journal of batch.
func (j *journaler) seal(batch []*entry, number uint64, coding cairn.Coding) (*pack.Sealed, index.PackRow, error) {
	s := j.s
	in, epoch := s.keys.sealing()
	p := pack.Params{Store: s.c.Store, Epoch: in, Coding: coding}
	var err error
	if p.ID, p.Prefix, err = s.newID(); err != nil {
		return nil, index.PackRow{}, err
	}
	w := journalWriter{s: s, key: epoch.Pack(p.ID, p.Prefix), have: make(map[frameOf]bool)}
	c := pack.Contents{Kind: pack.Journal, Number: number}
	records := make(map[cairn.Stamp]pack.Record)
	for _, e := range batch {
		for _, ch := range e.changes {
			if err := w.change(ch); err != nil {
				return nil, index.PackRow{}, err
			}
			at := ch.Record.Stamp
			records[at] = ch.Record
			c.Last = maxStamp(c.Last, at)
			if c.First.IsZero() || at.Compare(c.First) < 0 {
				c.First = at
			}
		}
	}
	for _, r := range s.heads(batch) {
		records[r.Stamp] = r
	}
	c.Records = slices.SortedFunc(maps.Values(records), func(a, b pack.Record) int { return a.Stamp.Compare(b.Stamp) })
	c.Runs, c.Length = w.runs, uint32(len(w.b))
	p.Length = pack.ShardLength(uint64(len(w.b)), coding)
	contents, err := c.Seal(w.key, p)
	if err != nil {
		return nil, index.PackRow{}, err
	}
	p.Contents = uint32(len(contents))
	code, err := erasure.New(coding)
	if err != nil {
		return nil, index.PackRow{}, err
	}
	files, err := pack.Seal(code, w.key, p, w.b, contents, s.c.Sign, column())
	if err != nil {
		return nil, index.PackRow{}, err
	}
	return files, index.PackRow{Params: files.Params, Kind: pack.Journal, Bytes: c.Length, Number: number,
		SealHash: files.SealHash(), First: c.First, Last: c.Last}, nil
}

// newID draws id and nonce prefix of a pack that has no stage.
func (s *Store) newID() (id cairn.PackID, prefix crypt.NoncePrefix, err error) {
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		return id, prefix, fmt.Errorf("store: random bytes: %w", err)
	}
	if _, err := rand.Read(prefix[:]); err != nil {
		return id, prefix, fmt.Errorf("store: random bytes: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seqTop++; s.seqTop > cairn.MaxSequence {
		return id, prefix, fmt.Errorf("store: all %d pack sequences are used: %w", uint64(cairn.MaxSequence), cairn.ErrFull)
	}
	return cairn.NewPackID(s.seqTop, random), prefix, nil
}

// frameOf names a frame wherever it lies: copies share the content's id, and
// moving it keeps id and number.
type frameOf struct {
	content crypt.ContentID
	number  uint64
}

// journalWriter gathers the frames of a journal, sealed anew under its key, and
// the runs that tell which they are: records name them where the log has them.
type journalWriter struct {
	s    *Store
	key  *crypt.PackKey
	b    []byte
	runs []pack.Run
	have map[frameOf]bool // first frames of runs
}

// change adds the frames that ch names in log packs which do not stand.
func (w *journalWriter) change(ch index.Change) error {
	for part, e := range extentsOf(ch) {
		if err := w.extent(*part, e.ext, e.first); err != nil {
			return fmt.Errorf("record %v: %w", ch.Record.Stamp, err)
		}
	}
	return nil
}

func (w *journalWriter) extent(part pack.Part, e pack.Extent, first uint64) error {
	p := w.s.acquire(e.Pack)
	if p == nil {
		return nil // it left the stage
	}
	defer w.s.release(p)
	w.s.mu.Lock()
	here := p.phase < spread
	w.s.mu.Unlock()
	name := frameOf{part.ID, first}
	if !here || w.have[name] {
		return nil
	}
	if p.file.Kind != pack.Log {
		return fmt.Errorf("pack %v, which it names, does not stand any more: %w", e.Pack, cairn.ErrUnavailable)
	}
	sealed := make([]byte, pack.SealedLength(int64(e.Length)))
	if err := p.file.ReadAt(sealed, e.Offset); err != nil {
		return diskError(err)
	}
	plain, _, err := openExtent(p.key, make([]byte, 0, e.Length), sealed, part, e, first)
	if err != nil {
		return err
	}
	run := pack.Run{Content: part.ID, First: first, Offset: uint32(len(w.b)), Length: e.Length,
		End: first*pack.FrameSize+e.Length == part.Size}
	w.b = pack.SealFrames(w.b, w.key, 0, part.ID, first, plain, run.End)
	w.runs = append(w.runs, run)
	w.have[name] = true
	return nil
}

// heads returns the records without which those of batch mean nothing and which
// stand on no node: the lives that wrote them, the nodes, the buckets, and the
// uploads that they are about.
func (s *Store) heads(batch []*entry) []pack.Record {
	about := make(map[pack.UploadID]bool)
	for _, e := range batch {
		for _, ch := range e.changes {
			switch b := ch.Record.Body.(type) {
			case pack.UploadPart:
				about[b.Upload] = true
			case pack.UploadDone:
				about[b.Upload] = true
			case pack.UploadGone:
				about[b.Upload] = true
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pack.Record
	for _, p := range s.packs {
		if p.file.Kind != pack.Log || p.phase >= spread {
			continue
		}
		for _, r := range p.heads {
			if u, ok := r.Body.(pack.Upload); !ok || about[u.ID] {
				out = append(out, r)
			}
		}
	}
	return out
}

// head remembers r if it is one that others mean nothing without; s.mu is held.
func (p *staged) head(r pack.Record) {
	switch r.Body.(type) {
	case pack.Life, pack.Node, pack.NodeGone, pack.Bucket, pack.Upload:
		p.heads = append(p.heads, r)
	}
}
