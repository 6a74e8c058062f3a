package fleet

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

const kib = 1 << 10

func TestReadsGiveWhatWasSealed(t *testing.T) {
	for _, c := range []string{"1+0", "1+1", "2+1", "2+2", "4+3"} {
		for _, memory := range []int64{0, 64 << 20} {
			t.Run(fmt.Sprintf("%s/cache=%d", c, memory), func(t *testing.T) {
				r := newRig(t, 7, cacheOf(memory))
				sp := r.spread(coding(c), 1000*kib)
				l := int(sp.Length)
				for _, x := range [][3]int{{0, 1, 0}, {0, 64 * kib, 0}, {1, 64 * kib, 0}, {64*kib - 1, 2, 0}, {l - 1, 1, 1 << 20}, {l - 100, min(200, len(sp.bytes)-l+100), 0},
					{0, len(sp.bytes), 0}, {len(sp.bytes) - 1, 1, 1 << 20}, {len(sp.bytes), 0, 0}, {0, 0, 9}, {130 * kib, 3, 200 * kib}, {150 * kib, 70 * kib, -5}} {
					r.read(sp, x[0], x[1], x[2])
				}
			})
		}
	}
}

func TestReadsOutsideThePackAreRefused(t *testing.T) {
	r := newRig(t, 2)
	sp := r.spread(coding("1+1"), 100*kib)
	for _, x := range []struct {
		off uint64
		n   int
	}{{uint64(len(sp.bytes)), 1}, {0, len(sp.bytes) + 1}, {^uint64(0), 2}, {^uint64(0) - 1, 1}} {
		wantClass(t, fmt.Sprint(x), r.Read(t.Context(), sp.Params, sp.where, x.off, make([]byte, x.n), 0), cairn.ErrInvalid)
	}
	wantClass(t, "no length", r.Read(t.Context(), pack.Params{Coding: sp.Coding}, sp.where, 0, make([]byte, 1), 0), cairn.ErrInvalid)
}

func TestASmallObjectIsOneTurn(t *testing.T) {
	r := newRig(t, 7, cacheOf(64<<20))
	sp := r.spread(coding("4+3"), 4<<20)
	n, _ := r.holder(sp, 1)
	off := int(sp.Length) + 100*kib
	for _, x := range []struct {
		what     string
		cold     bool
		off      int
		requests int
	}{
		{"cold: range and tail", true, off, 2},
		{"the same again: cached", false, off, 0},
		{"within the window: cached", false, off + 128*kib, 0},
		{"another range of the shard: its tail is known", false, off + 512*kib, 1},
	} {
		t.Run(x.what, func(t *testing.T) {
			if x.cold {
				r.coolTails()
			}
			release := make(chan struct{})
			if x.requests == 2 { // neither is answered before both were asked
				both := make(chan struct{}, 2)
				n.setInstead(func(ctx context.Context, c backends.Call) error {
					both <- struct{}{}
					if len(both) == 2 {
						close(release)
					}
					select {
					case <-release:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
			}
			for _, o := range r.nodes {
				o.take("")
			}
			r.read(sp, x.off, 10*kib, 256*kib)
			n.setInstead(nil)
			for _, o := range r.nodes {
				calls, most := o.take(backends.OpRead)
				want := 0
				if o == n {
					want = x.requests
				}
				if len(calls) != want || o == n && most != want {
					t.Errorf("%s: %d requests, %d at once, want %d: %v", o.Name, len(calls), most, want, calls)
				}
			}
		})
	}
}

func TestMemoryOfAReadIsBounded(t *testing.T) {
	r := newRig(t, 1)
	sp := r.spread(coding("1+0"), 16<<20)
	n, _ := r.holder(sp, 0)
	n.take("")
	r.read(sp, 0, len(sp.bytes), 0)
	calls, _ := n.take(backends.OpRead)
	for _, c := range calls {
		if c.Bytes > fetchMost*pack.BlockSize {
			t.Errorf("one request of %d bytes", c.Bytes)
		}
	}
}

// TestLosses takes every set of one to four of the seven nodes of a 4+3 pack
// away. Up to three every byte reads back; of four no wrong byte and a clean
// error.
func TestLosses(t *testing.T) {
	r := newRig(t, 7)
	sp := r.spread(coding("4+3"), 256*kib)
	counts := map[int]int{}
	for set := 1; set < 1<<7; set++ {
		lost := bits.OnesCount(uint(set))
		if lost > 4 {
			continue
		}
		counts[lost]++
		var where []cairn.Location
		for _, l := range sp.where {
			n := r.at(l.Node)
			if set>>(n.ID[0]-1)&1 == 0 {
				where = append(where, l)
				continue
			}
			gone := l
			gone.Write++ // a name that is not there: the node answers "not found"
			where = append(where, gone)
		}
		cut := *sp
		cut.where = where
		switch err := r.tryRead(&cut, 0, len(sp.bytes), 0); {
		case lost <= 3:
			must(t, err)
		case lost == 4:
			wantClass(t, fmt.Sprintf("%07b", set), err, cairn.ErrUnavailable)
		}
	}
	if counts[1]+counts[2]+counts[3] != 63 || counts[4] != 35 {
		t.Errorf("sets tried: %v", counts)
	}
}

// TestFates gives each fate to one to three of seven nodes. Every read is right
// as long as four answer honestly.
func TestFates(t *testing.T) {
	for fate := backendtest.Fails; fate <= backendtest.Drips; fate++ {
		for bad := 1; bad <= 3; bad++ {
			for _, cold := range []bool{true, false} {
				t.Run(fmt.Sprintf("%v on %d, tails known=%v", fate, bad, !cold), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r := newRig(t, 7)
						sp := r.spread(coding("4+3"), 600*kib)
						for _, l := range sp.where {
							if int(l.Index) < bad {
								r.at(l.Node).faulty.SetChoose(backendtest.Always(fate))
							}
						}
						if cold {
							r.coolTails()
						}
						for off := 0; off < len(sp.bytes); off += 100_000 {
							r.read(sp, off, min(100_000, len(sp.bytes)-off), 128*kib)
						}
					})
				})
			}
		}
	}
}

