package scrub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
)

// Health tells how the packs stand, as if the nodes named did not answer either.
// It asks no node, and looks over the index for at most a second; where that is
// too short for a whole pass, the last one of Run counts.
func (s *Scrub) Health(without ...cairn.NodeID) Health {
	// It ends by itself within healthMost; the life of s is the way out.
	ctx, cancel := context.WithTimeout(s.life, 2*healthMost)
	defer cancel()
	c, err := s.recent(ctx, healthAge, tookLong, healthMost)
	if err != nil && ctx.Err() == nil {
		s.c.Log.Warn("the index cannot be looked over", "err", err)
	}
	v := s.view().without(without)
	if c == nil {
		return Health{Alarm: v.alarm, ETA: -1}
	}
	return s.healthOf(c, v)
}

func (s *Scrub) healthOf(c *census, v *view) Health {
	h := Health{Alarm: v.alarm, ETA: -1}
	f := c.figures(v)
	h.When, h.Partial, h.Packs, h.Shards = c.at, c.partial, c.packs, f.shards
	h.Missing, h.Spare = packsOf(f.missing[:]), packsOf(f.spare[:])
	h.Worst, h.Whole, h.Full = f.worst, f.whole, f.full
	h.Unreadable, h.Lost = f.dead.Packs, f.lost.Packs
	h.BacklogPacks, h.BacklogShards, h.BacklogBytes = f.backPacks, f.backShards, f.bytes
	h.Bears = Bearing{Sum: Sum{c.packs, c.bytes}, Missing: trim(f.missing[:]), Unreadable: Sum{f.dead.Packs + f.lost.Packs, f.dead.Bytes + f.lost.Bytes}, Lost: f.lost,
		MayFail: f.worst, MayFailBack: f.back, Domain: v.noun(), Coded: f.codings}
	s.stuckIn(&h, c)
	s.coverage(&h, c, v)
	s.speed(&h, c, f)
	return h
}

// healthAge is how old the pass over the index may be that Health shows.
const healthAge = 5 * time.Second

// trim cuts what is zero at the end.
func trim(n []Sum) []Sum {
	for len(n) > 0 && n[len(n)-1] == (Sum{}) {
		n = n[:len(n)-1]
	}
	return slices.Clone(n)
}

// packsOf is the packs of each, without what is zero at the end.
func packsOf(n []Sum) []int64 {
	var out []int64
	for _, s := range trim(n) {
		out = append(out, s.Packs)
	}
	return out
}

func (s *Scrub) stuckIn(h *Health, c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Waiting = s.waiting
	h.Stuck = slices.Clone(c.stuck)
	all := c.stuckAll
	for _, id := range sortedIDs(s.stuck) {
		if slices.ContainsFunc(h.Stuck, func(o Stuck) bool { return o.Pack == id }) {
			continue
		}
		all++
		if len(h.Stuck) < stuckMost {
			h.Stuck = append(h.Stuck, s.stuck[id].Stuck)
		}
	}
	h.StuckMore = all - int64(len(h.Stuck))
	h.Rate = s.rate()
	switch {
	case h.BacklogBytes == 0:
		h.ETA = 0
	case h.Rate > 0:
		h.ETA = float64(h.BacklogBytes) / h.Rate
	}
}

const day = 24 * time.Hour

// coverage tells how well every node's bytes are looked after.
func (s *Scrub) coverage(h *Health, c *census, v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range v.order {
		n := v.nodes[id]
		if n.is == gone {
			continue
		}
		m := s.memory(id)
		o := Coverage{Node: id, ID: id.String(), Name: n.Name, Listed: -1}
		if l := c.nodes[id]; l != nil {
			o.Shards, o.Bytes = l.shards, l.bytes
		}
		if m.Listed != 0 {
			o.Listed = v.now.since(m.Listed).Seconds()
		}
		if o.Bytes > 0 {
			o.fill(m, v.now, n.is, s.c.Every)
			if o.Oldest < 0 || h.Oldest < 0 {
				h.Oldest = -1
			} else {
				h.Oldest = max(h.Oldest, o.Oldest)
			}
		}
		h.Coverage = append(h.Coverage, o)
	}
}

// fill reckons from the round that a node's walk is in and the one before.
//
// The walk goes round in one order, so the bytes proven longest ago are those
// just ahead of it: they were read in the round before, at the same part of it.
func (o *Coverage) fill(m *nodeMemory, now moment, is standing, every time.Duration) {
	o.Round = min(1, float64(m.Done)/float64(o.Bytes))
	in := now.since(m.Began)
	if m.Began == 0 {
		in = 0
	}
	took := m.Took
	if o.Round > 0.02 {
		took = max(took, time.Duration(float64(in)/o.Round))
	}
	o.Oldest = -1
	if m.Rounds > 0 {
		o.Oldest = max(0, (in + m.Took - time.Duration(o.Round*float64(m.Took))).Seconds())
	}
	days := func(d time.Duration) string { return fmt.Sprintf("%.0f d", max(1, float64(d)/float64(day))) }
	o.Days = float64(took) / float64(day)
	late := took > every+every/20
	switch {
	case late && m.budget > in/2:
		o.Why = "budget"
	case late && is != here:
		o.Why = "it is away"
	case late:
		o.Why = "slow"
	}
	switch {
	case took == 0:
		o.Text = "first round just begun; every byte in " + days(every) + " is the aim"
	case late:
		o.Text = "every byte in " + days(took) + ": " + o.Why
	default:
		o.Text = "every byte in " + days(every)
	}
}

const (
	// Before failures were seen, a node is taken to be lost once in two years, and
	// what was seen of this store's own nodes weighs more the longer it is.
	priorMTTF = 2 * 365 * day
	// priorRate is how fast shards are taken to be made before any were, bytes a
	// second.
	priorRate = 4 << 20
)

// speed reckons the nines from the coding of most packs.
func (s *Scrub) speed(h *Health, c *census, f figures) {
	var most cairn.Coding
	for code, n := range f.codings {
		if n.Packs > f.codings[most].Packs || n.Packs == f.codings[most].Packs && code.K > most.K {
			most = code
		}
	}
	if f.codings[most].Packs == 0 {
		return
	}
	var heaviest int64
	for _, l := range c.nodes {
		heaviest = max(heaviest, l.bytes)
	}
	s.mu.Lock()
	mttf := (priorMTTF + s.kept.Seen) / time.Duration(1+s.kept.Lost)
	rate, seen := s.rate(), s.kept.Lost
	s.mu.Unlock()
	how := "as measured"
	if rate == 0 {
		rate, how = priorRate, "assumed"
	}
	repair := s.c.After + time.Duration(float64(heaviest)/rate*float64(time.Second))
	h.Nines = Nines(most, mttf, repair, 1).Nines
	h.Basis = fmt.Sprintf("%v; a node lost in %.1f years (%d lost so far); its shards made again in %.1f days (%.0f h until it counts as lost, then %.1f MB/s, %s)",
		most, float64(mttf)/float64(365*day), seen, float64(repair)/float64(day), s.c.After.Hours(), rate/1e6, how)
}
