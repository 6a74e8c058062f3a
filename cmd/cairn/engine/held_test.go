package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// TestAShardDeletedWhileItIsHeldOpen: the server goes on reading a deleted file
// to whoever has it open. Clients may read it; what looks whether a shard stands
// must not be told so.
func TestAShardDeletedWhileItIsHeldOpen(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	f := newFriend(t, ownPublic(t, e))
	_, err := e.AddNode(t.Context(), NodeSpec{Name: "bob", Remote: f.remote(), AcceptNew: true, SkipChecks: true}, nil)
	must(t, err)
	looks := []struct {
		what string
		look func(pack.Params, cairn.Location) error
	}{
		{"verify", func(p pack.Params, l cairn.Location) error {
			if good := e.Fleet.Verify(t.Context(), p, []cairn.Location{l}); len(good) > 0 {
				return nil
			}
			return cairn.ErrNotExist
		}},
		{"examine a byte", func(p pack.Params, l cairn.Location) error {
			_, err := e.Fleet.Examine(t.Context(), p, l, 0, 1)
			return err
		}},
		{"examine all", func(p pack.Params, l cairn.Location) error {
			_, err := e.Fleet.Examine(t.Context(), p, l, 0, 0)
			return err
		}},
	}
	var last cairn.PackID
	for i, x := range looks { // a pack for each
		must(t, e.Store.CreateBucket(t.Context(), fmt.Sprintf("box%d", i)))
		must(t, e.Store.Flush(t.Context()))
		var row index.PackRow
		for r, err := range e.Store.Packs(last) {
			must(t, err)
			row = r
		}
		if last = row.Params.ID; len(row.At) != 1 {
			t.Fatalf("%s: the pack stands at %v", x.what, row.At)
		}
		held := func() error {
			_, err := e.Fleet.Contents(t.Context(), row.Params, row.At)
			return err
		}
		must(t, held())
		must(t, os.Remove(filepath.Join(f.dir, layout.Path(row.At[0].Name(row.Params.ID)))))
		if err := held(); err != nil {
			t.Errorf("%s: the file was not held open, so this shows nothing: %v", x.what, err)
		}
		if err := x.look(row.Params, row.At[0]); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", x.what, err)
		}
	}
}
