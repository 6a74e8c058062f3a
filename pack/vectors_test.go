package pack

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Vectors of version 1 never change: -update writes those that are missing and
// leaves the others alone. To change one that no release has shipped yet,
// delete its file first.
var update = flag.Bool("update", false, "write vector files that do not exist")

const vectorDir = "../testdata/vectors/pack"

// vectors reads a file of vectors; with -update it is made by generate where it
// does not exist.
func vectors[T any](t testing.TB, name string, generate func() T) (v T) {
	t.Helper()
	path := filepath.Join(vectorDir, name)
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		if b, err = json.MarshalIndent(generate(), "", "  "); err == nil {
			if err = os.MkdirAll(vectorDir, 0o755); err == nil {
				err = os.WriteFile(path, append(b, '\n'), 0o644)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// hexed is bytes that stand as hex in a vector.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexed) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// fields is v for people, as a vector holds it.
func fields(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(describe(v))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameFields(t testing.TB, what string, v any, want json.RawMessage) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	if got := fields(t, v); !bytes.Equal(got, compact.Bytes()) {
		t.Errorf("%s has fields\n%s, want\n%s", what, got, compact.Bytes())
	}
}

type sizeVector struct{ Size, Padded uint64 }

func TestVectorPaddingClasses(t *testing.T) {
	all := vectors(t, "padded.json", func() (all []sizeVector) {
		for n := uint64(1); n < 1<<32; n = n*5/3 + 1 {
			for _, n := range []uint64{n, Padded(n), Padded(n) + 1} {
				all = append(all, sizeVector{n, Padded(n)})
			}
		}
		return all
	})
	for _, v := range all {
		if got := Padded(v.Size); got != v.Padded {
			t.Errorf("Padded(%d) = %d, want %d", v.Size, got, v.Padded)
		}
	}
}

type recordVector struct {
	Kind   RecordKind
	Fields json.RawMessage
	Record hexed
}

func TestVectorRecords(t *testing.T) {
	var all []recordVector
	for name, has := range map[string]func(RecordKind) bool{
		"record.json": func(k RecordKind) bool { return k < KindUpload || k > KindUploadGone },
		"upload.json": func(k RecordKind) bool { return k >= KindUpload && k <= KindUploadGone },
	} {
		all = append(all, vectors(t, name, func() (all []recordVector) {
			for _, r := range allRecords() {
				if has(r.Body.Kind()) {
					all = append(all, recordVector{r.Body.Kind(), fields(t, r), r.AppendTo(nil)})
				}
			}
			return all
		})...)
	}
	seen := map[RecordKind]bool{}
	for _, v := range all {
		r, err := ParseRecord(v.Record)
		if err != nil {
			t.Fatalf("kind %d: %v", v.Kind, err)
		}
		seen[v.Kind] = true
		sameFields(t, hex.EncodeToString(v.Record), r, v.Fields)
		if again := r.AppendTo(nil); r.Body.Kind() != v.Kind || !bytes.Equal(again, v.Record) {
			t.Errorf("kind %d: encodes to %x", v.Kind, again)
		}
	}
	for k := range decoders {
		if !seen[k] {
			t.Errorf("kind %d has no vector", k)
		}
	}
}

type contentsVector struct {
	Name   string
	Fields json.RawMessage
	Plain  hexed
}

func TestVectorContents(t *testing.T) {
	all := vectors(t, "contents.json", func() (all []contentsVector) {
		some := someContents()
		for _, name := range []string{"log", "empty log", "data", "moved", "journal", "checkpoint"} {
			all = append(all, contentsVector{name, fields(t, some[name]), some[name].Encode()})
		}
		return all
	})
	for _, v := range all {
		c, err := ParseContents(v.Plain)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		sameFields(t, v.Name, c, v.Fields)
		if !bytes.Equal(c.Encode(), v.Plain) {
			t.Errorf("%s: encodes to other bytes", v.Name)
		}
	}
}

type groupVector struct {
	EpochKey, PackID, NoncePrefix hexed
	Offset                        uint64
	Head                          json.RawMessage
	Records                       json.RawMessage
	Contents                      []hexed // plaintext of the frames, in order
	Group                         hexed
	Link                          hexed // for the next group
}

func TestVectorGroup(t *testing.T) {
	all := vectors(t, "group.json", func() (all []groupVector) {
		b := newBody(t, 12, cairn.Coding{K: 1, M: 1}, 40, 1, 200, 33)
		off := uint64(0)
		for i := 0; off < uint64(len(b.bytes)); i += 3 {
			recs, h, next, err := open(b.key, b.params.ID, b.bytes[off:], off)
			if err != nil {
				t.Fatal(err)
			}
			v := groupVector{EpochKey: b.epoch[:], PackID: b.params.ID[:], NoncePrefix: b.params.Prefix[:], Offset: off,
				Head: fields(t, h), Records: fields(t, recs), Group: b.bytes[off : off+uint64(h.Length)], Link: next[:]}
			for _, r := range recs {
				v.Contents = append(v.Contents, b.plain[r.Body.(Put).Key])
			}
			all = append(all, v)
			off += uint64(h.Length)
		}
		return all
	})
	for _, v := range all {
		id := cairn.PackID(v.PackID)
		key := crypt.EpochKey(v.EpochKey).Pack(id, crypt.NoncePrefix(v.NoncePrefix))
		recs, h, link, err := open(key, id, v.Group, v.Offset)
		if err != nil {
			t.Fatalf("group at %d: %v", v.Offset, err)
		}
		sameFields(t, "head", h, v.Head)
		sameFields(t, "records", recs, v.Records)
		g := NewGroup(key, id, v.Offset, h.Prev, nil)
		for i, r := range recs {
			g.Frames(r.Body.(Put).Parts[0].ID, 0, v.Contents[i], true)
			g.Add(r)
		}
		again, next := g.Finish()
		if !bytes.Equal(again, v.Group) || next != link || !bytes.Equal(link[:], v.Link) {
			t.Errorf("group at %d: seals to other bytes", v.Offset)
		}
	}
}

type shardsVector struct {
	EpochKey   hexed
	SignerSeed hexed
	Params     json.RawMessage
	Pack       hexed           // bytes before coding and padding
	Table      json.RawMessage // the opened contents
	Contents   hexed           // sealed; its compression is one of many
	Trailer    hexed           // of shard 0
	SealHash   hexed
	Roots      []hexed
	Files      []hexed
}

func TestVectorShards(t *testing.T) {
	for _, c := range []cairn.Coding{{K: 1, M: 1}, {K: 4, M: 3}} {
		t.Run(c.String(), func(t *testing.T) {
			v := vectors(t, "shards-"+c.String()+".json", func() shardsVector {
				// Larger than three shards of the least size, so that every data
				// shard of 4+3 has bytes and the last has padding too.
				b := newBody(t, 20, c, 100, 3000, 9000, 17)
				s := b.seal(t)
				seed, h := [32]byte{1}, s.SealHash()
				v := shardsVector{EpochKey: b.epoch[:], SignerSeed: seed[:], Params: fields(t, b.params), Pack: b.bytes,
					Table: fields(t, b.table), Contents: b.contents, Trailer: s.Encode(), SealHash: h[:]}
				for i, f := range s.Files {
					v.Roots, v.Files = append(v.Roots, s.Roots[i][:]), append(v.Files, f)
				}
				return v
			})
			sign := crypt.NewSigningKey([32]byte(v.SignerSeed))
			trailer, err := ParseTrailer(v.Trailer)
			if err != nil {
				t.Fatal(err)
			}
			sameFields(t, "params", trailer.Params, v.Params)
			p := trailer.Params
			key := crypt.EpochKey(v.EpochKey).Pack(p.ID, p.Prefix)
			if h := trailer.SealHash(); !bytes.Equal(h[:], v.SealHash) || trailer.Signer != sign.Public() {
				t.Errorf("seal hash %x", h)
			}
			table, err := OpenContents(key, p, v.Contents)
			if err != nil {
				t.Fatal(err)
			}
			sameFields(t, "contents", table, v.Table)
			s, err := Seal(mustCode(t, p.Coding), key, p, v.Pack, v.Contents, sign, 7)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(s.Encode(), v.Trailer) {
				t.Error("the trailer encodes to other bytes")
			}
			for i, f := range v.Files {
				tail, err := readUnknown(f, crypt.TrustKeys(p.Store, sign.Public()))
				if err != nil || int(tail.Index) != i {
					t.Errorf("file %d: %v", i, err)
				}
				if !bytes.Equal(s.Files[i], f) || !bytes.Equal(s.Roots[i][:], v.Roots[i]) {
					t.Errorf("file %d seals to other bytes", i)
				}
			}
		})
	}
}
