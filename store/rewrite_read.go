package store

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

const (
	// readMost is how many bytes of a pack are asked for at a time, and readGap how
	// many that are not wanted between two extents: a block, which comes whole.
	readMost = rewriteWindow * pack.SealedSize
	readGap  = pack.BlockSize
)

// readWindow is sealed bytes of a pack, in memory: many small extents lie in one,
// and often in one block.
type readWindow struct {
	pack cairn.PackID
	off  uint32
	b    []byte
	key  *crypt.PackKey
}

// of returns n bytes from off, nil where they are not all there.
func (r *readWindow) of(id cairn.PackID, off uint32, n int) []byte {
	if r.pack != id || off < r.off || int64(off)+int64(n) > int64(r.off)+int64(len(r.b)) {
		return nil
	}
	return r.b[off-r.off:][:n]
}

// read opens step bytes of plaintext of e from done on, which are whole frames,
// every one authenticated.
func (w *rewriter) read(e liveExtent, done, step uint64) (plain []byte, number uint64, err error) {
	number = e.first + done/pack.FrameSize
	part := pack.Part{ID: e.content, Size: e.size}
	at := e.offset + uint32(pack.SealedLength(int64(done)))
	sealed, err := w.sealed(e.pack, at, int(pack.SealedLength(int64(step))))
	if err != nil {
		return nil, 0, err
	}
	plain, _, err = openExtent(w.window.key, make([]byte, 0, step), sealed, part, pack.Extent{Pack: e.pack, Offset: at, Length: step}, number)
	if err != nil {
		return nil, 0, fmt.Errorf("store: compact: pack %v at %d: %w", e.pack, at, err)
	}
	return plain, number, nil
}

// sealed returns n bytes at off of a pack, with what follows in one request. Where
// that fails it asks for those alone: the others may be what nobody can read, and
// perhaps nobody wants.
func (w *rewriter) sealed(id cairn.PackID, off uint32, n int) ([]byte, error) {
	if b := w.window.of(id, off, n); b != nil {
		return b, nil
	}
	more := w.reach(off, n)
	err := w.fetch(id, off, more)
	if err != nil && more > n && w.ctx.Err() == nil {
		err = w.fetch(id, off, n)
	}
	if err != nil {
		return nil, err
	}
	return w.window.b[:n], nil
}

// reach is how many bytes from off to read at once of which the first n are wanted
// now.
func (w *rewriter) reach(off uint32, n int) int {
	end := int64(off) + int64(n)
	for _, e := range w.coming {
		next := int64(e.offset) + pack.SealedLength(int64(e.length))
		if int64(e.offset) > end+readGap || next > int64(off)+readMost {
			break
		}
		end = max(end, next)
	}
	return int(end - int64(off))
}

// fetch makes n bytes at off of a pack the window.
func (w *rewriter) fetch(id cairn.PackID, off uint32, n int) error {
	if err := w.spendRead(id, off, n); err != nil {
		return err
	}
	w.window.pack, w.window.off, w.window.b = id, off, nil // nothing, until they are there
	b := make([]byte, n)
	key, err := w.s.readPack(w.reading(), id, off, b, false)
	if err != nil {
		return err
	}
	w.window.b, w.window.key = b, key
	return nil
}
