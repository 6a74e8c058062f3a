package store

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// A copy, or a completed upload, into a spread bucket from bytes that stand only
// in a stage covers those bytes.
func TestHazardB9H1(t *testing.T) {
	for _, size := range []int{100, 60_000, 200 << 10, 500<<10 + 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			simulated(t, 4, coded("2+2"), func(t *testing.T, r *rig) {
				must(t, r.CreateBucket(t.Context(), "safe"))
				must(t, r.SetBucketAck(t.Context(), "safe", AckSpread))
				must(t, r.Flush(t.Context()))
				must(t, r.put("x", content(1, size))) // staged
				to := cairn.Key{Bucket: "safe", Object: "y"}
				_, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: to})
				must(t, err)
				again := r.burnt(t, r.held(), 0, 2)
				defer again.shut()
				o, src, err := again.Open(t.Context(), to)
				must(t, err)
				defer src.Close()
				got, err := readRange(t.Context(), src, 0, o.Size)
				if !same(got, err, content(1, size)) {
					t.Errorf("y is %d bytes, %v", len(got), err)
				}
				again.wantErr("x", cairn.ErrNotExist) // it was answered as staged
			})
		})
	}
	t.Run("complete", func(t *testing.T) {
		simulated(t, 4, coded("2+2"), func(t *testing.T, r *rig) {
			id := r.begin("x")
			var parts [][]byte
			for i := range 12 { // more tails than one journal holds
				parts = append(parts, content(uint64(i), 60_000))
				must(t, r.part("x", id, i+1, parts[i]))
			}
			must(t, r.SetBucketAck(t.Context(), "bbb", AckSpread))
			_, err := r.complete("x", id, parts...)
			must(t, err)
			again := r.burnt(t, r.held(), 1, 3)
			defer again.shut()
			again.want("x", slices.Concat(parts...))
		})
	})
}

// The bucket of a spread write, made just before and known only here, is there
// with it.
func TestHazardB9TheBucketIsThereToo(t *testing.T) {
	simulated(t, 4, coded("2+2"), func(t *testing.T, r *rig) {
		id := r.begin("x") // staged, as the bucket is
		must(t, r.SetBucketAck(t.Context(), "bbb", AckSpread))
		must(t, r.SetBucketQuota(t.Context(), "bbb", 1<<20))
		must(t, r.part("x", id, 1, content(1, 10)))
		again := r.burnt(t, r.held(), 1, 2)
		defer again.shut()
		b, err := again.Bucket(t.Context(), "bbb")
		must(t, err)
		if b.Ack != AckSpread || b.Quota != 1<<20 {
			t.Errorf("the bucket is %+v", b)
		}
		again.wantParts("x", id, map[int][]byte{1: content(1, 10)})
	})
}

// However many journals there are, no directory has more than 256 entries.
func TestHazardB10a(t *testing.T) {
	spreadRig(t, 2, "1+1", func(t *testing.T, r *rig) {
		for i := range 300 {
			must(t, r.put(fmt.Sprint(i), []byte{1}))
		}
		for _, n := range r.nodes {
			entries := make(map[string]map[string]bool)
			for _, name := range n.mem.Names() {
				for dir := path.Dir(name); dir != "."; name, dir = dir, path.Dir(dir) {
					if entries[dir] == nil {
						entries[dir] = make(map[string]bool)
					}
					entries[dir][path.Base(name)] = true
				}
			}
			for dir, in := range entries {
				if len(in) > 256 {
					t.Errorf("%s has %d entries", dir, len(in))
				}
			}
		}
	})
}

// What journals take on the nodes is counted against the nodes' space while it
// lies there, whether or not anything needs it.
func TestHazardB10b(t *testing.T) {
	spreadRig(t, 4, "2+2", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 60_000)))
		must(t, r.Flush(t.Context()))
		r.reopen()
		for _, n := range r.nodes {
			var want int64
			for _, name := range n.mem.Names() {
				if _, err := layout.ParsePath(name); err == nil {
					b, _ := n.mem.Bytes(name)
					want += int64(len(b))
				}
			}
			if got := r.Used(n.ID); got != want {
				t.Errorf("%s holds %d bytes of shards, %d are counted", n.Name, want, got)
			}
		}
	})
}

