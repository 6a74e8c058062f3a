package index

import (
	"encoding/binary"
	"iter"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Ref says that a version of an object, or an uploaded part, lies in part or
// whole in a pack. Of the first it has Bucket and Key, of the second Upload and
// Part, which is then not 0.
type Ref struct {
	Pack   cairn.PackID
	Bucket uint64
	Key    string
	Upload pack.UploadID
	Part   uint16      // its number
	Stamp  cairn.Stamp // of the version or part
}

// What a row of tableRef is of.
const (
	refVersion = 1
	refPart    = 2
)

// refer writes the references of f, the live version of k: one row per pack.
// The record that placed it there stands first in the row.
func (t *tx) refer(k objectKey, f *fact, packs []cairn.PackID) error {
	return t.setRefs(packs, f.version, refRow(k, f))
}

func refRow(k objectKey, f *fact) []byte {
	row := append(appendStamp(make([]byte, 0, stampSize+9+len(k.key)), f.record), refVersion)
	return append(binary.BigEndian.AppendUint64(row, k.bucket), k.key...)
}

// referPart writes the references of p, a current part of an upload that has
// not ended.
func (t *tx) referPart(p *partFact, packs []cairn.PackID) error {
	return t.setRefs(packs, p.stamp, refPartRow(p))
}

func refPartRow(p *partFact) []byte {
	return p.appendTo(append(appendStamp(make([]byte, 0, stampSize+1+partNameSize), p.stamp), refPart))
}

func (t *tx) setRefs(packs []cairn.PackID, version cairn.Stamp, row []byte) error {
	for _, id := range packs {
		if err := t.set(refKey(id, version), row); err != nil {
			return err
		}
	}
	return nil
}

func parseRef(key, row []byte) (Ref, error) {
	if len(key) != 17+stampSize || len(row) <= stampSize {
		return Ref{}, badRow(key)
	}
	r := Ref{Pack: cairn.PackID(key[1:17]), Stamp: stampAt(key[17:])}
	switch of := row[stampSize+1:]; {
	case row[stampSize] == refVersion && len(of) > 8:
		r.Bucket, r.Key = binary.BigEndian.Uint64(of), string(of[8:])
	case row[stampSize] == refPart && len(of) == partNameSize:
		r.Upload, r.Part = pack.UploadID(of), binary.BigEndian.Uint16(of[uploadIDSize:])
	default:
		return Ref{}, badRow(key)
	}
	return r, nil
}

// Refs gives every live version and every current part of an upload that has
// not ended that lies in the pack, in order of stamp. A copy is a version of
// its own and refers on its own account.
func (x *Index) Refs(id cairn.PackID) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		x.rows(packKey(tableRef, id), nil, func(k, v []byte) (bool, error) {
			r, err := parseRef(k, v)
			return err == nil && yield(r, nil), err
		}, func(err error) { yield(Ref{}, err) })
	}
}

// Referenced tells whether Refs gives any for the pack. A pack without
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
