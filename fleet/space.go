package fleet

import (
	"slices"
	"time"

	"github.com/cairn-storage/cairn/layout"
)

// userReserve is the share of a node that user data leaves free, in percent:
// records must find room, or nothing could ever be deleted.
const userReserve = 5

// A node that refused a shard for lack of space is full for fullFor, or until
// it says that fullGain bytes more are free than it said then.
const (
	fullFor  = 10 * time.Minute
	fullGain = 64 << 20
)

// unknownRoom is assumed of a node that does not tell, bytes.
const unknownRoom = 1 << 40

// room is what is known of a node's space. It is guarded by link.mu.
type room struct {
	free, total int64 // bytes, as the node last said
	known       bool  // it said
	full        bool  // the last put said so
	fullAt      time.Time
	fullFree    int64 // free when it did
}

// setFull notes that a put was refused; it reports whether that is news.
func (l *link) setFull(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := !l.full
	l.full, l.fullAt, l.fullFree = true, now, l.free
	return news
}

// setSpace notes what the node says of its space, known being false when it
// says nothing. It reports whether the node is full no more.
func (l *link) setSpace(now time.Time, free, total int64, known bool) (eased bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known {
		l.free, l.total, l.known = max(free, 0), total, true
	}
	eased = l.full && (now.Sub(l.fullAt) >= fullFor || known && free >= l.fullFree+fullGain)
	if eased {
		l.full = false
	}
	return eased
}

// took counts a shard that was put since the node last told its space.
func (l *link) took(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = max(l.free-bytes, 0)
}

// space returns free and total bytes that are ours to use, and whether they are
// more than a guess.
func (n *node) space() (free, total int64, known bool) {
	l := n.link
	l.mu.Lock()
	free, total, known = l.free, l.total, l.known
	full := l.full
	l.mu.Unlock()
	if !known {
		free, total = unknownRoom, unknownRoom
	}
	if c := int64(min(n.Capacity, 1<<62)); c > 0 {
		switch {
		case n.f.c.Used != nil:
			free, known = min(free, c-n.f.c.Used(n.ID)), true
		case known:
			free = min(free, c-(total-free))
		default:
			free = c
		}
		free, total = max(free, 0), min(total, c)
	}
	if full {
		free = 0
	}
	return free, total, known
}

// reserve is what user data leaves of total, bytes.
func reserve(total int64) int64 { return total / 100 * userReserve }

// weight is the node's share in placement: its free bytes above the reserve, as
// far as its reputation goes.
// Where only the reserve is left it still takes shards, but few as long as
// others have more.
func (n *node) weight() float64 {
	n.link.mu.Lock()
	good := n.link.good()
	n.link.mu.Unlock()
	return n.roomy() * good
}

// roomy is the weight of a node of good reputation: what its space alone is worth.
func (n *node) roomy() float64 {
	free, total, _ := n.space()
	if above := free - reserve(total); above > 0 {
		return float64(above)
	}
	return float64(free) / 64
}

// presumed is nodes with the (lower) median room of those that told theirs for each that
// has not told and has no limit: after a start that is a node which does not
// answer yet, and the guess of unknownRoom would make new packs weaker where the
// others are far larger.
func (f *Fleet) presumed(nodes []layout.Candidate) []layout.Candidate {
	var rooms []float64
	var silent []int
	for i, c := range nodes {
		n := f.node(c.Node)
		if n == nil {
			continue
		}
		switch _, _, known := n.space(); {
		case known:
			rooms = append(rooms, c.Weight)
		case n.Capacity == 0 && c.Weight > 0:
			silent = append(silent, i)
		}
	}
	if len(rooms) == 0 {
		return nodes
	}
	slices.Sort(rooms)
	for _, i := range silent {
		nodes[i].Weight = max(nodes[i].Weight, rooms[(len(rooms)-1)/2])
	}
	return nodes
}
