package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// loadStages opens every stage of the directory, in order of sequence.
func (s *Store) loadStages() ([]*stage.File, error) {
	ids, err := stage.List(s.c.FS, s.c.stageDir())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var files []*stage.File
	fail := func(err error) ([]*stage.File, error) {
		for _, f := range files {
			_ = f.Close() // read only
		}
		return nil, err
	}
	for _, id := range ids {
		f, err := stage.Open(s.c.FS, s.c.stageDir(), id, s.c.Store)
		if errors.Is(err, stage.ErrEmpty) {
			if err := s.c.FS.Remove(stage.Name(s.c.stageDir(), id)); err != nil {
				return fail(fmt.Errorf("store: %w", err))
			}
			continue
		}
		if err != nil {
			return fail(fmt.Errorf("store: %w", err))
		}
		files = append(files, f)
		if _, ok := s.c.Epochs[f.Epoch]; !ok {
			return fail(fmt.Errorf("store: stage %v is of epoch %d, whose key is missing: %w", id, f.Epoch, cairn.ErrDenied))
		}
	}
	return files, nil
}

// extentOf is what a record says of a data pack.
type extentOf struct {
	part  pack.Part
	ext   pack.Extent
	first uint64      // frame number of ext
	by    cairn.Stamp // of the record
}

// replay applies the log stages to the index and takes all stages into the
// books. It returns the newest stamp. Applying is idempotent and in any order:
// the highest stamp wins.
func (s *Store) replay(files []*stage.File) (cairn.Stamp, error) {
	last := s.idx.Applied()
	named := make(map[cairn.PackID]extentOf)
	void := make(map[cairn.Stamp]bool)
	var logs, data []*staged
	for i, f := range files { // all, before any record is looked at: it may name a later one
		p, err := s.known(f)
		if err != nil {
			for _, f := range files[i:] {
				_ = f.Close() // those before are in the books
			}
			return last, err
		}
		switch {
		case p == nil || p.phase == spread:
		case f.Kind == pack.Log:
			logs = append(logs, p)
		default:
			data = append(data, p)
		}
	}
	for _, p := range logs {
		if err := s.replayLog(p, named, void); err != nil {
			return last, err
		}
		last = maxStamp(last, p.last)
	}
	for id, n := range named {
		if void[n.by] {
			delete(named, id)
		}
	}
	for _, p := range data {
		if err := s.replayData(p, named); err != nil {
			return last, err
		}
	}
	return last, s.linkChain()
}

func maxStamp(a, b cairn.Stamp) cairn.Stamp {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}

