package scrub

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
)

// A spool puts what a node lists, which comes in no order and may be millions,
// into the order of the index, within bounded memory: what does not fit is
// sorted run by run into files of Dir and merged from there. They are worth
// nothing after a crash, so nothing is synced.
type spool struct {
	fs   durable.FS
	dir  string
	tag  string // of this spool among those of other nodes
	room int    // files held in memory
	buf  []fleet.File
	runs []durable.File
	name []string
}

const (
	spoolPrefix = "list-"
	spoolRoom   = 64 << 10 // files, of 40 bytes each
	spoolRecord = 16 + 1 + 4 + 8
	spoolPage   = 512 // records read of a run at a time
)

func compareFiles(a, b fleet.File) int {
	return comparePlaces(place{a.Shard.Pack, cairn.Location{Index: a.Shard.Index, Write: a.Shard.Write}},
		place{b.Shard.Pack, cairn.Location{Index: b.Shard.Index, Write: b.Shard.Write}})
}

func (p *spool) add(f fleet.File) error {
	p.buf = append(p.buf, f)
	if len(p.buf) < p.room {
		return nil
	}
	slices.SortFunc(p.buf, compareFiles)
	name := path.Join(p.dir, fmt.Sprintf("%s%s-%d", spoolPrefix, p.tag, len(p.runs)))
	run, err := p.fs.Create(name)
	if err != nil {
		return err
	}
	p.runs, p.name = append(p.runs, run), append(p.name, name)
	b := make([]byte, 0, len(p.buf)*spoolRecord)
	for _, f := range p.buf {
		b = append(b, f.Shard.Pack[:]...)
		b = append(b, f.Shard.Index)
		b = binary.LittleEndian.AppendUint32(b, f.Shard.Write)
		b = binary.LittleEndian.AppendUint64(b, uint64(f.Size))
	}
	p.buf = p.buf[:0]
	_, err = run.WriteAt(b, 0)
	return err
}

// close removes the files.
func (p *spool) close() (err error) {
	for i, f := range p.runs {
		err = errors.Join(err, f.Close(), p.fs.Remove(p.name[i]))
	}
	p.runs, p.name, p.buf = nil, nil, nil
	return err
}

// sorted gives everything added, in order of pack, index and write.
func (p *spool) sorted(ctx context.Context) iter.Seq2[fleet.File, error] {
	return func(yield func(fleet.File, error) bool) {
		slices.SortFunc(p.buf, compareFiles)
		var h runHeap
		if len(p.buf) > 0 {
			h = append(h, &runCursor{page: p.buf})
		}
		for _, f := range p.runs {
			c := &runCursor{file: f}
			if err := c.fill(); err != nil {
				yield(fleet.File{}, err)
				return
			}
			if len(c.page) > 0 {
				h = append(h, c)
			}
		}
		heap.Init(&h)
		for n := 0; len(h) > 0; n++ {
			if n%4096 == 0 && ctx.Err() != nil {
				yield(fleet.File{}, ctx.Err())
				return
			}
			c := h[0]
			f := c.page[0]
			if c.page = c.page[1:]; len(c.page) == 0 {
				if err := c.fill(); err != nil {
					yield(fleet.File{}, err)
					return
				}
			}
			if len(c.page) == 0 {
				heap.Pop(&h)
			} else {
				heap.Fix(&h, 0)
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

// runCursor is the rest of one sorted run; what is in memory has no file.
type runCursor struct {
	file durable.File
	off  int64
	page []fleet.File
}

func (c *runCursor) fill() error {
	if c.file == nil {
		return nil
	}
	b := make([]byte, spoolPage*spoolRecord)
	n, err := c.file.ReadAt(b, c.off)
	if err != nil && err != io.EOF {
		return err
	}
	c.off += int64(n)
	c.page = c.page[:0:0]
	for b = b[:n]; len(b) >= spoolRecord; b = b[spoolRecord:] {
		var f fleet.File
		copy(f.Shard.Pack[:], b)
		f.Shard.Index, f.Shard.Write, f.Size = b[16], binary.LittleEndian.Uint32(b[17:]), int64(binary.LittleEndian.Uint64(b[21:]))
		c.page = append(c.page, f)
	}
	return nil
}

type runHeap []*runCursor

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return compareFiles(h[i].page[0], h[j].page[0]) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *runHeap) Push(x any) { *h = append(*h, x.(*runCursor)) }

// Pop takes the last.
func (h *runHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
