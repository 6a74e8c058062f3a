package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// once is a PUT that only the first may win.
func once(key string, data []byte) Put {
	p := putOf(key, data)
	p.If.NoneMatch = []string{"*"}
	return p
}

// Of racing conditional PUTs of one key exactly one wins, in one group or many,
// and a restart does not decide again.
func TestHazardB11(t *testing.T) {
	for _, width := range []int{2, 8, 40} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			var wg sync.WaitGroup
			errs := make([]error, width)
			for i := range width {
				wg.Go(func() { _, errs[i] = r.Put(t.Context(), once("x", content(uint64(i), 500))) })
			}
			wg.Wait()
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner < 0:
					winner = i
				case err == nil:
					t.Errorf("width %d: %d and %d both won", width, winner, i)
				case !errors.Is(err, cairn.ErrPrecondition):
					t.Errorf("width %d: %v", width, err)
				}
			}
			if winner < 0 {
				t.Fatalf("width %d: nobody won", width)
			}
			for range 2 {
				r.want("x", content(uint64(winner), 500))
				r.crash(0, 1)
				r.open()
			}
		})
	}
}

// All of them in one group, where none is durable yet: still one winner, and the
// others are told only when it is.
func TestHazardB11InOneGroup(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		hold, syncs := make(chan struct{}), 0
		r.watch(onPackSync(func(durable.Step) error {
			if syncs++; syncs == 1 { // by the committer alone
				<-hold
			}
			return nil
		}))
		var wg sync.WaitGroup
		wg.Go(func() { must(t, r.put("first", nil)) })
		r.pass(0)
		errs := make([]error, 6)
		for i := range errs {
			wg.Go(func() { _, errs[i] = r.Put(t.Context(), once("x", content(uint64(i), 500))) })
		}
		r.pass(0)
		close(hold)
		wg.Wait()
		if syncs != 2 {
			t.Fatalf("%d groups, and all six were to share one", syncs-1)
		}
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Errorf("%d and %d both won", winner, i)
			case !errors.Is(err, cairn.ErrPrecondition):
				t.Errorf("%d: %v", i, err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		for range 2 {
			r.want("x", content(uint64(winner), 500))
			r.crash(0, 1)
			r.open()
		}
	})
}

// The group of the winner cannot be made durable: nobody is told 412 because of
// it, since it may never have been.
func TestHazardB11TheWinnerIsLost(t *testing.T) {
	for _, percent := range []int{0, 100} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			var left atomic.Pointer[durable.Mem]
			hold, syncs := make(chan struct{}), 0
			r.watch(onPackSync(func(durable.Step) error {
				switch syncs++; syncs { // by the committer alone: nothing large is put
				case 1:
					<-hold
				case 2:
					left.Store(r.disk.Crash(percent, 1))
					return errors.New("sync failed")
				}
				return nil
			}))
			var wg sync.WaitGroup
			wg.Go(func() { must(t, r.put("first", nil)) })
			r.pass(0)
			errs := make([]error, 6)
			for i := range errs {
				wg.Go(func() { _, errs[i] = r.Put(t.Context(), once("x", content(uint64(i), 500))) })
			}
			r.pass(0)
			close(hold) // all six are in the next group
			wg.Wait()
			for i, err := range errs {
				if !errors.Is(err, cairn.ErrUnavailable) {
					t.Errorf("%d: %v although the group failed", i, err)
				}
			}
			r.wantErr("x", cairn.ErrNotExist)
			_, err := r.Put(t.Context(), once("x", content(9, 500)))
			must(t, err)
			r.crash(percent, 2)
			r.open()
			r.want("x", content(9, 500))
			r.shut() // and had the power gone at the failed sync:
			r.disk, r.fs = left.Load(), left.Load()
			r.open()
			got, err := r.get("x")
			whole := same(got, err, nil)
			for i := range uint64(6) {
				whole = whole || same(got, err, content(i, 500))
			}
			if !whole {
				t.Errorf("%d %% kept: x is %d bytes, %v", percent, len(got), err)
			}
		})
	}
}

