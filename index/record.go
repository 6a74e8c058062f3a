package index

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

func (x *Index) registry() *registry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.soft.registry
}

// BucketByName returns the bucket of that name, or ErrNotExist.
func (x *Index) BucketByName(name string) (pack.Bucket, error) {
	r := x.registry()
	id, ok := r.names[name]
	if !ok {
		return pack.Bucket{}, fmt.Errorf("bucket %q: %w", name, cairn.ErrNotExist)
	}
	return cloneBucket(r.buckets[id]), nil
}

// Bucket returns the bucket with that id, or ErrNotExist.
func (x *Index) Bucket(id uint64) (pack.Bucket, error) {
	b, ok := x.registry().buckets[id]
	if !ok {
		return pack.Bucket{}, fmt.Errorf("bucket %d: %w", id, cairn.ErrNotExist)
	}
	return cloneBucket(b), nil
}

// Buckets returns all buckets that BucketByName finds, by name.
func (x *Index) Buckets() ([]pack.Bucket, error) {
	r := x.registry()
	all := make([]pack.Bucket, 0, len(r.names))
	for _, id := range r.names {
		all = append(all, cloneBucket(r.buckets[id]))
	}
	slices.SortFunc(all, func(a, b pack.Bucket) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// BucketEmpty tells whether no object is in the bucket with that id.
func (x *Index) BucketEmpty(id uint64) (bool, error) {
	if !x.users.enter() {
		return false, errClosed()
	}
	defer x.users.leave()
	p := bucketKey(tableLive, id)
	return none(x.db, p, after(p))
}

// Access returns the access key with that id, or ErrNotExist.
func (x *Index) Access(id string) (pack.Access, error) {
	a, ok := x.registry().accesses[id]
	if !ok {
		return pack.Access{}, fmt.Errorf("access key: %w", cairn.ErrNotExist)
	}
	return cloneAccess(a), nil
}

// Accesses returns all access keys, by id.
func (x *Index) Accesses() ([]pack.Access, error) {
	var all []pack.Access
	for _, a := range x.registry().accesses {
		all = append(all, cloneAccess(a))
	}
	slices.SortFunc(all, func(a, b pack.Access) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Node returns the node with that id, or ErrNotExist.
func (x *Index) Node(id cairn.NodeID) (pack.Node, error) {
	n, ok := x.registry().nodes[id]
	if !ok {
		return pack.Node{}, fmt.Errorf("node %v: %w", id, cairn.ErrNotExist)
	}
	return cloneNode(n), nil
}

// Nodes returns all nodes, by name, then id.
func (x *Index) Nodes() ([]pack.Node, error) {
	var all []pack.Node
	for _, n := range x.registry().nodes {
		all = append(all, cloneNode(n))
	}
	slices.SortFunc(all, func(a, b pack.Node) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return all, nil
}

// Setting returns the value of a setting of the store; false when it was never
// set.
func (x *Index) Setting(name string) (string, bool, error) {
	v, ok := x.registry().settings[name]
	return v, ok, nil
}

// Carried gives the records of kinds that this release does not know, in order
// of stamp, for whoever writes records anew: they are carried along.
func (x *Index) Carried() iter.Seq2[pack.Record, error] {
	return func(yield func(pack.Record, error) bool) {
		x.mu.RLock()
		truth := x.soft.truth
		x.mu.RUnlock()
		x.rows([]byte{tableCarried}, nil, func(_, v []byte) (bool, error) {
			rec, err := pack.ParseRecord(v)
			if err != nil {
				return false, fmt.Errorf("index: carried record: %w", err)
			}
			return !truth.counts(rec.Stamp) || yield(rec, nil), nil
		}, func(err error) { yield(pack.Record{}, err) })
	}
}

// rows walks over the rows that begin with prefix, from key from on (nil for
// all), as one moment has them, until row wants no more. An error is handed to
// failed, once and last.
func (x *Index) rows(prefix, from []byte, row func(k, v []byte) (more bool, err error), failed func(error)) {
	if !x.users.enter() {
		failed(errClosed())
		return
	}
	defer x.users.leave()
	bounds := within(prefix)
	if from != nil {
		bounds.LowerBound = from
	}
	it, err := x.db.NewIter(bounds)
	if err != nil {
		failed(fmt.Errorf("index: read: %w", classed(err)))
		return
	}
	closed := false
	defer func() {
		if !closed { // row panicked
			_ = it.Close()
		}
	}()
	enough := false
	for ok := it.First(); ok && !enough && err == nil; {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		var more bool
		if more, err = row(it.Key(), v); err != nil {
			break
		}
		if enough = !more; more {
			ok = it.Next()
		}
	}
	closed = true
	if err = closeIter(it, err); err != nil && !enough {
		failed(err)
	}
}

func cloneBucket(b pack.Bucket) pack.Bucket {
	b.Setting = maps.Clone(b.Setting)
	return b
}

func cloneAccess(a pack.Access) pack.Access {
	a.Secret, a.Grants = bytes.Clone(a.Secret), slices.Clone(a.Grants)
	return a
}

func cloneNode(n pack.Node) pack.Node {
	n.Credential, n.Option = bytes.Clone(n.Credential), maps.Clone(n.Option)
	return n
}

// errUnhandled is for a body that this package was not told about.
func errUnhandled(r pack.Record) error {
	return fmt.Errorf("kind %d is not handled here: %w", r.Body.Kind(), cairn.ErrInvalid)
}
