package corrupt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// read reads an object whole.
func read(ctx context.Context, st *store.Store, key string) ([]byte, cairn.Object, error) {
	o, src, err := st.Open(ctx, keyOf(key))
	if err != nil {
		return nil, o, err
	}
	defer src.Close()
	r, err := src.Range(ctx, 0, o.Size)
	if err != nil {
		return nil, o, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil && int64(len(b)) != o.Size {
		return nil, o, fmt.Errorf("%w: a clean end after %d of %d bytes", errWrong, len(b), o.Size)
	}
	return b, o, err
}

// errWrong is what may never be: bytes that were not put, without an error.
var errWrong = errors.New("WRONG BYTES")

// known reports whether err has a class, so that a client is told something
// that is true.
func known(err error) bool { return cairn.Class(err) != nil }

// reading is what came of reading everything.
type reading struct {
	errs  map[string]error // by key
	stale map[string]int   // by key: the version that was read instead of the last, -1 for none at all
	// wrong is a broken promise.
	wrong error
}

// fine reports whether everything was exact.
func (r reading) fine() bool { return r.wrong == nil && len(r.errs) == 0 && len(r.stale) == 0 }

// say names the first object that was not exact.
func (r reading) say() error {
	for _, k := range slices.Sorted(maps.Keys(r.errs)) {
		return fmt.Errorf("%s: %w", k, r.errs[k])
	}
	for _, k := range slices.Sorted(maps.Keys(r.stale)) {
		return fmt.Errorf("%s: version %d of %s instead of the last", k, r.stale[k], k)
	}
	return nil
}

// readObjects reads every object of w that ever was.
func readObjects(ctx context.Context, st *store.Store, w *world) reading {
	r := reading{errs: make(map[string]error), stale: make(map[string]int)}
	for _, key := range slices.Sorted(maps.Keys(w.keys)) {
		r.judge(ctx, st, key, w.keys[key])
	}
	return r
}

// readAll reads every object of w, and the list of them.
func readAll(ctx context.Context, st *store.Store, w *world) reading {
	r := readObjects(ctx, st, w)
	list, err := st.List(ctx, store.ListRequest{Bucket: bucket, Max: 1000})
	if err != nil {
		if !known(err) {
			r.wrong = errors.Join(r.wrong, fmt.Errorf("list: an error of no class: %w", err))
		}
		return r
	}
	for _, o := range list.Objects {
		vs, ok := w.keys[o.Key.Object]
		if !ok || !slices.ContainsFunc(vs, func(v version) bool { return !v.gone && int64(len(v.data)) == o.Size }) {
			r.wrong = errors.Join(r.wrong, fmt.Errorf("list: %q of %d bytes was never put", o.Key.Object, o.Size))
		}
	}
	return r
}

func (r *reading) judge(ctx context.Context, st *store.Store, key string, vs []version) {
	got, _, err := read(ctx, st, key)
	last := vs[len(vs)-1]
	switch {
	case errors.Is(err, cairn.ErrNotExist) && last.gone:
	case errors.Is(err, cairn.ErrNotExist):
		r.stale[key] = -1
	case errors.Is(err, errWrong), err != nil && !known(err):
		r.wrong = errors.Join(r.wrong, fmt.Errorf("%s: %w", key, err))
	case err != nil:
		r.errs[key] = err
	default:
		at := slices.IndexFunc(vs, func(v version) bool { return !v.gone && bytes.Equal(v.data, got) })
		if at < 0 {
			r.wrong = errors.Join(r.wrong, fmt.Errorf("%s: %w: %d bytes", key, errWrong, len(got)))
		} else if at != len(vs)-1 {
			r.stale[key] = at
		}
	}
}