// A PUT into a bucket that is deleted while its body comes stores nothing, also
// when a bucket of that name was made again, and leaves no stage.
func TestHazardB11TheBucketIsGone(t *testing.T) {
	for _, again := range []bool{false, true} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			must(t, r.closeNow(t))
			up := r.upload("x", -1)
			up.give(content(1, 300<<10))
			must(t, r.DeleteBucket(t.Context(), "bbb"))
			if again {
				must(t, r.CreateBucket(t.Context(), "bbb"))
			}
			err := up.end(nil)
			if again != (err == nil) || !again && !errors.Is(err, ErrNoBucket) {
				t.Fatalf("made again: %v: %v", again, err)
			}
			must(t, r.Flush(t.Context()))
			for row, err := range r.idx.Packs(cairn.PackID{}) {
				must(t, err)
				if row.Kind == pack.Data && (row.State == index.Spread) != again {
					t.Errorf("made again: %v: a pack of the body is %v", again, row.State)
				}
			}
			r.reopen()
			if again {
				r.want("x", content(1, 300<<10))
				return
			}
			if _, err := r.get("x"); !errors.Is(err, ErrNoBucket) {
				t.Errorf("after a restart: %v", err)
			}
			r.pass(soon) // the spreader may have had it in hand
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, p := range r.packs {
				if p.file.Kind == pack.Data {
					t.Errorf("pack %v of the refused body is still staged", p.id())
				}
			}
		})
	}
}

// An index row that points at another object's bytes, at another place of the
// right pack, or at another order of the right frames gives an error, and never
// wrong bytes.
func TestHazardB16(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 3*pack.FrameSize)))
		must(t, r.put("y", content(2, 3*pack.FrameSize)))
		must(t, r.put("s", content(3, 2000)))
		must(t, r.put("t", content(4, 2000)))
		part := func(key string) pack.Part {
			v, err := r.version(keyOf(key))
			must(t, err)
			return v.Put.Parts[0]
		}
		x, y, s, u := part("x"), part("y"), part("s"), part("t")
		shift := x
		shift.Extents = []pack.Extent{{Pack: x.Extents[0].Pack, Offset: pack.SealedSize, Length: 2 * pack.FrameSize}}
		shift.Size = 2 * pack.FrameSize
		turned := x
		e := x.Extents[0]
		turned.Extents = []pack.Extent{
			{Pack: e.Pack, Offset: pack.SealedSize, Length: pack.FrameSize}, {Pack: e.Pack, Length: pack.FrameSize},
			{Pack: e.Pack, Offset: 2 * pack.SealedSize, Length: pack.FrameSize}}
		short := x
		short.Size, short.Extents = pack.FrameSize, []pack.Extent{{Pack: e.Pack, Length: pack.FrameSize}}
		cases := map[string]pack.Part{
			"another object's pack":  {ID: x.ID, Size: x.Size, Extents: y.Extents},
			"another object's frame": {ID: s.ID, Size: s.Size, Extents: u.Extents},
			"the frames after":       shift,
			"another order":          turned,
			"a shorter object":       short,
		}
		check := func(when string) {
			t.Helper()
			for what, p := range cases {
				if got, err := r.get(what); !errors.Is(err, cairn.ErrCorrupt) || len(got) > 2*pack.FrameSize {
					t.Errorf("%s: %s reads %d bytes, %v", when, what, len(got), err)
				}
				_ = p
			}
		}
		b, err := r.bucket("bbb")
		must(t, err)
		n := r.idx.Applied().LSN
		for what, p := range cases {
			n++
			must(t, r.idx.Apply([]index.Change{{Record: pack.Record{Stamp: cairn.Stamp{Life: 9, LSN: n},
				Body: pack.Put{Bucket: b.ID, Key: what, Size: p.Size, ETag: "e", Parts: []pack.Part{p}}}}}))
		}
		check("staged")
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		check("spread")
		r.want("x", content(1, 3*pack.FrameSize))
	})
}

// A write that was told 503 after its record was logged is taken back by a
// record, so that a conditional retry wins, now and after a restart.
func TestHazardB9(t *testing.T) {
	for _, percent := range []int{0, 100} {
		simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
			var fails atomic.Int32
			r.watch(afterPackSync(func(durable.Step) error {
				if fails.Add(-1) >= 0 {
					return errors.New("it worked, and says that it failed")
				}
				return nil
			}))
			must(t, r.put("warm", nil))
			for i := range 4 {
				key := fmt.Sprint("k", i)
				fails.Store(int32(1 + i%2)) // the second is that of the group that takes back
				if err := r.put(key, content(1, 200)); !errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("put: %v", err)
				}
				for fails.Load() > 0 {
					_, err := r.Put(t.Context(), once(key, content(2, 300)))
					if !errors.Is(err, cairn.ErrUnavailable) {
						t.Fatalf("retry: %v", err)
					}
				}
				_, err := r.Put(t.Context(), once(key, content(2, 300)))
				must(t, err)
			}
			r.crash(percent, 1)
			r.open()
			for i := range 4 {
				r.want(fmt.Sprint("k", i), content(2, 300))
			}
		})
	}
}
