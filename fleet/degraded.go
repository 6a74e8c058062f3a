package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
)

// reconstruct returns blocks [lo, far) of shard s, decoded from the same blocks
// of k other shards, each verified under its own signed root; those before hi
// must be there or it fails, others may be nil. Nodes that fail, are wrong or
// late are replaced by others as long as there are any. The shard's own places
// are asked too when nothing else is left, but for those in tried.
func (f *Fleet) reconstruct(ctx context.Context, s shard, tried []cairn.Location, lo, hi, far int) ([][]byte, error) {
	code, err := f.code(s.Coding)
	if err != nil {
		return nil, err
	}
	d := &decoder{f: f, Params: s.Params, want: []uint8{s.index}, code: code, lo: lo, hi: hi, far: far, todo: f.helpers(s, tried, (far-lo)*pack.BlockSize)}
	d.again = func(*helper) bool { return f.spend(1) }
	if err := d.gather(ctx); errors.Is(err, errTooFew) {
		return nil, f.unreadable(s, d.causes)
	} else if err != nil {
		return nil, err
	}
	return d.decode()
}

// decoder is one range of some shards that is decoded from the same range of k
// others, each block verified under its own signed root.
type decoder struct {
	f *Fleet
	pack.Params
	want        []uint8 // shards
	code        *erasure.Code
	lo, hi, far int                // blocks: from, needed before, asked for before
	todo        []helper           // still to be asked, best first
	again       func(*helper) bool // says whether another may be asked in place of one that is late
	failed      func(*helper)      // is told of those that failed or were wrong; may be nil
	unproven    bool               // blocks count as they come: their tails are known, and what is decoded is proven instead
	lend        func() []byte      // gives room for blocks [lo, far); nil: it is made
	done        [][]byte           // lent, and nobody writes to it any more
	running     []*helper
	answers     chan help
	got         map[uint8][][]byte // verified blocks of each shard, nil for bad ones
	sealing     *pack.Tail         // nil: of the first that comes; the others must be of the same
	causes      []error
}

// errTooFew is that every helper was asked and k good answers did not come.
var errTooFew = errors.New("too few shards")

// gather asks k helpers and, where they fail, are wrong or late, others, until
// there is enough to decode. errTooFew when nobody is left, with the causes kept;
// else the error is that of ctx.
func (d *decoder) gather(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those not needed any more end; Close waits for them
	d.got = make(map[uint8][][]byte)
	d.answers = make(chan help, len(d.todo)) // room for all
	for range d.Coding.K {
		d.start(ctx)
	}
	for len(d.running) > 0 {
		timer := time.NewTimer(d.patience())
		select {
		case a := <-d.answers:
			d.take(a)
			if d.enough() {
				timer.Stop()
				return nil
			}
			if a.err != nil && ctx.Err() == nil {
				d.start(ctx)
			}
		case <-timer.C:
			d.late(ctx)
		case <-ctx.Done():
			timer.Stop()
			return &failure{what: "decoding", class: cairn.ErrUnavailable, ended: ctx.Err(), causes: d.causes}
		}
		timer.Stop()
	}
	return errTooFew
}

// helper is one file of a shard that may help to decode.
type helper struct {
	place
	patience time.Duration // from which it is late
	began    time.Time
	late     bool
	room     []byte
}

// help is what a helper brought.
type help struct {
	h      *helper
	blocks [][]byte
	tail   *pack.Tail
	err    error
}

// helpers lists the files to ask, best first, those of the wanted shard last.
func (f *Fleet) helpers(s shard, tried []cairn.Location, size int) []helper {
	var hs []helper
	for _, l := range s.at {
		n := f.node(l.Node)
		if n == nil || int(l.Index) >= s.Coding.N() || slices.Contains(tried, l) {
			continue
		}
		hs = append(hs, helper{place: place{n, l, n.rank()}, patience: n.link.hedgeAfter(size)})
	}
	slices.SortStableFunc(hs, func(a, b helper) int {
		return cmp.Or(
			cmp.Compare(bit(a.l.Index == s.index), bit(b.l.Index == s.index)),
			cmp.Compare(b.rank, a.rank),
			cmp.Compare(a.patience, b.patience),
			cmp.Compare(a.l.Index, b.l.Index))
	})
	return hs
}

// start asks the next helper whose shard is neither there nor being asked for.
func (d *decoder) start(ctx context.Context) bool {
	i := slices.IndexFunc(d.todo, func(h helper) bool {
		return !d.has(h.l.Index) && !slices.ContainsFunc(d.running, func(r *helper) bool { return r.l.Index == h.l.Index })
	})
	if i < 0 {
		return false
	}
	h := d.todo[i]
	d.todo = slices.Delete(d.todo, i, i+1)
	h.began = time.Now()
	if d.lend != nil {
		h.room = d.lend()
	} else {
		h.room = make([]byte, span(d.Params, d.lo, d.far))
	}
	into := d.f.into
	if d.unproven {
		into = d.f.raw
	}
	ok := d.f.spawn(func() {
		blocks, tail, err := into(ctx, h.n, d.Params, h.l, d.lo, d.far, h.room)
		d.answers <- help{&h, blocks, tail, err}
	})
	if !ok {
		d.causes = append(d.causes, errClosed)
		return false
	}
	d.running = append(d.running, &h)
	return true
}

func (d *decoder) take(a help) {
	d.running = slices.DeleteFunc(d.running, func(h *helper) bool { return h == a.h })
	d.done = append(d.done, a.h.room)
	if a.tail != nil && a.blocks != nil {
		if d.sealing == nil {
			d.sealing = a.tail
		}
		if err := d.sealing.SameSealing(a.tail); err != nil {
			a.blocks, a.err = nil, errors.Join(a.err, a.h.n.fault("read", "", err))
		}
	}
	if got := d.got[a.h.l.Index]; got == nil && a.blocks != nil {
		d.got[a.h.l.Index] = a.blocks
	} else {
		for i, b := range a.blocks { // a second file of it fills what was bad in the first
			if got[i] == nil {
				got[i] = b
			}
		}
	}
	d.causes = join(d.causes, a.err)
	if a.err != nil && d.failed != nil {
		d.failed(a.h)
	}
}

// patience is how long to wait until the next helper is late.
func (d *decoder) patience() time.Duration {
	least := time.Hour
	for _, h := range d.running {
		if !h.late {
			least = min(least, time.Until(h.began.Add(h.patience)))
		}
	}
	return least
}

// late notes the helpers that take longer than they use to, and asks another in
// place of each where that is allowed.
func (d *decoder) late(ctx context.Context) {
	now := time.Now()
	for _, h := range slices.Clone(d.running) {
		if h.late || now.Sub(h.began) < h.patience {
			continue
		}
		h.late = true
		h.n.link.late(now)
		if len(d.todo) > 0 && d.again(h) {
			d.start(ctx)
		}
	}
}
