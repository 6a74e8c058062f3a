package pack

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Finish makes file the file of shard index of t's pack, whichever shard's
// trailer t is: its first t.Length bytes are the shard, as decoded from others,
// and what follows them is written. ErrCorrupt, with nothing written, unless the
// shard gives its signed root and contents are those of the pack; so whoever
// holds a verified trailer makes exactly what Seal made, or nothing.
func (t Trailer) Finish(index uint8, file, contents []byte) error {
	if int64(len(file)) != t.FileSize() {
		return fmt.Errorf("pack: a file of %d bytes for shard %d of %v, want %d: %w", len(file), index, t.ID, t.FileSize(), cairn.ErrInvalid)
	}
	if len(contents) != int(t.Contents) || crypt.Sum(contents) != t.Hash {
		return fmt.Errorf("pack: sealed contents of %v: %w", t.ID, cairn.ErrCorrupt)
	}
	hashes, err := t.CheckShard(index, file[:t.Length])
	if err != nil {
		return err
	}
	t.end(index, file, contents, hashes)
	return nil
}

// end writes what follows the blocks of shard index in its file.
func (t Trailer) end(index uint8, file, contents []byte, hashes []crypt.Hash) {
	at := copy(file[t.Length:], contents) + int(t.Length)
	for _, h := range hashes {
		at += copy(file[at:], h[:])
	}
	t.Index = index
	copy(file[at:], t.Encode())
}
