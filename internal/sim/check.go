package sim

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

// check reads everything.
func (w *World) check() error {
	for n := range keys {
		if err := w.get(n, uint64(w.lives), func(error) {}); err != nil {
			return err
		}
	}
	for bucket := range 2 {
		if err := w.list(bucket, uint64(w.lives), func(error) {}); err != nil {
			return err
		}
	}
	return w.state()
}

// Finish heals everything, reads everything, lets everything leave the gateway
// and reads it again. Then it empties the bad nodes, has everything mended and
// coded as it should be, takes away as many other nodes for good, then the index,
// then the gateway, and reads everything each time.
func (w *World) Finish() error {
	w.calm = true
	w.disk.light(Fuse{})
	for _, n := range w.nodes {
		w.heal(n.number)
	}
	w.disk.mend()
	w.ill = true // until the restart
	if err := w.restart(nil); err != nil {
		return err
	}
	w.rest(2 * mendTime)
	for n := range w.mending {
		delete(w.mending, n)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("all healed: %w", err)
	}
	if w.Beyond {
		return w.close()
	}
	// Packs that were written while nodes were away bear fewer losses. Those that
	// the loops would code again in time are, as far as the nodes there allow it.
	if _, err := w.recode(); err != nil && cairn.Class(err) == nil {
		return err
	}
	// What the bad nodes did to their files keeps them in quarantine, and packs
	// that were sealed for so many nodes waiting. Empty ones can take them.
	if err := w.empty(); err != nil {
		return err
	}
	if err := w.restart(nil); err != nil {
		return err
	}
	for _, n := range w.nodes { // somebody looked at them
		if err := w.life.fl.Reset(n.ID); err != nil {
			return fmt.Errorf("reset %s: %w", n.Name, err)
		}
	}
	w.rest(mendTime)
	if err := w.drain(); err != nil {
		return err
	}
	w.DiskCache = 0
	if err := w.restart(nil); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("all on nodes: %w", err)
	}
	if err := w.mend(); err != nil {
		return err
	}
	lost := w.others()
	for _, n := range lost {
		w.nodes[n].clear()
	}
	without := fmt.Sprintf("mended, and then without the shards of nodes %v", lost)
	if err := w.restart(nil); err != nil {
		return fmt.Errorf("%s: %w", without, err)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("%s: %w", without, err)
	}
	if err := w.restart(func() error { return index.Destroy(w.disk.mem, dir+"/index") }); err != nil {
		return fmt.Errorf("%s, and the index: %w", without, err)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("%s, and the index: %w", without, err)
	}
	at := int(w.Seed % uint64(len(w.nodes)))
	if err := w.burn(at); err != nil {
		return fmt.Errorf("%s, and the gateway: %w", without, err)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("%s, and the gateway: %w", without, err)
	}
	return w.close()
}

// finishBriefly heals everything, reads everything, lets everything leave the
// gateway, loses the index and reads everything again.
func (w *World) finishBriefly() error {
	w.calm = true
	w.disk.light(Fuse{})
	w.relieve()
	if err := w.check(); err != nil {
		return fmt.Errorf("soon after: %w", err)
	}
	if err := w.drain(); err != nil {
		return err
	}
	if err := w.loseIndex(0); err != nil {
		return fmt.Errorf("without the index: %w", err)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("without the index: %w", err)
	}
	return w.close()
}

// empty takes everything from the bad nodes. It notes the packs that this is too
// much for, as they were coded for too few nodes: reads of what lies there are
// excused by mayFail, and they are not mended.
func (w *World) empty() error {
	w.bears = len(w.Bad)
	w.doomed = make(map[cairn.PackID]bool)
	for row, err := range w.life.st.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		left := make(map[uint8]bool)
		for _, l := range row.At {
			if !w.bad(int(l.Node[0]) - 1) {
				left[l.Index] = true
			}
		}
		w.doomed[row.Params.ID] = row.State == index.Spread && row.Params.Coding.M < len(w.Bad) && len(left) < row.Params.Coding.K
	}
	for _, n := range w.Bad {
		w.nodes[n].clear()
	}
	return nil
}

// drain waits until no pack is staged any more.
func (w *World) drain() error {
	if err := w.life.st.Flush(w.ctx); err != nil {
		return fmt.Errorf("all healed: flush: %w", err)
	}
	for range 20 {
		w.rest(w.Settle + time.Minute)
		st, err := w.life.st.Status(w.ctx)
		if err != nil {
			return fmt.Errorf("all healed: status: %w", err)
		}
		if st.Staged == 0 {
			return nil
		}
	}
	st, _ := w.life.st.Status(w.ctx)
	return fmt.Errorf("all healed: %d packs do not leave this machine: %q %q", st.Staged, st.Waiting, st.Damage)
}
