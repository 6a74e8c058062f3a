package stage

import (
	"bytes"
	"fmt"
)

// hardenStep is how much is read and written at a time, bytes.
const hardenStep = 256 << 10

// Harden makes durable what can be read of the stage, whatever became of it in
// the life that wrote it: never synced, or synced with an error. After such an
// error the kernel may show pages that it will never write, and a later sync
// succeeds without them, so the bytes are written once more. Of a sealed stage
// that is the seal and what follows: the pack was hardened, or synced, before.
// It ends at a run of zeros: sealed bytes are never that, so nothing was written
// from there on.
//
// A power loss in the middle changes nothing, since the bytes are the same.
func (s *File) Harden() error {
	size, err := s.f.Size()
	if err != nil {
		return fmt.Errorf("stage: harden %v: %w", s.Pack, err)
	}
	at := int64(headerSize)
	if s.seal != nil {
		at = s.sealOffset()
	}
	b, zeros := make([]byte, hardenStep), make([]byte, hardenStep)
	for ; at < size; at += hardenStep {
		p := b[:min(hardenStep, size-at)]
		if err := readFull(s.f, p, at); err != nil {
			return fmt.Errorf("stage: harden %v: %w", s.Pack, err)
		}
		if bytes.Equal(p, zeros[:len(p)]) {
			break
		}
		if _, err := s.f.WriteAt(p, at); err != nil {
			return fmt.Errorf("stage: harden %v: %w", s.Pack, err)
		}
	}
	return s.Sync()
}
