package index

import (
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// turn notes that rows are about upload id from here on. There may be something
// to forget of it, which the next DropTombstones finds out.
func (l *loader) turn(id pack.UploadID) (is bool, err error) {
	if id == l.upload {
		return false, nil
	}
	l.upload = id
	return true, l.set(uploadPrefix(tableLoose, id), nil)
}

// counted is value as tableEnd and tableUpload have it.
func (l *loader) counted(s cairn.Stamp, value []byte) []byte {
	return append([]byte{countsByte(l.truth.counts(s))}, value...)
}

// ended takes a record that ended an upload.
func (l *loader) ended(key, value []byte) error {
	id, s, err := parseUploadKey(key)
	if err != nil {
		return err
	}
	if checkUploadID(id) != nil {
		return badRow(key)
	}
	row := l.counted(s, value)
	e, err := parseEnded(key, row)
	if err != nil {
		return err
	}
	if e.done {
		if checkKey(e.k) != nil {
			return badRow(key)
		}
		if _, err := decodeHead(e.k, e.head); err != nil {
			return err
		}
	}
	if _, err := l.turn(id); err != nil {
		return err
	}
	return l.set(key, row)
}

// began takes a record that began an upload.
func (l *loader) began(key, value []byte) error {
	id, s, err := parseUploadKey(key)
	if err != nil {
		return err
	}
	row := l.counted(s, value)
	if _, err := parseBegan(key, row); err != nil {
		return err
	}
	if _, err := l.turn(id); err != nil {
		return err
	}
	return l.set(key, row)
}

// part takes the current part of a name, with its references where the upload
// has not ended.
func (l *loader) part(key, value []byte) error {
	p, err := parsePart(key, value)
	if err != nil {
		return err
	}
	if err := checkPartFact(key, p, len(value)-stampSize); err != nil {
		return err
	}
	is, err := l.turn(p.upload)
	if err != nil {
		return err
	}
	if is {
		ends, err := readEnded(l.x.db, p.upload)
		if err != nil {
			return err
		}
		l.over = anyCounts(ends)
	}
	if err := l.set(key, value); err != nil || l.over {
		return err
	}
	packs, err := p.packs(l.x.db)
	if err != nil {
		return err
	}
	return l.refer(packs, p.stamp, refPartRow(p))
}

// past takes a displaced part.
func (l *loader) past(key, value []byte) error {
	p, err := parsePast(key, value)
	if err != nil {
		return err
	}
	if err := checkPartFact(key, p, len(value)); err != nil {
		return err
	}
	if _, err := l.turn(p.upload); err != nil {
		return err
	}
	return l.set(key, value)
}

// checkPartFact checks p, whose head and where took size bytes.
func checkPartFact(key []byte, p *partFact, size int) error {
	if !shortest(p.head, p.where, size) || checkUploadID(p.upload) != nil || p.number == 0 || p.number > pack.MaxPartNumber {
		return badRow(key)
	}
	if _, err := p.read(); err != nil {
		return err
	}
	if err := checkWhere(key, p.where); err != nil {
		return err
	}
	return checkInline(p.where)
}

// list writes the rows of tableListed, upload by upload.
func (l *loader) list() error {
	var all []began // of one upload
	flush := func() error {
		u, known := newest(all)
		if !known {
			return nil
		}
		ends, err := readEnded(l.x.db, u.ID)
		if err != nil || anyCounts(ends) {
			return err
		}
		if err := l.set(listedKey(u), listedRow(u)); err != nil || l.b.Len() < loadBatch {
			return err
		}
		return l.commit()
	}
	err := scan(l.x.db, []byte{tableUpload}, func(k, v []byte) error {
		b, err := parseBegan(k, v)
		if err != nil {
			return err
		}
		if len(all) > 0 && all[0].ID != b.ID {
			if err := flush(); err != nil {
				return err
			}
			all = all[:0]
		}
		all = append(slices.Clip(all), b)
		return nil
	})
	if err == nil && len(all) > 0 {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("uploads: %w", err)
	}
	return nil
}
