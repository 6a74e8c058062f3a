package pack

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

func testEpoch() crypt.EpochKey { return crypt.EpochKey(newSource(90).bytes(32)) }

// testRoot is a root without its signature and body, which SealRoot makes.
func testRoot() Root {
	return Root{Store: testStore(), Sequence: 812, Prev: crypt.Hash{7, 7}, Delegation: []byte("a delegation"), Epoch: 3}
}

// bodies are the least and one with something in every field.
func bodies() map[string]RootBody {
	s := newSource(91)
	id := func() cairn.PackID { return cairn.NewPackID(1<<20, [10]byte(s.bytes(10))) }
	run := func(from, to uint32, packs int) CheckpointRun {
		r := CheckpointRun{From: from, To: to, Rows: 1e6, CutOff: 40, Part: Part{ID: crypt.ContentID(s.bytes(16))}}
		for i := range packs {
			p := PackPlace{Bytes: 8 * SealedSize, Params: Params{Store: testStore(), ID: id(), Epoch: 2,
				Prefix: crypt.NoncePrefix(s.bytes(16)), Coding: cairn.Coding{K: 2, M: 1}, Contents: MinPadded}}
			p.Params.Length = ShardLength(uint64(p.Bytes), p.Params.Coding)
			for j := range p.Params.Coding.N() {
				p.At = append(p.At, cairn.Location{Index: uint8(j), Node: cairn.NodeID{byte(j + 1)}, Write: uint32(i*10 + j)})
			}
			r.Packs = append(r.Packs, p)
			r.Part.Extents = append(r.Part.Extents, Extent{Pack: p.Params.ID, Length: 8 * FrameSize})
			r.Part.Size += 8 * FrameSize
		}
		return r
	}
	cut := CutOff{Number: 40, Last: cairn.Stamp{Life: 9, LSN: 4711}, Seal: crypt.Hash(s.bytes(32))}
	node := func(i byte) Node {
		return Node{ID: cairn.NodeID{i}, Name: fmt.Sprintf("node-%d", i), Operator: "anna", Site: "cellar", Remote: "sftp://cairn@198.51.100.7:22/cairn",
			HostKey: "SHA256:0000", Credential: []byte("correct horse battery staple"), Capacity: 1 << 40, State: "ok", Added: 1_760_000_000_000, Option: map[string]string{"a": "b"}}
	}
	return map[string]RootBody{
		"least": {},
		"full": {
			Written: 1_770_000_000_000, Life: 9,
			Gateways: []RootGateway{
				{Key: crypt.PublicKey(s.bytes(32)), Number: 1, Recipient: "age1one", Until: cut},
				{Key: testSign().Public(), Number: 2, Recipient: "age1two"}},
			CutOff: cut, Runs: []CheckpointRun{run(0, 6, 3), run(7, 7, 1), run(8, 9, 0)}, Generation: 9,
			Nodes: []Node{node(1), node(2), node(3)}, Coding: "auto", Ack: "staged",
			Epochs:   []RootEpoch{{Number: 1, Closed: true}, {Number: 3, Keys: [][16]byte{{1}, {2}}}},
			Owners:   []string{"age1owner", "ssh-ed25519 AAAA"},
			Identity: []byte("# a gateway's identity\nAGE-SECRET-KEY-1"), Ancestors: []crypt.Hash{{7, 7}, {6}},
			Setting: map[string]string{"later": "value"},
		},
	}
}

