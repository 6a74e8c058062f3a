package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// placing is shards of one pack on their way to nodes.
type placing struct {
	f *Fleet
	pack.Trailer
	file    func(index uint8) []byte
	intend  func([]cairn.Location) error
	taken   []cairn.NodeID        // where each shard stands or is being put; zero where it is to be put
	avoid   map[cairn.NodeID]bool // holds a shard, also a second copy of one, or failed
	rather  map[cairn.NodeID]bool // is avoided while others are enough
	thrifty bool                  // background work: the nodes' hours and traffic count
	slowly  bool                  // one shard after the other, see turn
	home    cairn.NodeID          // is chosen before any other; zero for none
	causes  []error
}

// placing begins to place shards of the pack that t is of, whose files file
// gives; as it comes, all of them are to be put.
func (f *Fleet) placing(t pack.Trailer, file func(uint8) []byte, intend func([]cairn.Location) error) *placing {
	return &placing{f: f, Trailer: t, file: file, intend: intend, taken: make([]cairn.NodeID, t.Coding.N()), avoid: make(map[cairn.NodeID]bool)}
}

// nowhere is where a shard counts as standing that is not to be put: no node.
func nowhere(i int) cairn.NodeID { return cairn.NodeID{0xff, 0xff, 0xff, byte(i)} }

// run puts the shards that are to be put, each on its own node, and returns the
// places where they stand and verify. Where a node fails another takes its place
// at once. taken tells in the end what is still to be put, causes why; the error
// is that of intend or of the rules of placement.
func (p *placing) run(ctx context.Context) (made []cairn.Location, stop error) {
	p.thrifty, _ = ctx.Value(thriftKey{}).(bool)
	type answer struct {
		l   cairn.Location
		err error
	}
	answers := make(chan answer, len(p.taken)) // room for all: no more are under way at a time
	var last *turn
	for running := 0; ; running-- {
		if stop == nil && ctx.Err() == nil && slices.Contains(p.taken, cairn.NodeID{}) {
			var round []cairn.Location
			round, stop = p.round()
			for _, l := range round {
				p.taken[l.Index] = l.Node
				running++
				if p.slowly {
					last = last.next()
				}
				mine := last
				go func() {
					end, err := mine.take(ctx)
					if err == nil {
						err = p.f.place(ctx, p.Trailer, p.file(l.Index), l)
						end()
					}
					answers <- answer{l, err}
				}()
			}
		}
		if running == 0 {
			return made, stop
		}
		a := <-answers // each ends when its node answers, at its deadline, or with ctx
		p.avoid[a.l.Node] = true
		if a.err != nil {
			p.taken[a.l.Index] = cairn.NodeID{}
			p.causes = join(p.causes, a.err)
			continue
		}
		made = append(made, a.l)
	}
}

// round chooses places for the shards that have none, as far as there are
// nodes, and makes them known.
func (p *placing) round() ([]cairn.Location, error) {
	picked, err := p.pick()
	switch {
	case errors.Is(err, errNoNode):
		return nil, nil // one may come back while others are being put
	case err != nil:
		return nil, fmt.Errorf("fleet: place %v: %w", p.ID, err)
	}
	var round []cairn.Location
	for i, id := range picked {
		if id != (cairn.NodeID{}) {
			round = append(round, cairn.Location{Index: uint8(i), Node: id, Write: rand.Uint32()})
		}
	}
	if err := p.intend(slices.Clone(round)); err != nil {
		return nil, fmt.Errorf("fleet: intent to place %v: %w", p.ID, err)
	}
	return round, nil
}

// pick chooses nodes as Fleet.pick does.
func (p *placing) pick() ([]cairn.NodeID, error) {
	return p.f.pick(p.ID, p.Coding, p.taken, p.shut(), p.rather, p.home)
}

// place puts one shard and believes it only after its tail was read back and
// the node still shows its marker. A put that failed may have worked all the
// same: the read tells.
func (f *Fleet) place(ctx context.Context, t pack.Trailer, file []byte, l cairn.Location) error {
	n := f.node(l.Node)
	if n == nil {
		return fmt.Errorf("node %v: %w", l.Node, errLeft)
	}
	name := layout.Path(l.Name(t.ID))
	putErr := n.put(ctx, name, file)
	if errors.Is(putErr, cairn.ErrFull) || errors.Is(putErr, errDown) || putErr != nil && ctx.Err() != nil {
		return putErr
	}
	// One turn for all three. The length matters too: recovery finds a tail by
	// the end of the file.
	ctx = backends.Afresh(ctx)
	var tail *pack.Tail
	var size int64
	checks := [...]func() error{
		func() (err error) { tail, err = f.readTail(ctx, n, t.Params, l); return err },
		func() (err error) { size, err = n.stat(ctx, name); return err },
		func() error { return n.present(ctx) },
	}
	errs := make(chan error, len(checks)) // room for all
	for _, check := range checks {
		go func() { errs <- check() }()
	}
	var err error
	for range checks {
		err = errors.Join(err, <-errs)
	}
	switch {
	case err != nil:
		return errors.Join(putErr, err)
	case tail.SealHash() != t.SealHash():
		return n.fault("read", name, fmt.Errorf("it shows another sealing of the pack: %w", cairn.ErrCorrupt))
	case size != t.FileSize():
		return n.fault("stat", name, fmt.Errorf("%d bytes were put and %d are there: %w", t.FileSize(), size, cairn.ErrCorrupt))
	}
	f.tails.put(tail)
	n.link.took(size)
	f.m.placed.WithLabelValues(n.Name).Inc()
	return nil
}
