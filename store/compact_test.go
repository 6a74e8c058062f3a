package store

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

func everything(index.PackRow, uint64) bool { return true }

func (r *rig) compact(c Compaction) Compacted {
	r.tb.Helper()
	if c.Want == nil {
		c.Want = everything
	}
	out, err := r.Compact(r.tb.Context(), c, nil)
	must(r.tb, err)
	return out
}

// mixed puts objects of all kinds: small ones, of several packs, copies, and one
// of so many parts that its record needs a list.
func (r *rig) mixed(t *testing.T) map[string][]byte {
	t.Helper()
	want := make(map[string][]byte)
	put := func(key string, data []byte) {
		must(t, r.put(key, data))
		want[key] = data
	}
	for i := range 20 {
		put(fmt.Sprint("small", i), content(uint64(i), 500*(i+1)))
	}
	put("empty", nil)
	put("one", content(50, tinyPack))
	put("big", content(51, 3*tinyPack+70_001))
	put("tail", content(52, tinyPack+5))
	for to, from := range map[string]string{"copy of big": "big", "copy of small": "small3"} {
		_, err := r.Copy(t.Context(), Copy{From: keyOf(from), To: keyOf(to)})
		must(t, err)
		want[to] = want[from]
	}
	up, err := r.CreateUpload(t.Context(), Upload{Key: keyOf("parts")})
	must(t, err)
	var parts [][]byte
	for i := range 120 {
		parts = append(parts, content(uint64(100+i), 700+i))
		must(t, r.part("parts", up.ID, i+1, parts[i]))
	}
	_, err = r.complete("parts", up.ID, parts...)
	must(t, err)
	want["parts"] = slices.Concat(parts...)
	if v, err := r.version(keyOf("parts")); err != nil || v.Put.List == nil {
		t.Fatalf("the parts need no list, %v", err)
	}
	for i := range 10 { // garbage between
		must(t, r.put("gone", content(uint64(900+i), 9000)))
	}
	must(t, r.Delete(t.Context(), keyOf("gone"), Condition{}))
	return want
}

func (r *rig) wantAll(want map[string][]byte) {
	r.tb.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		r.want(key, want[key])
	}
}

// TestCompactMovesEverything: all objects read before, after, after a restart and
// after the loss of the gateway; the packs they lay in go, and nothing else.
func TestCompactMovesEverything(t *testing.T) {
	collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		want := r.mixed(t)
		r.rest()
		before := r.shards()
		dry := r.compact(Compaction{DryRun: true})
		if dry.Of == 0 || dry.Packs != 0 || dry.Live != 0 {
			t.Errorf("a dry run: %+v", dry)
		}
		out := r.compact(Compaction{})
		if out.Packs != out.Of || out.Of != dry.Of || out.Waiting != 0 || out.Live != dry.LiveOf || out.Made == 0 {
			t.Errorf("%+v, the dry run said %+v", out, dry)
		}
		if again := r.compact(Compaction{Want: func(row index.PackRow, _ uint64) bool { return before[row.Params.ID] != nil }}); again.Of != 0 {
			t.Errorf("there is more to do: %+v", again)
		}
		r.wantAll(want)
		for key := range want {
			for _, id := range r.packsOf(key) {
				if before[id] != nil {
					t.Errorf("%s still lies in %v", key, id)
				}
			}
		}
		r.reopen()
		r.wantAll(want)
		for i := range 9 {
			must(t, r.put("more", content(uint64(i), 100)))
			r.rest()
			r.checkpoint()
		}
		want["more"] = content(8, 100)
		r.retireAll()
		r.pass(2 * eon)
		for id := range before {
			if r.fileCount(id) != 0 {
				row, err := r.Pack(id)
				t.Errorf("%v pack %v is still there: %v, %v", row.Kind, id, row.State, err)
			}
		}
		r.booked()
		r.wantAll(want)
		base := r.base(roots)
		r.burn()
		r.recover(base)
		r.wantAll(want)
		r.booked()
	})
}

// TestCopiesShareWhatWasMoved: bytes that two versions refer to are written once.
func TestCopiesShareWhatWasMoved(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("a", content(1, tinyPack)))
		for i := range 5 {
			_, err := r.Copy(t.Context(), Copy{From: keyOf("a"), To: keyOf(fmt.Sprint("copy", i))})
			must(t, err)
		}
		r.rest()
		if out := r.compact(Compaction{}); out.Live > tinyPack+tinyPack/10 || out.Moved != 6 {
			t.Errorf("%+v", out)
		}
		for i := range 5 {
			if !slices.Equal(r.packsOf("a"), r.packsOf(fmt.Sprint("copy", i))) {
				t.Error("copies lie in different packs")
			}
		}
	})
}

