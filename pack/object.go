package pack

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Field limits, bytes unless said.
const (
	maxName    = 255
	maxText    = 8 << 10
	maxHeaders = 64 // entries
	maxParts   = 10_000
	maxExtents = 1 << 24
	maxSums    = 8
	// InlineExtents is the most bytes of encoded parts that a record carries
	// itself; a longer list is stored as frames that the record names.
	InlineExtents = 4 << 10
)

// Extent is a run of whole frames of one content: Length bytes of plaintext
// whose sealed frames lie contiguously from Offset of Pack. Within a content
// every extent but the last holds a multiple of FrameSize.
type Extent struct {
	Pack   cairn.PackID
	Offset uint32 // of the first sealed frame in the pack
	Length uint64 // bytes of plaintext
}

// Part is one content: the plaintext of one PUT or of one uploaded part. An
// object is its parts in order.
type Part struct {
	ID      crypt.ContentID
	Size    uint64
	Extents []Extent
}

// Put makes a version of an object. Either Parts holds the parts, or, where
// their encoding passes InlineExtents, List is a content whose plaintext is
// that encoding (see AppendParts).
type Put struct {
	Bucket   uint64 // bucket id
	Key      string
	Size     uint64
	Modified uint64 // Unix milliseconds
	ETag     string
	Header   map[string]string
	Meta     map[string]string
	Checksum []cairn.Checksum
	Parts    []Part
	List     *Part
}

// Kind is KindPut.
func (Put) Kind() RecordKind { return KindPut }

func (p Put) encode(w *wire.Writer) {
	w.U64(p.Bucket)
	w.String(p.Key)
	w.Uvarint(p.Size)
	w.U64(p.Modified)
	w.String(p.ETag)
	w.Map(p.Header)
	w.Map(p.Meta)
	writeChecksums(w, p.Checksum)
	writeWhere(w, p.Parts, p.List)
}

func readPut(r *wire.Reader) Put {
	p := Put{Bucket: r.U64(), Key: readKey(r), Size: r.Uvarint(1 << 62), Modified: r.U64(), ETag: r.String(maxName)}
	p.Header = r.Map(maxHeaders, maxText)
	p.Meta = r.Map(maxHeaders, maxText)
	p.Checksum = readChecksums(r)
	p.Parts, p.List = readWhere(r)
	if r.Err() == nil && p.List == nil && sum(p.Parts) != p.Size {
		r.Fail("object size differs from its parts")
	}
	return p
}

func sum(parts []Part) (n uint64) {
	for _, p := range parts {
		n += p.Size
	}
	return n
}

func readKey(r *wire.Reader) string {
	k := r.String(cairn.MaxKeyLength)
	if k == "" {
		r.Fail("object key is empty")
	}
	return k
}

func writeWhere(w *wire.Writer, parts []Part, list *Part) {
	w.Bool(list != nil)
	if list != nil {
		writePart(w, *list)
		return
	}
	w.B = AppendParts(w.B, parts)
}

func readWhere(r *wire.Reader) ([]Part, *Part) {
	if r.Bool() {
		p := readPart(r)
		return nil, &p
	}
	return readParts(r), nil
}

// AppendParts appends the encoding of an object's parts to b: in a record, or
// as the plaintext of the content that a record's List names.
func AppendParts(b []byte, parts []Part) []byte {
	w := wire.Writer{B: b}
	w.Uvarint(uint64(len(parts)))
	for _, p := range parts {
		writePart(&w, p)
	}
	return w.B
}

// ParseParts is the exact inverse of AppendParts.
func ParseParts(b []byte) ([]Part, error) {
	r := wire.NewReader(b)
	parts := readParts(r)
	return parts, r.Done()
}

func readParts(r *wire.Reader) []Part {
	var parts []Part
	for range r.Uvarint(maxParts) {
		if r.Err() != nil {
			return nil
		}
		parts = append(parts, readPart(r))
	}
	return parts
}

func writePart(w *wire.Writer, p Part) {
	w.Raw(p.ID[:])
	w.Uvarint(p.Size)
	w.Uvarint(uint64(len(p.Extents)))
	for _, e := range p.Extents {
		w.Raw(e.Pack[:])
		w.Uvarint(uint64(e.Offset))
		w.Uvarint(e.Length)
	}
}

func readPart(r *wire.Reader) Part {
	var p Part
	r.Raw(p.ID[:])
	p.Size = r.Uvarint(1 << 62)
	n := r.Uvarint(maxExtents)
	var have uint64
	for i := range n {
		var e Extent
		r.Raw(e.Pack[:])
		e.Offset = uint32(r.Uvarint(1<<32 - 1))
		e.Length = r.Uvarint(1 << 40)
		if r.Err() != nil {
			return p
		}
		if e.Length == 0 || i+1 < n && e.Length%FrameSize != 0 {
			r.Fail("extent of %d bytes is not whole frames", e.Length)
			return p
		}
		if have += e.Length; have > p.Size { // here, so that the sum cannot wrap
			break
		}
		p.Extents = append(p.Extents, e)
	}
	if r.Err() == nil && have != p.Size {
		r.Fail("extents hold %d bytes of %d", have, p.Size)
	}
	return p
}

// Delete removes an object.
type Delete struct {
	Bucket uint64
	Key    string
}

// Kind is KindDelete.
func (Delete) Kind() RecordKind        { return KindDelete }
func (d Delete) encode(w *wire.Writer) { w.U64(d.Bucket); w.String(d.Key) }

// Move says that version Of of an object now lies elsewhere. It applies only
// while that version is current and does not change its stamp.
type Move struct {
	Bucket uint64
	Key    string
	Of     cairn.Stamp
	Parts  []Part
	List   *Part
}

// Kind is KindMove.
func (Move) Kind() RecordKind { return KindMove }

func (m Move) encode(w *wire.Writer) {
	w.U64(m.Bucket)
	w.String(m.Key)
	w.U32(m.Of.Life)
	w.U64(m.Of.LSN)
	writeWhere(w, m.Parts, m.List)
}

func readMove(r *wire.Reader) Move {
	m := Move{Bucket: r.U64(), Key: readKey(r), Of: cairn.Stamp{Life: r.U32(), LSN: r.U64()}}
	m.Parts, m.List = readWhere(r)
	return m
}
