package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// cleanMost is how long clean nodes may be ill without a break: new packs are
// coded without nodes that were away for ten minutes, and then fewer bad ones
// can be borne than the run was made for.
const cleanMost = 5 * time.Minute

// mendTime is how long a node that is well again may still be avoided: the
// breaker of the fleet tries it once a minute.
const mendTime = 3 * time.Minute

// bad reports whether a node may do anything.
func (w *World) bad(node int) bool { return slices.Contains(w.Bad, node) }

// ail makes a node misbehave, as far as the bounds of the run allow.
func (w *World) ail(s Step, said *string) error {
	n := w.nodes[s.Node%len(w.nodes)]
	if !w.bad(n.number) {
		if !s.Ill.Clean() {
			*said = "spared"
			return nil
		}
		if w.since.IsZero() {
			w.since = time.Now()
		}
	}
	n.Ail(s.Ill, s.Share)
	return nil
}

// heal makes a node well.
func (w *World) heal(node int) {
	n := w.nodes[node%len(w.nodes)]
	if len(n.Ails()) == 0 {
		return
	}
	n.Heal()
	w.mending[n.number] = time.Now().Add(mendTime)
	if !slices.ContainsFunc(w.nodes, func(n *Node) bool { return !w.bad(n.number) && len(n.Ails()) > 0 }) {
		w.since = time.Time{}
	}
}

// relieve makes the clean nodes well, and waits until they are believed to be.
func (w *World) relieve() {
	for _, n := range w.nodes {
		if !w.bad(n.number) {
			w.heal(n.number)
		}
	}
	w.rest(mendTime)
}

// sound reports whether a node answers as it should, and did for a while.
func (w *World) sound(node int) bool {
	return !w.bad(node) && len(w.nodes[node].Ails()) == 0 && !time.Now().Before(w.mending[node])
}

// mayFail reports whether a read of key that ended with err had to: nothing
// was wrong but that the disk failed, or too few sound nodes hold its packs.
func (w *World) mayFail(key int, err error) bool {
	if errors.Is(err, errWrong) {
		return false
	}
	if w.disk.dead() {
		return true
	}
	switch cairn.Class(err) {
	case cairn.ErrUnavailable, cairn.ErrLost, cairn.ErrCorrupt:
	default:
		return w.excused(err) || w.ill && cairn.Class(err) == nil // the device's own error
	}
	if w.Beyond || w.ill {
		return true
	}
	_, places, lerr := w.life.st.Locate(w.ctx, keyOf(key))
	if lerr != nil {
		return false
	}
	for _, p := range places {
		if p.State != "spread" && p.State != "at risk" || len(p.At) == 0 {
			continue
		}
		c, perr := cairn.ParseCoding(p.Coding)
		if perr != nil {
			return false
		}
		have := make(map[uint8]bool)
		for _, l := range p.At {
			if w.sound(int(l.Node[0]) - 1) {
				have[l.Index] = true
			}
		}
		if len(have) < c.K {
			return true
		}
	}
	return false
}

// flush waits until all is spread, or for what is in the way.
func (w *World) flush(say func(error)) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	err := w.life.st.Flush(ctx)
	say(err)
	if ctx.Err() != nil {
		return fmt.Errorf("flush did not end within %v: %w", patience, err)
	}
	if err == nil && !w.disk.dead() {
		w.model.flushed()
		w.flushed = time.Now()
	}
	if err == nil || w.excused(err) || w.ill || w.Beyond {
		return nil
	}
	for n := range w.nodes {
		if !w.sound(n) {
			return nil
		}
	}
	return fmt.Errorf("flush, with every node sound: %w", err)
}

// breakDisk makes the disk fail.
func (w *World) breakDisk(f Fault, n int) {
	ops := map[Fault]durable.Op{WriteFails: durable.OpWrite, WriteFailsDone: durable.OpWrite, SyncFails: durable.OpSync, SyncFailsDone: durable.OpSync,
		CreateFails: durable.OpCreate, RenameFails: durable.OpRename, SyncDirFails: durable.OpSyncDir, AllocateFails: durable.OpAllocate}
	w.disk.breakNext(ops[f], n, f == SyncFailsDone || f == WriteFailsDone)
}