// TestManyPlacesThatAreNotThereDoNotKeepFromDecoding: a node that said too often
// that a file was not there leaves more places behind than are asked.
func TestManyPlacesThatAreNotThereDoNotKeepFromDecoding(t *testing.T) {
	r := newRig(t, 5)
	sp := r.spread(coding("3+2"), 300*kib)
	n, name := r.holder(sp, 0)
	must(t, n.mem.Delete(t.Context(), name))
	for i := range 9 {
		l := sp.where[slices.IndexFunc(sp.where, func(l cairn.Location) bool { return l.Index == 0 })]
		l.Write += uint32(i + 1)
		sp.where = append(sp.where, l)
	}
	r.read(sp, 0, len(sp.bytes), 0)
}

func TestABlockCountsOnlyUnderItsSignedRoot(t *testing.T) {
	for _, x := range []struct {
		what string
		bend func(file []byte, p pack.Params)
	}{
		{"a bit of a block", func(b []byte, p pack.Params) { b[70*kib] ^= 1 }},
		{"block and hash exchanged together", func(b []byte, p pack.Params) { b[70*kib] ^= 1; b[p.TailOffset()+32] ^= 1 }},
		{"another root", func(b []byte, p pack.Params) { b[p.TailOffset()+int64(pack.Blocks(p.Length))*32+144] ^= 1 }},
		{"another index", func(b []byte, p pack.Params) { b[len(b)-16] ^= 1 }},
		{"cut short", nil},
	} {
		t.Run(x.what, func(t *testing.T) {
			r := newRig(t, 3)
			sp := r.spread(coding("2+1"), 400*kib)
			r.coolTails()
			n, name := r.holder(sp, 0)
			b, _ := n.mem.Bytes(name)
			if x.bend == nil {
				b = b[:len(b)/3]
			} else {
				x.bend(b, sp.Params)
			}
			n.mem.SetBytes(name, b)
			r.read(sp, 0, len(sp.bytes), 0)
			if r.state(n).Wrong == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}

// TestABadBlockAheadFailsNothing: what was read ahead and is wrong must not
// keep what is wanted, even where nothing else could give it.
func TestABadBlockAheadFailsNothing(t *testing.T) {
	for _, c := range []string{"1+0", "1+1", "4+3"} {
		r := newRig(t, 7, cacheOf(64<<20))
		sp := r.spread(coding(c), 2<<20)
		for _, l := range sp.where { // on every node, so that it cannot be decoded either
			n, name := r.at(l.Node), layout.Path(l.Name(sp.ID))
			b, _ := n.mem.Bytes(name)
			b[5*pack.BlockSize] ^= 1
			n.mem.SetBytes(name, b)
		}
		r.read(sp, 0, 64*kib, 8*pack.BlockSize)
		r.read(sp, 6*pack.BlockSize, 64*kib, 0)
		wantClass(t, c, r.tryRead(sp, 5*pack.BlockSize, 10, 0), cairn.ErrUnavailable)
		if _, ok := r.c.Cache.Get(cache.Key{Pack: sp.ID, Index: 0, Block: 5}); ok {
			t.Error("a bad block is cached")
		}
	}
}

// TestOnlyBadBlocksAreDecoded: a rotten block costs k reads of one block.
func TestOnlyBadBlocksAreDecoded(t *testing.T) {
	r := newRig(t, 3)
	sp := r.spread(coding("2+1"), 2<<20)
	n, name := r.holder(sp, 0)
	b, _ := n.mem.Bytes(name)
	b[3*pack.BlockSize] ^= 1
	n.mem.SetBytes(name, b)
	for _, o := range r.nodes {
		o.take("")
	}
	r.read(sp, 0, 8*pack.BlockSize, 0)
	for _, o := range r.nodes {
		calls, _ := o.take(backends.OpRead)
		for _, c := range calls {
			if o != n && c.Bytes != pack.BlockSize {
				t.Errorf("%s was asked for %d bytes", o.Name, c.Bytes)
			}
		}
	}
}
