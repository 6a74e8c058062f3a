package fleet

import "context"

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

// claim makes a flight of blocks from.. up to the first that is in another, or
// far. Where the very first is, it returns that other.
func (f *Fleet) claim(s shard, from, far int) (fl *flight, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.flights[s.key(from)]; fl != nil {
		return fl, false
	}
	fl = &flight{from: from, to: from, done: make(chan struct{})}
	for ; fl.to < far && f.flights[s.key(fl.to)] == nil; fl.to++ {
		f.flights[s.key(fl.to)] = fl
	}
	return fl, true
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