func sealRoot(t testing.TB, r Root, body RootBody) []byte {
	t.Helper()
	b, err := SealRoot(r, body, testEpoch(), newSource(92), testSign())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestARootIsReadAsItWasSealed(t *testing.T) {
	for name, body := range bodies() {
		for _, r := range []Root{testRoot(), {Store: testStore()}} {
			b := sealRoot(t, r, body)
			got, err := ParseRoot(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r.Signer, r.nonce, r.sealed, r.sig = testSign().Public(), got.nonce, got.sealed, got.sig
			if !reflect.DeepEqual(got, r) || !bytes.Equal(got.encode(), b) {
				t.Errorf("%s: another root comes back", name)
			}
			opened, err := got.Open(testEpoch())
			if err != nil || !reflect.DeepEqual(opened, body) {
				t.Errorf("%s: another body comes back: %v", name, err)
			}
			if RootHash(b) != crypt.Sum(b) {
				t.Errorf("%s: the hash is not the file's", name)
			}
		}
	}
}

func TestEveryChangeOfARootIsNoticed(t *testing.T) {
	b := sealRoot(t, testRoot(), bodies()["full"])
	for i := range b {
		flipped := clone(b)
		flipped[i] ^= 1 << (i % 8)
		if _, err := ParseRoot(flipped); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("byte %d of %d flipped: %v", i, len(b), err)
		}
	}
	for n := range len(b) {
		if _, err := ParseRoot(b[:n]); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("cut to %d of %d: %v", n, len(b), err)
		}
	}
	for _, more := range [][]byte{{0}, make([]byte, MaxRoot)} {
		if _, err := ParseRoot(append(clone(b), more...)); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("with %d bytes behind it: %v", len(more), err)
		}
	}
}

// Whoever may sign, but lacks the epoch key, cannot put a body into another
// root, and a body opens for nothing but its own head.
func TestABodyOpensOnlyInItsRoot(t *testing.T) {
	sound, err := ParseRoot(sealRoot(t, testRoot(), bodies()["full"]))
	if err != nil {
		t.Fatal(err)
	}
	other := crypt.NewSigningKey([32]byte{2})
	for name, change := range map[string]func(*Root){
		"another store":       func(r *Root) { r.Store[0]++ },
		"another sequence":    func(r *Root) { r.Sequence++ },
		"another root before": func(r *Root) { r.Prev[0]++ },
		"another delegation":  func(r *Root) { r.Delegation = nil },
		"another epoch":       func(r *Root) { r.Epoch++ },
		"another signer":      func(r *Root) { r.Signer = other.Public() },
		"another nonce":       func(r *Root) { r.nonce[23]++ },
		"a bit of the body":   func(r *Root) { r.sealed = clone(r.sealed); r.sealed[100] ^= 1 },
		"the body of another root": func(r *Root) {
			r.sealed = sealedBody(t, testRoot(), bodies()["least"])
		},
	} {
		r, sign := sound, testSign()
		change(&r)
		if r.Signer == other.Public() {
			sign = other
		}
		r.sig = sign.Sign(crypt.SignRoot, r.signed())
		got, err := ParseRoot(r.encode())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := got.Open(testEpoch()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sound.Open(crypt.EpochKey{1}); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("with another key: %v", err)
	}
}

// sealedBody is the sealed body of the root after r with body.
func sealedBody(t testing.TB, r Root, body RootBody) []byte {
	t.Helper()
	r.Sequence++
	got, err := ParseRoot(sealRoot(t, r, body))
	if err != nil {
		t.Fatal(err)
	}
	return got.sealed
}

// FuzzParseRoot signs what it is given, so that the fuzzer gets past the
// signature, and makes the sealed body of a length itself, so that inputs stay
// small.
func FuzzParseRoot(f *testing.F) {
	full := testRoot()
	full.Signer = testSign().Public()
	f.Add(full.head(), uint16(MinPadded), []byte(nil))
	f.Add(Root{Signer: full.Signer}.head(), uint16(MinPadded+512), []byte(nil))
	f.Add([]byte("cairnroo\x00\x01"), uint16(0), []byte{1})
	f.Fuzz(func(t *testing.T, head []byte, size uint16, tail []byte) {
		w := wire.Writer{B: clone(head)}
		w.Bytes(make([]byte, size))
		w.Raw(tail)
		sig := testSign().Sign(crypt.SignRoot, w.B)
		b := append(w.B, sig[:]...)
		r, err := ParseRoot(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := r.encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
		if _, err := r.Open(testEpoch()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("zeros open as a body: %v", err)
		}
	})
}
