package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// recordBase is what a put's record needs beside strings and extents, at most,
// and extentRoom what one extent or part of it does; bytes.
const (
	recordBase = 160
	extentRoom = 48
)

// recordRoom is the most that the record of p may need, in bytes. It is close:
// what a group takes is decided by it.
func recordRoom(p Put, d Digest, extents int) int {
	n := recordBase + textSize(p) + len(d.ETag) + min(extentRoom*(extents+1), pack.InlineExtents)
	for _, c := range d.Checksum {
		n += len(c.Algorithm) + len(c.Value) + 4
	}
	return n
}

// Put stores one object. When it returns nil the object survives a power loss
// of this machine; an error means that nothing was stored, but for
// ErrUnavailable, after which the write may still turn up whole.
func (s *Store) Put(ctx context.Context, p Put) (cairn.Object, error) {
	if err := p.Key.Check(); err != nil {
		return cairn.Object{}, err
	}
	if _, err := s.bucket(p.Key.Bucket); err != nil {
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
	if err := body.read(ctx, p.Body, p.Size); err != nil {
		body.abandon()
		return cairn.Object{}, err
	}
	var d Digest
	if p.Digest != nil {
		if d, err = p.Digest(); err != nil {
			body.abandon()
			return cairn.Object{}, err
		}
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
	o := &op{
		bytes: int(pack.SealedLength(int64(len(b.tail)))) + b.listRoom(),
		recs:  recordRoom(p, d, len(b.extents)+1),
		user:  true,
		packs: b.packs,
		build: func(t *txn) error {
			bucket, err := t.bucket(p.Key.Bucket)
			if err != nil {
				return err
			}
			if err := t.check(bucket.ID, p.Key.Object, p.If); err != nil {
				return err
			}
			rec.Bucket = bucket.ID
			rec.Modified = uint64(t.now.UnixMilli())
			part := b.part(t.g)
			var parts []pack.Part
			if part.Size > 0 {
				parts = []pack.Part{part}
			}
			list, err := t.place(&rec, parts)
			if err != nil {
				return err
			}
			stamp, err := t.change(rec, list)
			if err != nil {
				return err
			}
			out = cairn.Object{Key: p.Key, Size: b.size, ETag: d.ETag, Modified: t.now.UTC().Truncate(time.Millisecond),
				Header: p.Header, Meta: p.Meta, Checksum: d.Checksum, Stamp: stamp}
			return nil
		},
	}
	err = s.com.submit(ctx, o)
	return out, o.logged, err
}

// place puts parts into rec, or, where they are too long for a record, into
// frames of this group that rec's List names; then it returns them too.
func (t *txn) place(rec *pack.Put, parts []pack.Part) ([]pack.Part, error) {
	rec.Parts, rec.List = parts, nil
	enc := pack.AppendParts(nil, parts)
	if len(enc) <= pack.InlineExtents {
		return nil, nil
	}
	id, err := newContentID()
	if err != nil {
		return nil, err
	}
	e := t.g.Frames(id, 0, enc, true)
	rec.List = &pack.Part{ID: id, Size: uint64(len(enc)), Extents: []pack.Extent{e}}
	rec.Parts = nil
	return parts, nil
}

// check decides a condition against the current version.
func (t *txn) check(bucket uint64, key string, c Condition) error {
	if len(c.Match) == 0 && len(c.NoneMatch) == 0 {
		return nil
	}
	v, ok, err := t.object(bucket, key)
	if err != nil {
		return err
	}
	matches := func(tags []string) bool {
		return ok && (slices.Contains(tags, "*") || slices.Contains(tags, v.Put.ETag))
	}
	if len(c.Match) > 0 && !matches(c.Match) {
		if !ok {
			return fmt.Errorf("object %w, so it matches no ETag: %w", cairn.ErrNotExist, cairn.ErrPrecondition)
		}
		return fmt.Errorf("the object's ETag is %q: %w", v.Put.ETag, cairn.ErrPrecondition)
	}
	if matches(c.NoneMatch) {
		return fmt.Errorf("the object exists with ETag %q: %w", v.Put.ETag, cairn.ErrPrecondition)
	}
	return nil
}

// Delete removes an object; one that is not there is fine unless c says that
// it must be.
func (s *Store) Delete(ctx context.Context, k cairn.Key, c Condition) error {
	if err := k.Check(); err != nil {
		return err
	}
	defer s.com.begin()()
	return s.com.submit(ctx, &op{recs: 128 + len(k.Object), build: func(t *txn) error {
		b, err := t.bucket(k.Bucket)
		if err != nil {
			return err
		}
		if err := t.check(b.ID, k.Object, c); err != nil {
			return err
		}
		if _, ok, err := t.object(b.ID, k.Object); err != nil || !ok {
			return err
		}
		return t.log(pack.Delete{Bucket: b.ID, Key: k.Object})
	}})
}

func newContentID() (id crypt.ContentID, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("store: random bytes: %w", err)
	}
	return id, nil
}

// textSize is what the strings of p may need in a record.
func textSize(p Put) int {
	n := len(p.Key.Object)
	for _, m := range []map[string]string{p.Header, p.Meta} {
		for k, v := range m {
			n += len(k) + len(v) + 8
		}
	}
	return n
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
