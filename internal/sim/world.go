// Package sim tries to make cairn lose data. It runs the real store over the
// real fleet on nodes in memory that misbehave in every way known, a disk that
// fails and loses its power, and simulated time, and compares what clients are
// told with a small model of what must be.
//
// A seed fixes the store, the operations, the faults and the points where the
// power goes. A fault is a hash of seed, node, operation, name and attempt and
// never a draw from a stream that goroutines share, so one client alone is told
// the same in every run of a seed. A history that breaks a promise is cut to
// the steps that matter, in a form that can be pasted into a test.
//
// Reading order: plan.go and draw.go (what happens), world.go and wire.go (the
// store and what it stands on), run.go, play.go, objects.go, read.go, state.go,
// multipart.go, faults.go, silent.go, whole.go and check.go (how it happens), model.go (what must
// be), node.go, ill.go and ill_*.go (nodes that misbehave), disk.go and
// failing.go (the disk), clients.go (many at once), shrink.go, luck.go.
//
// What bounds a run: bad nodes are never more than may be lost, and may do
// anything; the others are at most slow, silent or refusing, and for less long
// than it takes to be coded around. Runs that exceed it are Beyond: they may
// fail, and never lie.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/observed"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/store"
)

// dir is the gateway's directory on its disk.
const dir = "/s"

// buckets of a world.
const (
	firstBucket  = "first"
	secondBucket = "second"
)

// patience is how long anything may take, by the clock of the simulation.
const patience = 2 * time.Hour

// World is one store with all it stands on: the real engine and the real fleet
// on nodes in memory, a disk that can lose its power, and simulated time. It is
// made and used within a synctest bubble.
type World struct {
	Setup
	ctx   context.Context
	log   *slog.Logger
	id    cairn.StoreID
	nodes []*Node
	disk  *disk
	model *Model
	secrets

	life  *life // nil while the gateway is off
	lives int

	mu      sync.Mutex
	placed  map[uint64]int        // rounds of placement by pack sequence; guarded by mu
	mending map[int]time.Time     // until when a node that was healed may still be avoided
	doomed  map[cairn.PackID]bool // coded for so few nodes that the bad ones may take too much of them
	bears   int                   // nodes that may be lost for good once all is mended

	silent  []int     // clean nodes that do not answer while the gateway starts without its index
	since   time.Time // some clean node is ill without a break; zero for none
	ill     bool      // the disk failed, or was full, in this life
	calm    bool      // no power loss by chance any more
	uploads []*upload
	flushed time.Time // when the nodes last had everything

	recovered store.Recovered // what the last recovery found
}

// upload is a multipart upload that was begun.
type upload struct {
	key    int
	id     string
	number int // of it in the model
	began  time.Time
	ended  bool // completed or aborted
	doubt  bool // perhaps
}

// life is one run of the gateway.
type life struct {
	st    *store.Store
	at    atomic.Pointer[store.Store] // st, for the fleet
	fl    *fleet.Fleet
	roots *recovery.Keeper
	fork  atomic.Pointer[error] // another gateway was seen
	cache *cache.Cache
	clock *observed.Clock
	wholeness
	over *atomic.Bool // the process is gone: nothing of it reaches a node any more
}

