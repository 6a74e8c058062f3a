package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// bucket makes, drops or opens a bucket to the public.
func (w *World) bucket(s Step, say func(error)) error {
	switch s.Do {
	case MakeBucket:
		err := w.life.st.CreateBucket(w.ctx, secondBucket)
		say(err)
		if errors.Is(err, store.ErrBucketExists) {
			return w.model.saw(secondName, "yes")
		}
		return w.told("make bucket", secondName, "yes", err)
	case DropBucket:
		err := w.life.st.DeleteBucket(w.ctx, secondBucket)
		say(err)
		return w.dropped(err)
	}
	v := value([]string{"no", "yes"}[s.N%2])
	err := w.life.st.SetBucketPublic(w.ctx, firstBucket, v == "yes")
	say(err)
	return w.told("publish", publicName, v, err)
}

// dropped checks the answer to the second bucket's removal.
func (w *World) dropped(err error) error {
	empty, full := true, false // may it be empty, must it be
	for n := range keys {
		if keyOf(n).Bucket == secondBucket {
			may := w.model.may(objectName(n))
			empty = empty && slices.Contains(may, nothing)
			full = full || slices.ContainsFunc(may, func(v value) bool { return v != nothing })
		}
	}
	switch {
	case errors.Is(err, store.ErrNoBucket):
		return w.model.saw(secondName, nothing)
	case errors.Is(err, store.ErrBucketNotEmpty):
		if !full {
			return fmt.Errorf("an empty bucket is said not to be: %w", err)
		}
		return w.model.saw(secondName, "yes")
	}
	o, err := w.judge("drop bucket", err)
	if err != nil {
		return err
	}
	if o == acked && !empty {
		return errors.New("a bucket with objects was dropped")
	}
	if o != refused {
		w.model.wrote(secondName, nothing, o)
	}
	for n := range keys {
		if o == acked && keyOf(n).Bucket == secondBucket {
			w.model.wrote(objectName(n), nothing, acked)
		}
	}
	return nil
}

// told checks the answer to a write of v to a register.
func (w *World) told(what, name string, v value, err error) error {
	o, err := w.judge(what, err)
	if err != nil {
		return err
	}
	w.model.wrote(name, v, o)
	return nil
}

func accessID(n int) string { return fmt.Sprintf("CK%018d", n) }

// access grants or revokes an access key.
func (w *World) access(s Step, say func(error)) error {
	name := accessName(s.N)
	if s.Do == Revoke {
		err := w.life.st.RevokeAccess(w.ctx, accessID(s.N))
		say(err)
		if errors.Is(err, cairn.ErrNotExist) {
			return w.model.saw(name, nothing)
		}
		return w.told("revoke", name, nothing, err)
	}
	secret := value(fmt.Sprintf("secret-%016x", s.Content))
	_, err := w.life.st.PutAccess(w.ctx, store.Access{ID: accessID(s.N), Secret: string(secret), Grants: []store.Grant{{Bucket: firstBucket, Level: store.Write}}})
	say(err)
	return w.told("grant", name, secret, err)
}

// state reads buckets and access keys.
func (w *World) state() error {
	for n := range 3 {
		a, err := w.life.st.Access(w.ctx, accessID(n))
		if err != nil && !errors.Is(err, cairn.ErrNotExist) {
			if w.excused(err) {
				return nil
			}
			return fmt.Errorf("access key: %w", err)
		}
		if err := w.model.saw(accessName(n), value(a.Secret)); err != nil {
			return err
		}
	}
	b, err := w.life.st.Bucket(w.ctx, firstBucket)
	if err != nil {
		if w.excused(err) {
			return nil
		}
		return fmt.Errorf("first bucket: %w", err)
	}
	if err := w.model.saw(publicName, value(map[bool]string{false: "no", true: "yes"}[b.Public])); err != nil {
		return err
	}
	_, err = w.life.st.Bucket(w.ctx, secondBucket)
	switch {
	case err == nil:
		return w.model.saw(secondName, "yes")
	case errors.Is(err, store.ErrNoBucket):
		return w.model.saw(secondName, nothing)
	case w.excused(err):
		return nil
	}
	return fmt.Errorf("second bucket: %w", err)
}
