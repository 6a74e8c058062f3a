package store

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// maxGroup bounds the frames of one group, bytes: what a sync may take and
// what the group buffer may grow to.
const maxGroup = 4 << 20

// group commits as many of batch as fit one group and leaves the rest for the
// next.
//
// Order: the group's bytes, then their fsync, then the index, then the answers.
// A crash before the fsync leaves a torn tail that nobody was told of; a crash
// after it leaves a record that replay applies; the index is never ahead of the
// stage. Every answer of the group waits for the fsync, refusals too, since
// they may rest on a record of this very group.
func (c *committer) group(batch []*op) {
	if err := c.s.writable(); err != nil { // the index cannot follow any more, or all writing has stopped
		c.answer(batch, err)
		return
	}
	if err := c.takeBack(); err != nil {
		c.answer(batch, err)
		return
	}
	take := c.fit(batch)
	if len(take) == 0 { // the first does not fit what is left of the stage
		c.closeStage()
		take = c.fit(batch)
	}
	if len(take) == 0 {
		c.answer(batch[:1], fmt.Errorf("store: a write of %d bytes does not fit a pack of %d: %w", batch[0].bytes+batch[0].recs, c.s.c.PackSize, cairn.ErrInvalid))
		c.left = batch[1:]
		return
	}
	c.left = batch[len(take):]
	if err := c.ensureStage(); err != nil {
		c.answer(take, err)
		return
	}
	if fits, err := c.fitSmall(take); err != nil {
		c.answer(take[:1], err)
		c.left = batch[1:]
		return
	} else if len(fits) < len(take) {
		take, c.left = fits, batch[len(fits):]
	}
	t := c.newGroup()
	for _, o := range take {
		c.s.jour.judge(t, o)
	}
	if !t.useful {
		c.answer(take, nil)
		return
	}
	c.answer(take, c.commit(t, take))
}

// newGroup begins a group of the open stage.
func (c *committer) newGroup() *txn {
	t := &txn{c: c, g: pack.NewGroup(c.open.key, c.open.id(), uint64(c.off), c.link, c.buf), now: time.Now()}
	t.preamble()
	return t
}

// commit makes the group t, which answers ops, durable and applies it to the
// index.
func (c *committer) commit(t *txn, ops []*op) error {
	start := time.Now()
	err := c.write(t)
	c.sync = time.Since(start)
	c.life.next = t.next // stamps are never reissued, whatever becomes of the group
	for _, o := range ops {
		o.logged = true
	}
	if err != nil {
		c.poison(t, ops, err)
		return fmt.Errorf("store: the write may or may not be kept: %w: %w", err, cairn.ErrUnavailable)
	}
	c.life.last = t.last
	if err := c.s.idx.Apply(t.changes); err != nil {
		c.s.fail(err)
		return c.s.err()
	}
	c.s.committed(c.open, c.off, t)
	c.s.m.group(len(ops))
	c.lastOps = len(ops)
	return nil
}

// takeBack voids what failed groups logged, in a group of its own, before
// anything else is acknowledged: what of them turns up after a crash then never
// counts, and the data packs they named can go.
func (c *committer) takeBack() error {
	if len(c.voids) == 0 {
		return nil
	}
	if err := c.ensureStage(); err != nil {
		return err
	}
	t := c.newGroup()
	for _, of := range c.voids {
		t.add(pack.Void{Of: of}, nil)
	}
	if err := c.commit(t, nil); err != nil {
		return err
	}
	c.s.abandon(c.orphans)
	c.voids, c.orphans = nil, nil
	return nil
}

// fit returns the front of batch that one group of the open stage can take. A
// fresh stage always takes the first.
func (c *committer) fit(batch []*op) []*op {
	room, recs := int(c.s.c.PackSize), pack.MaxRecords
	if c.open != nil {
		room = int(c.open.file.Capacity) - int(c.off)
		recs -= c.nBytes
	}
	used := pack.MinGroup + preambleRoom
	frames, records := 0, 0
	for i, o := range batch {
		used += o.bytes + o.recs
		frames += o.bytes
		records += o.recs
		first := i == 0
		if used > room || (records > recs && (c.open != nil || !first)) || (frames > maxGroup && !first) || (o.alone && !first) {
			return batch[:i]
		}
		if o.alone {
			return batch[:i+1]
		}
	}
	return batch
}

// write appends the finished group and makes it durable.
func (c *committer) write(t *txn) error {
	b, link := t.g.Finish()
	c.buf = b
	if err := c.open.file.WriteAt(b, c.off); err != nil {
		return err
	}
	if err := c.open.file.Sync(); err != nil {
		return err
	}
	if c.began.IsZero() {
		c.began = time.Now()
	}
	c.nBytes += t.g.Records()
	c.link = link
	c.off += uint32(len(b))
	c.life.written = true
	return nil
}

// poison closes the stage at its last good mark after a write or sync failed:
// no group is written to it any more, since the kernel may have dropped what it
// could not write. What the failed group logged may still turn up after a crash,
// so the next group voids it; a Life or Void says the same whenever it turns up.
func (c *committer) poison(t *txn, ops []*op, err error) {
	c.s.c.Log.Error("a write to the stage failed; its pack is closed at the last good group", "pack", c.open.id(), "err", err)
	for _, ch := range t.changes {
		switch ch.Record.Body.(type) {
		case pack.Life, pack.Void:
		default:
			c.voids = append(c.voids, ch.Record.Stamp)
		}
	}
	for _, o := range ops {
		c.orphans = append(c.orphans, o.packs...)
	}
	c.closeStage()
}

func (c *committer) answer(ops []*op, err error) {
	var wait []*op
	for _, o := range ops {
		if err != nil {
			o.err = err
		} else if o.spread {
			wait = append(wait, o)
			continue
		}
		close(o.done)
	}
	if len(wait) > 0 {
		c.s.jour.take(wait, c.open)
	}
}

// ensureStage opens a log stage if none is open.
func (c *committer) ensureStage() error {
	if c.open != nil {
		return nil
	}
	p, err := c.s.newStage(pack.Log, c.life.number, nil, 0)
	if err != nil {
		return err
	}
	c.open, c.off, c.link, c.began, c.nBytes = p, 0, pack.FirstLink(p.id()), time.Time{}, 0
	return nil
}

// closeStage hands the open log stage to the spreader; one without a record is
// dropped, its number is used again.
func (c *committer) closeStage() {
	if c.open == nil {
		return
	}
	p := c.open
	c.open = nil
	c.s.closeLog(p, c.off)
	c.s.viewed(c.life.last)
}
