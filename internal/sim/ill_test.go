package sim

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
)

// box is a node with 24 shards of three packs and two roots, and what they hold.
type box struct {
	*Node
	t      *testing.T
	ctx    context.Context
	shards []string
	held   map[string][]byte
}

func newBox(t *testing.T) *box {
	t.Helper()
	n, err := newNode(t.Context(), 1, 0, "op", cairn.StoreID{1})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Node: n, t: t, ctx: t.Context(), held: make(map[string][]byte)}
	for i := range 24 {
		name := layout.Path(cairn.ShardName{Pack: cairn.NewPackID(uint64(1+i/8), [10]byte{byte(i)}), Index: uint8(i % 8), Write: uint32(i)})
		b.shards = append(b.shards, name)
		data := make([]byte, 100<<10)
		content(uint64(i), 0, data)
		b.store(name, data)
	}
	b.store("roots/0001-aa", []byte("first root"))
	b.store("roots/0002-bb", []byte("second root"))
	return b
}

func (b *box) store(name string, data []byte) {
	b.t.Helper()
	b.held[name] = data
	if err := b.now().Put(b.ctx, name, data); err != nil {
		b.t.Fatal(err)
	}
}

// seen is how a box answers when everything is asked of it once.
type seen struct {
	readFails, readWrong, readMissing int // of shards, whole
	smallWrong                        int // of their first 4 KiB
	statWrong                         int
	listed, invented                  int
	putKept, putSaid                  bool // of a new shard
	free                              int64
	deleted, told                     bool // of the first shard
	others                            int  // files that are gone besides
	root                              string
	calms                             bool // after three failures three reads work
	marker                            bool
	took                              time.Duration
}

func (b *box) look() (s seen) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, time.Hour)
	defer cancel()
	for _, name := range b.shards {
		p := make([]byte, len(b.held[name]))
		switch err := b.now().ReadAt(ctx, name, p, 0); {
		case errors.Is(err, cairn.ErrNotExist):
			s.readMissing++
		case err != nil:
			s.readFails++
		case !bytes.Equal(p, b.held[name]):
			s.readWrong++
		}
		if b.now().ReadAt(ctx, name, p[:4096], 0) == nil && !bytes.Equal(p[:4096], b.held[name][:4096]) {
			s.smallWrong++
		}
		if size, err := b.now().Stat(ctx, name); err == nil && size != int64(len(p)) {
			s.statWrong++
		}
	}
	for e, err := range b.now().List(ctx, "") {
		if err != nil || s.invented == 1000 {
			break
		}
		if s.listed++; b.held[e.Name] == nil && e.Name != layout.MarkerName {
			s.invented++
		}
	}
	s.free, _, _ = b.now().Free(ctx)
	p := make([]byte, 10)
	if b.now().ReadAt(ctx, "roots/0002-bb", p, 0) == nil {
		s.root = string(p)
	}
	_, err := b.now().Stat(ctx, layout.MarkerName)
	s.marker = err == nil
	before := b.mem.Names()
	s.told = b.now().Delete(ctx, b.shards[0]) == nil
	after := b.mem.Names()
	s.deleted = slices.Contains(before, b.shards[0]) && !slices.Contains(after, b.shards[0])
	s.others = len(before) - len(after)
	if s.deleted {
		s.others--
	}
	fresh := layout.Path(cairn.ShardName{Pack: cairn.NewPackID(9, [10]byte{}), Index: 1})
	s.putSaid = b.now().Put(ctx, fresh, make([]byte, 3000)) == nil
	data, _ := b.mem.Bytes(fresh)
	s.putKept = len(data) == 3000
	for range 3 {
		_ = b.now().ReadAt(ctx, b.shards[5], p[:10], 0)
	}
	s.calms = b.now().ReadAt(ctx, b.shards[5], p[:10], 0) == nil
	s.took = time.Since(began)
	return s
}

