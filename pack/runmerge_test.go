package pack

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

func openRun(t testing.TB, b []byte) *RunReader {
	t.Helper()
	r, err := NewRunReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// merged is the rows as "key=value" in order.
func merged(rows iter.Seq2[Row, error]) (all []string, err error) {
	for r, err := range rows {
		if err != nil {
			return all, err
		}
		if r.Gone {
			return all, fmt.Errorf("tombstone of %q", r.Key)
		}
		all = append(all, string(r.Key)+"="+string(r.Value))
	}
	return all, nil
}

func TestANewerRunReplacesTheRowsOfOlderOnes(t *testing.T) {
	row := func(k, v string) Row { return Row{Key: []byte(k), Value: []byte(v)} }
	gone := func(k string) Row { return Row{Key: []byte(k), Gone: true} }
	for _, c := range []struct {
		name string
		runs [][]Row // oldest first
		want []string
	}{
		{"no runs", nil, nil},
		{"one run", [][]Row{{row("a", "1"), row("b", "1")}}, []string{"a=1", "b=1"}},
		{"runs without rows", [][]Row{nil, nil}, nil},
		{"side by side", [][]Row{{row("a", "1"), row("c", "1")}, {row("b", "2"), row("d", "2")}}, []string{"a=1", "b=2", "c=1", "d=2"}},
		{"the newest of three", [][]Row{{row("a", "1")}, {row("a", "2")}, {row("a", "3")}}, []string{"a=3"}},
		{"a tombstone", [][]Row{{row("a", "1"), row("b", "1")}, {gone("a")}}, []string{"b=1"}},
		{"a tombstone of nothing", [][]Row{{row("b", "1")}, {gone("a"), gone("c")}}, []string{"b=1"}},
		{"back after a tombstone", [][]Row{{row("a", "1")}, {gone("a")}, {row("a", "3")}}, []string{"a=3"}},
		{"gone again", [][]Row{{row("a", "1")}, {row("a", "2")}, {gone("a")}}, nil},
		{"a newest run without rows", [][]Row{{row("a", "1")}, nil}, []string{"a=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs []*RunReader
			for i, rows := range c.runs {
				h := fullHead()
				if i > 0 {
					h = laterHead()
				}
				runs = append(runs, openRun(t, writeRun(t, h, rows)))
			}
			got, err := merged(MergeRuns(runs...))
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestMergedRunsAreTheStateTheyWereTakenOf(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(newSource(seed))
		state := map[string]string{}
		var runs []*RunReader
		for i := range 2 + rnd.IntN(9) {
			changed := map[string]bool{}
			for range rnd.IntN(3000) {
				k := fmt.Sprintf("key %04d", rnd.IntN(2000))
				changed[k] = true
				if rnd.IntN(3) == 0 {
					delete(state, k)
				} else {
					state[k] = fmt.Sprintf("run %d, %d", i, rnd.Uint32())
				}
			}
			h := RunHead{Store: testStore(), From: uint32(i), To: uint32(i)}
			if i > 0 {
				h.Before = []crypt.ContentID{{1}}
			}
			var rows []Row
			for _, k := range slices.Sorted(maps.Keys(changed)) {
				v, is := state[k]
				if is || i > 0 {
					rows = append(rows, Row{Key: []byte(k), Value: []byte(v), Gone: !is})
				}
			}
			runs = append(runs, openRun(t, writeRun(t, h, rows)))
		}
		var want []string
		for _, k := range slices.Sorted(maps.Keys(state)) {
			want = append(want, k+"="+state[k])
		}
		got, err := merged(MergeRuns(runs...))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("seed %d: %d rows of %d, %v", seed, len(got), len(want), err)
		}
	}
}

// Recovery must not take what a run gave before its damage was seen for the
// whole, even where no row of that run counts.
func TestDamageOfAnyRunEndsTheMerge(t *testing.T) {
	old, newer := writeRun(t, fullHead(), someRows(2000, 1, false)), writeRun(t, laterHead(), someRows(2000, 1, true))
	for name, runs := range map[string][][]byte{
		"the older":             {old[:len(old)-1], newer},
		"the newer":             {old, newer[:len(newer)-1]},
		"the older, in a block": {old[:len(old)/2], newer},
		"the newer, in a block": {old, newer[:len(newer)/2]},
		"the only one":          {old[:200]},
	} {
		var all []*RunReader
		for _, b := range runs {
			all = append(all, openRun(t, b))
		}
		if _, err := merged(MergeRuns(all...)); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMergeStopsWhereItsUserDoes(t *testing.T) {
	a, b := openRun(t, writeRun(t, fullHead(), someRows(100, 1, false))), openRun(t, writeRun(t, laterHead(), someRows(100, 2, true)))
	n := 0
	for _, err := range MergeRuns(a, b) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	if a.rows+b.rows > 20 {
		t.Errorf("10 rows took %d and %d", a.rows, b.rows)
	}
}
