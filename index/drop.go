package index

import (
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// dropKeys is how many keys one batch of DropTombstones takes.
const dropKeys = 1000

// DropTombstones forgets what is kept only because older records may still
// come or a newer one may be taken back: tombstones, voids and history below
// below. The caller vouches that every record below it, and every record that
// takes one of those back, is applied and that its stage is released; what
// comes below it all the same (a file whose removal a power loss undid) is
// from now on ignored. Uploads that ended below it are forgotten but for what
// UploadDone answers, which ForgetUploads ends.
func (x *Index) DropTombstones(below cairn.Stamp) error {
	if err := x.batch(func(t *tx) error { return t.raiseFloor(below) }); err != nil {
		return err
	}
	from := []byte{tableShadow}
	for from != nil {
		if err := x.batch(func(t *tx) (err error) {
			from, err = t.dropShadows(from, below)
			return err
		}); err != nil {
			return err
		}
	}
	from = []byte{tableLoose}
	for from != nil {
		if err := x.batch(func(t *tx) (err error) {
			from, err = t.dropUploads(from, below)
			return err
		}); err != nil {
			return err
		}
	}
	// Last, since all of the above asks which records count.
	return x.batch(func(t *tx) error { return t.dropVoids(below) })
}

// raiseFloor writes the floor, never lowering it, and forgets the small things
// below it.
func (t *tx) raiseFloor(below cairn.Stamp) error {
	if below.Compare(t.soft.floor) > 0 {
		t.soft.floor = below
		if err := t.set([]byte(floorKey), appendStamp(nil, below)); err != nil {
			return err
		}
	}
	if err := t.dropRegisters(below); err != nil {
		return err
	}
	if err := t.dropRetired(below); err != nil {
		return err
	}
	return t.dropCarried(below)
}

// dropRegisters keeps, of the records below, the one that counts, and not even
// that when it says that something is gone.
func (t *tx) dropRegisters(below cairn.Stamp) error {
	reg := t.soft.registry.clone()
	for id, records := range reg.records {
		settled, _ := slices.BinarySearchFunc(records, below, byStamp)
		base := current(records[:settled], t.soft.truth)
		if base >= 0 && isGone(records[base].Body) {
			base = -1
		}
		var kept []pack.Record
		for i, rec := range records {
			if i >= settled || i == base {
				kept = append(kept, rec)
				continue
			}
			if err := t.del(registerKey(id.family, id.id, rec.Stamp)); err != nil {
				return err
			}
		}
		if len(kept) == 0 {
			delete(reg.records, id)
			continue
		}
		reg.records[id] = kept
	}
	t.soft.registry, t.rewrites = reg, true
	return nil
}

func isGone(b pack.Body) bool {
	switch b.(type) {
	case pack.BucketGone, pack.AccessGone, pack.NodeGone:
		return true
	}
	return false
}

// dropRetired forgets retired records below that are void, or whose pack has
// been dropped.
func (t *tx) dropRetired(below cairn.Stamp) error {
	return eachKey(t.b, []byte{tableRetired}, func(key []byte) error {
		if len(key) != 17 {
			return badRow(key)
		}
		id := cairn.PackID(key[1:])
		stamps, err := readRetired(t.b, id)
		if err != nil {
			return err
		}
		_, known, err := get(t.b, packKey(tablePack, id))
		if err != nil {
			return err
		}
		had := len(stamps)
		stamps = slices.DeleteFunc(stamps, func(s cairn.Stamp) bool {
			return s.Compare(below) < 0 && (!known || !t.soft.truth.counts(s))
		})
		switch len(stamps) {
		case had:
			return nil
		case 0:
			return t.del(key)
		}
		return t.set(key, joinStamps(stamps))
	})
}

// dropCarried forgets records of unknown kinds below that are void.
func (t *tx) dropCarried(below cairn.Stamp) error {
	return eachKey(t.b, []byte{tableCarried}, func(key []byte) error {
		if len(key) != 1+stampSize {
			return badRow(key)
		}
		if s := stampAt(key[1:]); s.Compare(below) >= 0 || t.soft.truth.counts(s) {
			return nil
		}
		return t.del(key)
	})
}

// dropVoids forgets voids below. What they take back is gone by now.
func (t *tx) dropVoids(below cairn.Stamp) error {
	next := t.soft.truth.clone()
	for of, by := range next.voids {
		left := slices.DeleteFunc(slices.Clone(by), func(s cairn.Stamp) bool { return s.Compare(below) < 0 })
		for _, s := range by {
			if slices.Contains(left, s) {
				continue
			}
			if err := t.del(voidKey(of, s)); err != nil {
				return err
			}
		}
		if next.voids[of] = left; len(left) == 0 {
			delete(next.voids, of)
		}
	}
	t.soft.truth = next
	return nil
}

func readFloor(r pebble.Reader) (cairn.Stamp, error) {
	b, ok, err := get(r, []byte(floorKey))
	if err != nil || !ok {
		return cairn.Stamp{}, err
	}
	if len(b) != stampSize {
		return cairn.Stamp{}, badRow([]byte(floorKey))
	}
	return stampAt(b), nil
}
