package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// SealFrames appends the frames of plain to b, whose first byte lies at offset
// base of the pack.
func SealFrames(b []byte, key *crypt.PackKey, base uint64, c crypt.ContentID, first uint64, plain []byte, end bool) []byte {
	for n := first; len(plain) > 0; n++ {
		f := plain[:min(len(plain), FrameSize)]
		plain = plain[len(f):]
		b = key.SealFrame(b, f, base+uint64(len(b)), c, n, end && len(plain) == 0)
	}
	return b
}

// checkFrames opens every frame of rec that lies in the group b at off. What
// lies before the group was checked with its own; what would lie behind its
// frames is not written yet, so no record may name it.
func checkFrames(key *crypt.PackKey, id cairn.PackID, b []byte, off uint64, rec Record, buf []byte) error {
	var parts []Part
	var list *Part
	switch body := rec.Body.(type) {
	case Put:
		parts, list = body.Parts, body.List
	case Move:
		parts, list = body.Parts, body.List
	case UploadPart:
		parts, list = body.Parts, body.List
	case UploadDone:
		parts, list = body.Put.Parts, body.Put.List
	}
	if list != nil {
		parts = []Part{*list}
	}
	for _, part := range parts {
		var done uint64
		for _, e := range part.Extents {
			first := done / FrameSize
			done += e.Length
			if e.Pack != id || uint64(e.Offset) < off {
				continue
			}
			if err := CheckExtent(key, b, off, part, e, first, buf); err != nil {
				return fmt.Errorf("record %v: %w", rec.Stamp, err)
			}
		}
	}
	return nil
}

// CheckExtent opens every frame of extent e of part, whose first frame has
// number first, in b, which begins at offset off of the pack. buf is scratch.
func CheckExtent(key *crypt.PackKey, b []byte, off uint64, part Part, e Extent, first uint64, buf []byte) error {
	at := uint64(e.Offset) - off
	last := (part.Size - 1) / FrameSize
	for n, left := first, e.Length; left > 0; n++ {
		plain := min(left, FrameSize)
		end := at + plain + crypt.Overhead
		if end > uint64(len(b)) {
			return fmt.Errorf("frame %d ends outside: %w", n, cairn.ErrCorrupt)
		}
		if _, err := key.OpenFrame(buf[:0], b[at:end], off+at, part.ID, n, n == last); err != nil {
			return fmt.Errorf("frame %d: %w", n, err)
		}
		at, left = end, left-plain
	}
	return nil
}
