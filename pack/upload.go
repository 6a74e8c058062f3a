package pack

import (
	"encoding/hex"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

// UploadID names one multipart upload. It is random, so that an upload of the
// same key begun later is another.
type UploadID [16]byte

// String is 32 hex digits.
func (id UploadID) String() string { return hex.EncodeToString(id[:]) }

// MaxPartNumber is the highest number of an uploaded part; the lowest is 1.
const MaxPartNumber = maxParts

// readUploadID refuses zero, which stands for no upload.
func readUploadID(r *wire.Reader) (id UploadID) {
	if r.Raw(id[:]); r.Err() == nil && id == (UploadID{}) {
		r.Fail("upload id is zero")
	}
	return id
}

// Upload begins a multipart upload.
type Upload struct {
	ID      UploadID
	Bucket  uint64 // bucket id
	Key     string
	Created uint64 // Unix milliseconds
	// Header and Meta are those of the object to be.
	Header map[string]string
	Meta   map[string]string
	// Algorithm is that of the parts' checksums, empty for none; FullObject says
	// that the object's checksum is of its bytes, not of its parts' checksums.
	Algorithm  string
	FullObject bool
}

// Kind is KindUpload.
func (Upload) Kind() RecordKind { return KindUpload }

func (u Upload) encode(w *wire.Writer) {
	w.Raw(u.ID[:])
	w.U64(u.Bucket)
	w.String(u.Key)
	w.U64(u.Created)
	w.Map(u.Header)
	w.Map(u.Meta)
	w.String(u.Algorithm)
	w.Bool(u.FullObject)
}

func readUpload(r *wire.Reader) (u Upload) {
	u.ID = readUploadID(r)
	u.Bucket, u.Key, u.Created = r.U64(), readKey(r), r.U64()
	u.Header = r.Map(maxHeaders, maxText)
	u.Meta = r.Map(maxHeaders, maxText)
	u.Algorithm, u.FullObject = r.String(maxName), r.Bool()
	return u
}

// UploadPart is one part of an upload. Of several with one number the one with
// the highest stamp counts.
type UploadPart struct {
	Upload   UploadID
	Number   uint16 // 1 to MaxPartNumber
	Size     uint64
	Modified uint64 // Unix milliseconds
	ETag     string
	Checksum []cairn.Checksum
	// Parts is the one content that the part is, also where it has no bytes;
	// List is as in Put.
	Parts []Part
	List  *Part
}

// Kind is KindUploadPart.
func (UploadPart) Kind() RecordKind { return KindUploadPart }

func (p UploadPart) encode(w *wire.Writer) {
	w.Raw(p.Upload[:])
	w.Uvarint(uint64(p.Number))
	w.Uvarint(p.Size)
	w.U64(p.Modified)
	w.String(p.ETag)
	writeChecksums(w, p.Checksum)
	writeWhere(w, p.Parts, p.List)
}

func readUploadPart(r *wire.Reader) (p UploadPart) {
	p.Upload = readUploadID(r)
	p.Number = uint16(r.Uvarint(MaxPartNumber))
	p.Size, p.Modified, p.ETag = r.Uvarint(1<<62), r.U64(), r.String(maxName)
	p.Checksum = readChecksums(r)
	p.Parts, p.List = readWhere(r)
	switch {
	case r.Err() != nil:
	case p.Number == 0:
		r.Fail("part number is 0")
	case p.List == nil && (len(p.Parts) != 1 || p.Parts[0].Size != p.Size):
		r.Fail("an uploaded part is one content of its size")
	}
	return p
}

// UploadDone makes a version of an object from parts of an upload, and ends the
// upload: parts that Put does not name are dropped.
type UploadDone struct {
	Upload UploadID
	Put    Put
}

// Kind is KindUploadDone.
func (UploadDone) Kind() RecordKind { return KindUploadDone }

func (d UploadDone) encode(w *wire.Writer) { w.Raw(d.Upload[:]); d.Put.encode(w) }

func readUploadDone(r *wire.Reader) UploadDone {
	return UploadDone{Upload: readUploadID(r), Put: readPut(r)}
}

// UploadGone ends an upload that became nothing: it was aborted or expired.
type UploadGone struct{ Upload UploadID }

// Kind is KindUploadGone.
func (UploadGone) Kind() RecordKind        { return KindUploadGone }
func (g UploadGone) encode(w *wire.Writer) { w.Raw(g.Upload[:]) }

func readUploadGone(r *wire.Reader) UploadGone { return UploadGone{Upload: readUploadID(r)} }

func writeChecksums(w *wire.Writer, sums []cairn.Checksum) {
	w.Uvarint(uint64(len(sums)))
	for _, c := range sums {
		w.String(c.Algorithm)
		w.String(c.Value)
	}
}

func readChecksums(r *wire.Reader) (sums []cairn.Checksum) {
	for range r.Uvarint(maxSums) {
		sums = append(sums, cairn.Checksum{Algorithm: r.String(maxName), Value: r.String(maxName)})
	}
	return sums
}
