package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// journal puts a journal of log pack s on the nodes: a small pack of its own id
// and keys, coded 1+1, whose contents name what it anticipates.
func (r *rig) journal(t *testing.T, s seen) cairn.PackID {
	t.Helper()
	id := cairn.NewPackID(700, [10]byte{7})
	bytes := content(1, 500)
	params := pack.Params{Store: r.id, ID: id, Epoch: 1, Coding: cairn.Coding{K: 1, M: 1}}
	params.Length = pack.ShardLength(uint64(len(bytes)), params.Coding)
	key := r.key.Pack(id, params.Prefix)
	c := pack.Contents{Kind: pack.Journal, Length: uint32(len(bytes)), Number: s.Number, First: s.First, Last: s.Last, Records: s.Records}
	sealed, err := c.Seal(key, params)
	must(t, err)
	params.Contents = uint32(len(sealed))
	code, err := erasure.New(params.Coding)
	must(t, err)
	files, err := pack.Seal(code, key, params, bytes, sealed, r.gate.Sign(), 0)
	must(t, err)
	for i := range 2 {
		l := cairn.Location{Index: uint8(i), Write: 9}
		r.nodes[i].mem.SetBytes(layout.Path(l.Name(id)), files.Files[i])
	}
	return id
}

// A journal is an ordinary pack. To a rebuild beside the log pack that it
// anticipates it adds nothing; it never stands for that pack in the chain.
func TestHazardB10(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		want := r.history(t)
		logs := make(map[uint64]seen)
		for _, s := range r.survey() {
			if s.Kind == pack.Log {
				logs[s.Number] = s
			}
		}
		id := r.journal(t, logs[3])
		before, err := r.Status(t.Context())
		must(t, err)
		r.close()
		must(t, index.Destroy(r.fs, indexDir()))
		r.open()
		r.holds(t, "beside its log pack", want)
		row, err := r.idx.Pack(id)
		if err != nil || row.Kind != pack.Journal || len(row.At) != 2 {
			t.Errorf("the journal is known as %v with %d shards, %v", row.Kind, len(row.At), err)
		}
		if after, err := r.Status(t.Context()); err != nil || after.Objects != before.Objects || after.Bytes != before.Bytes {
			t.Errorf("figures were %+v and are %+v, %v", before, after, err)
		}
		r.close()
		for _, n := range r.nodes {
			for _, name := range n.mem.Names() {
				if s, err := layout.ParsePath(name); err == nil && s.Pack == logs[3].ID {
					must(t, n.mem.Delete(t.Context(), name))
				}
			}
		}
		must(t, index.Destroy(r.fs, indexDir()))
		if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "log pack 3") {
			t.Errorf("a journal stands for its log pack: %v", err)
		}
	})
}