// known takes f into the books. The index, as it was opened and so durably,
// may know its pack as spread: then its records are not applied again, and it
// stays until it is released in the ordinary way. Where its pack is retired the
// file is removed and nil returned.
func (s *Store) known(f *stage.File) (*staged, error) {
	p := &staged{file: f, key: s.c.Epochs[f.Epoch].Pack(f.Pack, f.Prefix), since: time.Now()}
	s.seqTop = max(s.seqTop, f.Pack.Seq())
	row, err := s.idx.Pack(f.Pack)
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	listed := err == nil && row.State != index.Staged
	if listed && (row.State != index.Spread || f.Sealed() == nil) {
		p.gone = true
		s.unlink(p)
		return nil, nil
	}
	p.phase = closed
	if f.Sealed() != nil {
		p.phase, p.length = sealed, f.Sealed().Length
	}
	if listed {
		p.phase, p.listed, p.at, p.counted, p.first, p.last = spread, true, row.At, slices.Clone(row.At), row.First, row.Last
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(p, 4096+int64(f.Capacity))
	if listed {
		s.shrink(p)
	}
	return p, nil
}

// replayLog applies one log stage and notes which extents its records name.
func (s *Store) replayLog(p *staged, named map[cairn.PackID]extentOf, void map[cairn.Stamp]bool) error {
	scan, err := p.file.ScanLog(p.key)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if scan.Damage != "" {
		s.damaged(scan.Damage)
	}
	if scan.Tail == 0 && p.phase == closed {
		s.mu.Lock()
		s.forget(p)
		s.mu.Unlock()
		s.unlink(p)
		return nil
	}
	p.length = scan.Tail
	slices.SortFunc(scan.Records, func(a, b pack.Record) int { return a.Stamp.Compare(b.Stamp) })
	p.records = scan.Records
	if len(p.records) > 0 {
		p.first = p.records[0].Stamp
	}
	changes := make([]index.Change, 0, len(scan.Records))
	for _, r := range scan.Records {
		ch, err := s.resolve(p, r)
		if err != nil {
			return err
		}
		changes = append(changes, ch)
		s.mu.Lock()
		s.depend(p, ch)
		s.mu.Unlock()
		note(named, ch)
		if v, ok := r.Body.(pack.Void); ok {
			void[v.Of] = true
		}
		p.last = maxStamp(p.last, r.Stamp)
	}
	s.mu.Lock()
	s.shrink(p)
	s.mu.Unlock()
	if err := s.idx.Apply(changes); err != nil {
		return fmt.Errorf("store: replay of stage %v: %w", p.id(), err)
	}
	return nil
}

// resolve reads the list that r names, if any, from p.
func (s *Store) resolve(p *staged, r pack.Record) (index.Change, error) {
	ch := index.Change{Record: r}
	list := listOf(r.Body)
	if list == nil {
		return ch, nil
	}
	var plain []byte
	var number uint64
	for _, e := range list.Extents {
		b := make([]byte, pack.SealedLength(int64(e.Length)))
		if e.Pack != p.id() {
			return ch, fmt.Errorf("store: record %v: its list lies in another pack: %w", r.Stamp, cairn.ErrCorrupt)
		}
		if err := p.file.ReadAt(b, e.Offset); err != nil {
			return ch, fmt.Errorf("store: record %v: %w", r.Stamp, err)
		}
		var err error
		if plain, number, err = openExtent(p.key, plain, b, *list, e, number); err != nil {
			return ch, fmt.Errorf("store: record %v: list: %w", r.Stamp, err)
		}
	}
	parts, err := pack.ParseParts(plain)
	if err != nil {
		return ch, fmt.Errorf("store: record %v: list: %w", r.Stamp, err)
	}
	ch.Parts = parts
	return ch, nil
}

func listOf(b pack.Body) *pack.Part {
	switch b := b.(type) {
	case pack.Put:
		return b.List
	case pack.Move:
		return b.List
	}
	return nil
}

// openExtent appends the plaintext of extent e of part, whose sealed bytes are
// b and whose first frame has number n, to dst.
func openExtent(key *crypt.PackKey, dst, b []byte, part pack.Part, e pack.Extent, n uint64) ([]byte, uint64, error) {
	at, last := uint64(e.Offset), (part.Size-1)/pack.FrameSize
	for len(b) > 0 {
		size := min(len(b), pack.SealedSize)
		var err error
		if dst, err = key.OpenFrame(dst, b[:size], at, part.ID, n, n == last); err != nil {
			return nil, 0, err
		}
		b, at, n = b[size:], at+uint64(size), n+1
	}
	return dst, n, nil
}

// note remembers the extents that ch names, by pack.
func note(named map[cairn.PackID]extentOf, ch index.Change) {
	put, ok := ch.Record.Body.(pack.Put)
	if !ok {
		return
	}
	parts := put.Parts
	if put.List != nil {
		parts = ch.Parts
	}
	for _, part := range parts {
		var done uint64
		for _, e := range part.Extents {
			named[e.Pack] = extentOf{part, e, done / pack.FrameSize, ch.Record.Stamp}
			done += e.Length
		}
	}
}

// replayData decides about a data stage: one that a record names is complete
// and durable, since its fsync came before the record's; any other belongs to
// a write that was never acknowledged. The record may be in a log pack that is
// staged no more; then the index knows of it.
func (s *Store) replayData(p *staged, named map[cairn.PackID]extentOf) error {
	n, ok := named[p.id()]
	refers, err := s.idx.Referenced(p.id())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if !ok && !refers {
		s.abandon([]cairn.PackID{p.id()})
		return nil
	}
	if p.phase == sealed {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.shrink(p)
		return nil
	}
	length := n.ext.Offset + uint32(pack.SealedLength(int64(n.ext.Length)))
	b, err := p.file.Bytes(length)
	if !ok {
		length, err = p.file.Capacity, fmt.Errorf("its seal is gone: %w", cairn.ErrCorrupt)
	}
	if err == nil {
		err = pack.CheckExtent(p.key, b, 0, n.part, n.ext, n.first, nil)
	}
	if err != nil {
		s.damaged(fmt.Sprintf("stage %v: %v", p.id(), err))
		s.mu.Lock()
		p.phase, p.length, p.why = writing, length, err // keep it, read what opens, never sign it
		s.mu.Unlock()
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.length = length
	p.runs = []pack.Run{{Content: n.part.ID, First: n.first, Offset: n.ext.Offset, Length: n.ext.Length,
		End: n.first*pack.FrameSize+n.ext.Length == n.part.Size}}
	s.shrink(p)
	return nil
}

// damaged is loud: something that was acknowledged may not read back.
func (s *Store) damaged(what string) {
	s.c.Log.Error("the stage is damaged; everything else is served", "what", what)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = append(s.damage, what)
}

// linkChain finds the end of the chain of log packs, in the index and in the
// stages, and refuses a chain with a hole.
func (s *Store) linkChain() error {
	for row, err := range s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		s.seqTop = max(s.seqTop, row.Params.ID.Seq())
		if row.State == index.Spread {
			s.nSpread++
			s.account(row, nil)
		}
		if row.Kind == pack.Log && row.State != index.Staged && row.Number > s.chain.done {
			s.chain.done, s.chain.seal = row.Number, row.SealHash
		}
	}
	var logs []*staged
	for _, p := range s.packs {
		if p.file.Kind == pack.Log {
			logs = append(logs, p)
		}
	}
	slices.SortFunc(logs, func(a, b *staged) int {
		return cmp.Or(cmp.Compare(a.file.Number, b.file.Number), cmp.Compare(a.id().Seq(), b.id().Seq()))
	})
	s.chain.next = s.chain.done + 1
	for i, p := range logs {
		n := p.file.Number
		if p.phase == closed && (n <= s.chain.done || i+1 < len(logs) && logs[i+1].file.Number == n) {
			// Its first group failed, so its number was given to another, which
			// begins with taking back what this one holds; the removal was lost.
			s.mu.Lock()
			s.forget(p)
			s.mu.Unlock()
			s.unlink(p)
			continue
		}
		if n > s.chain.next {
			return fmt.Errorf("store: log pack %d is neither staged nor known as spread, but %d is here: a stage was removed by hand or its disk was changed: %w", s.chain.next, n, cairn.ErrCorrupt)
		}
		s.chain.next = max(s.chain.next, n+1)
		if p.phase == sealed && n > s.chain.done {
			s.chain.done, s.chain.seal = n, p.file.Sealed().Trailer.SealHash()
		}
	}
	return nil
}
