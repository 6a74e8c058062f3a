package scrub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// TestEveryLeftoverOfAKnownPackComesToAnEnd: a file of a pack that the index
// knows, at a node or under a name that its row does not have, is taken up where
// the row lacks that shard, removed once all n were just verified, handed to the
// store where the pack goes, or told of: by a person's scrub and in the
// background. None is forgotten.
func TestEveryLeftoverOfAKnownPackComesToAnEnd(t *testing.T) {
	type end int
	const (
		removed end = iota
		taken
		handed
		told // it stays
	)
	// put writes b as a file of shard i on node n that no row names.
	put := func(r *rig, p *pack.Sealed, i uint8, n int, b []byte) cairn.Location {
		l := cairn.Location{Index: i, Node: r.nodes[n].ID, Write: 0xabcdef}
		r.nodes[n].mem.SetBytes(layout.Path(l.Name(p.ID)), b)
		return l
	}
	flipped := func(b []byte) []byte {
		b = append([]byte(nil), b...)
		b[9] ^= 1
		return b
	}
	lose := func(r *rig, p *pack.Sealed, i int) {
		n, name := r.file(p, i)
		n.mem.Drop(name)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At = append(row.At[:i:i], row.At[i+1:]...) })
	}
	for _, c := range []struct {
		what string
		do   func(*rig, *pack.Sealed) cairn.Location
		end  end
	}{
		{"a copy on another node", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 7, p.Files[2]) }, removed},
		{"an older file on the same node", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 2, p.Files[2]) }, removed},
		{"an older file with wrong bytes", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 2, flipped(p.Files[2])) }, removed},
		{"a copy beside another shard", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 5, p.Files[2]) }, removed},
		{"half of a put", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 7, p.Files[2][:1000]) }, removed},
		{"nothing of a put", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 2, 7, nil) }, removed},
		{"a shard that the row lacks", func(r *rig, p *pack.Sealed) cairn.Location {
			lose(r, p, 2)
			return put(r, p, 2, 7, p.Files[2])
		}, taken},
		{"a shard that the row lacks, with wrong bytes", func(r *rig, p *pack.Sealed) cairn.Location {
			lose(r, p, 2)
			return put(r, p, 2, 7, flipped(p.Files[2]))
		}, told},
		{"a copy, while another shard is missing", func(r *rig, p *pack.Sealed) cairn.Location {
			lose(r, p, 4)
			return put(r, p, 2, 7, p.Files[2])
		}, told},
		{"a shard that cannot be", func(r *rig, p *pack.Sealed) cairn.Location { return put(r, p, 9, 7, p.Files[2]) }, told},
		{"a file of a retired pack", func(r *rig, p *pack.Sealed) cairn.Location {
			r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Retired })
			return put(r, p, 2, 7, p.Files[2])
		}, handed},
		{"a file of a pack that is retiring", func(r *rig, p *pack.Sealed) cairn.Location {
			r.rows.set(p.ID, func(row *index.PackRow) { row.State = index.Retiring })
			return put(r, p, 2, 7, p.Files[2])
		}, handed},
	} {
		for _, by := range []string{"a person", "the background"} {
			t.Run(c.what+", by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 8)
					var adopted []cairn.Location
					r.c.Adopt = func(_ context.Context, _ cairn.PackID, at []cairn.Location) (string, error) {
						adopted = append(adopted, at...)
						return "doomed", nil
					}
					r.c.Every = 1000 * time.Hour
					r.start()
					r.listed()
					p := r.spread("4+3", 5_000)
					l := c.do(r, p)
					name := layout.Path(l.Name(p.ID))
					var rep Report
					if by == "a person" {
						r.find()
						r.pass(61 * time.Minute)
						rep = r.find()
					} else {
						// A repair would mend what the row lacks, so only listings run.
						ctx, cancel := context.WithCancel(t.Context())
						done := make(chan struct{})
						go func() { r.presenceLoop(ctx); close(done) }()
						r.pass(27 * time.Hour)
						cancel()
						<-done
						rep = r.find()
					}
					b, there := r.node(l.Node).mem.Bytes(name)
					row, err := r.rows.Pack(p.ID)
					must(t, err)
					if there == (c.end == removed) {
						t.Errorf("it stands there: %v (%d bytes)", there, len(b))
					}
					if recorded(row, l) != (c.end == taken) {
						t.Errorf("it is in the row: %v", recorded(row, l))
					}
					if (len(adopted) > 0 && adopted[0] == l) != (c.end == handed) {
						t.Errorf("handed to the store: %v", adopted)
					}
					if c.end == told && rep.Extra+rep.NoShards == 0 {
						t.Errorf("nobody was told: %+v", rep)
					}
					if c.end == told && len(r.fleet.removed) > 0 {
						t.Errorf("removed %v", r.fleet.removed)
					}
				})
			})
		}
	}
}

// TestALeftoverThatHadToStayGoesLater: what kept it is over, and then it goes.
func TestALeftoverThatHadToStayGoesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 9)
		r.listed()
		p := r.spread("4+3", 5_000)
		n, name := r.extraOf(p, 2, 7)
		lost, there := r.file(p, 4)
		lost.mem.Drop(there)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At = append(row.At[:4:4], row.At[5:]...) })
		end := r.background() // which makes shard 4 again
		r.pass(52 * time.Hour)
		end()
		r.wantWhole("made again")
		if _, ok := n.mem.Bytes(name); ok {
			t.Error("the extra copy is still there")
		}
	})
}

// TestWhatCannotBeSettledIsNotAskedForEveryMinute: an extra copy whose pack does
// not verify, and a pack of which too few shards are known, cost a few requests
// an hour.
func TestWhatCannotBeSettledIsNotAskedForEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		r.c.Adopt = func(context.Context, cairn.PackID, []cairn.Location) (string, error) { return "", errors.New("never") }
		r.start()
		r.listed()
		p, q := r.spread("4+3", 5_000), r.spread("4+3", 5_000)
		r.extraOf(p, 2, 7)
		r.rows.mu.Lock()
		delete(r.rows.rows, q.ID)
		r.rows.mu.Unlock()
		for i := range 4 { // of q three shards are left
			l := cairn.Location{Index: uint8(i), Node: r.nodes[i].ID, Write: uint32(q.ID.Seq())<<8 + uint32(i)}
			r.nodes[i].mem.Drop(layout.Path(l.Name(q.ID)))
		}
		r.find()
		r.nodes[6].faulty.SetDown(true)
		r.pass(2 * time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		before := r.fleet.verified
		go func() { r.presenceLoop(ctx); close(done) }()
		r.pass(10 * time.Hour)
		cancel()
		<-done
		if n := r.fleet.verified - before; n < 10 || n > 2*11 {
			t.Errorf("verified %d times in ten hours, want once an hour and pack", n)
		}
	})
}
