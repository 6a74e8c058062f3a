package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/sync/errgroup"
)

// rebuild makes the whole files of the wanted shards, each proven by its signed
// root.
//
// What is made is proven, what it is made from is not at first: hashing k shards
// for one is most of the work of a repair. Every block that is made depends on
// the same block of each of the k, so a survivor that is wrong somewhere makes
// it wrong there, and the root tells. Then everything is read once more, each
// block proven before it counts, which finds who was wrong.
func (s *survivors) rebuild(ctx context.Context) (map[uint8][]byte, error) {
	out, err := s.attempt(ctx, false)
	if errors.Is(err, errUnproven) {
		out, err = s.attempt(ctx, true)
	}
	return out, err
}

// errUnproven is that what was made from blocks as they came is not what was
// signed.
var errUnproven = errors.New("what was made is not what was signed")

// attempt is rebuild, with every block that is read proven or none.
func (s *survivors) attempt(ctx context.Context, prove bool) (map[uint8][]byte, error) {
	files := make([][]byte, len(s.want))
	for j := range files {
		files[j] = make([]byte, s.FileSize())
	}
	blocks := pack.Blocks(s.Length)
	// As many windows as make each survivor give equally often.
	turns := len(s.turns)
	rounds := (blocks*pack.BlockSize + repairWindow*turns - 1) / (repairWindow * turns)
	windows := min(blocks, max(rounds, 1)*turns)
	var contents []byte
	g, end := errgroup.WithContext(ctx)
	g.SetLimit(repairAhead)
	for i := range windows {
		g.Go(func() error { return s.window(end, i, i*blocks/windows, (i+1)*blocks/windows, files, prove) })
	}
	g.Go(func() (err error) {
		contents, err = s.contents(end)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[uint8][]byte)
	for j, i := range s.want {
		if err := s.tail.Finish(i, files[j], contents); err != nil && !prove {
			return nil, errUnproven
		} else if err != nil {
			return nil, fmt.Errorf("fleet: what good shards decode to is not what was signed; suspect this machine's memory, or that which sealed the pack: %w", err)
		}
		out[i] = files[j]
	}
	return out, nil
}

// window makes blocks [lo, hi) of the wanted shards in files.
func (s *survivors) window(ctx context.Context, i, lo, hi int, files [][]byte, prove bool) error {
	d := &decoder{f: s.f, Params: s.Params, want: s.want, code: s.code, lo: lo, hi: hi, far: hi, sealing: s.tail, unproven: !prove,
		todo: s.order(i, (hi-lo)*pack.BlockSize), failed: s.drop}
	d.again = func(h *helper) bool {
		s.drop(h)
		return true
	}
	d.lend = func() []byte { return s.f.lend(int(span(s.Params, lo, hi))) }
	defer func() { s.f.takeBack(d.done) }()
	if err := d.gather(ctx); errors.Is(err, errTooFew) {
		return s.f.unreadable(shard{s.Params, s.at, s.want[0]}, d.causes)
	} else if err != nil {
		return err
	}
	room := make([][]byte, len(files))
	for n := lo; n < hi; n++ {
		off := n * pack.BlockSize
		for j, file := range files {
			room[j] = file[off : off : off+pack.BlockLength(s.Length, n)]
		}
		from, _ := d.sources(n)
		if err := d.block(n, from, room); err != nil {
			return err
		}
	}
	return nil
}

// lend gives room for n bytes of a window, used before where there is some: a
// store is repaired pack by pack, and new memory costs as much as decoding.
func (f *Fleet) lend(n int) []byte {
	if p, ok := f.rooms.Get().(*[repairWindow]byte); ok {
		return p[:n]
	}
	return new([repairWindow]byte)[:n]
}

// takeBack takes room that nobody uses any more.
func (f *Fleet) takeBack(room [][]byte) {
	for _, b := range room {
		f.rooms.Put((*[repairWindow]byte)(b[:repairWindow]))
	}
}

// contents reads the contents from whichever survivor has them as signed.
func (s *survivors) contents(ctx context.Context) ([]byte, error) {
	e := &failure{what: fmt.Sprintf("contents of pack %v", s.ID), class: cairn.ErrUnavailable}
	for _, h := range s.order(len(s.turns)-1, int(s.Contents)) {
		b, err := s.f.contents(ctx, h.n, s.Params, h.l)
		if err == nil {
			return b, nil
		}
		e.causes = join(e.causes, err)
		if e.ended = ctx.Err(); e.ended != nil {
			break
		}
	}
	return nil, e
}
