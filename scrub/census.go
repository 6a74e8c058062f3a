package scrub

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"maps"
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

// pattern is the packs of one coding whose shards stand on one set of nodes.
type pattern struct {
	coding cairn.Coding
	nodes  []cairn.NodeID // one for each shard in the row, sorted
	wrong  int            // shards of them with wrong bytes, on whatever node
	packs  int64
	bytes  int64 // of one shard each, summed

	verdict *verdict // at the time of the census; nil before the first
}

const (
	patternsMost = 20_000
	// queueMost bounds the packs that one pass hands to repair.
	queueMost = 4096
)

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

// tally returns what adds a row to its pattern, which it returns: nil for a row
// that is unlike others, with wrong shards or two places for one.
func (s *Scrub) tally(c *census, v *view) func(index.PackRow) *pattern {
	s.mu.Lock()
	bad := maps.Clone(s.marks.of[wrong])
	s.mu.Unlock()
	var key []byte
	var nodes []cairn.NodeID
	return func(row index.PackRow) *pattern {
		p := row.Params
		c.packs++
		c.last = p.ID
		size := p.FileSize()
		wrongs, plain := 0, true
		var seen uint32
		nodes = nodes[:0]
		for _, l := range row.At {
			if int(l.Index) >= p.Coding.N() {
				continue
			}
			n := c.nodes[l.Node]
			if n == nil {
				n = &load{}
				c.nodes[l.Node] = n
			}
			n.shards++
			n.bytes += size
			if seen&(1<<l.Index) != 0 {
				plain = false
				continue
			}
			seen |= 1 << l.Index
			if len(bad) > 0 {
				if _, is := bad[place{p.ID, l}]; is && v.of(l.Node).is != gone {
					wrongs, plain = wrongs+1, false
					continue
				}
			}
			nodes = append(nodes, l.Node)
		}
		slices.SortFunc(nodes, func(a, b cairn.NodeID) int { return bytes.Compare(a[:], b[:]) })
		key = append(key[:0], byte(p.Coding.K), byte(p.Coding.M), byte(wrongs))
		for _, n := range nodes {
			key = append(key, n[:]...)
		}
		t := c.patterns[string(key)]
		if t == nil {
			t = &pattern{coding: p.Coding, wrong: wrongs, nodes: slices.Clone(nodes)}
			if len(c.patterns) >= patternsMost {
				t.packs, t.bytes = 1, size
				c.rest.add(v, t)
				return nil
			}
			c.patterns[string(key)] = t
		}
		t.packs++
		t.bytes += size
		if !plain {
			return nil
		}
		return t
	}
}

// figures is what packs come to at one moment.
type figures struct {
	shards                       Shards
	missing, spare               [cairn.MaxShards + 1]int64 // packs, by how many
	dead                         int64                      // packs that cannot be read now
	lost                         int64
	worst, whole, full           int   // domains that may fail: now, after repair, with all shards on their own
	packs, mend                  int64 // that worst and full, and whole, are of
	backPacks, backShards, bytes int64
	codings                      map[cairn.Coding]int64
}

// least is the lower of a and b, where a is of so many packs.
func least(a, b int, packs int64) int {
	if packs == 0 {
		return b
	}
	return min(a, b)
}

// add counts the packs of a pattern.
func (f *figures) add(v *view, t *pattern) {
	k, n := t.coding.K, t.coding.N()
	var counts [shardStates]int
	counts[wrongBytes] = t.wrong
	domains := make(map[string]int)
	for _, id := range t.nodes {
		node := v.of(id)
		st := stateOf(node, false)
		counts[st]++
		if st.good() {
			domains[v.domain(node)]++
		}
	}
	if none := n - len(t.nodes) - t.wrong; v.all {
		counts[lost] += none
	} else {
		counts[unknown] += none
	}
	a := assessed{counts: counts, good: counts[sound] + counts[leavingNode], spare: spareOf(k, domains)}
	a.row.Params.Coding = t.coding
	f.missing[n-a.good] += t.packs
	f.worst = least(f.worst, a.spare, f.packs)
	f.full = least(f.full, t.coding.M, f.packs)
	f.packs += t.packs
	if a.readable() >= k {
		// What is made again comes to domains that hold none, as far as there are.
		for i := range min(n-a.good, max(0, v.sound-len(domains))) {
			domains["made again "+string(rune('a'+i))]++
		}
		f.whole = least(f.whole, spareOf(k, domains), f.mend)
		f.mend += t.packs
	}
	switch {
	case a.mayCome() < k:
		f.lost += t.packs
	case a.readable() < k:
		f.dead += t.packs
	default:
		f.spare[max(a.spare, 0)] += t.packs
	}
	made := 0
	for st, c := range counts {
		if shardState(st).toMake(a.few(), byGrace) {
			made += c
		}
	}
	if made > 0 {
		f.backPacks += t.packs
		f.backShards += int64(made) * t.packs
		f.bytes += int64(made) * t.bytes
	}
	s := &f.shards
	s.Good += int64(counts[sound]) * t.packs
	s.Leaving += int64(counts[leavingNode]) * t.packs
	s.Away += int64(counts[onAway]+counts[onSettled]) * t.packs
	s.Suspect += int64(counts[onSuspect]+counts[onExpired]) * t.packs
	s.Quarantined += int64(counts[onQuarantined]+counts[onCondemned]) * t.packs
	s.Wrong += int64(counts[wrongBytes]) * t.packs
	s.Missing += int64(counts[lost]+counts[onGone]+counts[onAbsent]) * t.packs
	s.Unknown += int64(counts[unknown]+counts[onUnseen]) * t.packs
	if f.codings == nil {
		f.codings = make(map[cairn.Coding]int64)
	}
	f.codings[t.coding] += t.packs
}

// figures applies the nodes' states of now to a census.
func (c *census) figures(v *view) figures {
	f := c.rest // a copy but for the map
	f.codings = nil
	for _, t := range c.patterns {
		f.add(v, t)
	}
	return f
}

// recent is a census that is at most age old, or the last one where another
// would take long. nil, and no error, before there is any.
func (s *Scrub) recent(ctx context.Context, age time.Duration) (*census, error) {
	select {
	case s.counting <- struct{}{}: // one pass serves all that wait for it
	case <-ctx.Done():
		return s.newest(), ctx.Err() // a disk that hangs
	}
	defer func() { <-s.counting }()
	c := s.newest()
	if c != nil && (time.Since(c.at) < age || c.took > healthMost/4) {
		return c, nil
	}
	fresh, err := s.take(ctx, s.view(), byGrace, func(cairn.PackID) bool { return true }, healthMost)
	if err != nil {
		return c, err
	}
	s.note(fresh)
	return s.newest(), nil
}

// healthMost bounds the pass over the index that a look at the health may cost.
const healthMost = time.Second

// note keeps a census for Health, unless a whole one would give way to a part.
func (s *Scrub) note(c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.partial || !c.partial {
		s.last = c
	}
}

func (s *Scrub) newest() *census {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
