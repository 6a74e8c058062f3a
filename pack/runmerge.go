package pack

import (
	"bytes"
	"container/heap"
	"io"
	"iter"
)

// MergeRuns gives the rows of runs, oldest first, as one: keys rise strictly,
// of several rows with one key that of the newest run counts, and tombstones
// are swallowed. A row is valid until the next one. An error, of the class that
// its run has, ends it; without one every run was read to its verified end. It
// reads the runs once.
func MergeRuns(runs ...*RunReader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var h merge
		for i, r := range runs {
			head := &mergeHead{run: r, age: i}
			switch more, err := head.next(); {
			case err != nil:
				yield(Row{}, err)
				return
			case more:
				h = append(h, head)
			}
		}
		heap.Init(&h)
		for len(h) > 0 {
			newest := heap.Pop(&h).(*mergeHead)
			for len(h) > 0 && bytes.Equal(h[0].row.Key, newest.row.Key) {
				if err := h.advance(); err != nil {
					yield(Row{}, err)
					return
				}
			}
			if !newest.row.Gone && !yield(newest.row, nil) {
				return
			}
			switch more, err := newest.next(); {
			case err != nil:
				yield(Row{}, err)
				return
			case more:
				heap.Push(&h, newest)
			}
		}
	}
}

// mergeHead is a run and its row that is next.
type mergeHead struct {
	run *RunReader
	age int // place among the runs; a higher one is newer
	row Row
}

// next takes the run's next row and reports whether there was one.
func (m *mergeHead) next() (bool, error) {
	var err error
	if m.row, err = m.run.Next(); err == io.EOF {
		return false, nil
	}
	return err == nil, err
}

// merge is a heap: the least key first, and of equal ones the newest.
type merge []*mergeHead

// advance takes the next row of the run on top.
func (h *merge) advance() error {
	more, err := (*h)[0].next()
	switch {
	case err != nil:
		return err
	case more:
		heap.Fix(h, 0)
	default:
		heap.Pop(h)
	}
	return nil
}

func (h merge) Len() int { return len(h) }

func (h merge) Less(i, j int) bool {
	if c := bytes.Compare(h[i].row.Key, h[j].row.Key); c != 0 {
		return c < 0
	}
	return h[i].age > h[j].age
}

func (h merge) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *merge) Push(x any) { *h = append(*h, x.(*mergeHead)) }

// Pop is for package heap.
func (h *merge) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
