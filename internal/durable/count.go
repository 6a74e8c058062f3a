package durable

import "sync/atomic"

// Counts is how many steps were carried out; steps that failed are not in it.
type Counts struct {
	Creates  int64 // new files, second names included
	Writes   int64
	Bytes    int64 // bytes written, those of failed writes included
	Syncs    int64 // files made durable, one fsync each
	Renames  int64
	Removes  int64
	Mkdirs   int64
	DirSyncs int64 // directories made durable, one fsync each
}

// Fsyncs is how often the device was made to wait: Syncs and DirSyncs.
func (c Counts) Fsyncs() int64 { return c.Syncs + c.DirSyncs }

// Sub returns what came between before and c.
func (c Counts) Sub(before Counts) Counts {
	return Counts{
		Creates:  c.Creates - before.Creates,
		Writes:   c.Writes - before.Writes,
		Bytes:    c.Bytes - before.Bytes,
		Syncs:    c.Syncs - before.Syncs,
		Renames:  c.Renames - before.Renames,
		Removes:  c.Removes - before.Removes,
		Mkdirs:   c.Mkdirs - before.Mkdirs,
		DirSyncs: c.DirSyncs - before.DirSyncs,
	}
}

// Counter counts the steps of one FS, Pebble's included.
type Counter struct {
	ops   [OpSyncDir + 1]atomic.Int64
	bytes atomic.Int64
}

// Count returns on, counted.
func Count(on FS) (FS, *Counter) {
	c := &Counter{}
	return Watch(on, Hook{After: c.after}), c
}

func (c *Counter) after(s Step, err error) error {
	c.bytes.Add(s.Done)
	if err == nil {
		c.ops[s.Op].Add(1)
	}
	return err
}

// Counts returns the counts up to now. Each number is exact; while steps are
// under way they may be of slightly different moments.
func (c *Counter) Counts() Counts {
	return Counts{
		Creates:  c.ops[OpCreate].Load() + c.ops[OpLink].Load(),
		Writes:   c.ops[OpWrite].Load(),
		Bytes:    c.bytes.Load(),
		Syncs:    c.ops[OpSync].Load(),
		Renames:  c.ops[OpRename].Load(),
		Removes:  c.ops[OpRemove].Load(),
		Mkdirs:   c.ops[OpMkdir].Load(),
		DirSyncs: c.ops[OpSyncDir].Load(),
	}
}