// TestHazardA6H4MovesLoseAgainstWrites: a version that was overwritten, deleted
// or copied while its bytes were on their way stays so.
func TestHazardA6H4MovesLoseAgainstWrites(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		old, fresh := content(1, tinyPack), content(2, 3000)
		for _, key := range []string{"over", "gone", "copied", "left"} {
			must(t, r.put(key, old))
		}
		r.rest()
		before := r.shards()
		meddled := false
		out, err := r.Compact(t.Context(), Compaction{Want: everything}, func(c Compacted) {
			if c.Live == c.LiveOf && !meddled && c.Live > 0 {
				meddled = true // all is read, nothing moved
				must(t, r.put("over", fresh))
				must(t, r.Delete(t.Context(), keyOf("gone"), Condition{}))
				_, err := r.Copy(t.Context(), Copy{From: keyOf("copied"), To: keyOf("copy")})
				must(t, err)
			}
		})
		must(t, err)
		check := func() {
			t.Helper()
			r.want("over", fresh)
			r.wantErr("gone", cairn.ErrNotExist)
			for _, key := range []string{"copied", "copy", "left"} {
				r.want(key, old)
			}
		}
		check()
		for _, key := range []string{"copied", "copy", "left"} {
			if before[r.packsOf(key)[0]] != nil {
				t.Errorf("%s was left behind: %+v", key, out)
			}
		}
		r.retireAll()
		r.pass(2 * eon)
		check()
		r.crash(0, 1)
		r.open()
		check()
	})
}

// TestHazardA6H3CopyAgainstRetirement: a copy that was resolved before a move and
// is stamped after the pack is retired refers to where the bytes lie now.
func TestHazardA6H3CopyAgainstRetirement(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		data := content(1, tinyPack)
		must(t, r.put("x", data))
		r.rest()
		ids := r.packsOf("x")
		var wg sync.WaitGroup
		for i := range 5 {
			_, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf(fmt.Sprint("y", i))})
			must(t, err)
		}
		stop := make(chan struct{})
		wg.Go(func() { // copies all the time
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				_, err := r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf(fmt.Sprint("y", i%5))})
				must(t, err)
			}
		})
		r.compact(Compaction{})
		close(stop)
		wg.Wait()
		r.retireAll()
		r.pass(2 * eon)
		if r.fileCount(ids...) != 0 {
			t.Errorf("the pack is %v", r.packState(ids[0]))
		}
		for i := range 5 {
			r.want(fmt.Sprint("y", i), data)
		}
	})
}

// TestUploadsHoldTheirPacks: those are left and told.
func TestUploadsHoldTheirPacks(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		up, err := r.CreateUpload(t.Context(), Upload{Key: keyOf("x")})
		must(t, err)
		part := content(1, tinyPack)
		must(t, r.part("x", up.ID, 1, part))
		r.rest()
		if out := r.compact(Compaction{}); out.Waiting != 1 || out.Of != 0 {
			t.Errorf("%+v", out)
		}
		_, err = r.complete("x", up.ID, part)
		must(t, err)
		r.rest()
		if out := r.compact(Compaction{}); out.Waiting != 0 || out.Packs == 0 {
			t.Errorf("%+v", out)
		}
		r.want("x", part)
	})
}

// TestCompactRecodes: what is rewritten has today's coding and epoch.
func TestCompactRecodes(t *testing.T) {
	collecting(t, 4, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		want := r.mixed(t)
		r.rest()
		must(t, r.SetCoding(t.Context(), "2+2"))
		key := [32]byte{77}
		r.SetEpoch(2, key)
		r.rest()
		r.compact(Compaction{Want: func(row index.PackRow, _ uint64) bool { return row.Params.Epoch < 2 }})
		for row, err := range r.Packs(cairn.PackID{}) {
			must(t, err)
			used, err := r.idx.Referenced(row.Params.ID)
			must(t, err)
			if used && (row.Params.Epoch != 2 || row.Params.Coding != cairn.Coding{K: 2, M: 2}) {
				t.Errorf("%v pack %v is of epoch %d, coded %v", row.Kind, row.Params.ID, row.Params.Epoch, row.Params.Coding)
			}
		}
		r.wantAll(want)
	})
}

// TestCompactEndsWithItsContext: what was made and not moved is given up, what
// was moved stays, and the rest is done the next time.
func TestCompactEndsWithItsContext(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, _ *rootFile) {
		want := r.mixed(t)
		r.rest()
		spent := 0
		enough := fmt.Errorf("enough: %w", cairn.ErrFull)
		for n := 1; ; n += 1 + n/8 {
			spent = 0
			_, err := r.Compact(t.Context(), Compaction{Want: func(row index.PackRow, _ uint64) bool { return row.Kind != pack.Data || len(row.At) > 0 },
				Traffic: &allowed{then: func() error {
					if spent++; spent > n {
						return enough
					}
					return nil
				}}}, nil)
			r.wantAll(want)
			if err == nil {
				break
			}
			if n > 500 {
				t.Fatal(err)
			}
		}
		r.retireAll()
		r.pass(2 * eon)
		r.wantAll(want)
		synctest.Wait()
	})
}
