package fleet

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"
)

// flight is a run of blocks of one shard that one read fetches and all that
// want them share. How it ends is its owner's affair: those that wait take the
// blocks it brought and ask for the rest themselves.
type flight struct {
	from, to int
	done     chan struct{}
	blocks   [][]byte // nil for those it did not bring; set before done is closed
}

// block returns block n of the shard, nil when the flight did not bring it;
// done is closed.
func (fl *flight) block(n int) []byte {
	if n < fl.from || n-fl.from >= len(fl.blocks) {
		return nil
	}
	return fl.blocks[n-fl.from]
}

// claims makes flights of those of the blocks [from, to) that are in none, and
// returns the others, too. The last one goes on up to far. All of its own are at
// most fetchMost blocks.
func (f *Fleet) claims(s shard, from, to, far int) (own, others []*flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := from + fetchMost
	far = min(max(to, far), most)
	for n := from; n < min(to, most); {
		fl := f.flights[s.key(n)]
		if fl == nil {
			fl = &flight{from: n, to: n, done: make(chan struct{})}
			for ; fl.to < far && f.flights[s.key(fl.to)] == nil; fl.to++ {
				f.flights[s.key(fl.to)] = fl
			}
			own = append(own, fl)
		} else {
			others = append(others, fl)
		}
		n = fl.to
	}
	return own, others
}

// flyAll flies and lands each of fls, of which the blocks before to are needed.
func (f *Fleet) flyAll(ctx context.Context, s shard, fls []*flight, to int) error {
	var g errgroup.Group // one that fails does not end the others: more than this read may wait for them
	for i, fl := range fls {
		if i == len(fls)-1 {
			err := f.fly(ctx, s, fl, min(to, fl.to))
			return cmp.Or(err, g.Wait())
		}
		g.Go(func() error { return f.fly(ctx, s, fl, min(to, fl.to)) })
	}
	return nil
}

// fly fetches the blocks of fl, of which those before hi are needed, and lands
// it, whatever became of it.
func (f *Fleet) fly(ctx context.Context, s shard, fl *flight, hi int) error {
	blocks, err := f.fetch(ctx, s, fl.from, hi, fl.to)
	for i, b := range blocks {
		if b != nil {
			f.c.Cache.Put(s.key(fl.from+i), b)
		}
	}
	fl.blocks = blocks
	f.mu.Lock()
	for n := fl.from; n < fl.to; n++ {
		delete(f.flights, s.key(n))
	}
	f.mu.Unlock()
	close(fl.done)
	return err
}
