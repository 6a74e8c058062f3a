package integration

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"testing"
	"time"
)

func TestLossesAreCounted(t *testing.T) {
	for _, c := range []struct{ n, from, to, want int }{{7, 1, 3, 63}, {7, 4, 4, 35}, {2, 1, 1, 2}, {2, 2, 2, 1}, {8, 5, 5, 56}} {
		if got := len(Losses(c.n, c.from, c.to)); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	if got := (Nodes(1) | 1<<3).String(); got != "n1 n4" {
		t.Error(got)
	}
}

// TestExplainedNotices: outcomes that no place of an object explains.
func TestExplainedNotices(t *testing.T) {
	const a, b, c = Nodes(1), Nodes(2), Nodes(4)
	for _, x := range []struct {
		what string
		seen []Sighting
		most int
		ok   bool
	}{
		{"it is on a", []Sighting{{a | b, false}, {b | c, true}, {c, true}}, 1, true},
		{"on a and b", []Sighting{{a, false}, {b, false}, {c, true}}, 2, true},
		{"that is more than it can be on", []Sighting{{a, false}, {b, false}, {c, true}}, 1, false},
		{"refused without need", []Sighting{{a | b, true}, {b | c, true}, {c | a, false}, {c, false}, {a, true}}, 2, false},
		{"refused at random", []Sighting{{a | b, true}, {c, true}, {b, false}}, 2, false},
		{"read where it cannot be", []Sighting{{a | b | c, true}}, 2, false},
	} {
		if err := Explained(x.seen, a|b|c, x.most); (err == nil) != x.ok {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}

// lossShares is over how many stores the patterns of a coding are dealt out, to
// be gone through at the same time: most of it is waiting for nodes.
const lossShares = 2

// healEvery is after how many patterns that cannot be read a node returns.
func healEvery() int {
	if long() {
		return 1
	}
	return 3
}

// TestLossPatterns takes every set of up to m of the nodes away: everything
// reads. Then every set of m+1: what cannot be read is refused with 503, that and
// nothing else, and reads again when one node returns (in the short run of each
// third set). Last m+1 nodes are taken out of the store: exactly what could not be read is called lost then, with
// 500, and reads again when the directory of one of them is added.
func TestLossPatterns(t *testing.T) {
	program(t)
	for _, text := range lossCodings() {
		t.Run(text, func(t *testing.T) {
			k, m := parseLossCoding(t, text)
			few, many := Losses(k+m, 1, m), Losses(k+m, m+1, m+1)
			var healed atomic.Int64
			began := time.Now()
			t.Run("shares", func(t *testing.T) {
				for share := range lossShares {
					t.Run(fmt.Sprint(share), func(t *testing.T) {
						t.Parallel()
						lossShare(t, k, m, dealt(few, share), dealt(many, share), &healed)
					})
				}
			})
			if t.Failed() {
				return
			}
			figure(t, "%d patterns of up to %d lost nodes read whole, %d of %d refused cleanly, %d healed, in %.0f s",
				len(few), m, len(many), m+1, healed.Load(), time.Since(began).Seconds())
		})
	}
}

func dealt(all []Nodes, share int) (mine []Nodes) {
	for i := share; i < len(all); i += lossShares {
		mine = append(mine, all[i])
	}
	return mine
}

func lossShare(t *testing.T, k, m int, few, many []Nodes, healed *atomic.Int64) {
	ctx := limit(t, 4*time.Minute)
	large := 18 << 20
	if long() {
		large = 50 << 20
	}
	s := newLossStore(t, ctx, k, m, large)
	for _, lost := range few {
		s.lose(lost)
		s.start()
		s.whole(ctx)
		s.stop()
	}
	if t.Failed() {
		return
	}
	seen := make([][]Sighting, len(s.sizes))
	for n, lost := range many {
		s.lose(lost)
		s.start()
		for i, err := range s.read(ctx) {
			if err != nil && !s.refused(i, err, 503) {
				t.Errorf("without %v: object %d of %d bytes: %v, want HTTP 503 or its bytes", lost, i, s.sizes[i], err)
			}
			seen[i] = append(seen[i], Sighting{lost, err == nil})
		}
		if n%healEvery() == 0 {
			s.lose(lost & (lost - 1)) // one returns
			s.heals(ctx)
			healed.Add(1)
		}
		s.stop()
	}
	for i, seen := range seen {
		if s.sizes[i] == 0 {
			s.data[i], s.most[i] = Nodes(1)<<(k+m), 1 // no bytes, on no node that is ever lost
		}
		if err := Explained(seen, s.data[i], s.most[i]); err != nil {
			t.Errorf("object %d of %d bytes: %v", i, s.sizes[i], err)
		}
	}
	if len(many) > 0 {
		lossGone(t, s, many[len(many)-1])
	}
}

// lossGone declares the nodes gone that cannot be done without, and takes one
// back.
func lossGone(t *testing.T, s *lossStore, lost Nodes) {
	s.lose(lost)
	s.start()
	before := s.read(s.ctx)
	for i := range s.dirs {
		if lost.Has(i) {
			s.do("node", "remove", "--force", fmt.Sprintf("n%d", i+1))
		}
	}
	refused := 0
	for i, err := range s.read(s.ctx) {
		switch {
		case (err == nil) != (before[i] == nil):
			t.Errorf("object %d: %v while %v are away, %v when they are gone", i, before[i], lost, err)
		case err != nil && !s.refused(i, err, 500):
			t.Errorf("object %d of %d bytes, with %v gone: %v, want HTTP 500", i, s.sizes[i], lost, err)
		case err != nil:
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("with %v gone everything reads", lost)
	}
	back := bits.TrailingZeros(uint(lost))
	s.lose(lost & (lost - 1))
	s.do("node", "add", "--name", fmt.Sprintf("n%d", back+1), "--yes", "local:"+s.dirs[back])
	s.heals(s.ctx)
	s.stop()
}
