package index

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func long() bool { return os.Getenv("CAIRN_LONG") == "1" }

// histories are small sets of records whose order of arrival must not matter.
var histories = map[string][]Change{
	"overwrite":                  {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), putRec(st(2, 1), "x", "C")},
	"delete and put again":       {putRec(st(1, 2), "x", "A"), delRec(st(1, 3), "x"), putRec(st(1, 4), "x", "B"), delRec(st(1, 5), "x")},
	"copy outlives its source":   {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "y", "A"), delRec(st(1, 4), "x")},
	"move":                       {putRec(st(1, 2), "x", "AB"), moveRec(st(1, 5), "x", st(1, 2), "CB"), moveRec(st(1, 7), "x", st(1, 2), "DE")},
	"move of what is gone":       {putRec(st(1, 2), "x", "A"), putRec(st(1, 4), "x", "B"), moveRec(st(1, 5), "x", st(1, 2), "C")},
	"move, then delete":          {putRec(st(1, 2), "x", "A"), moveRec(st(1, 5), "x", st(1, 2), "C"), delRec(st(1, 6), "x")},
	"void put":                   {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), voidRec(st(1, 4), st(1, 3))},
	"void delete":                {putRec(st(1, 2), "x", "A"), delRec(st(1, 3), "x"), voidRec(st(1, 4), st(1, 3))},
	"void move":                  {putRec(st(1, 2), "x", "A"), moveRec(st(1, 3), "x", st(1, 2), "B"), voidRec(st(1, 4), st(1, 3))},
	"void first put":             {putRec(st(1, 2), "x", "A"), voidRec(st(1, 4), st(1, 2))},
	"void below an overwrite":    {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), voidRec(st(1, 4), st(1, 2)), delRec(st(1, 5), "x"), voidRec(st(1, 6), st(1, 5))},
	"void of a void":             {putRec(st(1, 2), "x", "A"), delRec(st(1, 3), "x"), voidRec(st(1, 4), st(1, 3)), voidRec(st(1, 5), st(1, 4))},
	"life ends the one before":   {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), lifeRec(2, st(1, 2)), putRec(st(2, 2), "y", "C")},
	"life takes back a void":     {putRec(st(1, 2), "x", "A"), delRec(st(1, 3), "x"), voidRec(st(1, 4), st(1, 3)), lifeRec(2, st(1, 3))},
	"life that never was":        {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), lifeRec(2, st(1, 2)), putRec(st(2, 2), "x", "C"), lifeRec(3, st(1, 3))},
	"move of a version undone":   {putRec(st(1, 2), "x", "A"), putRec(st(1, 3), "x", "B"), moveRec(st(1, 4), "x", st(1, 2), "C"), voidRec(st(1, 5), st(1, 3))},
	"move void, version undone":  {putRec(st(1, 2), "x", "A"), moveRec(st(1, 4), "x", st(1, 2), "C"), putRec(st(1, 5), "x", "D"), lifeRec(2, st(1, 3))},
	"prefix keys do not mix up":  {putRec(st(1, 2), "a", "A"), putRec(st(1, 3), "a\x00", "B"), delRec(st(1, 4), "a"), putRec(st(1, 5), "ab", "C"), voidRec(st(1, 6), st(1, 4))},
	"empty object and its death": {putRec(st(1, 2), "x", ""), delRec(st(1, 3), "x"), putRec(st(1, 4), "x", "")},
}

