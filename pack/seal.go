package pack

import (
	"bytes"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Coder is what pack needs of package erasure: fill the last m of n shards of
// equal length from the first k, and fill missing (empty) ones that are wanted.
type Coder interface {
	Encode(shards [][]byte) error
	Reconstruct(shards [][]byte, want []int) error
}

// Sealed is a pack ready to be scattered.
type Sealed struct {
	Trailer          // Index is 0; Encode it per shard
	Files   [][]byte // the n shard files, whole
}

// Seal codes the pack bytes b, hashes every block once and signs the roots.
// p.Length and p.Contents must be ShardLength(len(b)) and len(contents).
// column chooses the 64 bytes of every shard that are decoded again from the
// last k shards, to catch a coder or memory that errs.
func Seal(code Coder, key *crypt.PackKey, p Params, b, contents []byte, sign crypt.SigningKey, column uint64) (*Sealed, error) {
	s, hashes, err := lay(code, key, p, b, contents)
	if err != nil {
		return nil, err
	}
	if err := checkColumn(code, s.Files, p, column); err != nil {
		return nil, err
	}
	for i, hs := range hashes {
		s.Roots = append(s.Roots, crypt.ShardRoot(p.ID, uint8(i), p.Length, hs))
	}
	s.Sign(sign)
	s.finish(contents, hashes)
	return s, nil
}

// Reseal makes the files of a pack sealed before: t is the trailer that was
// durable before the first shard left. Bytes that would give another root are
// ErrCorrupt: nothing is ever sealed twice.
func Reseal(code Coder, key *crypt.PackKey, t Trailer, b, contents []byte) (*Sealed, error) {
	if crypt.Sum(contents) != t.Hash {
		return nil, fmt.Errorf("pack: reseal %v: contents differ: %w", t.ID, cairn.ErrCorrupt)
	}
	s, hashes, err := lay(code, key, t.Params, b, contents)
	if err != nil {
		return nil, err
	}
	for i, hs := range hashes {
		if crypt.ShardRoot(t.ID, uint8(i), t.Length, hs) != t.Roots[i] {
			return nil, fmt.Errorf("pack: reseal %v: shard %d differs from its signed root: %w", t.ID, i, cairn.ErrCorrupt)
		}
	}
	s.Trailer = t
	s.Index = 0
	s.finish(contents, hashes)
	return s, nil
}

// check returns ErrInvalid unless p is the shape of a pack of just these sizes,
// which every parser will take: a pack is sealed once.
func (p Params) check(bytes, contents int) error {
	if err := p.Coding.Check(); err != nil {
		return fmt.Errorf("pack: seal %v: %w", p.ID, err)
	}
	switch n := uint64(bytes); {
	case n > MaxBytes || p.Length != ShardLength(n, p.Coding) || p.Length > MaxLength:
		return fmt.Errorf("pack: seal %v: %d bytes coded %v do not make shards of %d: %w", p.ID, bytes, p.Coding, p.Length, cairn.ErrInvalid)
	case int64(contents) != int64(p.Contents) || contents > MaxContents || uint64(contents) != Padded(uint64(contents)):
		return fmt.Errorf("pack: seal %v: %d bytes of contents, want %d, a padded size: %w", p.ID, contents, p.Contents, cairn.ErrInvalid)
	}
	return nil
}

// lay copies b into the k data shards, pads, codes and hashes.
func lay(code Coder, key *crypt.PackKey, p Params, b, contents []byte) (*Sealed, [][]crypt.Hash, error) {
	k, n := p.Coding.K, p.Coding.N()
	if err := p.check(len(b), len(contents)); err != nil {
		return nil, nil, err
	}
	s := &Sealed{Trailer: Trailer{Params: p, Hash: crypt.Sum(contents)}, Files: make([][]byte, n)}
	shards := make([][]byte, n)
	for i := range n {
		s.Files[i] = make([]byte, p.FileSize())
		shards[i] = s.Files[i][:p.Length:p.Length]
		if i >= k {
			continue
		}
		off := uint64(i) * p.Length
		done := 0
		if off < uint64(len(b)) {
			done = copy(shards[i], b[off:])
		}
		if done < len(shards[i]) {
			key.Pad(shards[i][done:], off+uint64(done))
		}
	}
	if err := code.Encode(shards); err != nil {
		return nil, nil, fmt.Errorf("pack: seal %v: %w", p.ID, err)
	}
	hashes := make([][]crypt.Hash, n)
	for i, sh := range shards {
		hashes[i] = hashBlocks(sh)
	}
	return s, hashes, nil
}

// finish writes contents, hashes and trailer behind the blocks of every file.
func (s *Sealed) finish(contents []byte, hashes [][]crypt.Hash) {
	for i, f := range s.Files {
		s.end(uint8(i), f, contents, hashes[i])
	}
}

func checkColumn(code Coder, files [][]byte, p Params, column uint64) error {
	if p.Coding.M == 0 {
		return nil
	}
	const width = 64
	off := column % (p.Length - width + 1)
	got := make([][]byte, p.Coding.N())
	var want []int
	for i, f := range files {
		if i < p.Coding.M {
			want = append(want, i)
			continue
		}
		got[i] = f[off : off+width : off+width]
	}
	if err := code.Reconstruct(got, want); err != nil {
		return fmt.Errorf("pack: seal %v: check: %w", p.ID, err)
	}
	for _, i := range want {
		if !bytes.Equal(got[i], files[i][off:off+width]) {
			return fmt.Errorf("pack: seal %v: shard %d does not decode to what was coded; suspect this machine's memory: %w", p.ID, i, cairn.ErrCorrupt)
		}
	}
	return nil
}
