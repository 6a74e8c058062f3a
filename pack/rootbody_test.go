package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// What is drawn from the state in no certain order must not make two roots of
// one state.
func TestNodesAndEpochsAreSealedInOrder(t *testing.T) {
	body := bodies()["full"]
	want := body.encode()
	body.Nodes = []Node{body.Nodes[2], body.Nodes[0], body.Nodes[1]}
	body.Epochs = []RootEpoch{body.Epochs[1], body.Epochs[0]}
	if !bytes.Equal(body.encode(), want) {
		t.Error("another order gives other bytes")
	}
	if body.Nodes[0].ID != (cairn.NodeID{3}) || body.Epochs[0].Number != 3 {
		t.Error("the caller's slices were put in order, too")
	}
}

func TestARootThatCouldNotBeReadIsNotSealed(t *testing.T) {
	for name, change := range map[string]func(*Root, *RootBody){
		"a delegation too long":            func(r *Root, _ *RootBody) { r.Delegation = make([]byte, maxDelegation+1) },
		"packs of another store":           func(r *Root, _ *RootBody) { r.Store[0]++ },
		"a node twice":                     func(_ *Root, b *RootBody) { b.Nodes[0].ID = b.Nodes[1].ID },
		"an epoch twice":                   func(_ *Root, b *RootBody) { b.Epochs[0].Number = b.Epochs[1].Number },
		"too many nodes":                   func(_ *Root, b *RootBody) { b.Nodes = manyNodes(MaxNodes + 1) },
		"too many ancestors":               func(_ *Root, b *RootBody) { b.Ancestors = make([]crypt.Hash, MaxAncestors+1) },
		"too many runs":                    func(_ *Root, b *RootBody) { b.Runs = make([]CheckpointRun, MaxRuns+1) },
		"too many gateways":                func(_ *Root, b *RootBody) { b.Gateways = make([]RootGateway, MaxGateways+1) },
		"too many owners":                  func(_ *Root, b *RootBody) { b.Owners = make([]string, maxOwners+1) },
		"an identity too long":             func(_ *Root, b *RootBody) { b.Identity = make([]byte, maxIdentity+1) },
		"generations that fall":            func(_ *Root, b *RootBody) { b.Runs[0].From = 7 },
		"a pack without a place":           func(_ *Root, b *RootBody) { b.Runs[0].Packs = b.Runs[0].Packs[1:] },
		"a place without a pack":           func(_ *Root, b *RootBody) { b.Runs[1].Packs = append(b.Runs[1].Packs, b.Runs[0].Packs[0]) },
		"a pack placed twice":              func(_ *Root, b *RootBody) { b.Runs[1].Packs = append(b.Runs[1].Packs, b.Runs[1].Packs[0]) },
		"no coding":                        func(_ *Root, b *RootBody) { b.Runs[0].Packs[0].Params.Coding = cairn.Coding{} },
		"a length that is no class":        func(_ *Root, b *RootBody) { b.Runs[0].Packs[0].Params.Length++ },
		"contents that are no class":       func(_ *Root, b *RootBody) { b.Runs[0].Packs[0].Params.Contents = 0 },
		"more bytes than shards hold":      func(_ *Root, b *RootBody) { b.Runs[0].Packs[0].Bytes = 1 << 31 },
		"a shard of too high a number":     func(_ *Root, b *RootBody) { b.Runs[0].Packs[0].At[0].Index = 3 },
		"extents that are not the content": func(_ *Root, b *RootBody) { b.Runs[0].Part.Size++ },
		"more than a root may have": func(_ *Root, b *RootBody) {
			b.Nodes = manyNodes(MaxNodes)
			for i := range b.Nodes {
				b.Nodes[i].Credential = newSource(uint64(i)).bytes(maxText)
			}
		},
		"more than is ever opened": func(_ *Root, b *RootBody) {
			b.Nodes = manyNodes(MaxNodes)
			for i := range b.Nodes {
				b.Nodes[i].Remote, b.Nodes[i].Credential = strings.Repeat("x", maxText), make([]byte, maxText)
				b.Nodes[i].Option = map[string]string{"o": strings.Repeat("y", maxText)}
			}
		},
	} {
		r, body := testRoot(), bodies()["full"]
		change(&r, &body)
		if b, err := SealRoot(r, body, testEpoch(), newSource(1), testSign()); !errors.Is(err, cairn.ErrInvalid) || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SealRoot(testRoot(), RootBody{}, testEpoch(), bytes.NewReader(make([]byte, 23)), testSign()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without chance: %v", err)
	}
}

func manyNodes(n int) []Node {
	s := newSource(93)
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: cairn.NodeID(s.bytes(16)), Name: fmt.Sprintf("node-%d", i), Operator: fmt.Sprintf("operator-%d", i%200),
			Remote: fmt.Sprintf("sftp://cairn@host-%d.example:2222/srv/cairn", i), HostKey: fmt.Sprintf("SHA256:%x", s.bytes(16)),
			Credential: s.bytes(64), Capacity: 1 << 40, State: "ok", Added: 1_760_000_000_000}
	}
	return nodes
}