// permutations calls do with every order of n things, or with some when there
// are many.
func permutations(n int, rng *rand.Rand, do func([]int)) {
	all := 1
	for i := 2; i <= n; i++ {
		all *= i
	}
	if limit := 12; all > limit && !long() {
		for range limit {
			do(rng.Perm(n))
		}
		return
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var walk func(int)
	walk = func(i int) {
		if i == n {
			do(order)
			return
		}
		for j := i; j < n; j++ {
			order[i], order[j] = order[j], order[i]
			walk(i + 1)
			order[i], order[j] = order[j], order[i]
		}
	}
	walk(0)
}

func TestAnyOrderGivesTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := maps.Clone(histories)
	maps.Copy(all, uploadHistories)
	maps.Copy(all, wildUploads)
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			want := model(h)
			permutations(len(h), rng, func(order []int) {
				x := fresh(t)
				var batch []Change
				for i, at := range order {
					batch = append(batch, h[at])
					if rng.IntN(3) == 0 { // again, now or with a later batch
						batch = append(batch, h[order[rng.IntN(i+1)]])
					}
					if rng.IntN(2) == 0 {
						must(t, x.Apply(batch))
						batch = nil
					}
				}
				must(t, x.Apply(batch))
				if got := observe(t, x); got != want {
					t.Fatalf("order %v gives\n%swant\n%s", order, got, want)
				}
				must(t, x.Close())
			})
		})
	}
}

// After each crash the index is as after some prefix of the batches; replay of
// everything, in any order, gives what should be.
func TestAnyOrderWithCrashesGivesTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	all := maps.Clone(histories)
	maps.Copy(all, uploadHistories)
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			want := model(h)
			for round := range 3 {
				fs := durable.NewMem()
				x := open(t, fs)
				for crash := range 2 {
					for _, at := range rng.Perm(len(h)) {
						must(t, x.Apply([]Change{h[at]}))
						if rng.IntN(3) == 0 {
							must(t, x.Flush())
						}
					}
					next := fs.Crash([]int{0, 50, 100}[round%3], uint64(round*2+crash))
					must(t, x.Close())
					fs = next
					x = open(t, fs)
				}
				for _, at := range rng.Perm(len(h)) {
					must(t, x.Apply([]Change{h[at]}))
				}
				if got := observe(t, x); got != want {
					t.Fatalf("round %d gives\n%swant\n%s", round, got, want)
				}
				must(t, x.Close())
			}
		})
	}
}

// What is settled may be forgotten at any moment, and may even come again.
func TestDropTombstonesChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	all := maps.Clone(histories)
	maps.Copy(all, uploadHistories)
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			want := model(h)
			for range 6 {
				// The records below the floor come first, in any order; so do
				// those that take one of them back.
				var floor cairn.Stamp
				for _, c := range h {
					if s := c.Record.Stamp; s.Compare(floor) > 0 && rng.IntN(2) == 0 {
						floor = s
					}
				}
				var first, rest []Change
				for _, c := range h {
					_, isVoid := c.Record.Body.(pack.Void)
					_, isLife := c.Record.Body.(pack.Life)
					if c.Record.Stamp.Compare(floor) < 0 || isVoid || isLife {
						first = append(first, c)
					} else {
						rest = append(rest, c)
					}
				}
				x := fresh(t)
				for _, i := range rng.Perm(len(first)) {
					must(t, x.Apply([]Change{first[i]}))
				}
				must(t, x.DropTombstones(floor))
				for _, i := range rng.Perm(len(rest)) {
					must(t, x.Apply([]Change{rest[i]}))
				}
				for _, i := range rng.Perm(len(h)) { // a stage that came back from the dead
					must(t, x.Apply([]Change{h[i]}))
				}
				if got := observe(t, x); got != want {
					t.Fatalf("floor %v gives\n%swant\n%s", floor, got, want)
				}
				must(t, x.DropTombstones(st(100, 0)))
				if got := observe(t, x); got != want {
					t.Fatalf("after the last drop\n%swant\n%s", got, want)
				}
				for _, table := range []byte{tableShadow, tableHistory, tableVoid, tableLoose, tablePast} {
					if n := rows(t, x, table); n != 0 {
						t.Fatalf("%d rows left in table %c", n, table)
					}
				}
				must(t, x.Close())
			}
		})
	}
}

