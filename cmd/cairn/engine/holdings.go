package engine

import (
	"cmp"
	"iter"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// holdings is where all packs stand, as few rows: packs of one coding whose
// shards lie on the same nodes are counted together, so that what a node's loss
// would mean is worked out for a handful of rows and not for a million packs.
type holdings struct {
	rows []holding
	sum  Sum
}

// holding is the packs that stand alike.
type holding struct {
	coding cairn.Coding
	at     []cairn.Location // the index is meaningless but for shards with several files
	Sum
}

// Sum is a number of packs and their bytes.
type Sum struct {
	Packs int64 `json:"packs"`
	Bytes int64 `json:"bytes"` // of packs, not of their shards
}

func (s *Sum) add(o Sum) {
	s.Packs += o.Packs
	s.Bytes += o.Bytes
}

// needed leaves out packs that are lost and no loss: too few of their shards are
// left, and nothing that is stored now depends on them.
func needed(rows iter.Seq2[index.PackRow, error], idle func(index.PackRow) (bool, error)) iter.Seq2[index.PackRow, error] {
	return func(yield func(index.PackRow, error) bool) {
		for row, err := range rows {
			if err == nil && row.State == index.Spread && len(row.At) < row.Params.Coding.K {
				var no bool
				if no, err = idle(row); no && err == nil {
					continue
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// holdingsOf counts the packs that stand on nodes.
func holdingsOf(rows iter.Seq2[index.PackRow, error]) (*holdings, error) {
	h := &holdings{}
	of := make(map[string]int)
	var key []byte
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		if row.State != index.Spread {
			continue
		}
		at := alike(row.At)
		key = append(key[:0], byte(row.Params.Coding.K), byte(row.Params.Coding.M))
		for _, l := range at {
			key = append(append(key, l.Index), l.Node[:]...)
		}
		i, ok := of[string(key)]
		if !ok {
			i = len(h.rows)
			of[string(key)] = i
			h.rows = append(h.rows, holding{coding: row.Params.Coding, at: at})
		}
		one := Sum{1, int64(row.Bytes)}
		h.rows[i].add(one)
		h.sum.add(one)
	}
	return h, nil
}

// alike is at in an order, and with numbers for its shards, that all packs share
// which are lost together. Which shard a node has is forgotten where each shard
// has one file.
func alike(at []cairn.Location) []cairn.Location {
	out := make([]cairn.Location, len(at))
	seen := make(map[uint8]bool, len(at))
	single := true
	for i, l := range at {
		single = single && !seen[l.Index]
		seen[l.Index] = true
		out[i] = cairn.Location{Index: l.Index, Node: l.Node}
	}
	slices.SortFunc(out, func(a, b cairn.Location) int {
		if c := slices.Compare(a.Node[:], b.Node[:]); c != 0 {
			return c
		}
		return cmp.Compare(a.Index, b.Index)
	})
	if single {
		for i := range out {
			out[i].Index = uint8(i)
		}
	}
	return out
}

// left counts the shards of which a file stands on a node that counts.
func (h *holding) left(counts func(cairn.NodeID) bool) int {
	var seen [4]uint64 // a bit for each shard
	n := 0
	for _, l := range h.at {
		if bit := uint64(1) << (l.Index % 64); counts(l.Node) && seen[l.Index/64]&bit == 0 {
			seen[l.Index/64] |= bit
			n++
		}
	}
	return n
}

// below is the packs of which fewer than k shards stand on nodes that count.
func (h *holdings) below(counts func(cairn.NodeID) bool) (out Sum) {
	for i := range h.rows {
		if r := &h.rows[i]; r.left(counts) < r.coding.K {
			out.add(r.Sum)
		}
	}
	return out
}

// missing is the packs by how many of their shards do not stand on nodes that
// count: element i is those that lack i.
func (h *holdings) missing(counts func(cairn.NodeID) bool) (out []Sum) {
	for i := range h.rows {
		r := &h.rows[i]
		lacks := max(r.coding.N()-r.left(counts), 0)
		for len(out) <= lacks {
			out = append(out, Sum{})
		}
		out[lacks].add(r.Sum)
	}
	return out
}

// mayFail is how many domains may fail, whichever, and every pack stays
// readable from nodes that count; -1 where one is not as it is, 0 without packs.
// The domains that hold most of a pack fail first.
func (h *holdings) mayFail(counts func(cairn.NodeID) bool, domain func(cairn.NodeID) string) (worst int) {
	for i := range h.rows {
		if n := h.rows[i].mayFail(counts, domain); i == 0 || n < worst {
			worst = n
		}
	}
	return worst
}

func (h *holding) mayFail(counts func(cairn.NodeID) bool, domain func(cairn.NodeID) string) int {
	held := make(map[string]int)
	for _, l := range h.at {
		if counts(l.Node) {
			held[domain(l.Node)]++
		}
	}
	left := h.left(counts)
	if left < h.coding.K {
		return -1
	}
	order := make([]int, 0, len(held))
	for _, n := range held {
		order = append(order, n)
	}
	slices.SortFunc(order, func(a, b int) int { return b - a })
	for i, n := range order {
		if left -= n; left < h.coding.K {
			return i
		}
	}
	return len(order)
}