// NewWorld makes the nodes and starts the gateway on an empty disk.
func NewWorld(ctx context.Context, s Setup, log *slog.Logger) (*World, error) {
	w := &World{Setup: s, ctx: ctx, log: log, id: cairn.StoreID{1, 2, 3}, disk: newDisk(s.Seed), model: newModel(),
		placed: make(map[uint64]int), mending: make(map[int]time.Time)}
	var err error
	if w.secrets, err = newSecrets(w.id, crypt.EpochKey{9}); err != nil {
		return nil, err
	}
	for i := range s.Nodes {
		n, err := newNode(ctx, s.Seed, i, fmt.Sprintf("op%d", i%s.Operators), w.id)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	for _, n := range w.nodes {
		if err := w.life.st.SetNode(ctx, n.Node); err != nil {
			return nil, err
		}
	}
	if err := w.life.st.CreateBucket(ctx, firstBucket); err != nil {
		return nil, err
	}
	w.model.wrote(publicName, "no", acked)
	return w, nil
}

// open starts a life of the gateway.
func (w *World) open() error {
	w.lives++
	over := new(atomic.Bool)
	l, err := w.begin(w.disk.fs(over), over)
	if err == nil {
		w.life = l
	}
	return err
}

// begin starts a gateway over fs, which ends when over is set.
func (w *World) begin(fs durable.FS, over *atomic.Bool) (_ *life, err error) {
	l := &life{over: over}
	if l.clock, err = observed.Open(w.ctx, fs, dir+"/observed"); err != nil {
		return nil, err
	}
	if err := w.foundations(l, fs); err != nil {
		err = errors.Join(err, l.clock.Close())
		return nil, err
	}
	fail := func(err error) (*life, error) {
		l.over.Store(true)
		if l.roots != nil {
			err = errors.Join(err, l.roots.Close(w.ctx))
		}
		return nil, errors.Join(err, l.fl.Close(), l.cache.Close(), l.clock.Close())
	}
	if l.roots, err = recovery.New(w.ctx, w.keeping(l, fs)); err != nil {
		return fail(err)
	}
	c := w.config(fs, l.fl)
	c.Clock = l.clock
	c.Roots = l.roots
	st, err := store.Open(w.ctx, c)
	if err != nil {
		return fail(err)
	}
	l.st = st
	l.at.Store(st)
	if err := w.keepWhole(l, fs); err != nil {
		return fail(errors.Join(err, st.Close(w.ctx)))
	}
	if err := l.fork.Load(); err != nil {
		st.Halt(*err)
	}
	l.roots.Start()
	return l, nil
}

// foundations are what a gateway stands on: its cache and its nodes.
func (w *World) foundations(l *life, fs durable.FS) (err error) {
	l.cache, err = cache.New(cache.Config{MemoryBytes: 128 << 10, DiskBytes: w.DiskCache, FS: fs, Dir: dir + "/cache", Store: w.id, MAC: [32]byte{3}})
	if err != nil {
		return err
	}
	where := func(id cairn.PackID) ([]cairn.Location, error) {
		if st := l.at.Load(); st != nil {
			return st.Where(id)
		}
		return nil, fmt.Errorf("starting: %w", cairn.ErrUnavailable)
	}
	c := fleet.Config{Store: w.id, Cache: l.cache, Trust: pack.Trust(w.trust(w.id)), Hold: true, FS: fs, Dir: dir + "/nodes",
		Open: func(_ context.Context, n pack.Node) (backends.Remote, error) { return w.connect(l, n) }, Where: where, Dice: w.dice, Log: w.log}
	if l.clock != nil { // else it is there for a recovery
		c.Observed = l.clock.Now
	}
	l.fl, err = fleet.New(w.ctx, c)
	if err != nil {
		return errors.Join(err, l.cache.Close())
	}
	return nil
}

// forked is told that another gateway writes to the store.
func (l *life) forked(err error) {
	l.fork.Store(&err)
	if st := l.at.Load(); st != nil {
		st.Halt(err)
	}
}

func (w *World) config(fs durable.FS, nodes store.Nodes) store.Config {
	return store.Config{FS: fs, Dir: dir, Nodes: nodes, Store: w.id, Epochs: w.Epochs, Epoch: w.Epoch,
		Sign: w.gate.Sign(), Box: w.gate.Secrets(), Coding: w.Coding, PackSize: w.PackSize, Settle: w.Settle, StageLimit: w.Stage,
		CheckpointEvery: 10 * time.Minute, Grace: cmp.Or(w.Grace, collectGrace), IndexCache: 1 << 20, SlowWait: 2 * time.Second, Log: w.log}
}

// connect is the remote of a node as the product stacks it.
func (w *World) connect(l *life, n pack.Node) (backends.Remote, error) {
	i := slices.IndexFunc(w.nodes, func(o *Node) bool { return o.ID == n.ID })
	if i < 0 {
		return nil, cairn.ErrUnavailable
	}
	var r backends.Remote = wire{w.nodes[i], l, w.disk}
	r = backends.Guard(r, backends.Bounds{Files: 1 << 14, Dirs: 1 << 12})
	r = backends.Deadline(r, backends.DeadlineConfig{})
	r = backends.Limit(r, 16)
	// No pause between tries: its length is drawn by chance, and a history would
	// not be the same twice.
	return backends.Retry(r, backends.RetryConfig{Tries: 2, Pause: 1}), nil
}

// dice places a pack in the same way in each run of a seed.
func (w *World) dice(id cairn.PackID) *rand.Rand {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.placed[id.Seq()]++
	return rand.New(rand.NewPCG(w.Seed, hash(id.Seq(), w.placed[id.Seq()])))
}

// close ends the life of the gateway in order. A disk that fails may fail it.
func (w *World) close() error {
	l := w.life
	if l == nil {
		return nil
	}
	w.life = nil
	dead := w.disk.dead()
	if dead {
		l.over.Store(true)
	}
	l.end()
	err := errors.Join(l.st.Close(w.ctx), l.roots.Close(w.ctx))
	l.over.Store(true)
	err = errors.Join(err, l.fl.Close(), l.cache.Close(), l.clock.Close())
	if dead || w.disk.dead() {
		return nil
	}
	return err
}

// rest lets simulated time pass and then waits until everything rests.
func (w *World) rest(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
	synctest.Wait()
}
