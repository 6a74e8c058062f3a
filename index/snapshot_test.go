package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

func TestCheckpointedRefuses(t *testing.T) {
	x := fresh(t)
	if b, err := x.Base(); b != nil || err != nil {
		t.Errorf("the first base is %q, %v", b, err)
	}
	for range 4 {
		s, err := x.Snapshot()
		must(t, err)
		must(t, s.Close())
	}
	must(t, x.Checkpointed(0, 2, []byte("two")))
	for name, c := range map[string]struct {
		from, to uint32
		base     int
		class    error
	}{
		"generation 0":            {0, 0, 1, cairn.ErrInvalid},
		"falling":                 {4, 3, 1, cairn.ErrInvalid},
		"the present one":         {3, 5, 1, cairn.ErrInvalid},
		"of the future":           {0, 9, 1, cairn.ErrInvalid},
		"a long base":             {3, 4, maxBase + 1, cairn.ErrInvalid},
		"across the full run":     {2, 3, 1, cairn.ErrPrecondition},
		"the longest base":        {3, 4, maxBase, nil},
		"the full run again":      {0, 2, 1, nil},
		"what is loaded, by name": {1, 2, 1, nil},
	} {
		before, err := x.Base()
		must(t, err)
		base := bytes.Repeat([]byte(name[:1]), c.base)
		if err := x.Checkpointed(c.from, c.to, base); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
		if c.class != nil {
			base = before
		}
		if have, err := x.Base(); err != nil || !bytes.Equal(have, base) {
			t.Errorf("%s: base of %d bytes, %v", name, len(have), err)
		}
	}
}

// Changes go on while a snapshot is read, and so may Close.
func TestSnapshotStandsStill(t *testing.T) {
	x := fresh(t)
	for i := range uint64(50) {
		must(t, x.Apply([]Change{putRec(st(1, i+1), fmt.Sprintf("k%02d", i), "A")}))
	}
	s, err := x.Snapshot()
	must(t, err)
	want := text(rowsFrom(t, s, 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range uint64(50) {
			must(t, x.Apply([]Change{delRec(st(2, i+1), fmt.Sprintf("k%02d", i)), putRec(st(2, 100+i), "new", "B")}))
		}
	})
	for range 5 {
		if got := text(rowsFrom(t, s, 0)); got != want {
			t.Fatalf("the snapshot moves:\n%swant\n%s", got, want)
		}
	}
	wg.Wait()
	n := 0
	for _, err := range s.Rows(0) { // closed half way
		if must(t, s.Close()); err != nil && !errors.Is(err, cairn.ErrUnavailable) {
			t.Error(err)
		}
		n++
	}
	if n == 0 || n > strings.Count(want, "\n") {
		t.Errorf("%d rows", n)
	}
	for _, err := range s.Rows(0) {
		if err != nil && !errors.Is(err, cairn.ErrUnavailable) {
			t.Error(err)
		}
	}
	now, err := x.Snapshot()
	must(t, err)
	moved := PackRow{Params: pack.Params{ID: packID('A')}, At: []cairn.Location{{Index: 3}}}
	must(t, x.SetPack(moved, PackRow{Params: pack.Params{ID: packID('B')}})) // B is new
	for _, from := range []uint32{0, now.Generation()} {
		all := rowsFrom(t, now, from)
		i := slices.IndexFunc(all, func(r pack.Row) bool { return r.Key[0] == kindPack })
		if i < 0 || !bytes.Equal(all[i].Value, moved.encode()) || all[i+1].Key[0] != kindPack || all[i+1].Gone {
			t.Errorf("from %d the pack is not as it is now:\n%s", from, text(all))
		}
	}
	left, err := x.Snapshot()
	must(t, err)
	must(t, x.Close()) // closes it
	if _, err := left.Count(0); !errors.Is(err, cairn.ErrUnavailable) {
		t.Error(err)
	}
	must(t, left.Close())
	if _, err := x.Snapshot(); !errors.Is(err, cairn.ErrUnavailable) {
		t.Error(err)
	}
}
