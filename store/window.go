package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Windows: the first is small so that its bytes come soon, the others large
// enough to hide a round trip, and small enough for two of them, with the blocks
// that they begin and end in, to fit into the 2 MiB that a node usually sends
// before it waits for us.
const (
	firstWindow = 4  // frames
	laterWindow = 14 // frames
)

// window is a run of frames of one extent, and which of its bytes are wanted.
type window struct {
	part   *pack.Part
	id     cairn.PackID
	off    uint32 // of the first sealed frame in the pack
	first  uint64 // its number in the content
	length uint64 // bytes of plaintext of all frames
	skip   int    // of them not wanted at the front
	take   int    // wanted after that
	more   bool   // other windows of the same range follow
	fresh  bool   // the first of the range in its extent
	rest   uint32 // bytes of the pack after it that the range wants, too
	then   spot   // what the range wants after those; no pack for nothing
}

// spot is a place in a pack.
type spot struct {
	id  cairn.PackID
	off uint32
}

// windows returns the windows of bytes [off, off+n) of an object, in order.
func windows(parts []pack.Part, off, n int64) func() (window, bool) {
	pi, ei := 0, 0
	var base uint64 // object offset of parts[pi]
	var done uint64 // bytes of the part before Extents[ei]
	at, end := uint64(off), uint64(off+n)
	size := firstWindow
	return func() (window, bool) {
		for at < end && pi < len(parts) {
			p := &parts[pi]
			if at >= base+p.Size {
				base += p.Size
				pi, ei, done = pi+1, 0, 0
				continue
			}
			e := p.Extents[ei]
			in := at - base
			if in >= done+e.Length {
				done += e.Length
				ei++
				continue
			}
			frame := (in - done) / pack.FrameSize // in the extent
			from := frame * pack.FrameSize
			w := window{part: p, id: e.Pack, off: e.Offset + uint32(frame)*pack.SealedSize, first: (done + from) / pack.FrameSize}
			w.length = min(uint64(size)*pack.FrameSize, e.Length-from)
			w.skip = int(in - done - from)
			w.take = int(min(w.length-uint64(w.skip), end-at))
			// No more frames than hold wanted bytes.
			w.length = min(w.length, (uint64(w.skip+w.take)+pack.FrameSize-1)/pack.FrameSize*pack.FrameSize)
			at += uint64(w.take)
			size = laterWindow
			w.more, w.fresh = at < end, at-uint64(w.take) == base+done || at-uint64(w.take) == uint64(off)
			if stop := base + done + e.Length; stop > at {
				w.rest = uint32((min(stop, end) - at + pack.FrameSize - 1) / pack.FrameSize * pack.SealedSize)
			}
			if base+done+e.Length < end {
				w.then = following(parts, pi, ei)
			}
			return w, true
		}
		return window{}, false
	}
}

// following is where the extent after parts[pi].Extents[ei] begins.
func following(parts []pack.Part, pi, ei int) spot {
	for ei++; pi < len(parts); pi, ei = pi+1, 0 {
		if ei < len(parts[pi].Extents) {
			e := parts[pi].Extents[ei]
			return spot{e.Pack, e.Offset}
		}
	}
	return spot{}
}

// fetch returns the wanted plaintext of w, every frame of it authenticated.
func (s *Store) fetch(ctx context.Context, w window) ([]byte, error) {
	sealed := make([]byte, pack.SealedLength(int64(w.length)))
	key, err := s.readPack(ctx, w.id, w.off, sealed, !w.more)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, w.length)
	at := w.off
	last := (w.part.Size - 1) / pack.FrameSize
	for n, left := w.first, w.length; left > 0; n++ {
		f := min(left, pack.FrameSize)
		size := int(f) + crypt.Overhead
		plain, err = key.OpenFrame(plain, sealed[:size], uint64(at), w.part.ID, n, n == last)
		if err != nil {
			return nil, fmt.Errorf("store: frame %d at %d of pack %v: %w", n, at, w.id, err)
		}
		sealed, at, left = sealed[size:], at+uint32(size), left-f
	}
	return plain[w.skip : w.skip+w.take], nil
}

// lead is how far ahead of a window shards are looked for, bytes of a pack: twice
// what a reader has under way, as each shard costs a turn more than its bytes.
const lead = 2 * depth * laterWindow * pack.SealedSize

// scout reads a byte of each shard that the reader of w comes to soon, so that
// opening it and reading its tail costs no turn when the reader is there. It
// touches only what the range wants, and never fails a read.
func (s *Store) scout(ctx context.Context, w window) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, at := range s.beyond(w) {
		wg.Go(func() {
			_, _ = s.readPack(ctx, at.id, at.off, make([]byte, 1), false) // who comes there learns why not
		})
	}
}

