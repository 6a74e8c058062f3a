package index

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// dropParts is after how many parts a batch of DropTombstones ends; the parts
// of one upload are never in two.
const dropParts = 10_000

// dropUploads forgets what is settled about the loose uploads from key from
// on, and returns where to go on, nil at the end.
func (t *tx) dropUploads(from []byte, below cairn.Stamp) (next []byte, err error) {
	var loose []pack.UploadID
	bounds := within([]byte{tableLoose})
	bounds.LowerBound = from
	it, err := t.b.NewIter(bounds)
	if err != nil {
		return nil, fmt.Errorf("index: read: %w", classed(err))
	}
	for ok := it.First(); ok && err == nil && len(loose) < dropKeys; ok = it.Next() {
		if len(it.Key()) != 1+uploadIDSize {
			err = badRow(it.Key())
			break
		}
		loose = append(loose, pack.UploadID(it.Key()[1:]))
	}
	if err := closeIter(it, err); err != nil {
		return nil, err
	}
	done := 0
	for i, id := range loose {
		n, err := t.settleUpload(id, below)
		if err != nil {
			return nil, err
		}
		if done += n; done >= dropParts || i == dropKeys-1 {
			return append(uploadPrefix(tableLoose, id), 0), nil
		}
	}
	return nil, nil
}

// settleUpload forgets what is settled about an upload. n is how many part
// numbers it has looked at.
func (t *tx) settleUpload(id pack.UploadID, below cairn.Stamp) (n int, err error) {
	begins, err := readBegan(t.b, id)
	if err != nil {
		return 0, err
	}
	ends, err := readEnded(t.b, id)
	if err != nil {
		return 0, err
	}
	over := slices.ContainsFunc(ends, func(e ended) bool { return e.counts && e.stamp.Compare(below) < 0 })
	left, err := t.settleBegins(begins, below, over)
	if err != nil {
		return 0, err
	}
	all, err := numbers(t.b, id)
	if err != nil {
		return 0, err
	}
	s := settling{below: below, linked: !anyCounts(ends)}
	// A begin is older than its parts: none of a part below can come any more.
	s.all = over || len(left) == 0
	for _, n := range all {
		if err := t.settleParts(partName{id, n}, &s); err != nil {
			return 0, err
		}
	}
	settled := s.past == 0 && (len(left) == 1 && left[0].counts && !over || len(left) == 0 && s.kept == 0)
	for _, e := range ends {
		if e.stamp.Compare(below) >= 0 {
			settled = false
			continue
		}
		if e.counts && (e.done || len(left)+s.kept > 0) {
			continue // it answers UploadDone, or keeps the rest without references
		}
		if err := t.del(uploadKey(tableEnd, id, e.stamp)); err != nil {
			return 0, err
		}
	}
	if !settled {
		return len(all), nil
	}
	return len(all), t.del(uploadPrefix(tableLoose, id))
}

// settleBegins forgets what is settled of the records that began an upload, and
// returns the others.
func (t *tx) settleBegins(begins []began, below cairn.Stamp, over bool) (left []began, err error) {
	higher := false // one that counts is higher and below
	for _, b := range slices.Backward(begins) {
		if b.Stamp.Compare(below) < 0 && (over || higher || !b.counts) {
			if err := t.del(uploadKey(tableUpload, b.ID, b.Stamp)); err != nil {
				return nil, err
			}
			continue
		}
		higher = higher || b.Stamp.Compare(below) < 0
		left = append(left, b)
	}
	return left, nil
}

// settling is what the parts of one upload are settled by, and what is left.
type settling struct {
	below      cairn.Stamp
	all        bool // nothing below is needed any more
	linked     bool // current parts hold references
	kept, past int  // parts left, and of them displaced ones
}

// settleParts forgets what is settled of the parts of one name.
func (t *tx) settleParts(n partName, s *settling) error {
	cur, err := readPart(t.b, n)
	if err != nil {
		return err
	}
	past, err := readPast(t.b, n)
	if err != nil {
		return err
	}
	higher := false // one that counts is higher and below
	if cur != nil && cur.stamp.Compare(s.below) < 0 {
		if higher = true; s.all {
			if s.linked {
				if err := t.unlinkPart(cur); err != nil {
					return err
				}
			}
			if err := t.forgetPart(cur, cur.key(tablePart)); err != nil {
				return err
			}
			cur = nil
		}
	}
	if cur != nil {
		s.kept++
	}
	for _, p := range slices.Backward(past) {
		counts := t.soft.truth.counts(p.stamp)
		if p.stamp.Compare(s.below) < 0 && (s.all || higher || !counts) {
			if err := t.forgetPart(p, p.pastKey()); err != nil {
				return err
			}
			continue
		}
		higher = higher || counts && p.stamp.Compare(s.below) < 0
		s.kept++
		s.past++
	}
	return nil
}

// forgetPart removes the rows of p, which stands at key.
func (t *tx) forgetPart(p *partFact, key []byte) error {
	if isApart(p.where) {
		if err := t.dropExtents(p.long(), p.stamp); err != nil {
			return err
		}
	}
	return t.del(key)
}
