package index

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// Families of registers.
const (
	familyBucket  = 'b'
	familyAccess  = 'a'
	familyNode    = 'n'
	familySetting = 's'
)

type registerID struct {
	family byte
	id     string
}

// registry holds the small state: every record about a bucket, access key,
// node or setting, and what follows from them. It is not changed once it is
// shared.
type registry struct {
	records map[registerID][]pack.Record // rising

	buckets  map[uint64]pack.Bucket
	names    map[string]uint64 // of buckets
	accesses map[string]pack.Access
	nodes    map[cairn.NodeID]pack.Node
	settings map[string]string
}

func (r *registry) clone() *registry { return &registry{records: maps.Clone(r.records)} }

// registerOf is the register that a body sets; ok is false for other bodies.
func registerOf(b pack.Body) (id registerID, ok bool) {
	number := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	switch b := b.(type) {
	case pack.Bucket:
		return registerID{familyBucket, number(b.ID)}, true
	case pack.BucketGone:
		return registerID{familyBucket, number(b.ID)}, true
	case pack.Access:
		return registerID{familyAccess, b.ID}, true
	case pack.AccessGone:
		return registerID{familyAccess, b.ID}, true
	case pack.Node:
		return registerID{familyNode, string(b.ID[:])}, true
	case pack.NodeGone:
		return registerID{familyNode, string(b.ID[:])}, true
	case pack.Setting:
		return registerID{familySetting, b.Name}, true
	}
	return registerID{}, false
}

func byStamp(a pack.Record, s cairn.Stamp) int { return a.Stamp.Compare(s) }

// add returns false when the record was there.
func (r *registry) add(id registerID, rec pack.Record) bool {
	have := r.records[id]
	i, found := slices.BinarySearchFunc(have, rec.Stamp, byStamp)
	if found {
		return false
	}
	r.records[id] = slices.Insert(slices.Clone(have), i, rec)
	return true
}

// current is the index of the highest record that counts, or -1.
func current(records []pack.Record, t *truth) int {
	for i := len(records) - 1; i >= 0; i-- {
		if t.counts(records[i].Stamp) {
			return i
		}
	}
	return -1
}

// resolve works out what follows from the records.
func (r *registry) resolve(t *truth) {
	r.buckets, r.names = map[uint64]pack.Bucket{}, map[string]uint64{}
	r.accesses, r.nodes, r.settings = map[string]pack.Access{}, map[cairn.NodeID]pack.Node{}, map[string]string{}
	named := map[string]cairn.Stamp{}
	for _, records := range r.records {
		i := current(records, t)
		if i < 0 {
			continue
		}
		switch b := records[i].Body.(type) {
		case pack.Bucket:
			r.buckets[b.ID] = b
			// Two of one name meet only while the removal of the older one
			// has not been replayed yet.
			if s := records[i].Stamp; s.Compare(named[b.Name]) > 0 {
				named[b.Name], r.names[b.Name] = s, b.ID
			}
		case pack.Access:
			r.accesses[b.ID] = b
		case pack.Node:
			r.nodes[b.ID] = b
		case pack.Setting:
			r.settings[b.Name] = b.Value
		}
	}
}

// register applies a record about a register.
func (t *tx) register(rec pack.Record) error {
	id, ok := registerOf(rec.Body)
	if !ok {
		return errUnhandled(rec)
	}
	if !t.rewrites {
		t.soft.registry, t.rewrites = t.soft.registry.clone(), true
	}
	if !t.soft.registry.add(id, rec) {
		return nil
	}
	return t.set(registerKey(id.family, id.id, rec.Stamp), rec.AppendTo(nil))
}

func readRegistry(r pebble.Reader, t *truth) (*registry, error) {
	reg := &registry{records: map[registerID][]pack.Record{}}
	err := scan(r, []byte{tableRegister}, func(k, v []byte) error {
		rec, err := pack.ParseRecord(v)
		if err != nil {
			return err
		}
		id, ok := registerOf(rec.Body)
		if !ok || !slices.Equal(k, registerKey(id.family, id.id, rec.Stamp)) {
			return badRow(k)
		}
		reg.records[id] = append(reg.records[id], rec) // keys of one id are in order of stamp
		return nil
	})
	reg.resolve(t)
	return reg, err
}
