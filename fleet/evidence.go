package fleet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// evidenceMost is how much evidence is kept for a node; the oldest that was not
// confirmed goes first.
const evidenceMost = 1000

// Evidence is one piece of a file that a node gave other than it was signed.
type Evidence struct {
	When      time.Time    `json:"when"`
	Pack      cairn.PackID `json:"pack"`
	Index     uint8        `json:"index"`     // of the shard
	File      string       `json:"file"`      // its name on the node
	Part      string       `json:"part"`      // block, contents or end
	Block     uint64       `json:"block"`     // of 64 KiB, where the part is a block
	Expected  string       `json:"expected"`  // BLAKE3, hex; empty for an end, which is signed as a whole
	Got       string       `json:"got"`       // the same of what came
	Confirmed bool         `json:"confirmed"` // it came again on a second connection
}

// MarshalJSON spells the pack as it stands in names.
func (e Evidence) MarshalJSON() ([]byte, error) {
	type plain Evidence
	return json.Marshal(struct {
		plain
		Pack string `json:"pack"`
	}{plain(e), e.Pack.String()})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (e *Evidence) UnmarshalJSON(b []byte) error {
	type plain Evidence
	x := struct {
		*plain
		Pack string `json:"pack"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	id, err := cairn.ParsePackID(x.Pack)
	e.Pack = id
	return err
}

// same reports whether both are of the same wrong bytes.
func (e Evidence) same(o Evidence) bool {
	return e.File == o.File && e.Part == o.Part && e.Block == o.Block && e.Got == o.Got
}

// The parts of a file.
const (
	partBlock    = "block"
	partContents = "contents"
	partEnd      = "end"
)

// exhibit is evidence about a part of the file at l, for which b came.
func exhibit(id cairn.PackID, l cairn.Location, part string, block int, expected *crypt.Hash, b []byte) Evidence {
	e := Evidence{When: time.Now().UTC().Round(0), Pack: id, Index: l.Index, File: layout.Path(l.Name(id)), Part: part, Block: uint64(block)}
	if expected != nil {
		e.Expected = hex.EncodeToString(expected[:])
	}
	got := crypt.Sum(b)
	e.Got = hex.EncodeToString(got[:])
	return e
}

// badBlocks is evidence of the blocks of b, from block lo on, that are nil in
// blocks.
func badBlocks(t *pack.Tail, l cairn.Location, lo int, b []byte, blocks [][]byte) (out []Evidence) {
	for i, block := range blocks {
		n := pack.BlockLength(t.Length, lo+i)
		if block == nil {
			out = append(out, exhibit(t.ID, l, partBlock, lo+i, &t.Blocks[lo+i], b[:n]))
		}
		b = b[n:]
	}
	return out
}

// caught counts and keeps what a node gave wrong, err saying so, and follows up:
// again reads it once more, on a connection of its own, and returns ErrCorrupt
// with the evidence when it is wrong again.
func (f *Fleet) caught(n *node, err error, es []Evidence, again func(context.Context, backends.Remote) ([]Evidence, error)) {
	f.wrong(n, err)
	f.keepEvidence(n.ID, es)
	f.suspect(n, func(ctx context.Context, r backends.Remote) error {
		es, err := again(ctx, r)
		for i := range es {
			es[i].Confirmed = true
		}
		f.keepEvidence(n.ID, es)
		return err
	})
}

// keepEvidence adds to what is known; what is known already is confirmed at most.
func (f *Fleet) keepEvidence(id cairn.NodeID, es []Evidence) {
	if len(es) == 0 {
		return
	}
	f.mu.Lock()
	all := slices.Clone(f.evidence[id]) // the keeper of the files may be writing it
	for _, e := range es {
		switch i := slices.IndexFunc(all, e.same); {
		case i < 0:
			all = append(all, e)
		case e.Confirmed:
			all[i].Confirmed = true
		}
	}
	f.evidence[id] = newestOf(all)
	f.mu.Unlock()
	f.note()
}

// newestOf is what is kept of all: what a node's quarantine stands on stays
// before a thousand more of the same.
func newestOf(all []Evidence) []Evidence {
	over := len(all) - evidenceMost
	all = slices.DeleteFunc(all, func(e Evidence) bool {
		if over <= 0 || e.Confirmed {
			return false
		}
		over--
		return true
	})
	return all[max(0, len(all)-evidenceMost):]
}

// Evidence is what a node, also one that left, was seen to give wrong: the newest
// 1,000 pieces, newest first. It survives restarts, and Reset. ErrNotExist when
// there never was such a node.
func (f *Fleet) Evidence(id cairn.NodeID) ([]Evidence, error) {
	f.mu.Lock()
	all := slices.Clone(f.evidence[id])
	_, known := f.past[id]
	f.mu.Unlock()
	if len(all) == 0 && !known && f.node(id) == nil {
		return nil, fmt.Errorf("fleet: node %v: %w", id, cairn.ErrNotExist)
	}
	slices.Reverse(all)
	return all, nil
}
