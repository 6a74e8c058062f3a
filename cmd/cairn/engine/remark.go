package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// remark writes the marker of n where it is missing and what lies in r is n's:
// a person asked for it, who knows that a disk is mounted there, and holds proves
// which. It returns what proved it; empty when a marker, whose ever, is there.
// ErrUnavailable where nothing of a store lies there, as below the mount point of
// a disk that is not mounted; ErrDenied where what lies there is not n's.
//
// Order: proof, marker, proof again. A disk that was unmounted in between would
// get its marker below the mount point, and then shards: it is taken away again.
func (e *Engine) remark(ctx context.Context, r backends.Remote, n pack.Node) (why string, err error) {
	if _, err := fleet.ReadMarker(ctx, r); !errors.Is(err, cairn.ErrNotExist) {
		return "", nil // isNode says what is to be said of it
	}
	if why, err = e.holds(ctx, r, n); err != nil {
		return "", err
	}
	// One that may write where no marker is, as one that adds a node may.
	w, err := e.openOnce(ctx, n, true)
	if err != nil {
		return "", err
	}
	err = e.mark(ctx, w, n)
	if _, again := e.holds(ctx, r, n); again != nil {
		err = errors.Join(again, w.Delete(context.WithoutCancel(ctx), layout.MarkerName)) // also when ctx is why
	}
	if cerr := closeRemote(w); err == nil {
		err = cerr
	}
	if err != nil {
		return "", err
	}
	e.c.Log.Warn("the node's marker was missing and is written again, as a person asked for", "node", n.Name, "proof", why)
	e.Fleet.Retry(n.ID)
	return why, nil
}

// holds returns what proves that r is the directory of n: files of this store's
// keys, and the shards that are recorded there. Where none is recorded there may
// be none, of whatever store.
func (e *Engine) holds(ctx context.Context, r backends.Remote, n pack.Node) (why string, err error) {
	none, err := bare(ctx, r)
	if err != nil {
		return "", err
	}
	if none {
		return "", fmt.Errorf("no file of a store lies there, as where a disk is not mounted, so no %s is written: mount the disk; only if it was replaced by an empty one, `cairn node reset %s --empty`: %w",
			layout.MarkerName, n.Name, cairn.ErrUnavailable)
	}
	keys := 0
	for _, k := range e.secretsNow().keys {
		got := make([]byte, len(k.data))
		err := r.ReadAt(ctx, k.path, got, 0)
		switch {
		case err == nil && bytes.Equal(got, k.data):
			keys++
		case errors.Is(err, cairn.ErrUnavailable):
			return "", err
		}
	}
	if keys == 0 {
		return "", fmt.Errorf("none of this store's keys lies there as it should: it is not this node's directory, or not all of it; no %s is written: %w", layout.MarkerName, cairn.ErrDenied)
	}
	shards, err := e.standing(n.ID)
	if err != nil {
		return "", err
	}
	if len(shards) == 0 {
		for entry, err := range r.List(ctx, layout.PacksDir) {
			if err != nil {
				return "", err
			}
			return "", fmt.Errorf("no shard is recorded on it and yet %s lies there: it is another node's directory; no %s is written: %w", entry.Name, layout.MarkerName, cairn.ErrDenied)
		}
		return fmt.Sprintf("%s of this store, no shard is recorded there", number(int64(keys), "key file")), nil
	}
	good, err := e.Fleet.Proven(ctx, r, shards)
	if err != nil {
		return "", fmt.Errorf("what lies there is not this node's, or most of it is gone; no %s is written; `cairn node remove %s` gives it up: %w: %w", layout.MarkerName, n.Name, cairn.ErrDenied, err)
	}
	return fmt.Sprintf("%d of %d recorded shards verify, %s of this store", good, len(shards), number(int64(keys), "key file")), nil
}

// bare reports that nothing of a store lies in r: so looks a disk that is empty,
// and the place of one that is not mounted.
func bare(ctx context.Context, r backends.Remote) (bool, error) {
	for _, dir := range []string{layout.PacksDir, layout.KeysDir, layout.RootsDir} {
		for _, err := range r.List(ctx, dir) {
			return false, err
		}
	}
	return true, nil
}

// restart makes an empty directory n's, for a person who replaced its disk.
// ErrPrecondition where it is not empty: nobody has to say then whose it is.
func (e *Engine) restart(ctx context.Context, n pack.Node) error {
	r, err := e.openOnce(ctx, n, true)
	if err != nil {
		return err
	}
	err = e.makeNode(ctx, r, n)
	if cerr := closeRemote(r); err == nil {
		err = cerr
	}
	return err
}

func (e *Engine) makeNode(ctx context.Context, r backends.Remote, n pack.Node) error {
	_, err := markerOf(ctx, r)
	if err == nil || !errors.Is(err, cairn.ErrNotExist) {
		return e.isNode(ctx, r, n)
	}
	none, err := bare(ctx, r)
	if err != nil {
		return err
	}
	if !none {
		return fmt.Errorf("its directory is not empty: `cairn node check %s --mark` looks whether what lies there is this node's; for a fresh start give an empty one: %w", n.Name, cairn.ErrPrecondition)
	}
	return e.prepare(ctx, r, n)
}
