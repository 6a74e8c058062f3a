package scrub

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
)

func TestEveryByteIsReadInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		for range 40 {
			r.spread("4+3", 5_000)
		}
		r.c.Every = 40 * time.Hour
		r.start()
		r.listed()
		r.run(r.walkLoop, 18*time.Hour)
		if n := r.fleet.looked(); n < 7*18 || n > 7*22 {
			t.Errorf("after 18 of 36 hours %d of 280 shards were read: not spread over the time", n)
		}
		h := r.Health()
		if c := h.Coverage[0]; c.Round < 0.4 || c.Round > 0.6 || c.Days < 1.3 || c.Days > 1.7 || c.Why != "" || c.Oldest != -1 {
			t.Errorf("half way: %+v", c)
		}
		r.run(r.walkLoop, 19*time.Hour)
		seen := make(map[cairn.Location]int)
		for _, l := range r.fleet.examined {
			seen[l]++
		}
		if len(seen) != 280 {
			t.Errorf("%d of 280 shards were read in 37 hours", len(seen))
		}
		if h := r.Health(); h.Oldest < 0 || h.Oldest > 41*3600 {
			t.Errorf("the oldest is %v s", h.Oldest)
		}
	})
}

// TestAWalkGoesOnWhereItWasKilled: whichever moment, at most what was read since
// the last save is read again.
func TestAWalkGoesOnWhereItWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 30 {
			r.spread("2+1", 5_000)
		}
		r.c.Every = 30 * time.Hour
		r.start()
		r.listed()
		for range 3 {
			r.run(r.walkLoop, 8*time.Hour)
			r.start() // nothing was said to it: what the disk has counts
		}
		r.run(r.walkLoop, 4*time.Hour)
		seen := make(map[cairn.Location]int)
		for _, l := range r.fleet.examined {
			seen[l]++
		}
		again := 0
		for _, n := range seen {
			again += n - 1
		}
		if len(seen) != 90 || again > 12 {
			t.Errorf("%d of 90 shards were read, %d of them again", len(seen), again)
		}
	})
}

func TestAWalkFindsWrongBytesAndHasThemMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		for range 10 {
			r.spread("4+3", 150_000)
		}
		r.c.Every = 48 * time.Hour
		r.start()
		n, name := r.file(r.packs[6], 4)
		b, _ := n.mem.Bytes(name)
		b[20_000] ^= 4 // not in what a listing or a first look reads
		n.mem.SetBytes(name, b)
		r.run(func(ctx context.Context) { _ = r.Run(ctx) }, 50*time.Hour)
		r.wantWhole("after a round")
	})
}

func TestABudgetMakesARoundLongerAndIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 20 {
			r.spread("2+1", 5_000)
		}
		r.c.Every = 20 * time.Hour
		r.start()
		r.listed()
		// One shard in two hours, on the first node.
		last := time.Time{} // of the one walker of that node
		r.fleet.spend = func(id cairn.NodeID, _ int64) error {
			if id != r.nodes[0].ID {
				return nil
			}
			if time.Since(last) < 2*time.Hour {
				return fmt.Errorf("traffic: %w", cairn.ErrFull)
			}
			last = time.Now()
			return nil
		}
		r.run(r.walkLoop, 30*time.Hour)
		h := r.Health()
		slow, fine := h.Coverage[0], h.Coverage[1]
		if slow.Why != "budget" || slow.Days < 1.4 || slow.Days > 2.2 || !strings.HasSuffix(slow.Text, ": budget") {
			t.Errorf("%+v", slow)
		}
		if fine.Why != "" || fine.Days > 1 {
			t.Errorf("%+v", fine)
		}
	})
}

// TestOneUnreadableShardDoesNotStopTheWalk.
func TestOneUnreadableShardDoesNotStopTheWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 10 {
			r.spread("2+1", 5_000)
		}
		r.c.Every = 10 * time.Hour
		r.start()
		r.listed()
		n, name := r.file(r.packs[4], 1)
		n.faulty.SetChoose(failing(name))
		r.run(r.walkLoop, 12*time.Hour)
		seen := make(map[cairn.Location]bool)
		for _, l := range r.fleet.examined {
			seen[l] = true
		}
		if len(seen) != 30 {
			t.Errorf("%d of 30 shards were looked at", len(seen))
		}
	})
}

