package scrub

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// find runs a scrub of listings.
func (r *rig) find() Report {
	r.tb.Helper()
	rep, err := r.Scrub.Scrub(r.tb.Context(), Request{}, nil)
	must(r.tb, err)
	return rep
}

func (r *rig) row(id cairn.PackID) []cairn.Location {
	r.tb.Helper()
	row, err := r.rows.Pack(id)
	must(r.tb, err)
	return row.At
}

func TestListingsOfAHealthyStoreLookAtNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		for range 20 {
			r.spread("4+3", 5_000)
		}
		rep := r.find()
		if rep.Shards != 140 || rep.Missing+rep.Lost+rep.Wrong+rep.Unread != 0 || r.fleet.looked() != 0 {
			t.Errorf("%+v, %d direct looks", rep, r.fleet.looked())
		}
	})
}

func TestHazardB7AShardIsLostOnlyAtASecondLookAnHourLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		n, name := r.file(p, 3)
		kept, _ := n.mem.Bytes(name)
		n.mem.Drop(name)
		for i, step := range []struct {
			after         time.Duration
			missing, lost int64
			shards        int
		}{{0, 1, 0, 7}, {30 * time.Minute, 1, 0, 7}, {29 * time.Minute, 1, 0, 7}, {2 * time.Minute, 0, 1, 6}, {0, 0, 0, 6}} {
			r.pass(step.after)
			rep := r.find()
			if rep.Missing != step.missing || rep.Lost != step.lost || len(r.row(p.ID)) != step.shards {
				t.Errorf("look %d: %d missing, %d lost, %d in the row; want %+v", i, rep.Missing, rep.Lost, len(r.row(p.ID)), step)
			}
		}
		// The file was there all the time, as it turns out: it is taken up again.
		n.mem.SetBytes(name, kept)
		r.find()
		r.pass(61 * time.Minute)
		if rep := r.find(); rep.Found != 1 {
			t.Errorf("a shard that turned up was not taken up: %+v", rep)
		}
		r.wantWhole("after it turned up")
	})
}

func TestALookThatFindsTheShardEndsTheDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		n, name := r.file(p, 3)
		b, _ := n.mem.Bytes(name)
		n.mem.Drop(name)
		r.find()
		n.mem.SetBytes(name, b)
		r.pass(2 * time.Hour)
		r.find()
		n.mem.Drop(name)
		if rep := r.find(); rep.Lost != 0 || rep.Missing != 1 {
			t.Errorf("an old doubt counted as a first look: %+v", rep)
		}
	})
}

func TestHazardB7AnUnmountedDiskLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		before := r.row(p.ID)
		n := r.nodes[2]
		kept := make(map[string][]byte)
		for _, name := range n.mem.Names() {
			kept[name], _ = n.mem.Bytes(name)
			n.mem.Drop(name)
		}
		for range 5 {
			rep, err := r.Scrub.Scrub(t.Context(), Request{}, nil)
			must(t, err)
			if rep.Lost+rep.Missing != 0 {
				t.Errorf("an unmounted disk: %+v", rep)
			}
			r.pass(90 * time.Minute)
		}
		if !slices.Equal(r.row(p.ID), before) {
			t.Errorf("the row changed to %v", r.row(p.ID))
		}
		for name, b := range kept {
			n.mem.SetBytes(name, b)
		}
		r.pass(10 * time.Minute)
		if rep := r.find(); rep.Missing+rep.Lost != 0 {
			t.Errorf("mounted again: %+v", rep)
		}
	})
}

// TestAListingThatOmitsIsAHintOnly: an eventually consistent remote, or a node
// that lies about what it has.
func TestHazardC17TheRowIsReadAgainBeforeItIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8)
		p := r.spread("4+3", 5_000)
		n, name := r.file(p, 3)
		b, _ := n.mem.Bytes(name)
		old := r.row(p.ID)[3]
		moved := cairn.Location{Index: 3, Node: r.nodes[7].ID, Write: 77}
		// It moves after the listing that no longer shows it.
		n.mem.Drop(name)
		f, err := r.compare(t.Context(), n.ID)
		must(t, err)
		r.nodes[7].mem.SetBytes(layout.Path(moved.Name(p.ID)), b)
		r.rows.set(p.ID, func(row *index.PackRow) { row.At[3] = moved })
		var rep Report
		r.lookAll(t.Context(), f.absent, &rep)
		if len(f.absent) != 1 || rep.Missing != 0 || r.fleet.looked() != 0 {
			t.Errorf("%d hints, %+v, %d looks", len(f.absent), rep, r.fleet.looked())
		}
		if x := r.look(t.Context(), place{p.ID, old}, 1); x.is != sawMoved {
			t.Errorf("a look at the old place came to %v", x.is)
		}
	})
}

