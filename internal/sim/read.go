package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// get reads an object whole, and two ranges of it.
func (w *World) get(key int, ranges uint64, say func(error)) error {
	name := objectName(key)
	o, src, err := w.life.st.Open(w.ctx, keyOf(key))
	say(err)
	switch {
	case errors.Is(err, store.ErrNoBucket):
		return errors.Join(w.missing("get", key, err), w.model.saw(name, nothing))
	case errors.Is(err, cairn.ErrNotExist):
		return w.model.saw(name, nothing)
	case err != nil:
		if w.excused(err) {
			return nil
		}
		return fmt.Errorf("get of %s: %w", name, err)
	}
	defer src.Close()
	v := value(o.ETag)
	if err := w.model.saw(name, v); err != nil {
		return err
	}
	if size := w.model.size(v); o.Size != size {
		return fmt.Errorf("%s has %d bytes, %d were put", name, o.Size, size)
	}
	whole := [2]int64{0, o.Size}
	for _, r := range [][2]int64{whole, span(ranges, 1, o.Size), span(ranges, 2, o.Size)} {
		if err := w.readRange(src, v, r[0], r[1]); err != nil {
			say(err)
			if w.mayFail(key, err) {
				return nil
			}
			return fmt.Errorf("get of %s, %d bytes at %d: %w", name, r[1], r[0], err)
		}
	}
	return nil
}

// span is some range of an object.
func span(seed uint64, n int, size int64) [2]int64 {
	if size == 0 {
		return [2]int64{}
	}
	off := int64(hash(seed, n) % uint64(size))
	return [2]int64{off, 1 + int64(hash(seed, n, "length")%uint64(size-off))}
}

// errWrong is what no read may ever be.
var errWrong = errors.New("WRONG BYTES")

func (w *World) readRange(src store.Source, v value, off, n int64) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	r, err := src.Range(ctx, off, n)
	if err != nil {
		return err
	}
	defer r.Close()
	buf, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		m, err := r.Read(buf)
		if at+int64(m) > n {
			return fmt.Errorf("%w: more than the %d bytes asked for", errWrong, n)
		}
		w.model.fill(v, off+at, want[:m])
		if !bytes.Equal(buf[:m], want[:m]) {
			return fmt.Errorf("%w: within %d bytes at %d", errWrong, m, off+at)
		}
		at += int64(m)
		switch {
		case err == io.EOF && at < n:
			return fmt.Errorf("%w: a clean end after %d of %d bytes", errWrong, at, n)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// list reads a bucket in pages.
func (w *World) list(bucket int, how uint64, say func(error)) error {
	r := store.ListRequest{Bucket: firstBucket, Max: 1 + int(how%7)}
	if bucket == 1 {
		r.Bucket = secondBucket
	}
	seen := make(map[string]value)
	last := ""
	for {
		l, err := w.life.st.List(w.ctx, r)
		say(err)
		switch {
		case errors.Is(err, store.ErrNoBucket) && bucket == 1:
			return w.model.saw(secondName, nothing)
		case err != nil && w.excused(err):
			return nil
		case err != nil:
			return fmt.Errorf("list: %w", err)
		}
		for _, o := range l.Objects {
			if strings.Compare(o.Key.Object, last) <= 0 {
				return fmt.Errorf("list: %q after %q", o.Key.Object, last)
			}
			last = o.Key.Object
			seen[o.Key.Object] = value(o.ETag)
			if size := w.model.size(value(o.ETag)); o.Size != size {
				return fmt.Errorf("list: %s of %d bytes, %d were put", o.Key, o.Size, size)
			}
		}
		if !l.More {
			break
		}
		r.After = l.Next
	}
	for n := range keys {
		if k := keyOf(n); k.Bucket == r.Bucket {
			if err := w.model.saw(objectName(n), seen[k.Object]); err != nil {
				return fmt.Errorf("list: %w", err)
			}
			delete(seen, k.Object)
		}
	}
	for k := range seen {
		return fmt.Errorf("list: %q was never put", k)
	}
	return nil
}
