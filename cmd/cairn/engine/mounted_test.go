package engine

import (
	"os"
	"testing"

	"github.com/cairn-storage/cairn"
)

// TestHazardB7ALocalDiskThatIsUnmountedGetsNothing: there is no connection that
// would break, so the marker is looked at before each put.
func TestHazardB7ALocalDiskThatIsUnmountedGetsNothing(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	_, err := h.add(e, "alice")
	must(t, err)
	n, err := e.Store.Node("alice")
	must(t, err)
	r, err := e.openNode(t.Context(), n)
	must(t, err)
	defer closeRemote(r)
	must(t, r.Put(t.Context(), "tmp/before", []byte("x")))
	must(t, os.Rename(h.dir("alice"), h.dir("away")))
	must(t, os.Mkdir(h.dir("alice"), 0o700)) // the mount point
	wantErr(t, r.Put(t.Context(), "tmp/below", []byte("x")), cairn.ErrUnavailable, "is its disk mounted?")
	if left, err := os.ReadDir(h.dir("alice")); err != nil || len(left) > 0 {
		t.Errorf("made below the mount point: %v, %v", left, err)
	}
	must(t, os.Remove(h.dir("alice")))
	must(t, os.Rename(h.dir("away"), h.dir("alice")))
	must(t, r.Put(t.Context(), "tmp/after", []byte("x")))
}
