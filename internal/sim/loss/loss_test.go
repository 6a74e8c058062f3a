package loss

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
)

// TestEveryLoss loses every set of up to m nodes of n = k+m in each way, and in
// ways mixed: everything reads. Then every set of m+1: exactly what lies on
// them fails, with ErrUnavailable that names pack and nodes while they may come
// back, with ErrLost when they left the store, and reads when one is back.
//
// The short run has every set away and, but for a part of those of 4+4, lying;
// some in one way more, and after some one returns.
func TestEveryLoss(t *testing.T) {
	for _, text := range []string{"4+4", "4+3", "3+3", "2+2", "2+1", "1+1"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := cairn.ParseCoding(text)
				must(t, err)
				r := newRig(t, c)
				defer r.close()
				whole, refused := 0, 0
				for lost := uint(1); lost < 1<<c.N(); lost++ {
					switch n := bits.OnesCount(lost); {
					case n <= c.M:
						r.lose(lost, false)
						whole++
					case n == c.M+1:
						r.lose(lost, true)
						refused++
					}
				}
				t.Logf("%d patterns of up to %d lost nodes read whole, %d of %d refused: %d looks at %d objects", whole, c.M, refused, c.M+1, r.looks, len(r.objects))
			})
		})
	}
}

// mixed stands for one fate after the other, node by node.
const mixed = fates

// lose makes the nodes of a set have each fate in turn and looks at every
// object; tooMany when some cannot be read then.
func (r *rig) lose(lost uint, tooMany bool) {
	r.t.Helper()
	chance := lost * 2654435761 >> 16 // spreads what the short run leaves out
	short := !long()
	third := chance%3 == 0
	turn := fate(chance % (4 * uint(mixed+1))) // three quarters have none
	for f := away; f <= mixed; f++ {
		if short && f != away && f != turn && (f != lying || len(r.nodes) > 7 && !third) {
			continue
		}
		what := fmt.Sprintf("%v nodes %b", f1(f), lost)
		r.fates(lost, f)
		r.look(nobody, func() { r.check(lost, what, cairn.ErrUnavailable, tooMany) })
	}
	r.fates(lost, well)
	if !short || turn == well { // the files are there, but nobody may ask for them
		r.look(func(i int) bool { return lost>>i&1 == 1 }, func() { r.check(lost, fmt.Sprintf("nodes %b gone", lost), cairn.ErrLost, tooMany) })
	}
	if tooMany && (!short || third) {
		back := lost & (lost - 1)
		r.fates(back, away)
		r.look(nobody, func() { r.check(back, fmt.Sprintf("nodes %b away after one returned", back), nil, false) })
	}
	r.fates(lost, well)
}

func long() bool { return os.Getenv("CAIRN_LONG") != "" }

func nobody(int) bool { return false }

func f1(f fate) string {
	if f == mixed {
		return "mixed"
	}
	return f.String()
}

// fates gives the nodes of a set a fate.
func (r *rig) fates(set uint, f fate) {
	next := away
	for i, n := range r.nodes {
		if set>>i&1 == 0 {
			continue
		}
		mine := f
		if f == mixed {
			mine = next
			if next++; next == fates {
				next = away
			}
		}
		n.fate.Store(int32(mine))
	}
}

// check reads every object. Bytes are always those that were written.
func (r *rig) check(lost uint, what string, class error, tooMany bool) {
	r.t.Helper()
	failed := 0
	for _, o := range r.objects {
		got, err := r.get(o.key)
		if err == nil && !bytes.Equal(got, o.bytes) {
			r.t.Fatalf("%s: %s: WRONG BYTES: %d for %d", what, o.key, len(got), len(o.bytes))
		}
		missing := r.missing(o, lost)
		switch {
		case missing == nil && err != nil:
			r.t.Fatalf("%s: %s of %d bytes cannot be read: %v", what, o.key, len(o.bytes), err)
		case missing != nil && err == nil:
			r.t.Fatalf("%s: %s reads, though shard %d of %v cannot be had: this test is wrong", what, o.key, missing.index, missing.pack)
		case missing == nil:
			continue
		case !errors.Is(err, class) || cairn.Class(err) != class:
			r.t.Fatalf("%s: %s: %v, want class %v", what, o.key, err, class)
		case !strings.Contains(err.Error(), "pack "):
			r.t.Fatalf("%s: %s: no pack is named: %v", what, o.key, err)
		}
		failed++
	}
	if tooMany && failed == 0 {
		r.t.Fatalf("%s: everything reads", what)
	}
}

// missing is a shard that o needs and that neither stands nor can be decoded.
func (r *rig) missing(o object, lost uint) *need {
	for i, n := range o.needs {
		stand, here := 0, false
		for index, id := range n.at {
			if up := lost>>(id[0]-1)&1 == 0; up {
				stand++
				here = here || index == n.index
			}
		}
		if !here && stand < n.k {
			return &o.needs[i]
		}
	}
	return nil
}
