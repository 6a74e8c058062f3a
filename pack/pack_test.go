package pack

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/erasure"
)

// The fixtures: everything is drawn from a seed, so that a failure repeats.

type source struct{ *rand.ChaCha8 }

func newSource(seed uint64) source {
	var s [32]byte
	for i := range 8 {
		s[i] = byte(seed >> (8 * i))
	}
	return source{rand.NewChaCha8(s)}
}

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = s.Read(b) // ChaCha8 never fails
	return b
}

func testSign() crypt.SigningKey { return crypt.NewSigningKey([32]byte{1}) }

func testStore() cairn.StoreID { return cairn.StoreID{0x4f, 0x1c, 0x9a, 0x20} }

func testTrust() Trust { return crypt.TrustKeys(testStore(), testSign().Public()) }

func mustCode(t testing.TB, c cairn.Coding) *erasure.Code {
	t.Helper()
	code, err := erasure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// body is a pack before it is coded, with all that opens it.
type body struct {
	epoch    crypt.EpochKey
	params   Params
	key      *crypt.PackKey
	bytes    []byte
	table    Contents
	contents []byte
	plain    map[string][]byte // by object key
}

// newBody is a log pack of objects of these sizes, a few to a group, for
// coding c.
func newBody(t testing.TB, seed uint64, c cairn.Coding, sizes ...int) body {
	t.Helper()
	s := newSource(seed)
	b := body{plain: map[string][]byte{}, params: Params{
		Store: testStore(), ID: cairn.NewPackID(1000+seed, [10]byte(s.bytes(10))), Epoch: 2,
		Prefix: crypt.NoncePrefix(s.bytes(16)), Coding: c,
	}}
	b.epoch = crypt.EpochKey(s.bytes(32))
	b.key = b.epoch.Pack(b.params.ID, b.params.Prefix)
	link := FirstLink(b.params.ID)
	for first := 0; first < len(sizes); first += 3 {
		g := NewGroup(b.key, b.params.ID, uint64(len(b.bytes)), link, nil)
		for i := first; i < min(first+3, len(sizes)); i++ {
			plain := s.bytes(sizes[i])
			name := fmt.Sprintf("nar/%x.nar", s.bytes(16))
			part := Part{ID: crypt.ContentID(s.bytes(16)), Size: uint64(len(plain))}
			if len(plain) > 0 {
				part.Extents = []Extent{g.Frames(part.ID, 0, plain, true)}
			}
			r := Record{Stamp: cairn.Stamp{Life: 3, LSN: uint64(100 + i)}, Body: Put{
				Bucket: 9, Key: name, Size: part.Size, Modified: 1_760_000_000_000 + uint64(i), ETag: hex.EncodeToString(s.bytes(16)),
				Header: map[string]string{"Content-Type": "application/x-nix-nar"}, Parts: []Part{part},
			}}
			g.Add(r)
			b.table.Records = append(b.table.Records, r)
			b.plain[name] = plain
		}
		out, next := g.Finish()
		b.bytes, link = append(b.bytes, out...), next
	}
	b.table.Kind, b.table.Number, b.table.Prev = Log, seed, crypt.Hash(s.bytes(32))
	b.table.Length = uint32(len(b.bytes))
	if n := len(b.table.Records); n > 0 {
		b.table.First, b.table.Last = b.table.Records[0].Stamp, b.table.Records[n-1].Stamp
	}
	b.params.Length = ShardLength(uint64(len(b.bytes)), c)
	var err error
	if b.contents, err = b.table.Seal(b.key, b.params); err != nil {
		t.Fatal(err)
	}
	b.params.Contents = uint32(len(b.contents))
	return b
}

func (b body) seal(t testing.TB) *Sealed {
	t.Helper()
	s, err := Seal(mustCode(t, b.params.Coding), b.key, b.params, b.bytes, b.contents, testSign(), 12345)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b body) tail(t testing.TB, s *Sealed, i int) *Tail {
	t.Helper()
	f := s.Files[i]
	tail, err := OpenTail(f[b.params.TailOffset():], b.params, uint8(i), testTrust())
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

// codings are those that the tests seal with.
func codings() []cairn.Coding {
	return []cairn.Coding{{K: 1, M: 0}, {K: 1, M: 1}, {K: 1, M: 2}, {K: 2, M: 1}, {K: 2, M: 2}, {K: 4, M: 3}}
}

// allRecords has a record of every kind, full and sparse, and unknown ones.
func allRecords() []Record {
	id := func(b byte) (c [16]byte) {
		for i := range c {
			c[i] = b + byte(i)
		}
		return c
	}
	part := Part{ID: id(1), Size: FrameSize + 10, Extents: []Extent{
		{Pack: cairn.PackID(id(2)), Offset: 64, Length: FrameSize}, {Pack: cairn.PackID(id(3)), Offset: 1 << 20, Length: 10}}}
	bodies := []Body{
		Life{Tag: id(4), Last: cairn.Stamp{Life: 6, LSN: 88}},
		Life{Tag: id(5)},
		Put{Bucket: 5, Key: "a", ETag: "d41d8cd98f00b204e9800998ecf8427e", Parts: []Part{{ID: id(6)}}},
		Put{Bucket: 5, Key: "nar/ä.nar", Size: part.Size, Modified: 1_760_000_000_123, ETag: "e-2",
			Header: map[string]string{"Content-Type": "text/plain", "Cache-Control": "max-age=60"}, Meta: map[string]string{"b": "2", "a": ""},
			Checksum: []cairn.Checksum{{Algorithm: "SHA256", Value: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}}, Parts: []Part{part}},
		Put{Bucket: 5, Key: "large", Size: 5 << 40, List: &part},
		Delete{Bucket: 5, Key: "a"},
		Move{Bucket: 5, Key: "a", Of: cairn.Stamp{Life: 6, LSN: 80}, Parts: []Part{part}},
		Move{Bucket: 5, Key: "b", Of: cairn.Stamp{Life: 6, LSN: 81}, List: &part},
		Bucket{ID: 5, Name: "cache", Created: 1, Public: true, Setting: map[string]string{"ack": "spread"}},
		Bucket{ID: 6, Name: "plain"},
		BucketGone{ID: 6},
		Access{ID: "AKIA", Name: "mia", Secret: []byte{1, 2, 3}, Created: 2, Grants: []Grant{{Bucket: "*", Level: 3}, {Bucket: "cache", Level: 1}}},
		Access{ID: "AKIB"},
		AccessGone{ID: "AKIA"},
		Node{ID: cairn.NodeID(id(7)), Name: "n1", Operator: "tom", Site: "attic", Remote: "sftp://cairn@host:22/srv", HostKey: "SHA256:x",
			Credential: []byte{4, 5}, Capacity: 1 << 40, State: "ok", Added: 3, Option: map[string]string{"connections": "4"}},
		Node{ID: cairn.NodeID(id(8))},
		NodeGone{ID: cairn.NodeID(id(7))},
		Setting{Name: "coding", Value: "4+3"},
		Retired{Pack: cairn.PackID(id(9))},
		Void{Of: cairn.Stamp{Life: 6, LSN: 82}},
		Unknown{Of: 200, Critical: true, Bytes: []byte("later")},
		Unknown{Of: 201, Critical: false, Bytes: []byte("hint")},
		Unknown{Of: 255},
		Upload{ID: id(10), Bucket: 5, Key: "nar/ä.nar", Created: 1_760_000_000_123, Header: map[string]string{"Content-Type": "text/plain"},
			Meta: map[string]string{"a": ""}, Algorithm: "CRC64NVME", FullObject: true},
		Upload{ID: id(11), Bucket: 5, Key: "a"},
		UploadPart{Upload: id(10), Number: MaxPartNumber, Size: part.Size, Modified: 1_760_000_000_124, ETag: "d41d8cd98f00b204e9800998ecf8427e",
			Checksum: []cairn.Checksum{{Algorithm: "CRC64NVME", Value: "AAAAAAAAAAA="}}, Parts: []Part{part}},
		UploadPart{Upload: id(11), Number: 1, Parts: []Part{{ID: id(6)}}},
		UploadPart{Upload: id(10), Number: 2, Size: 5 << 30, List: &part},
		UploadDone{Upload: id(10), Put: Put{Bucket: 5, Key: "nar/ä.nar", Size: part.Size, ETag: "e-1", Parts: []Part{part}}},
		UploadDone{Upload: id(12), Put: Put{Bucket: 5, Key: "large", Size: 5 << 40, ETag: "e-10000", List: &part}},
		UploadGone{Upload: id(11)},
	}
	var all []Record
	for i, b := range bodies {
		all = append(all, Record{Stamp: cairn.Stamp{Life: 7, LSN: uint64(i + 1)}, Body: b})
	}
	return all
}

// describe gives a value as JSON can hold it and people read it: bytes as hex,
// structs by their exported fields.
func describe(v any) any { return describeValue(reflect.ValueOf(v)) }

func describeValue(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return map[string]any{v.Elem().Type().Name(): describeValue(v.Elem())}
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return describeValue(v.Elem())
	case reflect.Array, reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return hex.EncodeToString(b)
		}
		all := make([]any, v.Len())
		for i := range all {
			all[i] = describeValue(v.Index(i))
		}
		return all
	case reflect.Struct:
		fields := map[string]any{}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fields[f.Name] = describeValue(v.Field(i))
			}
		}
		return fields
	default:
		return v.Interface()
	}
}

// longestZeroRun is the length of the longest run of zero bytes in b.
func longestZeroRun(b []byte) (most int) {
	run := 0
	for _, c := range b {
		if run++; c != 0 {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

func clone(b []byte) []byte { return bytes.Clone(b) }
