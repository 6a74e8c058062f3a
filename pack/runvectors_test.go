package pack

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/cairn-storage/cairn/crypt"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

type runVector struct {
	Name   string
	Head   json.RawMessage
	Rows   []rowVector
	Blocks []hexed // as they are before compression, which is one of many
	Hash   hexed   // of the rows
	Stream hexed
}

type rowVector struct {
	Key, Value hexed
	Gone       bool
}

// runBlocks takes a stream apart by the byte table alone: plain blocks, and the
// hash of the rows.
func runBlocks(t testing.TB, b []byte) (blocks []hexed, hash hexed) {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	at := 8 + 2 + 16 + 8 + 12 + 32 + 4 + 4
	at += 1 + 16*int(b[at])
	for b[at] == 1 {
		n := int(binary.BigEndian.Uint32(b[at+5:]))
		plain, err := dec.DecodeAll(b[at+9:at+9+n], nil)
		if err != nil || len(plain) != int(binary.BigEndian.Uint32(b[at+1:])) {
			t.Fatalf("block at %d: %d bytes, %v", at, len(plain), err)
		}
		blocks = append(blocks, plain)
		at += 9 + n
	}
	if b[at] != 0 || len(b) != at+1+8+32+32 {
		t.Fatalf("footer at %d of %d", at, len(b))
	}
	if all := blake3.Sum256(b[:at+1+8+32]); !bytes.Equal(all[:], b[at+1+8+32:]) {
		t.Error("the last hash is not of all before it")
	}
	return blocks, b[at+9 : at+9+32]
}

func TestVectorRun(t *testing.T) {
	all := vectors(t, "run.json", func() (all []runVector) {
		for _, c := range []struct {
			name string
			head RunHead
			rows []Row
		}{{"all rows", fullHead(), someRows(4, 10, false)}, {"later", laterHead(), append(someRows(10, 11, true), Row{Key: []byte("z")})}, {"no rows", fullHead(), nil}} {
			v := runVector{Name: c.name, Head: fields(t, c.head), Stream: writeRun(t, c.head, c.rows)}
			v.Blocks, v.Hash = runBlocks(t, v.Stream)
			for _, r := range c.rows {
				v.Rows = append(v.Rows, rowVector{r.Key, r.Value, r.Gone})
			}
			all = append(all, v)
		}
		return all
	})
	for _, v := range all {
		h, rows, err := readRun(bytes.NewReader(v.Stream))
		if err != nil || len(rows) != len(v.Rows) {
			t.Fatalf("%s: %d rows, %v", v.Name, len(rows), err)
		}
		sameFields(t, v.Name, h, v.Head)
		some := blake3.New()
		for i, r := range rows {
			if !bytes.Equal(r.Key, v.Rows[i].Key) || !bytes.Equal(r.Value, v.Rows[i].Value) || r.Gone != v.Rows[i].Gone {
				t.Errorf("%s: row %d is %+v", v.Name, i, r)
			}
			_, _ = some.Write(r.appendPlain(nil))
		}
		if !bytes.Equal(some.Sum(nil), v.Hash) {
			t.Errorf("%s: hash of the rows differs", v.Name)
		}
		for _, stream := range [][]byte{v.Stream, writeRun(t, h, rows)} {
			blocks, hash := runBlocks(t, stream)
			if !bytes.HasPrefix(stream, h.encode()) || !reflect.DeepEqual(blocks, v.Blocks) || !bytes.Equal(hash, v.Hash) {
				t.Errorf("%s: encodes to another stream", v.Name)
			}
		}
	}
}

type storeRootVector struct {
	EpochKey   hexed
	SignerSeed hexed
	Nonce      hexed
	Root       json.RawMessage
	Body       json.RawMessage
	Plain      hexed // the body's encoding
	Pressed    hexed // as it is sealed; its compression is one of many
	File       hexed
	Hash       hexed
}

// vectorRoot is a root as a gateway writes it, but for its body.
func vectorRoot(t testing.TB) (Root, RootBody) {
	t.Helper()
	s := newSource(95)
	id, err := crypt.NewIdentity(crypt.Gateway, testStore(), s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := crypt.Delegate(crypt.NewSigningKey([32]byte{9}), testStore(), 2, testSign().Public(), id.Public().Recipient)
	if err != nil {
		t.Fatal(err)
	}
	r := testRoot()
	r.Delegation = d.Encode()
	body := bodies()["full"]
	body.Identity, body.Owners = id.Encode(), []string{id.Public().SSH}
	for i := range body.Gateways {
		body.Gateways[i].Recipient = id.Public().Recipient
	}
	copy(r.nonce[:], s.bytes(len(r.nonce)))
	return r, body
}

func TestVectorRoot(t *testing.T) {
	v := vectors(t, "root.json", func() (v storeRootVector) {
		r, body := vectorRoot(t)
		epoch, seed := testEpoch(), [32]byte{1}
		pressed, err := body.press(r.Store)
		if err != nil {
			t.Fatal(err)
		}
		v = storeRootVector{EpochKey: epoch[:], SignerSeed: seed[:], Nonce: r.nonce[:], Body: fields(t, body),
			Plain: body.encode(), Pressed: pressed, File: r.seal(pressed, epoch, testSign())}
		r.Signer = testSign().Public()
		v.Root = fields(t, r)
		h := RootHash(v.File)
		v.Hash = h[:]
		return v
	})
	r, err := ParseRoot(v.File)
	if err != nil {
		t.Fatal(err)
	}
	sameFields(t, "root", r, v.Root)
	body, err := r.Open(crypt.EpochKey(v.EpochKey))
	if err != nil {
		t.Fatal(err)
	}
	sameFields(t, "body", body, v.Body)
	if !bytes.Equal(body.encode(), v.Plain) {
		t.Error("the body encodes to other bytes")
	}
	if plain, err := unpress(v.Pressed, maxRootPlain); err != nil || !bytes.Equal(plain, v.Plain) {
		t.Errorf("what is sealed is not the body: %v", err)
	}
	again := Root{Store: r.Store, Sequence: r.Sequence, Prev: r.Prev, Delegation: r.Delegation, Epoch: r.Epoch, nonce: crypt.RootNonce(v.Nonce)}
	file := again.seal(v.Pressed, crypt.EpochKey(v.EpochKey), crypt.NewSigningKey([32]byte(v.SignerSeed)))
	if h := RootHash(file); !bytes.Equal(file, v.File) || !bytes.Equal(h[:], v.Hash) {
		t.Error("the root seals to other bytes")
	}
}
