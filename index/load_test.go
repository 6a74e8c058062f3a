package index

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

func isPrecondition(err error) bool { return errors.Is(err, cairn.ErrPrecondition) }

func TestLoadRefuses(t *testing.T) {
	all := everyKind(t)
	good, one := all[0], all[1]
	if good.Key[0] != kindGeneration {
		t.Fatalf("the first row is %x", good.Key)
	}
	last := pack.Row{Key: []byte{kindPast + 1, 0}, Value: []byte{1}}
	for name, rows := range map[string][]pack.Row{
		"nothing":              nil,
		"no generation":        {one},
		"generation 0":         {{Key: good.Key, Value: make([]byte, 4)}},
		"generation without 1": {{Key: good.Key, Value: good.Value[:3]}},
		"the last generation":  {{Key: good.Key, Value: bytes.Repeat([]byte{0xff}, 4)}},
		"generation of a key":  {{Key: []byte{kindGeneration, 0}, Value: good.Value}},
		"a tombstone":          {good, {Key: one.Key, Gone: true}},
		"no key":               {good, {}},
		"a row twice":          {good, one, one},
		"falling keys":         {good, all[3], all[2]},
		"an unknown kind":      {good, last},
		"kind 0":               {{Key: []byte{0}}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := durable.NewMem()
			x := open(t, fs)
			if err := x.Load(fed(rows)); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("Load: %v", err)
			}
			if err := x.Apply([]Change{putRec(st(1, 2), "x", "A")}); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("Apply to what is half loaded: %v", err)
			}
			if err := x.Load(fed(all)); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("Load again: %v", err)
			}
			must(t, x.Close())
			if _, err := Open(config(fs)); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("Open of what is half loaded: %v", err)
			}
			must(t, Destroy(fs, dir))
			must(t, open(t, fs).Load(fed(all)))
		})
	}
	t.Run("an index that is not empty", func(t *testing.T) {
		for name, fill := range map[string]func(*Index) error{
			"object":     func(x *Index) error { return x.Apply([]Change{putRec(st(1, 2), "x", "A")}) },
			"pack":       func(x *Index) error { return x.SetPack(PackRow{Params: pack.Params{ID: packID('A')}}) },
			"generation": func(x *Index) error { s, err := x.Snapshot(); return errors.Join(err, s.Close()) },
			"loaded":     func(x *Index) error { return x.Load(fed(all)) },
		} {
			x := fresh(t)
			must(t, fill(x))
			before := state(t, x)
			if err := x.Load(fed(all)); !isPrecondition(err) {
				t.Errorf("%s: %v", name, err)
			}
			must(t, x.Apply([]Change{delRec(st(9, 9), "none")})) // still of use
			if state(t, x) == before {
				t.Errorf("%s: nothing is written any more", name)
			}
		}
	})
	t.Run("an error of who reads the runs", func(t *testing.T) {
		failed := fmt.Errorf("node away: %w", cairn.ErrUnavailable)
		err := fresh(t).Load(func(yield func(pack.Row, error) bool) {
			_ = yield(good, nil) && yield(pack.Row{}, failed)
		})
		if !errors.Is(err, failed) {
			t.Error(err)
		}
	})
}

// What was over but not forgotten yet is forgotten of a loaded index too.
func TestLoadedUploadsAreForgotten(t *testing.T) {
	x := fresh(t)
	must(t, x.Load(fed(everyKind(t))))
	must(t, x.DropTombstones(st(100, 0)))
	must(t, x.ForgetUploads(1<<62))
	for table, want := range map[byte]int{tableLoose: 0, tablePast: 0, tableEnd: 0, tableShadow: 0, tableHistory: 0, tableVoid: 0, tableUpload: 1, tablePart: 2} {
		if n := rows(t, x, table); n != want {
			t.Errorf("%d rows are left in table %c, want %d", n, table, want)
		}
	}
}

// Power goes at any moment of a load: what is found then is nothing, all, or an
// index that says it is neither.
func TestLoadIsAllOrNothing(t *testing.T) {
	x := fresh(t)
	var batch []Change
	for i := range uint64(40) { // some batches of the loader
		batch = append(batch, bulk(i+1))
	}
	must(t, x.Apply(batch))
	s, err := x.Snapshot()
	must(t, err)
	all, want := rowsFrom(t, s, 0), told(t, x)
	found := map[string]int{}
	for turn, at := range []int{0, 1, len(all) / 2, len(all) / 2, len(all) - 1, len(all) - 1, len(all)} {
		for i, percent := range []int{0, 50, 100} {
			if race.On && (turn+i)%3 != 0 {
				continue
			}
			mem := durable.NewMem()
			y := open(t, mem)
			crashed := mem
			crash := func() {
				if turn%2 == 0 {
					must(t, y.flush())
				}
				crashed = mem.Crash(percent, uint64(at))
			}
			must(t, y.Load(func(yield func(pack.Row, error) bool) {
				for i, r := range all {
					if i == at {
						crash()
					}
					if !yield(r, nil) {
						return
					}
				}
			}))
			if at == len(all) {
				crash()
			}
			must(t, y.Close())
			z, err := Open(config(crashed))
			switch {
			case errors.Is(err, cairn.ErrCorrupt):
				found["refused"]++
				continue
			case err != nil:
				t.Fatal(err)
			case z.Totals().Objects == 0:
				found["nothing"]++
				must(t, z.Load(fed(all))) // as empty as it looks
			default:
				found["all"]++
			}
			if got := told(t, z); got != want {
				t.Fatalf("power lost at row %d:\n%swant\n%s", at, got, want)
			}
			must(t, z.Close())
		}
	}
	if found["refused"] == 0 || found["nothing"] == 0 || found["all"] == 0 {
		t.Errorf("found were %v", found)
	}
}