func rows(t testing.TB, x *Index, table byte) (n int) {
	t.Helper()
	must(t, scan(x.db, []byte{table}, func(_, _ []byte) error { n++; return nil }))
	return n
}

func TestAfterACrashThereIsAPrefix(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d percent, seed %d", percent, seed), func(t *testing.T) {
				fs := durable.NewMem()
				x := open(t, fs)
				const n = 60
				flushed := uint64(0)
				for i := range uint64(n) {
					// Each batch writes a key of its own and one that all share.
					must(t, x.Apply([]Change{putRec(st(1, 2*i+1), fmt.Sprintf("k%03d", i), "A"), putRec(st(1, 2*i+2), "last", "B")}))
					if i%25 == seed*10 {
						must(t, x.Flush())
						flushed = 2*i + 2
					}
				}
				y := open(t, fs.Crash(percent, seed))
				at := y.Applied().LSN
				if at < flushed || at%2 != 0 {
					t.Fatalf("applied up to %d, flushed %d", at, flushed)
				}
				entries, _, _, _, err := y.List(1, "k", "", "", 2*n)
				must(t, err)
				if uint64(len(entries)) != at/2 {
					t.Fatalf("applied up to %d, but %d keys", at, len(entries))
				}
				for i, e := range entries {
					if e.Stamp != st(1, uint64(2*i+1)) {
						t.Fatalf("key %d is %v", i, e)
					}
				}
				if at > 0 {
					v, err := y.Object(1, "last")
					must(t, err)
					if v.Stamp.LSN != at {
						t.Fatalf("applied up to %d, the shared key is of %v", at, v.Stamp)
					}
				}
				if got := y.Totals().Objects; got != uint64(len(entries))+min(at, 1) {
					t.Fatalf("%d objects counted, %d listed", got, len(entries))
				}
				must(t, y.Close())
				must(t, x.Close())
			})
		}
	}
}

// A random walk over few keys, against the model: references and totals are
// what can be recomputed, at every step.
func TestReferencesAndTotalsAreRecomputable(t *testing.T) {
	steps := 200
	if long() {
		steps = 5000
	}
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 9))
		x := fresh(t)
		var h []Change
		live := map[string]cairn.Stamp{}
		for i := range steps {
			s := st(1, uint64(i+1))
			key := fmt.Sprintf("k%d", rng.IntN(6))
			packs := ""
			for range 1 + rng.IntN(3) {
				packs += string('A' + byte(rng.IntN(6)))
			}
			var c Change
			switch rng.IntN(8) {
			case 0, 1, 2:
				c = putRec(s, key, packs)
				live[key] = s
			case 3: // a copy
				v, err := x.Object(1, key)
				if err != nil {
					continue
				}
				c = putRec(s, key+"'", names(packsOf(v.Put.Parts, nil)))
			case 4, 5:
				c = delRec(s, key)
			case 6:
				of, ok := live[key]
				if !ok {
					continue
				}
				size := 0
				for _, c := range h {
					if c.Record.Stamp == of {
						size = int(c.Record.Body.(pack.Put).Size / frame)
					}
				}
				for len(packs) < size {
					packs += packs
				}
				c = moveRec(s, key, of, packs[:size])
			case 7:
				if len(h) == 0 || rng.IntN(3) > 0 {
					continue
				}
				c = voidRec(s, h[max(0, len(h)-1-rng.IntN(8))].Record.Stamp)
			}
			h = append(h, c)
			must(t, x.Apply([]Change{c}))
			if i%5 == 0 || i > steps-20 {
				if got, want := observe(t, x), model(h); got != want {
					t.Fatalf("seed %d, step %d, after %+v:\n%swant\n%s", seed, i, c, got, want)
				}
			}
		}
		slices.Reverse(h)
		y := fresh(t)
		must(t, y.Apply(h))
		if got, want := observe(t, y), observe(t, x); got != want {
			t.Fatalf("seed %d, backwards:\n%swant\n%s", seed, got, want)
		}
	}
}
