package store

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// partPacks returns the packs that a part lies in.
func (r *rig) partPacks(id string, n int) (ids []cairn.PackID) {
	r.tb.Helper()
	p, err := r.idx.UploadPart(mustID(r.tb, id), uint16(n))
	must(r.tb, err)
	return packsOf(index.Change{Record: pack.Record{Body: p.UploadPart}})
}

// Parts that wait two days for their completion are no objects, and alive all
// the same: their packs are referred to at every moment, through release,
// restarts and the loss of the index. A part that was replaced holds none.
func TestHazardA6H2(t *testing.T) {
	for _, lost := range []bool{false, true} {
		simulated(t, 3, settled, func(t *testing.T, r *rig) {
			parts := [][]byte{content(1, 2*tinyPack+tinySmall+9), content(2, tinyPack), content(3, 700)}
			id := r.begin("x")
			must(t, r.part("x", id, 2, content(9, 2*tinyPack)))
			replaced := r.partPacks(id, 2)
			for i, p := range parts {
				must(t, r.part("x", id, i+1, p))
			}
			var packs []cairn.PackID
			for i := range parts {
				packs = append(packs, r.partPacks(id, i+1)...)
			}
			check := func(when string) {
				t.Helper()
				for _, pid := range packs {
					if is, err := r.idx.Referenced(pid); err != nil || !is {
						t.Errorf("%s: nothing refers to pack %v, %v", when, pid, err)
					}
					if row, err := r.idx.Pack(pid); when != "at once" && (err != nil || row.State != index.Spread) {
						t.Errorf("%s: pack %v is %v, %v", when, pid, row.State, err)
					}
				}
				for _, pid := range replaced {
					if is, err := r.idx.Referenced(pid); err != nil || is {
						t.Errorf("%s: pack %v of a part that was replaced is referred to, %v", when, pid, err)
					}
				}
				r.wantParts("x", id, map[int][]byte{1: parts[0], 2: parts[1], 3: parts[2]})
			}
			check("at once")
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			if n := len(stageFiles(t, r.fs)); n != 0 {
				t.Errorf("%d stages are left", n)
			}
			check("released")
			r.away(24 * time.Hour)
			check("after a day")
			if lost {
				r.lostIndex(t)
				check("from the nodes alone")
			}
			r.away(24 * time.Hour)
			r.pass(10 * time.Minute)
			check("after two days")
			_, err := r.complete("x", id, parts...)
			must(t, err)
			check2 := slices.Concat(parts...)
			r.want("x", check2)
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			r.reopen()
			r.want("x", check2)
			must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
			for _, pid := range packs {
				if is, err := r.idx.Referenced(pid); err != nil || is {
					t.Errorf("pack %v of a deleted object is referred to, %v", pid, err)
				}
			}
		})
	}
}

// The parts of an upload that ended, by whatever end, hold no pack.
func TestAnEndedUploadHoldsNoPack(t *testing.T) {
	for what, end := range map[string]func(*rig, string){
		"aborted": func(r *rig, id string) { must(r.tb, r.AbortUpload(r.tb.Context(), keyOf("x"), id)) },
		"expired": func(r *rig, id string) { r.away(UploadAge + time.Minute); r.pass(time.Second) },
		"not taken": func(r *rig, id string) {
			must(r.tb, r.part("x", id, 2, nil))
			_, err := r.CompleteUpload(r.tb.Context(), completeNumbers("x", id, []int{2}, nil))
			must(r.tb, err)
		},
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 3, settled, func(t *testing.T, r *rig) {
				id := r.begin("x")
				must(t, r.part("x", id, 1, content(1, 2*tinyPack)))
				packs := r.partPacks(id, 1)
				must(t, r.Flush(t.Context()))
				end(r, id)
				for range 2 {
					for _, pid := range packs {
						if is, err := r.idx.Referenced(pid); err != nil || is {
							t.Errorf("pack %v is referred to, %v", pid, err)
						}
					}
					r.reopen()
				}
			})
		})
	}
}

// No record of a part, or of an object made of parts, leaves before the packs
// that it names. So when the gateway is lost the version before is found, and no
// part whose bytes exist nowhere.
func TestHazardA5H2ForParts(t *testing.T) {
	t.Parallel()
	for _, completed := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			simulated(t, 4, coded("2+1"), func(t *testing.T, r *rig) {
				must(t, r.put("x", content(1, 5000)))
				id := r.begin("x")
				must(t, r.Flush(t.Context()))
				r.fates(backendtest.On(backendtest.Fails, backends.OpPut))
				must(t, r.put("opens the log", nil)) // before the packs that it will name
				data := content(2, 500<<10)
				must(t, r.part("x", id, 1, data))
				packs := r.partPacks(id, 1)
				stuck := packs[1]
				if completed {
					must(t, r.closeNow(t))
					_, err := r.complete("x", id, data)
					must(t, err)
				}
				if restart {
					r.crash(0, 1)
					r.open()
				}
				r.fates(without(stuck)) // one of its packs waits for a slow node
				if err := r.Flush(t.Context()); !errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("flush: %v", err)
				}
				r.pass(5 * time.Minute)
				known := r.survey()
				for _, s := range known {
					for _, rec := range s.Records {
						if slices.Contains(packsOf(index.Change{Record: rec}), stuck) {
							t.Errorf("a record of kind %d left before pack %v that it names", rec.Body.Kind(), stuck)
						}
					}
				}
				if _, stands := known[packs[0]]; !stands {
					t.Fatal("no pack of the part left, this test sees nothing")
				}
				r.loseDisk()
				r.open()
				r.want("x", content(1, 5000))
				r.wantParts("x", id, nil)
			})
		}
	}
}