// The largest store of the bounds has a root: 1,000 nodes, and a run in 4,096
// packs of 7 shards.
func TestALargeStoreFitsARoot(t *testing.T) {
	s := newSource(94)
	body := RootBody{Nodes: manyNodes(MaxNodes), Runs: []CheckpointRun{{To: 9, Part: Part{ID: crypt.ContentID{1}}}}}
	run := &body.Runs[0]
	for i := range MaxRunPacks {
		p := PackPlace{Bytes: 16 << 20, Params: Params{Store: testStore(), ID: cairn.NewPackID(uint64(i), [10]byte(s.bytes(10))), Epoch: 2,
			Prefix: crypt.NoncePrefix(s.bytes(16)), Coding: cairn.Coding{K: 4, M: 3}, Length: 4 << 20, Contents: MinPadded}}
		for j := range 7 {
			p.At = append(p.At, cairn.Location{Index: uint8(j), Node: body.Nodes[(i*7+j)%MaxNodes].ID, Write: uint32(s.Uint64())})
		}
		run.Packs = append(run.Packs, p)
		run.Part.Extents = append(run.Part.Extents, Extent{Pack: p.Params.ID, Length: 255 * FrameSize})
		run.Part.Size += 255 * FrameSize
	}
	b := sealRoot(t, testRoot(), body)
	t.Logf("the root has %d bytes", len(b))
	r, err := ParseRoot(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Open(testEpoch()); err != nil || len(got.Runs[0].Packs) != MaxRunPacks || len(got.Nodes) != MaxNodes {
		t.Errorf("it does not come back: %v", err)
	}
	if len(b) > MaxRoot/2 {
		t.Errorf("it has %d bytes: no room is left for what the bounds allow beside it", len(b))
	}
}

// A node learns a class from the size of a root, not how many nodes there are.
func TestARootDoesNotTellHowManyNodesThereAre(t *testing.T) {
	sizes := map[int]bool{}
	for n := range 12 {
		sizes[len(sealRoot(t, testRoot(), RootBody{Nodes: manyNodes(n)}))] = true
	}
	if len(sizes) != 1 {
		t.Errorf("up to 11 nodes make sizes %v", sizes)
	}
}

func TestABodyOfARootNeverPrints(t *testing.T) {
	body := bodies()["full"]
	for name, v := range map[string]any{"body": body, "pointer": &body, "in a struct": struct{ Body RootBody }{body}, "in a slice": []any{body}} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		for _, secret := range []string{"horse", "AGE-SECRET", fmt.Sprintf("%x", "correct horse"), strings.Trim(fmt.Sprint([]byte("correct")), "[]")} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s prints a secret: %s", name, out.String())
			}
		}
		if !strings.Contains(out.String(), "hidden") {
			t.Errorf("%s prints no placeholder: %s", name, out.String())
		}
	}
}

// FuzzRootBody reads what stands within the seal and the compression.
func FuzzRootBody(f *testing.F) {
	for _, body := range bodies() {
		f.Add(body.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := parseRootBody(b, testStore())
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := body.encode(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

func TestNonsenseInABodyIsCorrupt(t *testing.T) {
	plain := bodies()["full"].encode()
	pressed, err := press(plain, MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := press(make([]byte, maxRootPlain+1), MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	long, err := press(append(clone(plain), 0), MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	short, err := press(plain[:len(plain)-1], MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	notZero := clone(pressed)
	notZero[len(notZero)-1] = 1
	for name, p := range map[string][]byte{
		"a bomb": bomb, "a byte more": long, "a byte less": short, "padding not zero": notZero,
		"no length": make([]byte, MinPadded-crypt.Overhead), "a length past the end": bytes.Repeat([]byte{255}, MinPadded-crypt.Overhead),
	} {
		r, err := ParseRoot(testRoot().seal(p, testEpoch(), testSign()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := r.Open(testEpoch()); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int{0, crypt.Overhead, MinPadded - 1, MinPadded + 1} {
		if _, err := ParseRoot(testRoot().seal(make([]byte, max(0, size-crypt.Overhead)), testEpoch(), testSign())); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("a body of %d bytes, which is no class: %v", size, err)
		}
	}
	if b, err := parseRootBody(plain, testStore()); err != nil || !bytes.Equal(b.encode(), plain) {
		t.Errorf("the sound one: %v", err)
	}
}
