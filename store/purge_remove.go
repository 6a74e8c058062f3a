package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// PurgedNode is what one node said of the files it held.
type PurgedNode struct {
	Node cairn.NodeID `json:"node"`
	Name string       `json:"name"`
	Gone int          `json:"gone"` // files that it confirmed to be gone
	Left int          `json:"left"` // that it did not
	Why  string       `json:"why,omitempty"`
}

// remove deletes the files, and asks every node.
func (p *purge) remove() error {
	s := p.s
	p.say("deleting on all nodes")
	ns, err := s.idx.Nodes()
	if err != nil {
		return s.indexError("nodes", err)
	}
	names := make(map[cairn.NodeID]string)
	for _, n := range ns {
		names[n.ID] = n.Name
	}
	by := make(map[cairn.NodeID]*PurgedNode)
	r := &remover{s: s, failed: make(map[cairn.NodeID]int)}
	var needed []cairn.PackID
	for _, id := range sortedPacks(p.ids) {
		row, err := s.idx.Pack(id)
		if err != nil || row.State != index.Retired {
			needed = append(needed, id)
			continue
		}
		_, err = r.pack(p.ctx, row, func(l cairn.Location, err error) {
			n := by[l.Node]
			if n == nil {
				n = &PurgedNode{Node: l.Node, Name: names[l.Node]}
				by[l.Node] = n
			}
			if err == nil && s.c.Nodes.Gone(l.Node) {
				err = errors.New("it was given up or taken out of the store, and is not asked")
			}
			if err == nil {
				n.Gone++
				return
			}
			n.Left++
			n.Why = cmp.Or(n.Why, err.Error())
		})
		if err != nil {
			return err
		}
	}
	for _, n := range by {
		p.out.Nodes = append(p.out.Nodes, *n)
	}
	slices.SortFunc(p.out.Nodes, func(a, b PurgedNode) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	if len(needed) > 0 {
		return fmt.Errorf("store: purge: %d packs came to be needed meanwhile, %v; purge again: %w", len(needed), needed[0], cairn.ErrUnavailable)
	}
	return nil
}
