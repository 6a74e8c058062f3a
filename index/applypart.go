package index

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// addPart adds an uploaded part. resolved is its content where the record has
// a list. The cost is that of the part, however many its upload has.
func (t *tx) addPart(s cairn.Stamp, p pack.UploadPart, resolved []pack.Part) error {
	parts := p.Parts
	if p.List != nil {
		parts = resolved
	}
	if err := checkUploaded(p, parts); err != nil {
		return err
	}
	next := &partFact{partName: partName{p.Upload, p.Number}, stamp: s, head: encodePartHead(p)}
	cur, err := readPart(t.b, next.partName)
	if err != nil || cur != nil && cur.stamp == s {
		return err
	}
	if _, known, err := get(t.b, next.pastKey()); err != nil || known {
		return err
	}
	var long []byte
	next.where, long = encodeWhere(parts, p.List)
	if err := t.setExtents(next.long(), s, long); err != nil {
		return err
	}
	if !t.soft.truth.counts(s) || cur != nil && cur.stamp.Compare(s) > 0 {
		return t.displacePart(next)
	}
	_, known, over, err := uploadState(t.b, p.Upload)
	if err != nil {
		return err
	}
	if !known {
		if err := t.loosen(p.Upload); err != nil {
			return err
		}
	}
	if cur != nil {
		if !over {
			if err := t.unlinkPart(cur); err != nil {
				return err
			}
		}
		if err := t.displacePart(cur); err != nil {
			return err
		}
	}
	if err := t.set(next.key(tablePart), next.row()); err != nil || over {
		return err
	}
	return t.linkPart(next, packsOf(parts, p.List))
}

// displacePart keeps p, which is not current.
func (t *tx) displacePart(p *partFact) error {
	if err := t.loosen(p.upload); err != nil {
		return err
	}
	return t.set(p.pastKey(), p.pastRow())
}

// linkPart gives p, a current part that lies in packs, its references.
func (t *tx) linkPart(p *partFact, packs []cairn.PackID) error {
	if err := t.retiredBefore(packs, p.stamp); err != nil {
		return err
	}
	return t.referPart(p, packs)
}

// unlinkPart takes the references of p away.
func (t *tx) unlinkPart(p *partFact) error {
	packs, err := p.packs(t.b)
	if err != nil {
		return err
	}
	for _, id := range packs {
		if err := t.del(refKey(id, p.stamp)); err != nil {
			return err
		}
	}
	return nil
}

func checkUploadID(id pack.UploadID) error {
	if id == (pack.UploadID{}) {
		return fmt.Errorf("upload without an id: %w", cairn.ErrInvalid)
	}
	return nil
}

func checkUploaded(p pack.UploadPart, parts []pack.Part) error {
	if err := checkUploadID(p.Upload); err != nil {
		return err
	}
	if p.Number == 0 || p.Number > pack.MaxPartNumber {
		return fmt.Errorf("uploaded part number %d is not from 1 to %d: %w", p.Number, pack.MaxPartNumber, cairn.ErrInvalid)
	}
	if len(parts) != 1 || parts[0].Size != p.Size {
		return fmt.Errorf("uploaded part %d of %d bytes is not one content of its size: %w", p.Number, p.Size, cairn.ErrInvalid)
	}
	return nil
}
