package index

import (
	"encoding/binary"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

const uploadIDSize = len(pack.UploadID{})

// What tableUpload and tableEnd hold says in its first byte whether it counts.
// So one look at the rows of one moment tells what is in progress, without
// asking lives and voids, which are shown to readers a moment later.
const (
	rowVoid   = 0
	rowCounts = 1
)

// began is a record that began an upload.
type began struct {
	counts bool
	Upload
}

// ended is a record that ended an upload.
type ended struct {
	counts bool
	stamp  cairn.Stamp
	done   bool // head is of the version k that it became
	k      objectKey
	head   []byte // encodeHead
}

func uploadPrefix(table byte, id pack.UploadID) []byte {
	b := make([]byte, 0, 1+uploadIDSize+2+stampSize)
	return append(append(b, table), id[:]...)
}

func uploadKey(table byte, id pack.UploadID, s cairn.Stamp) []byte {
	return appendStamp(uploadPrefix(table, id), s)
}

// parseUploadKey reads a key of tableUpload or tableEnd.
func parseUploadKey(b []byte) (id pack.UploadID, s cairn.Stamp, err error) {
	if len(b) != 1+uploadIDSize+stampSize {
		return id, s, badRow(b)
	}
	return pack.UploadID(b[1:]), stampAt(b[1+uploadIDSize:]), nil
}

func countsByte(counts bool) byte {
	if counts {
		return rowCounts
	}
	return rowVoid
}

func parseCounts(key, row []byte) (bool, error) {
	if len(row) == 0 || row[0] > rowCounts {
		return false, badRow(key)
	}
	return row[0] == rowCounts, nil
}

func parseBegan(key, row []byte) (began, error) {
	counts, err := parseCounts(key, row)
	if err != nil {
		return began{}, err
	}
	rec, err := pack.ParseRecord(row[1:])
	if err != nil {
		return began{}, err
	}
	u, ok := rec.Body.(pack.Upload)
	if !ok || !slices.Equal(key, uploadKey(tableUpload, u.ID, rec.Stamp)) {
		return began{}, badRow(key)
	}
	return began{counts, Upload{Stamp: rec.Stamp, Upload: u}}, nil
}

// endRow is the row of an end: with p, of the version that was made of the
// upload.
func endRow(counts bool, p *pack.Put) []byte {
	w := wire.Writer{B: []byte{countsByte(counts)}}
	w.Bool(p != nil)
	if p != nil {
		w.U64(p.Bucket)
		w.String(p.Key)
		w.Raw(encodeHead(*p))
	}
	return w.B
}

func parseEnded(key, row []byte) (ended, error) {
	e := ended{}
	var err error
	if _, e.stamp, err = parseUploadKey(key); err != nil {
		return e, err
	}
	if e.counts, err = parseCounts(key, row); err != nil {
		return e, err
	}
	r := wire.NewReader(row[1:])
	if e.done = r.Bool(); e.done {
		e.k = objectKey{r.U64(), r.String(cairn.MaxKeyLength)}
		e.head = slices.Clone(row[len(row)-r.Len():])
		return e, r.Err()
	}
	return e, r.Done()
}

// readBegan returns all records that began an upload, rising: there is one.
func readBegan(r pebble.Reader, id pack.UploadID) (all []began, err error) {
	err = scan(r, uploadPrefix(tableUpload, id), func(k, v []byte) error {
		b, err := parseBegan(k, v)
		all = append(all, b)
		return err
	})
	return all, err
}

// readEnded returns all records that ended an upload, rising.
func readEnded(r pebble.Reader, id pack.UploadID) (all []ended, err error) {
	err = scan(r, uploadPrefix(tableEnd, id), func(k, v []byte) error {
		e, err := parseEnded(k, v)
		all = append(all, e)
		return err
	})
	return all, err
}

// newest is the highest record that counts of those that began an upload.
func newest(all []began) (Upload, bool) {
	for _, b := range slices.Backward(all) {
		if b.counts {
			return b.Upload, true
		}
	}
	return Upload{}, false
}

func anyCounts(all []ended) bool {
	return slices.ContainsFunc(all, func(e ended) bool { return e.counts })
}

// uploadState tells whether a record that began the upload is known and counts,
// and whether one that ended it does.
func uploadState(r pebble.Reader, id pack.UploadID) (is Upload, known, over bool, err error) {
	ends, err := readEnded(r, id)
	if err != nil {
		return is, false, false, err
	}
	begins, err := readBegan(r, id)
	is, known = newest(begins)
	return is, known, anyCounts(ends), err
}

// Keys of tableListed are in S3's order: by object key, then age. What follows
// the object key must not disturb that order, so the key is escaped: a byte 0
// in it is 0 255, its end is 0 1.

// listedPrefix begins the keys of every upload whose object key begins with
// prefix.
func listedPrefix(bucket uint64, prefix string) []byte {
	b := binary.BigEndian.AppendUint64([]byte{tableListed}, bucket)
	for i := range len(prefix) {
		if b = append(b, prefix[i]); prefix[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return b
}

func listedOf(bucket uint64, key string) []byte { return append(listedPrefix(bucket, key), 0, 1) }

func listedKey(u Upload) []byte {
	return append(appendStamp(listedOf(u.Bucket, u.Key), u.Stamp), u.ID[:]...)
}

// listedRow is what a listing shows of an upload besides.
func listedRow(u Upload) []byte {
	var w wire.Writer
	w.U64(u.Created)
	w.String(u.Algorithm)
	w.Bool(u.FullObject)
	return w.B
}

// parseListedKey reads all that the key of a row of tableListed tells.
func parseListedKey(b []byte) (u Upload, err error) {
	const head = 1 + 8
	tail := len(b) - stampSize - uploadIDSize
	if tail < head+2 {
		return u, badRow(b)
	}
	u.Bucket = binary.BigEndian.Uint64(b[1:])
	u.Stamp, u.ID = stampAt(b[tail:]), pack.UploadID(b[tail+stampSize:])
	key := make([]byte, 0, tail-head)
	for name := b[head : tail-2]; len(name) > 0; name = name[1:] {
		if key = append(key, name[0]); name[0] != 0 {
			continue
		}
		if name = name[1:]; len(name) == 0 || name[0] != 0xff {
			return u, badRow(b)
		}
	}
	if b[tail-2] != 0 || b[tail-1] != 1 {
		return u, badRow(b)
	}
	u.Key = string(key)
	return u, nil
}

func parseListed(key, row []byte) (Upload, error) {
	u, err := parseListedKey(key)
	if err != nil {
		return u, err
	}
	r := wire.NewReader(row)
	u.Created, u.Algorithm, u.FullObject = r.U64(), r.String(maxField), r.Bool()
	if r.Done() != nil {
		return u, badRow(key)
	}
	return u, nil
}
