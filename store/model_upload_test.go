package store

import (
	"errors"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
)

// modelUpload is what an upload may be: what was acknowledged, and what was
// answered with ErrUnavailable since then.
type modelUpload struct {
	id, key string
	parts   map[int][][]byte // by number; the acknowledged first, nil bytes: no part
	done    *cairn.Object    // what it became
	tag     CompleteUpload   // that made it, or may have
	ended   bool
	maybe   string // the end that may have come: "done" or "gone"
}

// uploadStep does one of the verbs of uploads.
func (w *world) uploadStep(key string) {
	if len(w.ups) == 0 || w.dice.IntN(5) == 0 {
		u, err := w.CreateUpload(w.t.Context(), Upload{Key: keyOf(key)})
		w.did("begin an upload of %s: %v", key, err)
		w.mayFail(err)
		if err == nil {
			w.ups = append(w.ups, &modelUpload{id: u.ID, key: key, parts: make(map[int][][]byte)})
		}
		return
	}
	u := w.ups[w.dice.IntN(len(w.ups))]
	switch w.dice.IntN(6) {
	case 0:
		err := w.AbortUpload(w.t.Context(), keyOf(u.key), u.id)
		w.did("abort upload %.4s of %s: %v", u.id, u.key, err)
		w.over(u, err, "gone")
	case 1:
		w.completeOne(u)
	default:
		n, data := 1+w.dice.IntN(3), content(w.dice.Uint64(), w.size())
		err := w.part(u.key, u.id, n, data)
		w.did("part %d of %.4s of %s, %d bytes: %v", n, u.id, u.key, len(data), err)
		if errors.Is(err, ErrNoUpload) {
			w.over(u, err, "")
			return
		}
		w.mayFail(err)
		switch {
		case u.ended:
			w.t.Fatalf("upload %.4s of %s has ended and takes a part", u.id, u.key)
		case err == nil:
			u.parts[n], u.maybe = [][]byte{data}, ""
		default:
			if u.parts[n] == nil {
				u.parts[n] = [][]byte{nil}
			}
			u.parts[n] = append(u.parts[n], append([]byte{}, data...))
		}
	}
}

func (w *world) mayFail(err error) {
	if err != nil && !errors.Is(err, cairn.ErrUnavailable) {
		w.t.Fatal(err)
	}
}

// over notes the answer of a verb that may end u, or find it ended.
func (w *world) over(u *modelUpload, err error, end string) {
	switch {
	case err == nil && u.ended:
		w.t.Fatalf("upload %.4s of %s ended twice", u.id, u.key)
	case err == nil:
		u.ended = true
	case errors.Is(err, cairn.ErrUnavailable):
		if !u.ended {
			u.maybe = end
		}
	case !errors.Is(err, ErrNoUpload):
		w.t.Fatal(err)
	case !u.ended && u.maybe == "":
		w.t.Fatalf("upload %.4s of %s is lost", u.id, u.key)
	default:
		u.ended = true
	}
}

// resolve looks what u's parts are, and holds the store to it. It returns false
// where the store does not tell now.
func (w *world) resolve(u *modelUpload) bool {
	list, err := w.Parts(w.t.Context(), keyOf(u.key), u.id, 0, 100)
	if err != nil {
		w.over(u, err, u.maybe)
		return errors.Is(err, ErrNoUpload)
	}
	if u.ended {
		w.t.Fatalf("upload %.4s of %s has ended and is in progress", u.id, u.key)
	}
	u.maybe = ""
	got := make(map[int]Part)
	for _, p := range list.Parts {
		got[p.Number] = p
		if u.parts[p.Number] == nil {
			w.t.Fatalf("part %d of %.4s of %s was never sent", p.Number, u.id, u.key)
		}
	}
	for n, may := range u.parts {
		p, there := got[n]
		i := slices.IndexFunc(may, func(data []byte) bool {
			return !there && data == nil || there && data != nil && p.ETag == etag(data) && p.Size == int64(len(data))
		})
		if i < 0 {
			w.t.Fatalf("part %d of %.4s of %s is %+v", n, u.id, u.key, p)
		}
		u.parts[n] = [][]byte{may[i]}
	}
	return true
}

// completeOne completes u with the parts it has, or again.
func (w *world) completeOne(u *modelUpload) {
	if !w.resolve(u) {
		return
	}
	if !u.ended {
		var numbers []int
		var parts [][]byte
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			if data := u.parts[n][0]; data != nil {
				numbers, parts = append(numbers, n), append(parts, data)
			}
		}
		if len(numbers) == 0 {
			return
		}
		u.tag = completeNumbers(u.key, u.id, numbers, parts...)
		o, err := w.CompleteUpload(w.t.Context(), u.tag)
		w.did("complete %.4s of %s: %v", u.id, u.key, err)
		w.s.did(w.t, u.key, append([]byte{}, slices.Concat(parts...)...), err)
		if w.over(u, err, "done"); err == nil {
			u.done = &o
		}
		return
	}
	if u.tag.Upload == "" {
		return // aborted before anybody completed it
	}
	o, err := w.CompleteUpload(w.t.Context(), u.tag)
	w.did("complete %.4s of %s again: %v", u.id, u.key, err)
	switch {
	case errors.Is(err, cairn.ErrUnavailable):
	case u.done != nil && (err != nil || o.Stamp != u.done.Stamp || o.ETag != u.done.ETag):
		w.t.Fatalf("upload %.4s of %s became %v and is answered with %v, %v", u.id, u.key, u.done.Stamp, o.Stamp, err)
	case err == nil:
		u.done = &o
	case !errors.Is(err, ErrNoUpload):
		w.t.Fatal(err)
	}
}

func (w *world) checkUploads(when string) {
	for _, u := range w.ups {
		w.resolve(u)
		w.completedStays(u, when)
	}
}

func (w *world) completedStays(u *modelUpload, when string) {
	if u.done == nil {
		return
	}
	v, err := w.idx.UploadDone(mustID(w.t, u.id))
	if err != nil || v.Stamp != u.done.Stamp {
		w.t.Fatalf("%s: upload %.4s of %s became %v and is remembered as %v, %v", when, u.id, u.key, u.done.Stamp, v.Stamp, err)
	}
}

// completeAll completes what is in progress.
func (w *world) completeAll() {
	for _, u := range w.ups {
		if !u.ended {
			w.completeOne(u)
		}
	}
	for _, u := range w.ups {
		if !u.ended && len(u.parts) > 0 && u.done == nil {
			for n, may := range u.parts {
				if may[0] != nil {
					w.t.Fatalf("upload %.4s of %s with part %d could not be completed", u.id, u.key, n)
				}
			}
		}
	}
}
