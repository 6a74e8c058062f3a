package store

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Store is made of. FS, Dir, Nodes, Store, Epochs, Epoch,
// Sign and Box are needed, the rest has defaults.
type Config struct {
	FS    durable.FS
	Dir   string // holds stage/, index/, secrets/nodes and lock
	Nodes Nodes
	Store cairn.StoreID
	// Epochs are the keys by number, of which Epoch seals new packs.
	Epochs map[uint32]crypt.EpochKey
	Epoch  uint32
	Sign   crypt.SigningKey
	Box    *crypt.Box // seals secrets at rest

	Coding     string        // "auto" (default) or k+m; a setting in the store wins
	PackSize   uint32        // bytes of pack, default 16 MiB
	FlushAge   time.Duration // a log pack is sealed this long after its first record, default 30 s
	Settle     time.Duration // a spread pack stays staged this long, default 10 min; negative for no time at all
	StageLimit int64         // bytes, default 20 GiB
	Memory     int64         // bytes of bodies gathered in memory, default 64 MiB
	GroupWait  time.Duration // the longest a PUT waits for company, default 10 ms
	GroupCount int           // so many waiting PUTs start a sync, default 16
	SlowWait   time.Duration // how long a PUT waits for a full stage before 503, default 20 s
	IndexCache int64         // bytes
	// Ack says when writes are answered that no bucket's setting decides for:
	// AckStaged (default) or AckSpread.
	Ack string
	// Roots keeps the store's roots; without it there are neither roots nor
	// checkpoints.
	Roots Roots
	// CheckpointEvery is how long after a checkpoint the next is made, where
	// something changed; default 1 h.
	CheckpointEvery time.Duration
	// Clock is observed time, by which graces are measured; default is one of the
	// store's own in Dir.
	Clock Clock
	// Grace is how long a retired pack stays on nodes after every node knows that
	// it is retired, observed time; default 24 h.
	Grace time.Duration
	// CompactBelow is the live share of a pack below which it is rewritten in the
	// background, 0 to 1; default 0.5, negative: nothing is.
	CompactBelow float64
	// Traffic bounds what compaction in the background moves with nodes; nil does
	// not.
	Traffic  Traffic
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// SmallObject is the largest body, in bytes, that is gathered in memory and
// written with its record; larger ones, and tails above it, have stage files of
// their own. Packs below 4 MiB lower it to a quarter of theirs.
const SmallObject = 1 << 20

// minPack is the smallest pack size, in bytes: it has room for a small object
// and for the largest record that has a group of its own.
const minPack = 256 << 10

func (c *Config) small() int64 {
	return min(SmallObject, int64(c.PackSize)/4/pack.FrameSize*pack.FrameSize)
}

func (c *Config) defaults() error {
	if c.FS == nil || c.Dir == "" || c.Nodes == nil || c.Box == nil {
		return fmt.Errorf("store: incomplete configuration: %w", cairn.ErrInvalid)
	}
	if _, ok := c.Epochs[c.Epoch]; !ok {
		return fmt.Errorf("store: no key for epoch %d: %w", c.Epoch, cairn.ErrInvalid)
	}
	set(&c.Coding, "auto")
	set(&c.Ack, AckStaged)
	set(&c.PackSize, 16<<20)
	set(&c.FlushAge, 30*time.Second)
	set(&c.Settle, 10*time.Minute)
	c.Settle = max(c.Settle, 0)
	set(&c.StageLimit, 20<<30)
	set(&c.Memory, 64<<20)
	set(&c.GroupWait, 10*time.Millisecond)
	set(&c.GroupCount, 16)
	set(&c.SlowWait, 20*time.Second)
	set(&c.IndexCache, 64<<20)
	set(&c.CheckpointEvery, time.Hour)
	set(&c.Grace, 24*time.Hour)
	set(&c.CompactBelow, 0.5)
	if c.Ack != AckStaged && c.Ack != AckSpread {
		return fmt.Errorf("store: ack = %q; it is %q or %q: %w", c.Ack, AckStaged, AckSpread, cairn.ErrInvalid)
	}
	if c.PackSize < minPack {
		return fmt.Errorf("store: pack size %d: at least %d KiB are needed: %w", c.PackSize, minPack>>10, cairn.ErrInvalid)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (c *Config) stageDir() string { return filepath.Join(c.Dir, "stage") }

func (c *Config) indexDir() string { return filepath.Join(c.Dir, "index") }

func (c *Config) indexConfig() index.Config {
	return index.Config{FS: c.FS, Dir: c.indexDir(), Store: c.Store, CacheBytes: c.IndexCache, Log: c.Log}
}
