package store

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// body is one content on its way in. A small object's bytes, or the last ones
// of a longer content, are its tail and wait in memory for the log pack; all
// before is sealed into data packs of its own, one stage file at a time.
type body struct {
	s       *Store
	id      crypt.ContentID
	life    uint32
	size    int64
	extents []pack.Extent
	packs   []cairn.PackID // data packs made for it, for abandon
	open    *staged        // the one being written
	tail    []byte
	first   uint64 // frame number of the tail
	held    int64  // bytes of memory budget
}

// take reads the body and then asks for its digest.
func (b *body) take(ctx context.Context, r io.Reader, size int64, digest func() (Digest, error)) (d Digest, err error) {
	if err := b.read(ctx, r, size); err != nil {
		return d, err
	}
	if digest != nil {
		d, err = digest()
	}
	return d, err
}

// read takes all of r, size bytes or, when that is negative, up to its end.
func (b *body) read(ctx context.Context, r io.Reader, size int64) error {
	if err := b.hold(ctx, size); err != nil {
		return err
	}
	small := b.s.c.small()
	if size >= 0 && size <= small {
		tail, err := readWhole(r, size)
		b.tail, b.size = tail, size
		return err
	}
	br := bufio.NewReaderSize(r, 64<<10)
	buf := make([]byte, small)
	for {
		n, end, err := readUp(br, buf)
		if err != nil {
			return err
		}
		b.size += int64(n)
		if size >= 0 && (b.size > size || end && b.size != size) {
			return fmt.Errorf("store: body of %d bytes or more, %d were announced: %w", b.size, size, cairn.ErrInvalid)
		}
		if end {
			b.tail, b.first = buf[:n], uint64(b.size-int64(n))/pack.FrameSize
			return nil
		}
		if err := b.fillPack(ctx, br, buf); err != nil {
			return err
		}
		if b.open == nil && b.ended() {
			return b.checkSize(size)
		}
	}
}

// ended reports that the content ended inside a data pack.
func (b *body) ended() bool { return b.first == ended }

const ended = ^uint64(0)

func (b *body) checkSize(size int64) error {
	if size >= 0 && b.size != size {
		return fmt.Errorf("store: body of %d bytes, %d were announced: %w", b.size, size, cairn.ErrInvalid)
	}
	return nil
}

// fillPack writes a data pack that begins with buf, which is full, until the
// pack is full or the content ends. Its frames are durable when it returns.
func (b *body) fillPack(ctx context.Context, br *bufio.Reader, buf []byte) error {
	if err := b.s.room(ctx, int64(b.s.c.PackSize)); err != nil {
		return err
	}
	first := uint64(b.size-int64(len(buf))) / pack.FrameSize
	p, err := b.s.newStage(pack.Data, b.life, &b.id, first)
	if err != nil {
		return err
	}
	b.open, b.packs = p, append(b.packs, p.id())
	left := stage.MaxFrames(b.s.c.PackSize) * pack.FrameSize
	var off uint32
	run := pack.Run{Content: b.id, First: first}
	sealed := make([]byte, 0, pack.SealedLength(int64(len(buf))))
	for n, end := len(buf), false; ; {
		number := first + run.Length/pack.FrameSize
		sealed = pack.SealFrames(sealed[:0], p.key, uint64(off), b.id, number, buf[:n], end)
		if err := p.file.WriteAt(sealed, off); err != nil {
			return diskError(err)
		}
		off += uint32(len(sealed))
		run.Length += uint64(n)
		left -= n
		run.End = end
		if end || left == 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store: %w: %w", err, cairn.ErrUnavailable)
		}
		if n, end, err = readUp(br, buf[:min(left, len(buf))]); err != nil {
			return err
		}
		b.size += int64(n)
		if n == 0 {
			return fmt.Errorf("store: a body ended between two reads: %w", io.ErrUnexpectedEOF)
		}
	}
	if err := p.file.Sync(); err != nil {
		return diskError(err)
	}
	b.extents = append(b.extents, pack.Extent{Pack: p.id(), Offset: 0, Length: run.Length})
	b.open = nil
	if run.End {
		b.first = ended
	}
	b.s.closeData(p, off, run)
	return nil
}

// readUp fills p or reads to the end of br; end says that nothing follows. The
// error of a body whose last check fails comes here, before its last frame is
// sealed.
func readUp(br *bufio.Reader, p []byte) (n int, end bool, err error) {
	for n < len(p) && err == nil { // not io.ReadFull: a body cut short says io.ErrUnexpectedEOF, too
		var m int
		m, err = br.Read(p[n:])
		n += m
	}
	if err == io.EOF {
		return n, true, nil
	}
	if err != nil {
		return n, false, bodyError(err)
	}
	if _, err = br.Peek(1); err == io.EOF {
		return n, true, nil
	}
	if err != nil {
		return n, false, bodyError(err)
	}
	return n, false, nil
}

// part seals the tail into g and returns the whole content.
func (b *body) part(g *pack.GroupBuilder) pack.Part {
	p := pack.Part{ID: b.id, Size: uint64(b.size), Extents: append([]pack.Extent(nil), b.extents...)}
	if len(b.tail) > 0 {
		p.Extents = append(p.Extents, g.Frames(b.id, b.first, b.tail, true))
	}
	return p
}

// room is what tail and list of extents may need in frames of a group, bytes.
func (b *body) room() int {
	list := pack.Part{Extents: append(b.extents, pack.Extent{})}
	return int(pack.SealedLength(int64(len(b.tail)))) + roomForList([]pack.Part{list})
}

// hold takes the body's share of the memory budget.
func (b *body) hold(ctx context.Context, size int64) error {
	n := 2 * b.s.c.small()
	if size >= 0 && size <= b.s.c.small() {
		n = size + 4096
	}
	n = min(n, b.s.c.Memory)
	if err := b.s.mem.Acquire(ctx, n); err != nil {
		return fmt.Errorf("store: waiting for memory: %w: %w", err, cairn.ErrSlowDown)
	}
	b.held = n
	return nil
}

// done gives the memory back, and the packs to whatever refers to them.
func (b *body) done() {
	b.s.disown(b.packs)
	if b.held > 0 {
		b.s.mem.Release(b.held)
		b.held = 0
	}
}

// abandon drops the data packs of a content that becomes nothing.
func (b *body) abandon() { b.s.abandon(b.packs) }
