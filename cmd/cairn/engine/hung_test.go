package engine

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/netfault"
	"github.com/cairn-storage/cairn/store"
)

// hang is a disk that may stop answering.
type hang struct {
	on    atomic.Bool
	stuck chan struct{} // room for one: somebody waits for the disk
	free  chan struct{} // closed: it answers again
}

func newHang() *hang { return &hang{stuck: make(chan struct{}, 1), free: make(chan struct{})} }

func (h *hang) before(durable.Step) error {
	if !h.on.Load() {
		return nil
	}
	select {
	case h.stuck <- struct{}{}:
	default:
	}
	<-h.free
	return nil
}

// release lets the disk answer.
func (h *hang) release() {
	h.on.Store(false)
	close(h.free)
}

func putInto(ctx context.Context, e *Engine, name string, size int) error {
	_, err := e.Store.Put(ctx, store.Put{Key: cairn.Key{Bucket: "box", Object: name}, Body: bytes.NewReader(make([]byte, size)), Size: int64(size),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: "e"}, nil }})
	return err
}

// TestStatusAnswersWithAHungDiskAndABlackHoledNode: whoever is called at night
// asks for the status first, and must not be made to wait by what is wrong: it
// answers while the disk hangs and the node is silent, as both do until the end.
func TestStatusAnswersWithAHungDiskAndABlackHoledNode(t *testing.T) {
	h := newHome(t)
	disk := newHang()
	h.fs = durable.Watch(durable.OS(), durable.Hook{Before: disk.before})
	e := h.open()
	f := newFriend(t, ownPublic(t, e))
	line, err := netfault.New(f.address)
	must(t, err)
	defer line.Close()
	_, err = e.AddNode(t.Context(), NodeSpec{Name: "bob", Remote: "sftp://cairn@" + line.Addr() + "/", AcceptNew: true, SkipChecks: true}, nil)
	must(t, err)
	for _, name := range []string{"alice", "carol"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, putInto(t.Context(), e, "a", 3<<20))
	must(t, e.Store.Flush(t.Context()))
	_, err = e.Status(t.Context())
	must(t, err)

	line.BlackHole(true)
	disk.on.Store(true)
	var wg sync.WaitGroup
	writes, enough := context.WithCancel(t.Context())
	for i := range 4 { // small ones, large ones, and one that wants everything sent
		wg.Go(func() { _ = putInto(writes, e, fmt.Sprint("b", i), 100<<10<<(3*i)) }) // the disk was at fault
	}
	wg.Go(func() { _ = e.Store.Flush(writes) })
	<-disk.stuck
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // less than a call of a node may take
		s, err := e.Status(ctx)
		must(t, err)
		if s.Objects != 1 || len(s.Nodes) != 3 {
			t.Errorf("%d objects, %d nodes", s.Objects, len(s.Nodes))
		}
		_, err = e.Without(ctx, []string{"bob"})
		must(t, err)
		cancel()
		e.FleetReport()
		t.Logf("silent for %.1f s", s.Silent)
	}
	disk.release()
	enough()
	must(t, line.Close()) // or somebody waits a minute for the node
	wg.Wait()
	shut(t, e)
}

// A lock that somebody holds over the disk does not hold the status, which says
// so, with what was known before. What it costs is told by
// TestALookAtThisMachineDoesNotWaitForItsDisk, whose clock no busy machine slows.
func TestStatusSaysThatTheDiskHangs(t *testing.T) {
	h := newHome(t)
	e := h.open()
	defer shut(t, e)
	s, err := e.Status(t.Context())
	must(t, err)
	e.kit.mu.Lock() // no one holds it over the disk; somebody might one day
	if s, err = e.Status(t.Context()); err != nil || s.Silent <= 0 {
		t.Errorf("silent for %.1f s, %v", s.Silent, err)
	}
	e.look.mu.Lock()
	e.look.since = e.look.since.Add(-time.Minute)
	e.look.mu.Unlock()
	if s, err = e.Status(t.Context()); err != nil || len(s.Do) == 0 || len(s.Wrong) == 0 {
		t.Errorf("after a minute: %+v, %v", s, err)
	}
	e.kit.mu.Unlock()
	if s, err = e.Status(t.Context()); err != nil || s.Silent > 0 {
		t.Errorf("silent for %.1f s, %v", s.Silent, err)
	}
}

// TestALookAtThisMachineDoesNotWaitForItsDisk: by a clock of its own, how long
// whoever asks is made to wait, and what is said then.
func TestALookAtThisMachineDoesNotWaitForItsDisk(t *testing.T) {
	for _, c := range []struct {
		what         string
		seen, hangs  bool // something was read before; a call of the disk is not answered
		takes, waits time.Duration
		known        bool
		silent       time.Duration
	}{
		{"it answers", true, false, time.Millisecond, time.Millisecond, true, 0},
		{"it counts for a while", true, false, 5 * time.Second, time.Second, true, time.Second},
		{"it counts for the first time", false, false, 5100 * time.Millisecond, 5100 * time.Millisecond, true, 0},
		{"it hangs", true, true, time.Hour, time.Second, true, time.Second},
		{"it hangs from the start", false, true, time.Hour, 750 * time.Millisecond, false, 750 * time.Millisecond},
		{"something else hangs from the start", false, false, time.Hour, glanceFirst, false, glanceFirst},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hung, hang := durable.Hangs(durable.NewMem())
				disk, calls := durable.Attend(hung)
				g := &glance{}
				if c.seen {
					_, _, err := g.ask(t.Context(), func() (local, error) { return local{at: time.Now()}, nil }, calls)
					must(t, err)
				}
				if c.hangs {
					hang.Stop("")
				}
				start := time.Now()
				l, silent, err := g.ask(t.Context(), func() (local, error) {
					_, _ = disk.List("/")
					time.Sleep(c.takes)
					return local{at: time.Now()}, nil
				}, calls)
				must(t, err)
				if took := time.Since(start); took != c.waits || silent != c.silent || l.at.IsZero() == c.known {
					t.Errorf("after %v: silent for %v, as of %v", took, silent, l.at)
				}
				hang.Go()
				g.mu.Lock()
				busy := g.busy
				g.mu.Unlock()
				if busy != nil {
					<-busy
				}
			})
		})
	}
}
