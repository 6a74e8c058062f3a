package index

import (
	"encoding/binary"
	"iter"

	"github.com/cairn-storage/cairn"
)

// Ref says that a version of an object lies, in part or whole, in a pack.
type Ref struct {
	Pack   cairn.PackID
	Bucket uint64
	Key    string
	Stamp  cairn.Stamp // of the version
}

// refer writes the references of f, the live version of k: one row per pack.
// The record that placed it there stands first in the row.
func (t *tx) refer(k objectKey, f *fact, packs []cairn.PackID) error {
	row := appendStamp(make([]byte, 0, stampSize+8+len(k.key)), f.record)
	row = append(binary.BigEndian.AppendUint64(row, k.bucket), k.key...)
	for _, id := range packs {
		if err := t.set(refKey(id, f.version), row); err != nil {
			return err
		}
	}
	return nil
}

// Refs gives every live version that lies in the pack, in order of stamp. A
// copy is a version of its own and refers on its own account.
func (x *Index) Refs(id cairn.PackID) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		x.rows(packKey(tableRef, id), nil, func(k, v []byte) (bool, error) {
			if len(k) != 17+stampSize || len(v) < stampSize+8 {
				return false, badRow(k)
			}
			v = v[stampSize:]
			return yield(Ref{
				Pack: id, Stamp: stampAt(k[17:]),
				Bucket: binary.BigEndian.Uint64(v), Key: string(v[8:]),
			}, nil), nil
		}, func(err error) { yield(Ref{}, err) })
	}
}

// Referenced tells whether any live version lies in the pack. A pack without
// a reference may still be pinned by a reader or a write under way, which the
// index does not know.
func (x *Index) Referenced(id cairn.PackID) (bool, error) {
	if !x.users.enter() {
		return false, errClosed()
	}
	defer x.users.leave()
	prefix := packKey(tableRef, id)
	free, err := none(x.db, prefix, after(prefix))
	return err == nil && !free, err
}
