package scrub

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// A census is one pass over the index. It keeps how many packs stand on each
// set of nodes, of which there are few, so that what a change of a node's state
// means for all packs is told without another pass; and the worst packs.
type census struct {
	at       time.Time
	took     time.Duration
	partial  bool // it was cut off for taking too long
	packs    int64
	bytes    int64 // of them, not of their shards
	staged   int64 // packs whose shards the store itself sees to yet
	patterns map[string]*pattern
	rest     figures // of packs on sets beyond patternsMost, as the nodes stood then
	nodes    map[cairn.NodeID]*load
	last     cairn.PackID
	worst    worstFirst
	dropped  bool    // there are more packs to mend than in worst
	stuck    []Stuck // packs that nothing can be done for now, the first ones
	stuckAll int64
}

// load is what stands on one node.
type load struct{ shards, bytes int64 }

// queueMost bounds the packs that one pass hands to repair.
const queueMost = 4096

// candidate is a pack that has something to be made again.
type candidate struct {
	id    cairn.PackID
	good  int
	spare int
}

// worse orders by fewest good shards, then by the operators that may fail yet.
func worse(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.good, b.good), cmp.Compare(a.spare, b.spare), slices.Compare(a.id[:], b.id[:]))
}

// worstFirst is a heap with the least bad on top, which goes when there is no
// more room.
type worstFirst []candidate

func (w worstFirst) Len() int           { return len(w) }
func (w worstFirst) Less(i, j int) bool { return worse(w[i], w[j]) > 0 }
func (w worstFirst) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Push and Pop are for container/heap.
func (w *worstFirst) Push(x any) { *w = append(*w, x.(candidate)) }

// Pop takes the last.
func (w *worstFirst) Pop() any {
	old := *w
	x := old[len(old)-1]
	*w = old[:len(old)-1]
	return x
}

func (c *census) queue(x candidate) {
	heap.Push(&c.worst, x)
	if len(c.worst) > queueMost {
		heap.Pop(&c.worst)
		c.dropped = true
	}
}

// take makes a census; of the packs to be mended with urgency u those that skip
// does not leave out are queued. A pass that takes longer than most, if most is
// not 0, ends early.
func (s *Scrub) take(ctx context.Context, v *view, u urgency, skip func(cairn.PackID) bool, most time.Duration) (*census, error) {
	c := &census{at: time.Now(), patterns: make(map[string]*pattern), nodes: make(map[cairn.NodeID]*load)}
	n, tally := 0, s.tally(c, v)
	for row, err := range s.c.Store.Packs(cairn.PackID{}) {
		if err != nil {
			return nil, err
		}
		if n++; n%1024 == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if most > 0 && time.Since(c.at) > most {
				c.partial = true
				break
			}
		}
		ours := s.ours(row)
		if !ours && row.State <= index.Spread {
			c.staged++
		}
		if row.State != index.Spread {
			continue // staged: the store's; retiring: nobody needs it whole
		}
		if idle, err := s.idle(row); err != nil {
			return nil, err
		} else if idle {
			continue
		}
		p := tally(row)
		if !ours {
			continue
		}
		if p == nil {
			s.judge(v, s.assess(v, row), u).queue(c, row.Params.ID, skip)
			continue
		}
		if p.verdict == nil {
			p.verdict = s.judge(v, s.assess(v, row), u)
		}
		p.verdict.queue(c, row.Params.ID, skip)
	}
	slices.SortFunc(c.worst, worse)
	c.took = time.Since(c.at)
	return c, nil
}

// idle reports that a pack is lost and no loss: only a root that newer ones have
// replaced may name it.
func (s *Scrub) idle(row index.PackRow) (bool, error) {
	if s.c.Idle == nil || len(row.At) >= row.Params.Coding.K {
		return false, nil
	}
	return s.c.Idle(row)
}

// ours reports whether the shards of a pack are to be mended and moved here.
func (s *Scrub) ours(row index.PackRow) bool {
	return row.State == index.Spread && (s.c.Staged == nil || !s.c.Staged(row.Params.ID))
}

// sayStaged tells of packs that were left alone for now.
func (r *Report) sayStaged(c *census) {
	if c.staged > 0 {
		r.says("left alone: %s still staged on this machine, whose shards it sees to by itself", many(c.staged, "pack"))
	}
}

// verdict is what is to be done for a pack, and for all that stand alike.
type verdict struct {
	todo        bool
	good, spare int
	stuck       *Stuck // of no pack yet; nil where something can be done
}

func (s *Scrub) judge(v *view, a assessed, u urgency) *verdict {
	todo := a.toMake(u)
	d := &verdict{todo: len(todo) > 0, good: a.good, spare: a.spare}
	if !d.todo {
		return d
	}
	why, noNode := "", false
	switch todo, from := s.plan(&a, todo); {
	case len(todo) == 0:
		why = a.tooFew()
	case s.roomFor(v, from) == 0:
		why, noNode = errNowhere.Error(), true
	default:
		return d
	}
	k := a.row.Params.Coding.K
	d.stuck = &Stuck{Have: a.readable(), Need: k, Why: why, Lost: a.mayCome() < k, NoNode: noNode}
	return d
}

// queue has a pack mended, or names it as stuck.
func (d *verdict) queue(c *census, id cairn.PackID, skip func(cairn.PackID) bool) {
	switch {
	case !d.todo:
	case d.stuck == nil:
		if !skip(id) {
			c.queue(candidate{id, d.good, d.spare})
		}
	default:
		if c.stuckAll++; len(c.stuck) < stuckMost {
			x := *d.stuck
			x.Pack, x.ID = id, id.String()
			c.stuck = append(c.stuck, x)
		}
	}
}
