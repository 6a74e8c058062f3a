package engine

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// storeConfig is what the store is opened with, or recovered.
func (e *Engine) storeConfig(keeper store.Roots) store.Config {
	c, f, s := e.c, e.c.File, e.secretsNow()
	// Bodies are held once by the gateway while they come in and once by the
	// store while they wait for their group: each has half of the budget.
	var clock store.Clock // a nil one where there is none
	if e.clock != nil {
		clock = e.clock
	}
	return store.Config{FS: c.FS, Dir: f.Dir, Nodes: e.Fleet, Store: e.ID,
		Epochs: s.epochs, Epoch: s.epoch, Sign: c.Identity.Sign(), Box: c.Identity.Secrets(),
		Roots: keeper, CheckpointEvery: time.Duration(f.Store.Checkpoint), Ack: f.Store.Ack.String(),
		Coding: f.Store.Coding.String(), PackSize: c.PackSize, FlushAge: time.Duration(f.Store.Flush.Max), Settle: orNone(time.Duration(f.Stage.Settle)),
		StageLimit: int64(f.Stage.Limit), Memory: int64(f.Memory) / 2, SlowWait: c.SlowWait, IndexCache: c.IndexCache, Clock: clock, Traffic: traffic{Fleet: e.Fleet}, Log: c.Log, Registry: c.Registry}
}

// orNone is d for a configuration of which 0 means the default, as it does not
// in cairn.toml.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// where and used tell the fleet what the store knows. While the store is still
// being opened nothing is known to have moved, and nothing to be used.
func (e *Engine) where(id cairn.PackID) ([]cairn.Location, error) {
	if s := e.opened.Load(); s != nil {
		return s.Where(id)
	}
	return nil, fmt.Errorf("pack %v: the index is not open yet: %w", id, cairn.ErrUnavailable)
}

func (e *Engine) used(id cairn.NodeID) int64 {
	if s := e.opened.Load(); s != nil {
		return s.Used(id)
	}
	return 0
}

// observed is how long this store was seen running.
func (e *Engine) observed() time.Duration {
	if e.clock == nil {
		return time.Since(e.started)
	}
	return e.clock.Now()
}