// TestEveryIllShows asks a node for everything while it ails from each ill in
// full, and looks whether it does what its name says. A simulation whose nodes
// are secretly honest proves nothing.
func TestEveryIllShows(t *testing.T) {
	const all = 24
	honest := seen{listed: 27, putKept: true, putSaid: true, free: 1<<50 - 24*100<<10 - 300, deleted: true, told: true, root: "second roo", marker: true, calms: true}
	synctest.Test(t, func(t *testing.T) {
		got := newBox(t).look()
		honest.free = got.free
		if got != honest {
			t.Errorf("honest: %+v, want %+v", got, honest)
		}
	})
	for ill, shows := range map[Ill]func(seen) bool{
		Down:          func(s seen) bool { return s.readFails == all && !s.putSaid && !s.putKept && s.listed == 0 && !s.told },
		Bursts:        func(s seen) bool { return s.readFails == all && !s.putSaid && s.calms },
		Hangs:         func(s seen) bool { return s.took == time.Hour && !s.putKept },
		Drips:         func(s seen) bool { return s.took == time.Hour && !s.putSaid },
		Revoked:       func(s seen) bool { return s.readFails == all && !s.putSaid && s.listed == 0 },
		FailsLarge:    func(s seen) bool { return s.readFails == all && s.statWrong == 0 && s.putKept && s.putSaid },
		LosesAcks:     func(s seen) bool { return !s.putSaid && s.putKept && !s.told && s.deleted },
		FalseNotFound: func(s seen) bool { return s.readMissing == all && s.listed == 27 && s.marker },
		Unmounted: func(s seen) bool {
			return s.readMissing == all && s.listed == 0 && !s.marker && s.putSaid && !s.putKept
		},
		FreeLies:      func(s seen) bool { return s.free == 0 },
		FullLate:      func(s seen) bool { return !s.putSaid && !s.putKept && s.free > 0 },
		SizeLies:      func(s seen) bool { return s.statWrong == all && s.readWrong == 0 },
		ListOmits:     func(s seen) bool { return s.listed == 3 && s.readWrong == 0 },
		ListInvents:   func(s seen) bool { return s.invented == 16 && s.listed == 27+16 },
		ListEndless:   func(s seen) bool { return s.invented == 1000 },
		DropsWrites:   func(s seen) bool { return s.putSaid && !s.putKept },
		TornPuts:      func(s seen) bool { return !s.putSaid && !s.putKept },
		PageCache:     func(s seen) bool { return s.putSaid && s.putKept },
		FlipsReads:    func(s seen) bool { return s.readWrong == all && s.smallWrong == all },
		HonestSmall:   func(s seen) bool { return s.readWrong == all && s.smallWrong == 0 },
		ForeignShard:  func(s seen) bool { return s.readWrong == all },
		OlderFile:     func(s seen) bool { return s.readWrong == all-1 },
		PreviousRoot:  func(s seen) bool { return s.root == "first root" && s.listed == 26 },
		LosesPart:     func(s seen) bool { return s.readMissing == all },
		Rots:          func(s seen) bool { return s.readWrong == all },
		Truncates:     func(s seen) bool { return s.readFails == all },
		Extends:       func(s seen) bool { return s.statWrong == all && s.readWrong == 0 },
		Swaps:         func(s seen) bool { return s.readWrong == all },
		RollsBack:     func(s seen) bool { return s.readMissing == all },
		LateDelete:    func(s seen) bool { return s.told && !s.deleted && s.others == 0 },
		IgnoresDelete: func(s seen) bool { return s.told && !s.deleted && s.others == 0 },
		DeletesOther:  func(s seen) bool { return s.told && s.deleted && s.others == 1 },
	} {
		t.Run(ill.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t)
				b.Ail(ill, 1)
				if got := b.look(); !shows(got) {
					t.Errorf("%+v", got)
				}
				b.Heal()
				if got := b.Ails(); len(got) != 0 {
					t.Errorf("healed, and ails from %v", got)
				}
			})
		})
	}
	for ill := Ill(1); ill < illEnd; ill++ {
		if ills[ill].harm == nil && ills[ill].wrap == nil {
			t.Errorf("ill %d does nothing", ill)
		}
	}
}

// TestIllsEnd shows what is left when an ill ends: a page cache is lost with
// the power, a late delete comes whatever stands there, a disk is mounted again.
func TestIllsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		fresh := layout.Path(cairn.ShardName{Pack: cairn.NewPackID(9, [10]byte{}), Index: 1})
		b.Ail(PageCache, 1)
		b.store(fresh, []byte("in memory"))
		b.Heal()
		if _, ok := b.mem.Bytes(fresh); ok {
			t.Error("the page cache outlived the power")
		}
		b.Ail(Unmounted, 1)
		b.store(fresh, []byte("below the mount point"))
		b.Heal()
		if _, ok := b.mem.Bytes(fresh); ok || len(b.mem.Names()) != 27 {
			t.Errorf("mounted again, the disk has %v", b.mem.Names())
		}
		b.Ail(LateDelete, 1)
		if err := b.now().Delete(b.ctx, b.shards[3]); err != nil {
			t.Error(err)
		}
		b.Heal()
		<-time.After(deleteLate + time.Second)
		synctest.Wait()
		if _, ok := b.mem.Bytes(b.shards[3]); ok {
			t.Error("the late delete never came")
		}
	})
}

// TestIllsMeetTheSameCalls shows that what a call meets depends on the seed, the
// node, the call and how often it was made, and on nothing else.
func TestIllsMeetTheSameCalls(t *testing.T) {
	fates := func(seed uint64, names []string) (out []bool) {
		n := &Node{seed: seed, mem: &backendtest.Mem{}, tries: make(map[string]int)}
		n.Ail(FlipsReads, 0.5)
		met := make(map[string][]bool)
		for _, name := range names {
			met[name] = append(met[name], n.ills[0].hit("read", name))
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
			out = append(out, met[name]...)
		}
		return out
	}
	var names []string
	for i := range 40 {
		names = append(names, layout.Path(cairn.ShardName{Pack: cairn.NewPackID(uint64(i%20), [10]byte{1}), Index: 3}))
	}
	a := fates(1, names)
	slices.Reverse(names)
	if b := fates(1, names); !slices.Equal(a, b) {
		t.Error("another order, other fates")
	}
	if c := fates(2, names); slices.Equal(a, c) {
		t.Error("another seed, the same fates")
	}
}
