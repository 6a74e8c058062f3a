package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// multipart carries out one step of an upload: the newest of its key that is
// not known to have ended.
func (w *World) multipart(s Step, say func(error)) error {
	key := s.Key % 2
	if s.Do == CreateUpload {
		return w.createUpload(key, say)
	}
	var u *upload
	for _, o := range w.uploads {
		if o.key == key && !o.ended {
			u = o
		}
	}
	if u == nil {
		return nil
	}
	switch s.Do {
	case PutPart:
		return w.putPart(u, s, say)
	case Complete:
		return w.complete(u, say)
	}
	err := w.life.st.AbortUpload(w.ctx, keyOf(u.key), u.id)
	say(err)
	_, err = w.uploadTold("abort", u, err, true)
	return err
}

func (w *World) createUpload(key int, say func(error)) error {
	u, err := w.life.st.CreateUpload(w.ctx, store.Upload{Key: keyOf(key)})
	if err == cairn.ErrInvalid { //nolint:errorlint // the bare class: this build has no uploads
		return nil
	}
	say(err)
	o, err := w.judge("create upload", err)
	if err == nil && o == acked {
		w.uploads = append(w.uploads, &upload{key: key, id: u.ID, number: len(w.uploads), began: time.Now()})
	}
	return err
}

// uploadTold judges an answer about an upload, which ended with it if ends
// says so.
func (w *World) uploadTold(what string, u *upload, err error, ends bool) (outcome, error) {
	if errors.Is(err, store.ErrNoUpload) {
		if !u.doubt && time.Since(u.began) < store.UploadAge-time.Hour {
			return refused, fmt.Errorf("%s: an upload is gone: %w", what, err)
		}
		u.ended = true
		return refused, nil
	}
	o, err := w.judge(what, err)
	if ends && err == nil {
		u.ended = u.ended || o == acked
		u.doubt = u.doubt || o == unknown
	}
	return o, err
}

func (w *World) putPart(u *upload, s Step, say func(error)) error {
	v := w.model.body(seg{s.Content, s.Size})
	_, err := w.life.st.PutPart(w.ctx, store.PutPart{Key: keyOf(u.key), Upload: u.id, Number: s.N,
		Body: &body{content: s.Content, size: s.Size}, Size: s.Size, Digest: digest(v)})
	say(err)
	o, err := w.uploadTold("put part", u, err, false)
	if err == nil {
		w.model.wrote(partName(u.number, s.N), v, o)
	}
	return err
}

// complete makes an object of all parts that are known to be there.
func (w *World) complete(u *upload, say func(error)) error {
	var numbers []int
	var segs []seg
	for n := 1; n <= 4; n++ {
		v, certain := w.model.certain(partName(u.number, n))
		if certain && v != nothing {
			numbers = append(numbers, n)
			segs = append(segs, w.model.bodies[v]...)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	segs = append(segs, seg{}) // so that its ETag is that of parts
	v := w.model.body(segs...)
	var wrong error
	c := store.CompleteUpload{Key: keyOf(u.key), Upload: u.id, Numbers: numbers, ETag: string(v), Decide: func(parts []store.Part) (store.Digest, error) {
		wrong = nil
		for i, p := range parts {
			if i >= len(numbers) || p.Number != numbers[i] {
				wrong = fmt.Errorf("complete: part %d was not asked for", p.Number)
			} else if want, _ := w.model.certain(partName(u.number, p.Number)); value(p.ETag) != want || p.Size != w.model.size(want) {
				wrong = fmt.Errorf("complete: part %d is %s of %d bytes, and must be %s", p.Number, p.ETag, p.Size, want)
			}
		}
		return store.Digest{ETag: string(v)}, nil
	}}
	o, err := w.life.st.CompleteUpload(w.ctx, c)
	say(err)
	if wrong != nil {
		return wrong
	}
	out, err := w.uploadTold("complete", u, err, true)
	if err != nil {
		return err
	}
	if out == acked && (o.ETag != string(v) || o.Size != w.model.size(v)) {
		return fmt.Errorf("complete: answered %s of %d bytes, must be %s of %d", o.ETag, o.Size, v, w.model.size(v))
	}
	if out != refused {
		w.model.wrote(objectName(u.key), v, out)
	}
	if out != acked || w.disk.dead() {
		return nil
	}
	if _, err := w.life.st.CompleteUpload(w.ctx, c); err != nil && !w.excused(err) {
		return fmt.Errorf("complete once more: %w", err)
	}
	return nil
}