// TestAuditsComeAtRandomTimesAndFindWhatIsGone.
func TestAuditsComeAtRandomTimesAndFindWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		for range 10 {
			r.spread("4+3", 300_000)
		}
		r.c.Audits = 100
		r.start()
		r.listed()
		r.run(r.auditLoop, 24*time.Hour)
		n := r.fleet.looked()
		if n < 500 || n > 900 { // 700, five sigma
			t.Errorf("%d audits a day, of 7 nodes at 100", n)
		}
		if r.fleet.judged[0] != n {
			t.Errorf("judged %v", r.fleet.judged)
		}
		// A node silently loses a third of its shards.
		gone := 0
		for i := range 3 {
			f, name := r.file(r.packs[i], 2)
			f.mem.Drop(name)
			gone++
		}
		r.run(r.auditLoop, 48*time.Hour)
		left := 0
		for _, p := range r.packs {
			left += len(r.row(p.ID))
		}
		if left != 70-gone {
			t.Errorf("%d places are left in the rows, want %d", left, 70-gone)
		}
	})
}

func TestAuditsDrawEveryBlockAndPack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 5 {
			r.spread("2+1", 700_000)
		}
		c, err := r.recent(t.Context(), 0, tookLong, healthMost)
		must(t, err)
		packs, blocks := make(map[cairn.PackID]bool), make(map[uint64]bool)
		for range 2000 {
			row, ok := r.anyPack(t.Context(), c.last)
			if !ok {
				t.Fatal("none")
			}
			packs[row.Params.ID] = true
			off, n := r.anyBlock(row.Params.Length)
			if n == 0 || off+n > row.Params.Length {
				t.Fatalf("%d bytes at %d of %d", n, off, row.Params.Length)
			}
			blocks[off] = true
		}
		if want := int(math.Ceil(float64(r.packs[0].Length) / 65536)); len(packs) != 5 || len(blocks) != want {
			t.Errorf("%d packs, %d of %d blocks", len(packs), len(blocks), want)
		}
	})
}

// TestAFullScrubGoesOnWhereItWasCutOff.
func TestAFullScrubGoesOnWhereItWasCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 200 {
			r.spread("2+1", 5_000)
		}
		r.listed()
		ctx, die := context.WithCancel(t.Context())
		r.fleet.spend = func(cairn.NodeID, int64) error {
			if r.fleet.looked() > 450 {
				die()
			}
			return nil
		}
		_, err := r.Scrub.Scrub(ctx, Request{Full: true}, nil)
		wantClass(t, "cut off", err, context.Canceled)
		r.start()
		var said []string
		rep, err := r.Scrub.Scrub(t.Context(), Request{Full: true}, func(p Progress) {
			if p.Text != "" {
				said = append(said, p.Text)
			}
		})
		must(t, err)
		if n := r.fleet.looked(); !rep.Resumed || n > 600+3*64 || len(said) == 0 {
			t.Errorf("resumed %v, %d looks at 600 shards, said %q", rep.Resumed, n, said)
		}
		// The next one begins anew.
		if rep, err = r.Scrub.Scrub(t.Context(), Request{Full: true}, nil); err != nil || rep.Resumed || rep.Shards != 1200 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

func TestASampleIsThatPartAndAlwaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for range 300 {
			r.spread("2+1", 4_000)
		}
		for range 2 {
			before := r.fleet.looked()
			_, err := r.Scrub.Scrub(t.Context(), Request{Sample: 0.1}, nil)
			must(t, err)
			if n := r.fleet.looked() - before; n < 50 || n > 130 {
				t.Errorf("a tenth of 900 shards is %d", n)
			}
		}
		_, err := r.Scrub.Scrub(t.Context(), Request{Sample: 2}, nil)
		wantClass(t, "sample of 2", err, cairn.ErrInvalid)
	})
}

func TestARetiredPackIsNotWalked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for i := range 3 {
			p := r.spread("2+1", 4_000)
			r.rows.set(p.ID, func(row *index.PackRow) {
				row.State = []index.PackState{index.Staged, index.Retiring, index.Retired}[i]
			})
		}
		r.full()
		if n := r.fleet.looked(); n != 0 {
			t.Errorf("%d looks", n)
		}
		if h := r.Health(); h.Packs != 0 {
			t.Errorf("%+v", h)
		}
	})
}
