package cache

import (
	"math/rand/v2"
	"testing"
)

func keyOf(n int) Key { return Key{Index: uint8(n % 8), Block: uint32(n)} }

// use is what a reader does: get, and add on a miss. It reports a hit.
func use(q *twoQ[int], n int) bool {
	if _, ok, _ := q.get(keyOf(n)); ok {
		return true
	}
	q.add(keyOf(n), n, 1)
	return false
}

func TestAScanDoesNotFlushTheHotSet(t *testing.T) {
	for _, c := range []struct {
		promise string
		touches int // times that the scan reads each block in a row
	}{
		{"each block read once", 1},
		{"each block read in sixteen parts", 16},
	} {
		q := newTwoQ[int](1000, 500, nil)
		for round := range 3 { // 500 hot blocks among others, until they are known
			for n := range 500 {
				use(q, n)
			}
			for n := range 600 {
				use(q, 10_000+1000*round+n)
			}
		}
		for n := range 30_000 {
			for range c.touches {
				use(q, 1_000_000+n)
			}
		}
		hot := 0
		for n := range 500 {
			if use(q, n) {
				hot++
			}
		}
		if hot < 475 {
			t.Errorf("%s: after a scan of 30 times the budget %d of 500 hot blocks are left", c.promise, hot)
		}
	}
}

func TestWhatIsWantedAgainLaterStays(t *testing.T) {
	q := newTwoQ[int](800, 400, nil)
	use(q, 1)
	if _, _, promoted := q.get(keyOf(1)); promoted {
		t.Error("a second use at once made it frequent")
	}
	for n := range 150 {
		use(q, 100+n)
	}
	if _, ok, promoted := q.get(keyOf(1)); !ok || !promoted {
		t.Errorf("a use after 150 others: there %v, made frequent %v", ok, promoted)
	}
	for n := range 10_000 {
		use(q, 1000+n)
	}
	if !use(q, 1) {
		t.Error("it left with a scan")
	}
}

func TestAGhostComesBackAsFrequent(t *testing.T) {
	q := newTwoQ[int](8, 100, nil)
	for n := range 20 {
		use(q, n)
	}
	if _, there, _ := q.peek(keyOf(3)); there || !q.isGhost(keyOf(3)) {
		t.Fatal("block 3 did not leave with a ghost")
	}
	if !q.add(keyOf(3), 3, 1) || q.isGhost(keyOf(3)) {
		t.Error("its return did not make it frequent")
	}
}

// Against a plain list of what is held: the budget holds after each step, and
// every value goes out exactly once, when it is no longer found.
func TestTheBudgetHoldsAndNothingGoesOutTwice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		held := make(map[int]int64) // value -> cost
		of := make(map[Key]int)
		budget := int64(1 + rnd.IntN(200))
		q := newTwoQ[int](budget, rnd.IntN(50), func(v int) {
			if _, ok := held[v]; !ok {
				t.Fatalf("value %d went out twice or never came", v)
			}
			delete(held, v)
		})
		for v := range 2000 {
			k := keyOf(rnd.IntN(100))
			switch rnd.IntN(6) {
			case 0:
				q.remove(k)
			case 1, 2:
				got, ok, _ := q.get(k)
				if _, want := held[of[k]]; ok && (!want || got != of[k]) {
					t.Fatalf("%v gave %d, held is %d (%v)", k, got, of[k], want)
				}
			default:
				cost := int64(1 + rnd.IntN(20))
				if _, there, _ := q.peek(k); !there && cost <= budget {
					held[v], of[k] = cost, v
				}
				q.add(k, v, cost)
			}
			var sum int64
			for _, cost := range held {
				sum += cost
			}
			if q.used != sum || q.used > budget || q.len() != len(held) || q.recentUsed > q.used || q.recentUsed < 0 {
				t.Fatalf("used %d of %d for %d values; held are %d for %d", q.used, budget, q.len(), sum, len(held))
			}
		}
	}
}