// beyond lists where shards begin that the range wants and of which w is the
// first window within lead.
func (s *Store) beyond(w window) (at []spot) {
	end := uint64(w.off) + uint64(pack.SealedLength(int64(w.length)))
	stop, from := end+uint64(w.rest), uint64(w.off)+lead
	if w.fresh {
		from = end - 1
	}
	row, err := s.idx.Pack(w.id)
	if l := row.Params.Length; err == nil && row.State != index.Staged && l > laterWindow*pack.SealedSize {
		for next := (from/l + 1) * l; next < stop && next <= end+lead; next += l {
			at = append(at, spot{w.id, uint32(next)})
		}
	}
	if w.then != (spot{}) && stop > from && stop <= end+lead {
		at = append(at, w.then)
	}
	return at
}

// readPack fills b with pack bytes from off, from the stage or from nodes; with
// ahead it may fetch what follows, too. Within a range the reader itself is
// ahead, and what it will ask for must not crowd the cache twice.
// Where the nodes do not have what the index said it looks again: the pack may
// have moved meanwhile.
func (s *Store) readPack(ctx context.Context, id cairn.PackID, off uint32, b []byte, ahead bool) (*crypt.PackKey, error) {
	for again := false; ; again = true {
		if p := s.acquire(id); p != nil {
			defer s.release(p)
			return p.key, p.file.ReadAt(b, off)
		}
		row, err := s.idx.Pack(id)
		if err == nil && row.State != index.Staged {
			key, err := s.readSpread(ctx, row, off, b, ahead)
			if err == nil || again || ctx.Err() != nil {
				return key, err
			}
			if now, gone := s.idx.Pack(id); gone != nil || slices.Equal(now.At, row.At) {
				return nil, err
			}
			continue
		}
		if again {
			if errors.Is(err, cairn.ErrNotExist) || err == nil {
				return nil, fmt.Errorf("store: pack %v is neither staged nor spread: %w", id, cairn.ErrCorrupt)
			}
			return nil, fmt.Errorf("store: pack %v: %w", id, err)
		}
	}
}

func (s *Store) readSpread(ctx context.Context, row index.PackRow, off uint32, b []byte, ahead bool) (*crypt.PackKey, error) {
	epoch, ok := s.keys.key(row.Params.Epoch)
	if !ok {
		return nil, fmt.Errorf("store: no key for epoch %d of pack %v: %w", row.Params.Epoch, row.Params.ID, cairn.ErrDenied)
	}
	if uint64(off)+uint64(len(b)) > uint64(row.Bytes) {
		return nil, fmt.Errorf("store: %d bytes at %d are not in pack %v of %d: %w", len(b), off, row.Params.ID, row.Bytes, cairn.ErrCorrupt)
	}
	n := 0
	if ahead {
		n = min(s.ahead.next(row.Params.ID, off, uint32(len(b))), int(row.Bytes-off)-len(b))
	}
	if err := s.c.Nodes.Read(ctx, row.Params, row.At, uint64(off), b, n); err != nil {
		return nil, fmt.Errorf("store: pack %v: %w", row.Params.ID, err)
	}
	return epoch.Pack(row.Params.ID, row.Params.Prefix), nil
}

// readAhead remembers where reads of packs ended. Objects lie in the order of
// their arrival, so a read that begins near the end of another wants what
// follows, and the more the longer that goes on.
type readAhead struct {
	mu   sync.Mutex
	last map[cairn.PackID]run // guarded by mu
}

type run struct {
	end    uint32
	window int
}

const (
	aheadFirst = 256 << 10
	aheadMost  = 2 << 20
	aheadNear  = 1 << 20 // a gap up to this still counts as going on
	aheadPacks = 1024    // remembered
)

// next returns how many bytes beyond a read of n bytes at off to fetch.
func (a *readAhead) next(id cairn.PackID, off, n uint32) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.last[id]
	switch {
	case !ok:
		r.window = aheadFirst
	case off >= r.end && off-r.end <= aheadNear:
		r.window = min(2*r.window, aheadMost)
	case off < r.end:
		return 0 // behind: what follows was fetched
	default:
		r.window = aheadFirst
	}
	r.end = off + n
	if a.last == nil || len(a.last) >= aheadPacks {
		a.last = make(map[cairn.PackID]run)
	}
	a.last[id] = r
	return r.window
}