// The disk keeps any pages of a group and loses others: a part is there whole or
// not at all, and so is an object whose list of parts was torn.
func TestHazardB4H1ForParts(t *testing.T) {
	t.Parallel()
	const tries = 12
	for what, act := range map[string]func(*rig, string) error{
		"a part":       func(r *rig, id string) error { return r.part("x", id, 1, content(1, 60_000)) },
		"a completion": func(r *rig, id string) error { _, err := r.CompleteUpload(r.tb.Context(), listed(id)); return err },
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
				id, _ := r.partsOfOne(100)
				was := r.numbers(id)
				var left []*durable.Mem
				r.watch(onPackSync(func(s durable.Step) error {
					for seed := range uint64(tries) {
						left = append(left, r.disk.Crash(75, seed))
					}
					return nil
				}))
				must(t, act(r, id))
				is := r.numbers(id)
				r.shut()
				torn, kept := 0, 0
				for seed, disk := range left[:tries] {
					r.disk, r.fs = disk, disk
					r.open()
					switch now := r.numbers(id); {
					case now == was:
						torn++
					case now == is:
						kept++
					default:
						t.Errorf("seed %d: it is %s, was %s and became %s", seed, now, was, is)
					}
					must(t, r.part("x", r.begin("x"), 1, content(3, 100)))
					r.shut()
				}
				t.Logf("%d torn, %d kept", torn, kept)
				if torn == 0 {
					t.Error("no group was torn, this test saw nothing")
				}
			})
		})
	}
}

// listed completes an upload that partsOfOne began, of 100 parts.
func listed(id string) CompleteUpload {
	c := CompleteUpload{Key: keyOf("x"), Upload: id, ETag: "all-100"}
	for i := range 100 {
		c.Numbers = append(c.Numbers, i+1)
	}
	return c
}

// numbers tells what an upload of x is, with the bytes of its part 1 and of x
// read.
func (r *rig) numbers(id string) string {
	r.tb.Helper()
	got, err := r.get("x")
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return err.Error()
	}
	state := etag(got)
	p, err := r.idx.UploadPart(mustID(r.tb, id), 1)
	if err != nil {
		return state + err.Error()
	}
	src := &source{s: r.Store, parts: p.Parts, size: int64(p.Size)}
	b, err := readRange(r.tb.Context(), src, 0, int64(p.Size))
	if err != nil {
		return err.Error()
	}
	return state + p.ETag + etag(b)
}

// Full nodes take no upload and no part, but what was uploaded can be completed
// or dropped: both are records.
func TestHazardB8ForUploads(t *testing.T) {
	simulated(t, 3, coded("2+1"), func(t *testing.T, r *rig) {
		full := &fullNodes{}
		r.close()
		r.tune = func(c *Config) { full.Nodes = c.Nodes; c.PackSize, c.Coding, c.Nodes = minPack, "2+1", full }
		r.open()
		taken, dropped := r.begin("x"), r.begin("y")
		must(t, r.part("x", taken, 1, content(1, 90_000)))
		must(t, r.part("y", dropped, 1, content(2, 90_000)))
		full.is.Store(true)
		if _, err := r.CreateUpload(t.Context(), Upload{Key: keyOf("z")}); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("an upload on full nodes: %v", err)
		}
		if err := r.part("x", taken, 2, content(3, 10)); !errors.Is(err, cairn.ErrFull) {
			t.Errorf("a part on full nodes: %v", err)
		}
		_, err := r.complete("x", taken, content(1, 90_000))
		must(t, err)
		must(t, r.AbortUpload(t.Context(), keyOf("y"), dropped))
		r.want("x", content(1, 90_000))
	})
}

// A completion or a copy whose group failed and was taken back named packs that
// an older record made: they are that record's still, also after a restart that
// finds them not sealed.
func TestWhatIsTakenBackTakesNoPackAlong(t *testing.T) {
	for what, fail := range map[string]func(*rig, string) error{
		"a completion": func(r *rig, id string) error {
			_, err := r.complete("x", id, content(1, 2*tinyPack))
			return err
		},
		"a copy": func(r *rig, id string) error {
			_, err := r.Copy(r.tb.Context(), Copy{From: keyOf("big"), To: keyOf("y")})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 3, settled, func(t *testing.T, r *rig) {
				unsealed := r.unsealed()
				unsealed.is.Store(true)
				var fails atomic.Bool
				r.watch(afterPackSync(func(durable.Step) error { // done, and said to have failed
					if fails.CompareAndSwap(true, false) {
						return errFault
					}
					return nil
				}))
				must(t, r.put("big", content(2, 2*tinyPack)))
				id := r.begin("x")
				must(t, r.part("x", id, 1, content(1, 2*tinyPack)))
				fails.Store(true)
				if err := fail(r, id); !errors.Is(err, cairn.ErrUnavailable) {
					t.Fatalf("it is answered %v", err)
				}
				must(t, r.put("next", []byte("1"))) // takes it back
				if n := r.phases()[closed]; n < 4 {
					t.Fatalf("%d packs are not sealed, this test sees nothing", n)
				}
				r.crash(100, 1)
				r.open()
				if st, err := r.Status(t.Context()); err != nil || len(st.Damage) != 0 {
					t.Errorf("damage: %v, %v", st.Damage, err)
				}
				r.want("big", content(2, 2*tinyPack))
				r.wantErr("y", cairn.ErrNotExist)
				r.wantErr("x", cairn.ErrNotExist)
				r.wantParts("x", id, map[int][]byte{1: content(1, 2*tinyPack)})
				_, err := r.complete("x", id, content(1, 2*tinyPack))
				must(t, err)
				r.want("x", content(1, 2*tinyPack))
				unsealed.is.Store(false)
				must(t, r.Flush(t.Context()))
			})
		})
	}
}