// TestAFileOfAnotherSizeIsReadWhole: it may verify block by block all the same,
// but recovery finds a tail by the end of the file.
func TestAFileOfAnotherSizeIsReadWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		n, name := r.file(p, 5)
		b, _ := n.mem.Bytes(name)
		n.mem.SetBytes(name, append(b, 0))
		if rep := r.find(); rep.Wrong != 1 {
			t.Errorf("%+v", rep)
		}
	})
}

func TestMarksAreBounded(t *testing.T) {
	m := newMarks()
	for i := range marksMost + 10 {
		_, ok := m.add(doubted, place{Location: cairn.Location{Write: uint32(i)}}, 5)
		if ok != (i < marksMost) {
			t.Fatalf("mark %d: %v", i, ok)
		}
	}
	if _, ok := m.add(doubted, place{}, 9); !ok {
		t.Error("a mark that is there was refused")
	}
}

// TestASpoolSortsWhatDoesNotFit and leaves no file behind.
func TestASpoolSortsWhatDoesNotFit(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		fs := durable.NewMem()
		must(t, fs.MkdirAll("/s"))
		sp := &spool{fs: fs, dir: "/s", tag: "x", room: 8}
		var want []fleet.File
		for i := range n {
			h := uint64(i) * 0x9e3779b97f4a7c15
			f := fleet.File{Shard: cairn.ShardName{Pack: cairn.NewPackID(h>>40, [10]byte{byte(h)}), Index: uint8(h % 7), Write: uint32(h)}, Size: int64(h >> 30)}
			want = append(want, f)
			must(t, sp.add(f))
		}
		slices.SortFunc(want, compareFiles)
		var got []fleet.File
		for f, err := range sp.sorted(t.Context()) {
			must(t, err)
			got = append(got, f)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d files: they came out otherwise", n)
		}
		must(t, sp.close())
		if names, _ := fs.List("/s"); len(names) != 0 {
			t.Errorf("%d files: left behind %v", n, names)
		}
	}
}

func TestAListingOverManyRunsFindsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		for range 30 {
			r.spread("4+3", 5_000)
		}
		for _, i := range []int{0, 11, 29} {
			n, name := r.file(r.packs[i], 2)
			n.mem.Drop(name)
		}
		r.spoolRoom = 4
		if rep := r.find(); rep.Missing != 3 || rep.Shards != 210 {
			t.Errorf("%+v", rep)
		}
		// A process killed meanwhile leaves files; the next life removes them.
		f, err := r.fs.Create(path.Join("/scrub", spoolPrefix+"dead-0"))
		must(t, err)
		must(t, f.Close())
		r.start()
		names, _ := r.fs.List("/scrub")
		if slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, spoolPrefix) }) {
			t.Errorf("left behind: %v", names)
		}
	})
}

// extraOf puts a second good file of a shard on a node.
func (r *rig) extraOf(p *pack.Sealed, shard, node int) (*rigNode, string) {
	l := cairn.Location{Index: uint8(shard), Node: r.nodes[node].ID, Write: 99}
	name := layout.Path(l.Name(p.ID))
	r.nodes[node].mem.SetBytes(name, p.Files[shard])
	return r.nodes[node], name
}

// TestAnExtraFileBesideAnotherShardIsTakenUpOnlyInNeed: a node that holds two
// shards of a pack would lose both. Repair makes the missing one elsewhere, and
// then the extra one goes; only while the pack cannot be read does it count.
func TestANodeThatCannotBeListedIsSaidAndTheOthersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		p := r.spread("2+1", 5_000)
		r.nodes[0].faulty.SetDown(true)
		rep := r.find()
		if rep.Shards != 2 || !slices.ContainsFunc(rep.Says, func(s string) bool { return strings.Contains(s, "n1") }) {
			t.Errorf("%+v", rep)
		}
		for _, n := range r.nodes {
			n.faulty.SetDown(true)
		}
		_, err := r.Scrub.Scrub(t.Context(), Request{}, nil)
		wantClass(t, "no node answers", err, cairn.ErrUnavailable)
		_, err = r.Scrub.Scrub(t.Context(), Request{Node: "nobody"}, nil)
		wantClass(t, "no such node", err, cairn.ErrNotExist)
		if len(r.row(p.ID)) != 3 {
			t.Error("the row changed")
		}
	})
}

func TestHazardB17TemporariesGoByOurOwnClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		n := r.nodes[0]
		n.mem.SetBytes("tmp/old", []byte("x"))
		stands := func() bool { _, ok := n.mem.Bytes("tmp/old"); return ok }
		for cycle := range 3 {
			if !stands() {
				t.Errorf("gone in cycle %d", cycle)
			}
			r.sweep(t.Context(), n.ID)
			r.save(t.Context())
			r.start() // a restart does not begin anew
		}
		if stands() {
			t.Error("it was there two cycles ago and still stands")
		}
		// One that came later, and a listing that fails, count from their own time.
		n.mem.SetBytes("tmp/new", []byte("x"))
		r.sweep(t.Context(), n.ID)
		n.faulty.SetChoose(backendtest.On(backendtest.Fails, backends.OpList))
		for range 5 {
			r.sweep(t.Context(), n.ID)
		}
		n.faulty.SetChoose(nil)
		r.pass(5 * time.Minute)
		r.sweep(t.Context(), n.ID)
		if _, ok := n.mem.Bytes("tmp/new"); !ok {
			t.Error("a listing that failed counted for a cycle")
		}
		if _, ok := n.mem.Bytes(layout.MarkerName); !ok {
			t.Error("the marker is gone")
		}
	})
}

func TestStateSurvivesAnyCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		p := r.spread("2+1", 5_000)
		n, name := r.file(p, 1)
		n.mem.Drop(name)
		var moments []*durable.Mem
		r.fs = durable.Watch(r.disk, durable.Hook{Before: func(durable.Step) error {
			for _, part := range []int{0, 50, 100} {
				moments = append(moments, r.disk.Crash(part, uint64(len(moments))))
			}
			return nil
		}})
		r.start()
		r.find()
		r.pass(30 * time.Minute)
		r.find()
		for i, m := range moments {
			r.fs = m
			r.start()
			r.mu.Lock()
			for _, t0 := range r.marks.of[doubted] {
				if t0 > r.now() {
					t.Errorf("moment %d: a first look in the future", i)
				}
			}
			r.mu.Unlock()
		}
		// What is torn is forgotten, and the hour begins anew.
		r.fs = r.disk
		must(t, durable.WriteFile(r.fs, "/scrub/"+marksName, []byte("{")))
		must(t, durable.WriteFile(r.fs, "/scrub/"+stateFile, []byte(fmt.Sprintf(`{"version":%d,"nodes":{"x":null}}`, stateVersion))))
		r.start()
		r.pass(45 * time.Minute)
		if rep := r.find(); rep.Lost != 0 || rep.Missing != 1 {
			t.Errorf("after its marks were torn: %+v", rep)
		}
		if len(moments) < 20 {
			t.Errorf("only %d moments", len(moments))
		}
	})
}

// TestAShardThatMovesUnderALookIsNotMissing: repair and drain go on while every
// byte is read.
func TestAShardThatMovesUnderALookIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		r.listed()
		moved := false
		r.fleet.before = func() {
			if moved {
				return
			}
			moved = true
			must(t, r.rows.Placed(p.ID, func(row *index.PackRow) error {
				for i := range row.At { // each made again under another name, the old ones gone
					n := r.node(row.At[i].Node)
					old := layout.Path(row.At[i].Name(p.ID))
					b, _ := n.mem.Bytes(old)
					row.At[i].Write++
					must(t, n.mem.Put(t.Context(), layout.Path(row.At[i].Name(p.ID)), b))
					n.mem.Drop(old)
				}
				return nil
			}))
		}
		rep, err := r.Scrub.Scrub(t.Context(), Request{Full: true}, nil)
		must(t, err)
		if rep.Missing+rep.Lost+rep.Unread > 0 || !moved {
			t.Errorf("%+v", rep)
		}
	})
}

// TestAMissingShardIsCountedOnce: a scrub that lists and then reads everything
// meets it twice.
func TestAMissingShardIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		p := r.spread("4+3", 5_000)
		n, name := r.file(p, 3)
		n.mem.Drop(name)
		rep, err := r.Scrub.Scrub(t.Context(), Request{Full: true, Repair: true}, nil)
		must(t, err)
		if rep.Missing != 1 || rep.Lost != 0 {
			t.Errorf("%d missing, %d lost, want 1 and 0", rep.Missing, rep.Lost)
		}
		if said := strings.Join(rep.Says, "\n"); !strings.Contains(said, "nothing to mend") {
			t.Errorf("it says %q", said)
		}
	})
}
