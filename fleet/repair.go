package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Repair makes the shards missing of pack p again, all in one pass, from k of
// those at at, and puts each under a new name on a node of its own by the rules
// of placement; shards of at on nodes that are draining, gone or quarantined do
// not count as placed. What is read is k times the length of a shard, spread
// evenly over all that survive, and a tail of each; a survivor that fails, is
// late or wrong is left out from there on and another asked. The files of the
// missing shards themselves are not read, and nothing is deleted. A made file
// equals its signed root before it is put, and stands, its tail read back,
// before it is returned. intend is that of Scatter.
//
// It returns the places made, and nil only when all were. ErrNowhere, with
// nothing read, when no node is left for any of them; ErrUnavailable or ErrLost
// when fewer than k survive; ErrCorrupt when what they decode to is not what was
// signed.
//
// It takes memory for one file of each missing shard, and while it reads for
// windows of repairAhead times k times repairWindow bytes: for packs of 16 MiB
// coded 4+3 with three missing some 12 MiB and 16 MiB. Where that and what others
// take is more than repairMemory, it waits.
func (f *Fleet) Repair(ctx context.Context, p pack.Params, at []cairn.Location, missing []uint8, intend func([]cairn.Location) error) (made []cairn.Location, cost Moved, err error) {
	return f.RepairOn(ctx, cairn.NodeID{}, p, at, missing, intend)
}

// RepairOn is Repair for a node that is filled again after it lost its files: it
// gets one of the shards before any other node, where the rules of placement let
// it have one.
func (f *Fleet) RepairOn(ctx context.Context, home cairn.NodeID, p pack.Params, at []cairn.Location, missing []uint8, intend func([]cairn.Location) error) (made []cairn.Location, cost Moved, err error) {
	ctx, t := counted(backends.Background(ctx), f.m.repair)
	made, err = f.repair(ctx, home, p, at, missing, intend)
	return made, t.cost(), err
}

func (f *Fleet) repair(ctx context.Context, home cairn.NodeID, p pack.Params, at []cairn.Location, missing []uint8, intend func([]cairn.Location) error) ([]cairn.Location, error) {
	missing = slices.Compact(slices.Sorted(slices.Values(missing)))
	if err := repairable(p, missing); err != nil || len(missing) == 0 {
		return nil, err
	}
	put := f.replacing(p, at, missing, intend)
	put.home = home
	delete(put.rather, home)
	// Whether there is a place is known before anything is read.
	want, err := put.narrow(missing)
	if err != nil {
		return nil, err
	}
	whole := int64(len(want)) * p.FileSize()
	memory, err := f.ration(ctx, whole+windowsMemory(p))
	if err != nil {
		return nil, &failure{what: fmt.Sprintf("repair of pack %v", p.ID), class: cairn.ErrUnavailable, ended: err}
	}
	defer memory.keep(0)
	from, err := f.survivors(ctx, p, at, want)
	if err != nil {
		return nil, err
	}
	files, err := from.rebuild(ctx)
	if err != nil {
		return nil, err
	}
	memory.keep(whole)
	put.Trailer, put.file = from.tail.Trailer, func(i uint8) []byte { return files[i] }
	made, err := put.run(ctx)
	if err == nil && len(made) < len(missing) {
		err = put.short(ctx.Err(), len(made), len(missing), len(missing) > len(want))
	}
	return made, err
}

// repairable returns ErrInvalid for what is no pack or no shard of it.
func repairable(p pack.Params, missing []uint8) error {
	if err := p.Coding.Check(); err != nil {
		return fmt.Errorf("fleet: repair %v: %w", p.ID, err)
	}
	if p.Length == 0 || p.Length > pack.MaxLength || p.Contents > pack.MaxContents || len(missing) > 0 && int(missing[len(missing)-1]) >= p.Coding.N() {
		return fmt.Errorf("fleet: repair shards %v of pack %v %v: %w", missing, p.ID, p.Coding, cairn.ErrInvalid)
	}
	return nil
}

// replacing begins to place the shards missing of a pack that stands at at.
func (f *Fleet) replacing(p pack.Params, at []cairn.Location, missing []uint8, intend func([]cairn.Location) error) *placing {
	put := f.placing(pack.Trailer{Params: p}, nil, intend)
	put.rather = make(map[cairn.NodeID]bool)
	for i := range put.taken {
		if !slices.Contains(missing, uint8(i)) {
			put.taken[i] = nowhere(i)
		}
	}
	files := make(map[cairn.NodeID]int)
	for _, l := range at {
		files[l.Node]++
		switch n := f.node(l.Node); {
		case int(l.Index) >= len(put.taken):
		case slices.Contains(missing, l.Index):
			// Where no other is left it may go back to the node that lost it, under
			// its new name.
			put.rather[l.Node] = true
		default:
			put.avoid[l.Node] = true
			if n != nil && n.holds() {
				put.taken[l.Index] = l.Node
			}
		}
		if files[l.Node] >= layout.MaxPerNode {
			put.avoid[l.Node] = true
		}
	}
	return put
}

// narrow leaves those of the missing shards to be put for which there is a place
// now, and returns them; ErrNowhere where there is none for any.
func (p *placing) narrow(missing []uint8) ([]uint8, error) {
	picked, err := p.pick()
	switch {
	case errors.Is(err, errNoNode):
		return nil, p.short(nil, 0, len(missing), true)
	case err != nil:
		return nil, fmt.Errorf("fleet: place %v: %w", p.ID, err)
	}
	var want []uint8
	for _, i := range missing {
		if picked[i] == (cairn.NodeID{}) {
			p.taken[i] = nowhere(int(i))
			continue
		}
		want = append(want, i)
	}
	return want, nil
}

// short is the error of fewer shards made than are missing; ended is why the
// context of the call did, if it did.
func (p *placing) short(ended error, made, missing int, lackNodes bool) error {
	e := &failure{what: fmt.Sprintf("%d of %d missing shards of %v made", made, missing, p.ID), class: cairn.ErrUnavailable, causes: p.causes, ended: ended}
	if lackNodes {
		e.kind = ErrNowhere
		if p.onlyFull() {
			e.class = cairn.ErrFull
		}
	}
	return e
}

// onlyFull reports whether nodes that hold nothing of the pack are there and all
// of them are full.
func (p *placing) onlyFull() bool {
	full := false
	for _, n := range p.f.all() {
		if p.avoid[n.ID] || slices.Contains(p.taken, n.ID) || !n.inService() || !n.holds() {
			continue
		}
		if up, _ := n.link.up(); !up || n.weight() > 0 {
			return false
		}
		full = true
	}
	return full
}
