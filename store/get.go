package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Open returns an object as it is now and a source of its bytes, which stay
// those of this version, and stay readable, until the source is closed.
func (s *Store) Open(ctx context.Context, k cairn.Key) (cairn.Object, Source, error) {
	for {
		begun := s.pins.begin()
		v, err := s.version(k)
		if err != nil {
			return cairn.Object{}, nil, err
		}
		r := &source{s: s, parts: v.Put.Parts, size: int64(v.Put.Size), key: k}
		if s.pins.add(r, begun) {
			return object(k, v), r, nil
		}
	}
}

// Stat returns what is known of an object.
func (s *Store) Stat(ctx context.Context, k cairn.Key) (cairn.Object, error) {
	v, err := s.version(k)
	if err != nil {
		return cairn.Object{}, err
	}
	return object(k, v), nil
}

func (s *Store) version(k cairn.Key) (index.Version, error) {
	if err := s.err(); err != nil {
		return index.Version{}, err
	}
	b, err := s.bucket(k.Bucket)
	if err != nil {
		return index.Version{}, err
	}
	v, err := s.idx.Object(b.ID, k.Object)
	if errors.Is(err, cairn.ErrCorrupt) {
		s.fail(err) // the index rotted: it is made again at the next start
	}
	if err != nil {
		return index.Version{}, fmt.Errorf("object %w", err)
	}
	return v, nil
}

func (s *Store) bucket(name string) (pack.Bucket, error) {
	b, err := s.idx.BucketByName(name)
	if errors.Is(err, cairn.ErrNotExist) {
		return b, ErrNoBucket
	}
	return b, err
}

func object(k cairn.Key, v index.Version) cairn.Object {
	p := v.Put
	o := cairn.Object{Key: k, Size: int64(p.Size), ETag: p.ETag, Modified: time.UnixMilli(int64(p.Modified)).UTC(),
		Header: p.Header, Meta: p.Meta, Checksum: p.Checksum, Stamp: v.Stamp}
	if strings.Contains(p.ETag, "-") { // only what was uploaded in parts has it
		for _, part := range p.Parts {
			o.Parts = append(o.Parts, int64(part.Size))
		}
	}
	return o
}

type source struct {
	s     *Store
	parts []pack.Part
	size  int64
	key   cairn.Key
}

// Close ends the pin of what is read.
func (r *source) Close() error {
	r.s.pins.end(r)
	return nil
}

// Range reads windows of frames ahead of the client: the first small one before
// it returns, then up to depth larger ones at a time.
func (r *source) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off+n > r.size {
		return nil, fmt.Errorf("store: range %d+%d of %d bytes: %w", off, n, r.size, cairn.ErrInvalid)
	}
	ctx, cancel := context.WithCancel(ctx)
	rd := &reader{s: r.s, ctx: ctx, cancel: cancel, leave: r.s.clients.enter(), next: windows(r.parts, off, n), left: n}
	if n == 0 {
		return rd, nil
	}
	rd.fill()
	if err := rd.advance(); err != nil {
		rd.Close()
		return nil, err
	}
	return rd, nil
}

// depth is how many windows are fetched ahead of a client.
const depth = 4

// reader gives the plaintext of windows in order. Windows are fetched by
// goroutines that Close waits for, as for those that look further ahead.
type reader struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelFunc
	leave  func() // nil once it was called
	next   func() (window, bool)
	queue  []chan fetched
	scouts sync.WaitGroup // goroutines that look ahead of the queue
	cur    []byte
	left   int64 // bytes that cur does not hold yet
	err    error // for good
}

type fetched struct {
	b   []byte
	err error
}

// fill starts fetches until depth are on their way.
func (r *reader) fill() {
	for len(r.queue) < depth {
		w, ok := r.next()
		if !ok {
			return
		}
		c := make(chan fetched, 1) // room for the answer: the fetch never blocks on us
		r.queue = append(r.queue, c)
		go func() {
			b, err := r.s.fetch(r.ctx, w)
			c <- fetched{b, err}
		}()
		if w.more {
			r.scouts.Go(func() { r.s.scout(r.ctx, w) })
		}
	}
}

// advance waits for the next window; io.EOF after the last. An error stays.
func (r *reader) advance() error {
	switch {
	case r.err != nil:
	case r.left == 0:
		r.err = io.EOF
	case len(r.queue) == 0:
		r.err = fmt.Errorf("store: the index has %d bytes less than the object: %w", r.left, cairn.ErrCorrupt)
	default:
		f := <-r.queue[0]
		r.queue = r.queue[1:]
		if r.err = f.err; r.err == nil {
			r.cur, r.left = f.b, r.left-int64(len(f.b))
			r.fill()
		}
	}
	return r.err
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.cur) == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.cur)
	r.cur = r.cur[n:]
	return n, nil
}

// WriteTo saves the copy through a buffer.
func (r *reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(r.cur) > 0 {
			n, err := w.Write(r.cur)
			total += int64(n)
			r.cur = r.cur[n:]
			if err != nil {
				return total, err
			}
		}
		if err := r.advance(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// Close ends the fetches and waits for them.
func (r *reader) Close() error {
	r.cancel()
	for _, c := range r.queue {
		<-c
	}
	r.scouts.Wait()
	r.queue, r.cur = nil, nil
	r.err = io.ErrClosedPipe
	if r.leave != nil {
		r.leave()
		r.leave = nil
	}
	return nil
}
