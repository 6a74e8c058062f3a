package cache

import (
	"math"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// twoQ decides what stays within a budget. It is 2Q: a new key goes to the
// queue of recent ones, a quarter of the budget, and leaves it in order of
// arrival whatever its hits; only what is wanted again after that (its ghost
// remembers the key) or late in that queue goes to the frequent ones, in order
// of last use. A scan therefore flushes the recent quarter and no more.
//
// Hits soon after the arrival do not count: a block is read in several parts
// by one and the same reader.
//
// It is not safe for concurrent use.
type twoQ[V any] struct {
	budget, used   int64
	recentMost     int64 // the recent ones' share of the budget
	recentUsed     int64
	arrived        int64 // cost of all that was ever added
	recent         *simplelru.LRU[Key, entry[V]]
	frequent       *simplelru.LRU[Key, entry[V]]
	ghosts         *simplelru.LRU[Key, struct{}]
	whenOut        func(V) // called for every value that leaves, may be nil
	hitsCountAfter int64
}

type entry[V any] struct {
	value V
	cost  int64
	born  int64 // arrived, when this was added
}

// newTwoQ returns one that holds values of budget cost in all and remembers
// the keys of as many as ghosts that left.
func newTwoQ[V any](budget int64, ghosts int, whenOut func(V)) *twoQ[V] {
	return &twoQ[V]{
		budget:         budget,
		recentMost:     budget / 4,
		recent:         newLRU[entry[V]](math.MaxInt),
		frequent:       newLRU[entry[V]](math.MaxInt),
		ghosts:         newLRU[struct{}](max(ghosts, 1)),
		whenOut:        whenOut,
		hitsCountAfter: budget / 8,
	}
}

func newLRU[V any](size int) *simplelru.LRU[Key, V] {
	l, err := simplelru.NewLRU[Key, V](size, nil)
	if err != nil {
		panic("cache: " + err.Error()) // unreachable: the size is positive
	}
	return l
}

// get returns the value of k, and whether this use has just made it one of the
// frequent ones.
func (q *twoQ[V]) get(k Key) (v V, ok, promoted bool) {
	if e, ok := q.frequent.Get(k); ok {
		return e.value, true, false
	}
	e, ok := q.recent.Peek(k)
	if ok && q.arrived-e.born >= q.hitsCountAfter {
		q.recent.Remove(k)
		q.recentUsed -= e.cost
		q.frequent.Add(k, e)
		promoted = true
	}
	return e.value, ok, promoted
}

// peek returns the value of k and whether it is one of the frequent ones; it
// is no use of k.
func (q *twoQ[V]) peek(k Key) (v V, ok, frequent bool) {
	if e, ok := q.frequent.Peek(k); ok {
		return e.value, true, true
	}
	e, ok := q.recent.Peek(k)
	return e.value, ok, false
}

// add takes v in for k, unless k is there or v alone passes the budget, and
// lets others go until the budget holds. It reports whether k is one of the
// frequent ones.
func (q *twoQ[V]) add(k Key, v V, cost int64) (frequent bool) {
	if _, there, frequent := q.peek(k); there {
		return frequent
	}
	if cost > q.budget {
		return false
	}
	frequent = q.ghosts.Remove(k)
	q.put(k, entry[V]{v, cost, q.arrived}, frequent)
	return frequent
}

// restore is add for what an earlier process had, in order of arrival: its
// next hit counts.
func (q *twoQ[V]) restore(k Key, v V, cost int64, frequent bool) {
	q.put(k, entry[V]{v, cost, q.arrived - q.hitsCountAfter}, frequent)
}

func (q *twoQ[V]) put(k Key, e entry[V], frequent bool) {
	q.used += e.cost
	q.arrived += e.cost
	if frequent {
		q.frequent.Add(k, e)
	} else {
		q.recent.Add(k, e)
		q.recentUsed += e.cost
	}
	for q.used > q.budget {
		q.letGo()
	}
}

// letGo removes the one that is wanted least.
func (q *twoQ[V]) letGo() {
	if q.recent.Len() > 0 && (q.recentUsed > q.recentMost && q.recent.Len() > 1 || q.frequent.Len() == 0) {
		k, e, _ := q.recent.RemoveOldest()
		q.recentUsed -= e.cost
		q.ghosts.Add(k, struct{}{})
		q.gone(e)
		return
	}
	_, e, _ := q.frequent.RemoveOldest()
	q.gone(e)
}

// remove lets k go without a ghost.
func (q *twoQ[V]) remove(k Key) {
	if e, ok := q.recent.Peek(k); ok {
		q.recent.Remove(k)
		q.recentUsed -= e.cost
		q.gone(e)
		return
	}
	if e, ok := q.frequent.Peek(k); ok {
		q.frequent.Remove(k)
		q.gone(e)
	}
}

func (q *twoQ[V]) gone(e entry[V]) {
	q.used -= e.cost
	if q.whenOut != nil {
		q.whenOut(e.value)
	}
}

func (q *twoQ[V]) len() int { return q.recent.Len() + q.frequent.Len() }

// isGhost reports whether add would make k one of the frequent ones.
func (q *twoQ[V]) isGhost(k Key) bool { return q.ghosts.Contains(k) }
