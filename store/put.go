package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// recordBase is what the record of a version needs beside strings and extents,
// at most, and extentRoom what one extent or part of it does; bytes.
const (
	recordBase = 160
	extentRoom = 48
)

// recordRoom is the most that a record of p with so many extents may need, in
// bytes. It is close: what a group takes is decided by it.
func recordRoom(p pack.Put, extents int) int {
	return recordBase + textRoom(p) + min(extentRoom*(extents+1), pack.InlineExtents)
}

// textRoom is what the strings of p may need in a record, bytes.
func textRoom(p pack.Put) int {
	n := len(p.Key) + len(p.ETag) + sumsRoom(p.Checksum)
	return n + mapRoom(p.Header) + mapRoom(p.Meta)
}

func sumsRoom(sums []cairn.Checksum) (n int) {
	for _, c := range sums {
		n += len(c.Algorithm) + len(c.Value) + 4
	}
	return n
}

func mapRoom(m map[string]string) (n int) {
	for k, v := range m {
		n += len(k) + len(v) + 8
	}
	return n
}

// Put stores one object. When it returns nil the object survives a power loss
// of this machine; an error means that nothing was stored, but for
// ErrUnavailable, after which the write may still turn up whole. With
// ack = "spread" nil also means that it survives the loss of this machine with
// any m nodes; a write that was told ErrUnavailable and is made again with the
// same condition is not refused because of its own first try.
func (s *Store) Put(ctx context.Context, p Put) (cairn.Object, error) {
	if err := p.Key.Check(); err != nil {
		return cairn.Object{}, err
	}
	b, err := s.bucket(p.Key.Bucket)
	if err != nil {
		return cairn.Object{}, err
	}
	if err := s.mayFit(b, p.Key.Object, p.Size); err != nil {
		return cairn.Object{}, err
	}
	if err := s.admit(ctx, max(p.Size, 0)); err != nil {
		return cairn.Object{}, err
	}
	defer s.com.begin()()
	id, err := newContentID()
	if err != nil {
		return cairn.Object{}, err
	}
	body := &body{s: s, id: id, life: s.com.life.number}
	defer body.done()
	d, err := body.take(ctx, p.Body, p.Size, p.Digest)
	if err != nil {
		body.abandon()
		return cairn.Object{}, err
	}
	o, logged, err := s.commitPut(ctx, p, body, d)
	if err != nil && !logged { // else the record may be found after a crash, and needs its bytes
		body.abandon()
	}
	return o, err
}

// commitPut asks the committer for the record that makes body an object; logged
// says that it may be on the disk although there is an error.
func (s *Store) commitPut(ctx context.Context, p Put, b *body, d Digest) (out cairn.Object, logged bool, err error) {
	rec := pack.Put{Key: p.Key.Object, Size: uint64(b.size), ETag: d.ETag, Header: p.Header, Meta: p.Meta, Checksum: d.Checksum}
	var o *op
	o = &op{
		bytes: b.room(),
		recs:  recordRoom(rec, len(b.extents)+1),
		packs: b.packs,
		scope: scope{bucket: p.Key.Bucket},
		build: func(t *txn) error {
			bucket, err := t.bucket(p.Key.Bucket)
			if err != nil {
				return err
			}
			rec.Bucket = bucket.ID
			if err := t.check(bucket.ID, p.Key.Object, p.If); err != nil {
				v, mine := t.claim(o, rec, err)
				if !mine {
					return err
				}
				out = object(p.Key, v)
				return nil
			}
			rec.Modified = uint64(t.now.UnixMilli())
			more, err := t.fits(bucket, rec)
			if err != nil {
				return err
			}
			var parts []pack.Part
			if part := b.part(t.g); part.Size > 0 {
				parts = []pack.Part{part}
			}
			stamp, err := t.version(rec, parts)
			if err != nil {
				return err
			}
			t.grow(bucket, more)
			out = cairn.Object{Key: p.Key, Size: b.size, ETag: d.ETag, Modified: t.now.UTC().Truncate(time.Millisecond),
				Header: p.Header, Meta: p.Meta, Checksum: d.Checksum, Stamp: stamp}
			return nil
		},
	}
	err = s.com.submit(ctx, o)
	if o.claimed != nil {
		b.abandon() // the version that is there has bytes of its own
	}
	return out, o.logged, err
}

// Delete removes an object; one that is not there is fine unless c says that
// it must be.
func (s *Store) Delete(ctx context.Context, k cairn.Key, c Condition) error {
	if err := k.Check(); err != nil {
		return err
	}
	defer s.com.begin()()
	return s.com.submit(ctx, &op{recs: 128 + len(k.Object), scope: scope{bucket: k.Bucket}, build: func(t *txn) error {
		b, err := t.bucket(k.Bucket)
		if err != nil {
			return err
		}
		if err := t.check(b.ID, k.Object, c); err != nil {
			return err
		}
		v, ok, err := t.object(b.ID, k.Object)
		if err != nil {
			return err
		}
		if _, hidden := s.unseen.after(); !ok && !hidden {
			return nil
		}
		// Also where there is none, while log packs are missing that may bring one: it
		// would be back, and somebody was told that it is deleted.
		if err := t.log(pack.Delete{Bucket: b.ID, Key: k.Object}); err != nil || !ok {
			return err
		}
		t.grow(b, -int64(v.Put.Size))
		return nil
	}})
}

func newContentID() (id crypt.ContentID, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("store: random bytes: %w", err)
	}
	return id, nil
}

// readWhole reads all of r, which should have size bytes, into a buffer. The
// end is read too: a body's last check fails there.
func readWhole(r io.Reader, size int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	n, err := b.ReadFrom(io.LimitReader(r, size+1))
	switch {
	case err != nil:
		return nil, bodyError(err)
	case n != size:
		return nil, fmt.Errorf("store: body of %d bytes, %d were announced: %w", n, size, cairn.ErrInvalid)
	}
	return b.Bytes(), nil
}

// bodyError gives an error of the client's body a class if it has none.
func bodyError(err error) error {
	if cairn.Class(err) == nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("store: body: %w: %w", err, cairn.ErrInvalid)
	}
	return err
}
