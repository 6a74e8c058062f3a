package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// keyOf names the objects of a run. The last few are in the second bucket.
func keyOf(n int) cairn.Key {
	k := cairn.Key{Bucket: firstBucket, Object: fmt.Sprintf("d%d/k%d", n%3, n)}
	if n >= keys-3 {
		k.Bucket = secondBucket
	}
	return k
}

// body reads the bytes of one content.
type body struct {
	content uint64
	off     int64
	size    int64
	broken  bool // fails half way
}

var errBody = errors.New("the client went away")

func (b *body) Read(p []byte) (int, error) {
	if b.broken && b.off >= b.size/2 {
		return 0, errBody
	}
	if b.off == b.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), b.size-b.off))
	content(b.content, b.off, p[:n])
	b.off += int64(n)
	return n, nil
}

func digest(v value) func() (store.Digest, error) {
	return func() (store.Digest, error) { return store.Digest{ETag: string(v)}, nil }
}

// noTag is an ETag that nothing has.
const noTag = "no-such-tag"

// condition is what a step asks for, and whether a value fulfils it.
func (w *World) condition(c Cond, key int) (store.Condition, func(value) bool) {
	switch c {
	case IfNone:
		return store.Condition{NoneMatch: []string{"*"}}, func(v value) bool { return v == nothing }
	case IfMatch:
		want := w.model.at(objectName(key)).base
		if want == nothing {
			want = noTag
		}
		return store.Condition{Match: []string{string(want)}}, func(v value) bool { return v == want }
	case IfOther:
		return store.Condition{Match: []string{noTag}}, func(value) bool { return false }
	}
	return store.Condition{}, func(value) bool { return true }
}

// put writes an object.
func (w *World) put(s Step, say func(error)) error {
	v := w.model.body(seg{s.Content, s.Size})
	cond, holds := w.condition(s.Cond, s.Key)
	p := store.Put{Key: keyOf(s.Key), Body: &body{content: s.Content, size: s.Size, broken: s.Broken}, Size: s.Size, Digest: digest(v), If: cond}
	if s.Unknown {
		p.Size = -1
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	o, err := w.life.st.Put(ctx, p)
	say(err)
	if s.Broken {
		if err == nil {
			return errors.New("put: a body that failed half way was stored")
		}
		return nil // and nothing may be there of it
	}
	if err == nil && (o.ETag != string(v) || o.Size != s.Size) {
		return fmt.Errorf("put: answered with %s of %d bytes, %s was put", o.ETag, o.Size, v)
	}
	return w.wrote("put", s.Key, v, holds, err)
}

// delete removes an object.
func (w *World) delete(s Step, say func(error)) error {
	cond, holds := w.condition(s.Cond, s.Key)
	err := w.life.st.Delete(w.ctx, keyOf(s.Key), cond)
	say(err)
	return w.wrote("delete", s.Key, nothing, holds, err)
}

// wrote checks the answer of a write of v to key and tells the model.
func (w *World) wrote(what string, key int, v value, holds func(value) bool, err error) error {
	name := objectName(key)
	switch {
	case errors.Is(err, store.ErrNoBucket):
		return w.missing(what, key, err)
	case errors.Is(err, cairn.ErrPrecondition), errors.Is(err, cairn.ErrNotExist): // the latter: nothing is there to match
		if may := w.model.may(name); !slices.ContainsFunc(may, func(v value) bool { return !holds(v) }) {
			return fmt.Errorf("%s of %s: refused, and the condition holds for %s: %w", what, name, showAll(may), err)
		}
		return nil
	}
	o, err := w.judge(what+" of "+name, err)
	if err != nil {
		return err
	}
	if o == acked {
		if may := w.model.may(name); !slices.ContainsFunc(may, holds) {
			return fmt.Errorf("%s of %s: done, and the condition does not hold for %s", what, name, showAll(may))
		}
		if err := w.inBucket(key); err != nil {
			return err
		}
	}
	w.model.wrote(name, v, o)
	return nil
}

// inBucket notes that the bucket of key is there.
func (w *World) inBucket(key int) error {
	if keyOf(key).Bucket == secondBucket {
		return w.model.saw(secondName, "yes")
	}
	return nil
}

// missing notes that the bucket of key is not.
func (w *World) missing(what string, key int, err error) error {
	if keyOf(key).Bucket != secondBucket {
		return fmt.Errorf("%s: the first bucket is gone: %w", what, err)
	}
	return w.model.saw(secondName, nothing)
}

// copy gives an object another name.
func (w *World) copy(s Step, say func(error)) error {
	from, to := objectName(s.From), objectName(s.Key)
	o, err := w.life.st.Copy(w.ctx, store.Copy{From: keyOf(s.From), To: keyOf(s.Key)})
	say(err)
	if errors.Is(err, cairn.ErrNotExist) {
		second := keyOf(s.From).Bucket == secondBucket || keyOf(s.Key).Bucket == secondBucket
		if second && slices.Contains(w.model.may(secondName), nothing) {
			return nil // whichever it was
		}
		return w.model.saw(from, nothing)
	}
	out, err := w.judge("copy to "+to, err)
	switch {
	case err != nil:
		return err
	case out == acked:
		if err := errors.Join(w.inBucket(s.From), w.inBucket(s.Key)); err != nil {
			return err
		}
		if err := w.model.saw(from, value(o.ETag)); err != nil {
			return err
		}
		w.model.wrote(to, value(o.ETag), acked)
	case out == unknown:
		for _, v := range w.model.may(from) {
			if v != nothing {
				w.model.wrote(to, v, unknown)
			}
		}
	}
	return nil
}
