package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// members is the nodes on which a root may stand: those that the newest root
// names, or before any does, those of the fleet. false while not even these are
// known. mu is held.
func (k *Keeper) members() (map[cairn.NodeID]pack.Node, bool) {
	out := make(map[cairn.NodeID]pack.Node)
	for id, n := range k.chain.named {
		if n.State != "gone" {
			out[id] = n.Node
		}
	}
	if len(out) > 0 {
		return out, true
	}
	for _, id := range k.present {
		out[id] = k.nodes[id].at
	}
	return out, k.present != nil
}

// quorum reports whether so many of the members as a root needs satisfy is. mu
// is held.
func (k *Keeper) quorum(is func(m *nodeMemory) bool) bool {
	members, known := k.members()
	if !known {
		return false
	}
	need := k.enough
	if need <= 0 {
		need = needOf(k.chain.body.Coding, slices.Collect(maps.Values(members)))
	}
	count := 0
	for id := range members {
		if m := k.nodes[id]; m != nil && is(m) {
			count++
		}
	}
	return count >= min(need, len(members))
}

// needOf is m+1 of the coding that so set gives such nodes, if all of them take
// shards.
func needOf(coding string, nodes []pack.Node) int {
	c, err := cairn.ParseCoding(coding)
	if err != nil { // auto, or not said yet
		var all []layout.Candidate
		for _, n := range nodes {
			all = append(all, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: 1})
		}
		c = layout.Auto(all)
	}
	return c.M + 1
}

// refresh asks what a root needs now.
func (k *Keeper) refresh() {
	need := 0
	if k.c.Need != nil {
		need = k.c.Need()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.enough = need
}

// stands reports whether root seq, or a newer one, is on enough nodes. mu is
// held.
func (k *Keeper) stands(seq uint64) bool {
	return k.quorum(func(m *nodeMemory) bool { return m.confirmed >= seq })
}

// seen opens the gate once enough nodes were listed without a fork: only then
// is anything written to nodes, so that a gateway that was taken over, or a disk
// of yesterday, notices before it does harm. mu is held.
func (k *Keeper) seen() {
	if !k.open && k.fork == nil && k.quorum(func(m *nodeMemory) bool { return !m.listed.IsZero() }) {
		k.open = true
		k.announce()
	}
}

// look visits all nodes and draws the conclusions.
func (k *Keeper) look(ctx context.Context) {
	k.refresh()
	for range 2 {
		was := k.opened()
		k.took(k.c.Nodes.Each(ctx, k.visit))
		if was || !k.opened() || ctx.Err() != nil {
			break
		}
		// The gate opened behind some of them: those got nothing yet.
	}
	k.suspects()
	k.admit()
	k.save(ctx)
}

// took notes the outcome of a look.
func (k *Keeper) took(out map[cairn.NodeID]error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.present = slices.AppendSeq(make([]cairn.NodeID, 0, len(out)), maps.Keys(out))
	for id, err := range out {
		m := k.nodes[id]
		if m == nil {
			m = newMemory()
			k.nodes[id] = m
		}
		if m.at.ID != id {
			m.at.ID = id
		}
		m.err = err
	}
	k.seen()
	k.announce()
}

// suspects tells the fleet what is held against nodes; it may have forgotten.
func (k *Keeper) suspects() {
	k.mu.Lock()
	why := make(map[cairn.NodeID]string)
	for id, m := range k.nodes {
		if m.rolled != "" {
			why[id] = m.rolled
		}
	}
	k.mu.Unlock()
	for id, text := range why {
		k.c.Nodes.Suspect(id, text)
	}
}

// admit lets the nodes take shards that a standing root names as they are, once
// the files of keys stand on enough nodes, too.
func (k *Keeper) admit() {
	k.mu.Lock()
	var nodes []pack.Node
	if k.open && k.fork == nil && k.quorum(func(m *nodeMemory) bool { return m.keys == k.version+1 }) {
		for id, n := range k.chain.named {
			m := k.nodes[id]
			if m != nil && !m.listed.IsZero() && m.at.Remote == n.Remote && m.at.HostKey == n.HostKey && maps.Equal(m.at.Option, n.Option) && k.stands(n.since) {
				nodes = append(nodes, m.at)
			}
		}
	}
	k.mu.Unlock()
	if len(nodes) > 0 {
		k.c.Nodes.Admit(nodes...)
	}
}

// stand brings the newest root to all nodes and returns nil when it stands.
func (k *Keeper) stand(ctx context.Context) error {
	newest := k.newest()
	if newest == nil {
		return nil // nothing was ever written: nothing has to stand
	}
	return k.await(ctx, func() bool { return k.open && k.stands(newest.Sequence) }, func() error { return k.missing(newest.Sequence) })
}

// await looks at all nodes until done, with mu held, says so, or every one was
// tried; then why tells what is missing.
func (k *Keeper) await(ctx context.Context, done func() bool, why func() error) error {
	tried := make(chan struct{})
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return errClosed
	}
	k.wg.Go(func() {
		defer close(tried)
		k.look(k.life)
	})
	k.mu.Unlock()
	for last := false; ; {
		k.mu.Lock()
		fork, ok, news := k.fork, done(), k.news
		k.mu.Unlock()
		switch {
		case fork != nil:
			return fork
		case ok:
			k.admit()
			return nil
		case last:
			k.poke()
			return why()
		}
		select {
		case <-news:
		case <-tried:
			last = true
		case <-ctx.Done():
			return fmt.Errorf("recovery: waiting for nodes: %w: %w", ctx.Err(), cairn.ErrUnavailable)
		}
	}
}

// missing says which nodes did not take root seq.
func (k *Keeper) missing(seq uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	members, _ := k.members()
	var without []string
	for id, n := range members {
		m := k.nodes[id]
		if m != nil && m.confirmed >= seq {
			continue
		}
		text := "node " + cmpOr(n.Name, id.String())
		if m != nil && m.err != nil {
			text += ": " + strings.ReplaceAll(m.err.Error(), "\n", "; ")
		}
		without = append(without, text)
	}
	slices.Sort(without)
	what := fmt.Sprintf("root %d is durable here and stands on %d of %d nodes", seq, len(members)-len(without), len(members))
	if !k.open {
		what = fmt.Sprintf("root %d is durable here; nothing is written to nodes before enough of the %d showed no fork", seq, len(members))
	}
	return fmt.Errorf("recovery: %s (%s): %w", what, strings.Join(without, "; "), cairn.ErrUnavailable)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
