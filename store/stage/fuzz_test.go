package stage

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// fuzzHeader is the header of the stages that the targets begin with.
func fuzzHeader() Header {
	return Header{Kind: pack.Log, Capacity: 8192, Store: cairn.StoreID{1}, Pack: cairn.NewPackID(7, [10]byte{1}), Epoch: 1, Life: 3, Number: 1}
}

// withSum is b with the hash that a block of a stage ends with, so that a
// target comes past it.
func withSum(b []byte) []byte {
	sum := crypt.Sum(b)
	return append(bytes.Clone(b), sum[:]...)
}

func FuzzParseHeader(f *testing.F) {
	h := fuzzHeader().encode()
	f.Add(h, false)
	f.Add(bytes.TrimRight(h, "\x00")[:len(bytes.TrimRight(h, "\x00"))-32], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum && len(b) < headerSize-32 {
			b = withSum(b)
			b = append(b, make([]byte, headerSize-len(b))...)
		}
		h, err := parseHeader(b)
		switch {
		case err == nil && len(b) == headerSize && !bytes.Equal(h.encode(), b):
			t.Errorf("a header is written otherwise than read: %+v", h)
		case err != nil && !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, cairn.ErrInvalid):
			t.Error(err)
		}
	})
}

// FuzzParseSeal: a seal block or an intent that parses is what its bytes say.
func FuzzParseSeal(f *testing.F) {
	f.Add([]byte(sealMagic+"\x00\x00\x10\x00\x04abcd\x04abcd"), true)
	f.Add(append([]byte(intentMagic+"\x00\x01"), make([]byte, 21)...), true)
	f.Add([]byte(intentMagic+"\xff\xff"), true)
	f.Add([]byte(sealMagic+"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum {
			b = withSum(b)
		}
		if s, n, err := parseSeal(b); err == nil && (n > len(b) || len(s.Contents) > pack.MaxContents) {
			t.Errorf("a seal block of %d bytes in %d", n, len(b))
		}
		at, n, ok := parseIntent(b)
		if ok && (n > len(b) || n != len(intentMagic)+2+21*len(at)+32) {
			t.Errorf("an intent of %d places and %d bytes in %d", len(at), n, len(b))
		}
	})
}

// FuzzOpen: whatever bytes a stage file has, opening and replaying it ends, and
// no record comes out that was not sealed.
func FuzzOpen(f *testing.F) {
	h := fuzzHeader()
	head := bytes.TrimRight(h.encode(), "\x00") // short, so that little is left to make shorter
	key := crypt.EpochKey{1}.Pack(h.Pack, h.Prefix)
	f.Add(head, []byte{}, []byte{})
	f.Add(head, bytes.Repeat([]byte{1}, 256), append([]byte(sealMagic), make([]byte, 60)...))
	f.Add(head[:40], []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, head, groups, behind []byte) {
		if len(head) > 40 && len(head) < headerSize { // a whole header, zeros and all
			head = append(bytes.Clone(head), make([]byte, headerSize-len(head))...)
		}
		m := durable.NewMem()
		file, err := m.Create(filepath.Join("/", h.Pack.String()+suffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct {
			b  []byte
			at int64
		}{{head, 0}, {groups, headerSize}, {behind, headerSize + int64(h.Capacity)}} {
			if len(part.b) > 64<<10 {
				return
			}
			if _, err := file.WriteAt(part.b, part.at); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(m, "/", h.Pack, h.Store)
		if err != nil {
			if cairn.Class(err) == nil {
				t.Error(err)
			}
			return
		}
		defer s.Close()
		scan, err := s.ScanLog(key)
		if err == nil && len(scan.Records) > 0 {
			t.Errorf("%d records that nobody sealed", len(scan.Records))
		}
		if err != nil && cairn.Class(err) == nil {
			t.Error(err)
		}
	})
}
