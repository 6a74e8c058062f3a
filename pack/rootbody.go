package pack

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Bounds of a root's body.
const (
	MaxNodes     = 1000
	MaxGateways  = 1000 // one for each takeover
	MaxRunPacks  = 4096 // of one run; 64 GiB of compressed rows at 16 MiB a pack
	MaxEpochs    = 1000
	MaxAncestors = 8

	maxRootPlain = 16 << 20 // decompressed
	maxAt        = 255      // locations of a pack: its shards, and copies under repair
	maxKeyFiles  = 255      // of an epoch
	maxOwners    = 255
	maxIdentity  = 16 << 10 // bytes of an identity file
)

// RootGateway is a gateway that wrote to the store at some time.
type RootGateway struct {
	Key       crypt.PublicKey
	Number    uint64 // of its delegation; 0 where it has none
	Recipient string // its own, for epoch keys
	// Until is the last of the log that counts of a former gateway: later log
	// packs that Key signed are void. Zero for the gateway that writes.
	Until CutOff
}

// RootEpoch is an epoch and the files of its key.
type RootEpoch struct {
	Number uint32
	Closed bool       // no new pack takes it; one that no checkpoint names is never adopted
	Keys   [][16]byte // hashes in the names of its files of keys/, see crypt.KeysHash
}

// RootBody is the state of a store that recovery begins with. It holds the
// credentials of nodes and the gateway's identity in the clear, so it exists
// only sealed, or in memory, and prints as a placeholder.
type RootBody struct {
	Written    uint64            // Unix milliseconds
	Life       uint32            // that wrote it
	Gateways   []RootGateway     // oldest first; the last is the one that writes
	CutOff     CutOff            // of the checkpoint that Runs are
	Runs       []CheckpointRun   // oldest first
	Generation uint32            // base of the index, see index.Base
	Nodes      []Node            // by id; Credential in the clear
	Coding     string            // as the store has it set: auto, or k+m
	Ack        string            // likewise: staged or spread
	Epochs     []RootEpoch       // by number
	Owners     []string          // recipients
	Identity   []byte            // the gateway's identity file
	Ancestors  []crypt.Hash      // of the roots before, newest first
	Setting    map[string]string // for what later releases add
}

// press is the body as it is sealed. What could not be read again is ErrInvalid.
func (b RootBody) press(store cairn.StoreID) ([]byte, error) {
	for _, run := range b.Runs {
		for _, p := range run.Packs {
			if p.Params.Store != store {
				return nil, fmt.Errorf("pack %v is of another store: %w", p.Params.ID, cairn.ErrInvalid)
			}
		}
	}
	plain := b.encode()
	defer clear(plain)
	if _, err := parseRootBody(plain, store); err != nil {
		return nil, fmt.Errorf("body cannot be read back: %v: %w", err, cairn.ErrInvalid)
	}
	// The rest of the file is bounded, too, and small.
	return press(plain, MaxRoot-maxDelegation-512)
}

// encode is the canonical plain encoding. Nodes and epochs are put in order.
func (b RootBody) encode() []byte {
	var w wire.Writer
	w.U64(b.Written)
	w.U32(b.Life)
	w.Uvarint(uint64(len(b.Gateways)))
	for _, g := range b.Gateways {
		w.Raw(g.Key[:])
		w.U64(g.Number)
		w.String(g.Recipient)
		g.Until.encode(&w)
	}
	b.CutOff.encode(&w)
	w.Uvarint(uint64(len(b.Runs)))
	for _, r := range b.Runs {
		r.encode(&w)
	}
	w.U32(b.Generation)
	w.Uvarint(uint64(len(b.Nodes)))
	for _, n := range slices.SortedFunc(slices.Values(b.Nodes), func(m, n Node) int { return bytes.Compare(m.ID[:], n.ID[:]) }) {
		n.encode(&w)
	}
	w.String(b.Coding)
	w.String(b.Ack)
	w.Uvarint(uint64(len(b.Epochs)))
	for _, e := range slices.SortedFunc(slices.Values(b.Epochs), func(d, e RootEpoch) int { return cmp.Compare(d.Number, e.Number) }) {
		w.U32(e.Number)
		w.Bool(e.Closed)
		w.Uvarint(uint64(len(e.Keys)))
		for _, k := range e.Keys {
			w.Raw(k[:])
		}
	}
	w.Uvarint(uint64(len(b.Owners)))
	for _, o := range b.Owners {
		w.String(o)
	}
	w.Bytes(b.Identity)
	w.Uvarint(uint64(len(b.Ancestors)))
	for _, h := range b.Ancestors {
		w.Raw(h[:])
	}
	w.Map(b.Setting)
	return w.B
}

// parseRootBody is the exact inverse of encode, for a root of store.
func parseRootBody(plain []byte, store cairn.StoreID) (RootBody, error) {
	if len(plain) > maxRootPlain {
		return RootBody{}, fmt.Errorf("%d bytes are over the limit of %d: %w", len(plain), maxRootPlain, cairn.ErrCorrupt)
	}
	r := wire.NewReader(plain)
	b := RootBody{Written: r.U64(), Life: r.U32()}
	b.Gateways = readList(r, MaxGateways, func(r *wire.Reader) (g RootGateway) {
		r.Raw(g.Key[:])
		g.Number, g.Recipient, g.Until = r.U64(), r.String(maxText), readCutOff(r)
		return g
	})
	b.CutOff = readCutOff(r)
	b.Runs = readList(r, MaxRuns, func(r *wire.Reader) CheckpointRun { return readCheckpointRun(r, store) })
	b.Generation = r.U32()
	b.Nodes = readList(r, MaxNodes, readNode)
	for i := 1; i < len(b.Nodes); i++ {
		if bytes.Compare(b.Nodes[i-1].ID[:], b.Nodes[i].ID[:]) >= 0 {
			r.Fail("node %v is there twice or out of order", b.Nodes[i].ID)
		}
	}
	b.Coding, b.Ack = r.String(maxName), r.String(maxName)
	b.Epochs = readList(r, MaxEpochs, func(r *wire.Reader) RootEpoch {
		return RootEpoch{Number: r.U32(), Closed: r.Bool(), Keys: readList(r, maxKeyFiles, func(r *wire.Reader) (k [16]byte) {
			r.Raw(k[:])
			return k
		})}
	})
	for i := 1; i < len(b.Epochs); i++ {
		if b.Epochs[i-1].Number >= b.Epochs[i].Number {
			r.Fail("epoch %d is there twice or out of order", b.Epochs[i].Number)
		}
	}
	b.Owners = readList(r, maxOwners, func(r *wire.Reader) string { return r.String(maxText) })
	b.Identity = r.Bytes(maxIdentity)
	b.Ancestors = readList(r, MaxAncestors, func(r *wire.Reader) (h crypt.Hash) {
		r.Raw(h[:])
		return h
	})
	b.Setting = r.Map(maxHeaders, maxText)
	return b, r.Done()
}

// readList takes a count of at most limit and as many values; nil for none.
func readList[T any](r *wire.Reader, limit uint64, read func(*wire.Reader) T) (all []T) {
	for range r.Uvarint(limit) {
		v := read(r)
		if r.Err() != nil {
			return nil
		}
		all = append(all, v)
	}
	return all
}
