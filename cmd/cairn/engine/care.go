package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/observed"
	"github.com/cairn-storage/cairn/scrub"
)

// What is kept about nodes and shards, below the state directory.
const (
	observedFile = "observed" // how long this store was seen running
	nodesDir     = "nodes"    // what is remembered of each node
	scrubDir     = "scrub"    // how far each round is
)

// openClock begins to count observed time. Nothing before it may need it, and
// nothing that deletes goes by another clock.
func (e *Engine) openClock(ctx context.Context) (err error) {
	e.clock, err = observed.Open(ctx, e.c.FS, filepath.Join(e.c.File.Dir, observedFile))
	return err
}

// openCare makes what looks after the shards, once the store is open. It does
// nothing by itself before Care, or a verb.
func (e *Engine) openCare(ctx context.Context) (err error) {
	f := e.c.File
	e.scrub, err = scrub.New(ctx, scrub.Config{Nodes: caredFor{e.Fleet}, Store: e.Store, Clock: e.clock, FS: e.c.FS, Dir: filepath.Join(f.Dir, scrubDir),
		Every: time.Duration(f.Scrub.Every), List: time.Duration(f.Scrub.Listing), After: time.Duration(f.Repair.After),
		Adopt: e.adopt, Idle: e.Store.Idle, Staged: e.Store.Staged, Clients: e.Store.Clients, Visit: e.visit, Log: e.c.Log, Registry: e.c.Registry})
	return err
}

// adopt takes up a pack that the index does not know, and says what came of it:
// nothing where it is the store's already, or is not to be believed.
func (e *Engine) adopt(ctx context.Context, id cairn.PackID, at []cairn.Location) (string, error) {
	a, err := e.Store.Adopt(ctx, id, at)
	switch a.As {
	case "refused":
		e.c.Log.Warn("a pack on nodes is not taken up", "pack", id, "why", a.Why)
		return "", err
	case "staged", "known":
		return "", err
	}
	return a.As, err
}

// Care looks after the shards until ctx ends: lists nodes, reads bytes, repairs,
// drains. A gateway runs it; a verb on a store opened for it alone does not.
func (e *Engine) Care(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.scrub.Run(ctx); err != nil && ctx.Err() == nil {
			e.c.Log.Error("nobody looks after the shards any more; restart the gateway", "err", err)
		}
	})
	wg.Go(func() { e.recodeOld(ctx) })
	wg.Go(func() { e.watchGrowth(ctx) })
	wg.Wait()
}

// caredFor is the fleet as scrub sees it: with the pace that a verb was given,
// on top of that of all background work.
type caredFor struct{ *fleet.Fleet }

func (c caredFor) Spend(ctx context.Context, id cairn.NodeID, n int64) error {
	if err := paceOf(ctx).wait(ctx, n); err != nil {
		return err
	}
	return c.Fleet.Spend(ctx, id, n)
}

// notice puts into the log what became of a node.
func (e *Engine) notice(c fleet.Change) {
	of := []any{"node", c.Name, "state", c.State}
	if c.Why != "" {
		of = append(of, "why", c.Why)
	}
	e.c.Log.Info("is now", of...)
}

// needCare is the error of verbs that a look at the store cannot carry out.
func (e *Engine) needCare() error {
	if e.scrub == nil {
		return fmt.Errorf("this is a look at the store, which changes nothing: %w", cairn.ErrDenied)
	}
	return nil
}
