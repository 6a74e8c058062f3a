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
// enough to hide a round trip.
const (
	firstWindow = 4  // frames
	laterWindow = 16 // frames
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
			w.more = at < end
			return w, true
		}
		return window{}, false
	}
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
	epoch, ok := s.c.Epochs[row.Params.Epoch]
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