// A log pack that is lost is not made again under its id, also where shards of
// it were on their way: what journals have of it is sealed anew.
func TestHazardB10c(t *testing.T) {
	for _, half := range []bool{false, true} {
		t.Run(fmt.Sprint("half scattered ", half), func(t *testing.T) {
			spreadRig(t, 5, "2+2", func(t *testing.T, r *rig) {
				must(t, r.Flush(t.Context()))
				must(t, r.put("x", content(1, 5000)))
				must(t, r.put("y", content(2, 70_000)))
				lost := r.packsOf("x")
				if half { // one shard of it comes to stand: too few for its frames
					for i, n := range r.nodes {
						n.faulty.SetChoose(func(op, _ string, _ int) backendtest.Fate {
							if op == "put" && i != 3 {
								return backendtest.Fails
							}
							return backendtest.Works
						})
					}
					if r.Flush(t.Context()) == nil {
						t.Fatal("it stands")
					}
					if n := len(r.shards()[lost[0]]); n != 1 {
						t.Fatalf("%d shards of the log pack stand", n)
					}
				}
				again := r.burnt(t, r.held())
				defer again.shut()
				again.want("x", content(1, 5000))
				again.want("y", content(2, 70_000))
				if slices.Contains(again.packsOf("x"), lost[0]) {
					t.Error("the pack was made again under its id")
				}
				must(t, again.Flush(t.Context()))
				if half != (len(again.shards()[lost[0]]) == 1) {
					t.Errorf("%d shards of the lost pack stand now", len(again.shards()[lost[0]]))
				}
				third := again.burnt(t, again.held(), 0, 4)
				defer third.shut()
				third.want("x", content(1, 5000))
				third.want("y", content(2, 70_000))
			})
		})
	}
}

// A journal of a log pack that stands says nothing, however authentic it is.
func TestHazardB10d(t *testing.T) {
	spreadRig(t, 4, "2+2", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 5000)))
		stale := r.held()
		must(t, r.put("x", content(2, 5000)))
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		must(t, r.put("y", content(3, 50)))
		must(t, r.Flush(t.Context()))
		now := r.held()
		for i := range now { // nodes that kept what they were told to delete
			for name, b := range stale[i] {
				now[i][name] = b
			}
		}
		again := r.burnt(t, now)
		defer again.shut()
		again.wantErr("x", cairn.ErrNotExist)
		again.want("y", content(3, 50))
		if len(again.packs) != 0 {
			t.Errorf("%d stages were made of stale journals", len(again.packs))
		}
		for row, err := range again.idx.Packs(cairn.PackID{}) {
			must(t, err)
			if row.Kind == pack.Journal && row.State != index.Retiring {
				t.Errorf("a stale journal is %v", row.State)
			}
		}
	})
}

// A log pack that is missing below one that stands is a hole, which only a person
// may accept; journals then have what was promised.
func TestALogPackOvertakenByAnotherIsMadeUpForByJournals(t *testing.T) {
	spreadRig(t, 4, "2+2", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 5000)))
		slow := r.packsOf("x")[0]
		r.fates(without(slow))
		if r.Flush(t.Context()) == nil {
			t.Fatal("it stands")
		}
		must(t, r.put("y", content(2, 5000)))
		must(t, r.put("x", content(3, 60_000)))
		must(t, r.com.closeNow(t.Context()))
		r.pass(1e9)
		if r.stands(slow) || !r.stands(r.packsOf("y")[0]) {
			t.Fatal("the second did not overtake the first")
		}
		h := r.held()
		for name := range filesOf(h, slow) {
			delete(h[name.node], name.file)
		}
		again := r.ashes(t, h)
		if err := again.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("opens by itself: %v", err)
		}
		again = r.ashes(t, h)
		again.burn()
		again.recover(Base{Nodes: again.listed(), AcceptLoss: true})
		defer again.shut()
		again.want("x", content(3, 60_000))
		again.want("y", content(2, 5000))
	})
}

type nodeFile struct {
	node int
	file string
}

// filesOf lists the files of a pack.
func filesOf(h held, id cairn.PackID) map[nodeFile]bool {
	out := make(map[nodeFile]bool)
	for i, files := range h {
		for name := range files {
			if s, err := layout.ParsePath(name); err == nil && s.Pack == id {
				out[nodeFile{i, name}] = true
			}
		}
	}
	return out
}
