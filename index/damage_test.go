package index

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

const damageKeys = 60

// use asks x for all it has and changes something everywhere. wrong is what x
// told with a straight face and is not so.
func use(x *Index) (wrong string, err error) {
	// Applied may have gone back, never without what was applied after it.
	applied := x.Applied().LSN
	entries, _, _, _, err := x.List(1, "", "", "", 1<<20)
	if err == nil && uint64(len(entries)) != applied {
		wrong = fmt.Sprintf("%d entries, applied %d", len(entries), applied)
	}
	for i := range uint64(damageKeys) {
		v, e := x.Object(1, fmt.Sprintf("k%04d", i))
		switch {
		case e == nil && (v.Stamp != st(1, i+1) || v.Put.Meta["k"] != v.Put.Key || names(packsOf(v.Put.Parts, nil)) != "AB"):
			wrong = fmt.Sprintf("%+v", v)
		case errors.Is(e, cairn.ErrNotExist) && i < applied:
			wrong = fmt.Sprintf("k%04d does not exist, applied %d", i, applied)
		case e != nil && !errors.Is(e, cairn.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	for i := range byte(damageKeys) {
		u, e := x.Upload(uid(i + 1))
		p, e2 := x.UploadPart(uid(i+1), 1)
		parts, _, e3 := x.UploadParts(uid(i+1), 0, 10)
		switch e := errors.Join(e, e2, e3); {
		case e == nil && (u.Key != fmt.Sprintf("k%04d", i) || names(packsOf(p.Parts, nil)) != "AB" || len(parts) != 1 || parts[0].ETag != p.ETag):
			wrong = fmt.Sprintf("%+v, %+v, %+v", u, p, parts)
		case errors.Is(e, cairn.ErrNotExist) && uint64(i) < applied:
			wrong = fmt.Sprintf("upload %d does not exist, applied %d", i, applied)
		case e != nil && !errors.Is(e, cairn.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	for _, e := range x.AllUploads() {
		err = errors.Join(err, e)
	}
	_, e := x.Uploads(1, "", "", "", pack.UploadID{}, 1<<20)
	err = errors.Join(err, e)
	for _, e := range x.Refs(packID('A')) {
		err = errors.Join(err, e)
	}
	for _, e := range x.Packs(cairn.PackID{}) {
		err = errors.Join(err, e)
	}
	var changes []Change
	for i := range uint64(damageKeys) {
		changes = append(changes, delRec(st(9, i+1), fmt.Sprintf("k%04d", i)), goneRec(st(9, 500+i), byte(i+1)))
	}
	return wrong, errors.Join(err, x.Apply(changes), x.Flush(), x.DropTombstones(st(9, 1000)), x.ForgetUploads(1<<62))
}

// Whatever one file suffers, the index works, or says ErrCorrupt and can be
// destroyed and made anew. It never panics and never serves other bytes.
func TestDamageIsErrCorrupt(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	for i := range uint64(damageKeys) {
		key := fmt.Sprintf("k%04d", i)
		must(t, x.Apply([]Change{putRec(st(1, i+1), key, "AB"), upRec(st(0, 2*i+1), byte(i+1), key), partRec(st(0, 2*i+2), byte(i+1), 1, "AB")}))
		if i == damageKeys/2 {
			must(t, x.Flush())
		}
	}
	must(t, x.SetPack(PackRow{Params: pack.Params{ID: packID('A')}}))
	must(t, x.Close())
	names, err := fs.List(dir)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	tables, rounds := 0, 1
	if long() {
		rounds = 20
	}
	for i, name := range names {
		for j, how := range []string{"flip", "cut", "empty", "remove", "zero the end"} {
			if race.On && (i+j)%3 != 0 {
				continue
			}
			for range rounds {
				c := fs.Crash(100, 1)
				path := dir + "/" + name
				old, err := durable.ReadFile(c, path, 1<<30)
				must(t, err)
				if len(old) == 0 && how != "remove" {
					continue
				}
				must(t, c.Remove(path))
				switch how {
				case "flip":
					old[rng.IntN(len(old))] ^= 1 << rng.IntN(8)
				case "cut":
					old = old[:rng.IntN(len(old))]
				case "empty":
					old = nil
				case "zero the end":
					clear(old[len(old)-min(len(old), 60):])
				}
				if how != "remove" {
					must(t, durable.WriteFile(c, path, old))
				}
				err = func() error {
					y, err := Open(config(c))
					if err != nil {
						return err
					}
					wrong, err := use(y)
					if wrong != "" {
						t.Errorf("%s of %s: %s", how, name, wrong)
					}
					_ = y.Close() // a poisoned index says so again
					return err
				}()
				if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
					t.Errorf("%s of %s: %v", how, name, err)
				}
				if strings.HasSuffix(name, ".sst") && how != "flip" {
					if tables++; err == nil {
						t.Errorf("%s of %s is not noticed", how, name)
					}
				}
				must(t, Destroy(c, dir))
				y, err := Open(config(c))
				if err != nil {
					t.Fatalf("%s of %s: after Destroy: %v", how, name, err)
				}
				must(t, y.Close())
			}
		}
	}
	if tables == 0 {
		t.Error("there was no table to damage")
	}
}

// The disk fills up, or breaks, below Pebble: writes end with the class of the
// error, nothing hangs, nothing ends the process, reads go on, and what was
// flushed before is there when the trouble is over.
func TestBackgroundErrorsEndWrites(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		class error
		hit   func(durable.Step) bool
	}{
		{"no space for a table", syscall.ENOSPC, cairn.ErrFull, func(s durable.Step) bool { return s.Op == durable.OpWrite && strings.HasSuffix(s.Name, ".sst") }},
		{"no table can be made", syscall.ENOSPC, cairn.ErrFull, func(s durable.Step) bool { return s.Op == durable.OpCreate && strings.HasSuffix(s.Name, ".sst") }},
		{"a table's sync fails", syscall.EIO, cairn.ErrCorrupt, func(s durable.Step) bool { return s.Op == durable.OpSync && strings.HasSuffix(s.Name, ".sst") }},
		{"the manifest's sync fails", syscall.EIO, nil, func(s durable.Step) bool { return s.Op == durable.OpSync && strings.Contains(s.Name, "MANIFEST") }},
		{"no space for the manifest", syscall.ENOSPC, cairn.ErrFull, func(s durable.Step) bool { return s.Op == durable.OpWrite && strings.Contains(s.Name, "MANIFEST") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := durable.NewMem()
			var broken atomic.Bool
			fs := durable.Watch(mem, durable.Hook{Before: func(s durable.Step) error {
				if broken.Load() && c.hit(s) {
					return c.err
				}
				return nil
			}})
			x := open(t, fs)
			must(t, x.Apply([]Change{putRec(st(1, 1), "x", "A")}))
			must(t, x.Flush())
			must(t, x.Apply([]Change{putRec(st(1, 2), "y", "A")}))
			broken.Store(true)
			if err := x.Flush(); err == nil || c.class != nil && !errors.Is(err, c.class) {
				t.Errorf("Flush: %v", err)
			}
			broken.Store(false) // too late: what Pebble holds in memory is not trusted any more
			if err := x.Flush(); err == nil || c.class != nil && !errors.Is(err, c.class) {
				t.Errorf("Flush again: %v", err)
			}
			if err := x.Apply([]Change{putRec(st(1, 3), "z", "A")}); err == nil {
				t.Error("Apply works on")
			}
			if err := x.DropTombstones(st(1, 1)); err == nil {
				t.Error("DropTombstones works on")
			}
			if s := stampOf(t, x, "y"); s != st(1, 2) {
				t.Errorf("y reads as of %v", s)
			}
			if err := x.Close(); err == nil {
				t.Error("Close says that all was flushed")
			}
			for _, percent := range []int{0, 100} {
				y, err := Open(config(mem.Crash(percent, 1)))
				if err != nil {
					if !errors.Is(err, cairn.ErrCorrupt) {
						t.Errorf("Open later: %v", err)
					}
					continue
				}
				if s := stampOf(t, y, "x"); s != st(1, 1) {
					t.Errorf("what was flushed is gone: %v", s)
				}
				must(t, y.Close())
			}
		})
	}
}

// Readers, writers, flushes and a close at the same time.
func TestConcurrentUse(t *testing.T) {
	x := fresh(t)
	var wg sync.WaitGroup
	var lsn atomic.Uint64
	for w := range 4 {
		wg.Go(func() {
			for i := range 40 {
				s := st(1, lsn.Add(4))
				key, packs := fmt.Sprintf("k%d", i%7), string(rune('A'+w))
				id := byte(2 + s.LSN/40)
				if err := x.Apply([]Change{putRec(s, key, packs), upRec(st(1, s.LSN+1), id, key), partRec(st(1, s.LSN+2), id, 1, packs), doneRec(st(1, s.LSN+3), id-1, key, packs)}); err != nil && !errors.Is(err, cairn.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for i := range 40 {
				err := func() error {
					if _, err := x.Object(1, fmt.Sprintf("k%d", i%7)); err != nil {
						return err
					}
					if _, _, _, _, err := x.List(1, "k", "", "", 5); err != nil {
						return err
					}
					for r, err := range x.Refs(packID('A')) {
						if err != nil {
							return err
						}
						if _, err := x.Referenced(r.Pack); err != nil {
							return err
						}
					}
					x.Totals()
					if _, _, err := x.UploadParts(uid(1), 0, 5); err != nil {
						return err
					}
					if _, err := x.Uploads(1, "k", "/", "", pack.UploadID{}, 5); err != nil {
						return err
					}
					for _, err := range x.AllUploads() {
						if err != nil {
							return err
						}
					}
					return x.SetPack(PackRow{Params: pack.Params{ID: packID(byte('A' + w))}})
				}()
				if err != nil && !errors.Is(err, cairn.ErrUnavailable) && !errors.Is(err, cairn.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			if err := x.Flush(); err != nil && !errors.Is(err, cairn.ErrUnavailable) {
				t.Error(err)
			}
		}
		must(t, x.Close())
	})
	wg.Wait()
}

// bulk is a record of about 60 KiB.
func bulk(lsn uint64) Change {
	return rec(st(1, lsn), pack.Put{Bucket: 1, Key: fmt.Sprintf("k%08d", lsn), Meta: map[string]string{"m": strings.Repeat("x", 60<<10)}})
}

// What is written is flushed without anybody calling Flush, and is then durable.
func TestWritesFlushThemselves(t *testing.T) {
	mem := durable.NewMem()
	x := open(t, mem)
	const batches = 20
	for i := range uint64(batches) {
		var batch []Change
		for j := range uint64(20) {
			batch = append(batch, bulk(1+i*20+j))
		}
		must(t, x.Apply(batch))
	}
	x.flow.mu.Lock()
	behind := x.flow.behind
	x.flow.mu.Unlock()
	if behind == nil {
		t.Fatalf("no flush was begun by %d records of 60 KiB", batches*20)
	}
	<-behind // on a busy machine it lags
	y := open(t, mem.Crash(0, 1))
	if s := y.Applied(); s.LSN < flushAt/(64<<10) || s.LSN%20 != 0 {
		t.Errorf("of %d records of 60 KiB, %v are durable", batches*20, s.LSN)
	}
}

// While a flush does not come to its end, writers wait as soon as flushAt bytes more
// have come in, and go on when it does: memory is bounded however slow the disk.
func TestWritersWaitForASlowFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		release := make(chan struct{})
		x := open(t, durable.Watch(durable.NewMem(), durable.Hook{Before: func(s durable.Step) error {
			if slow.Load() && s.Op == durable.OpCreate && strings.HasSuffix(s.Name, ".sst") {
				<-release
			}
			return nil
		}}))
		slow.Store(true)
		const records = 3 * flushAt / (60 << 10)
		var taken atomic.Uint64
		var wg sync.WaitGroup
		wg.Go(func() {
			for range records {
				must(t, x.Apply([]Change{bulk(taken.Load() + 1)}))
				taken.Add(1)
			}
		})
		synctest.Wait()
		if got := taken.Load() * 60 << 10; got < 2*flushAt*97/100 || got > 2*flushAt {
			t.Errorf("%d bytes were taken in while a flush hung, want about %d", got, 2*flushAt)
		}
		close(release)
		wg.Wait()
		if got := taken.Load(); got != records {
			t.Errorf("%d of %d records were written after it", got, records)
		}
	})
}

// A writer that waits for room is told when there will be none.
func TestWritersDoNotHangWhenFlushesFail(t *testing.T) {
	var broken atomic.Bool
	x := open(t, durable.Watch(durable.NewMem(), durable.Hook{Before: func(s durable.Step) error {
		if broken.Load() && s.Op == durable.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	}}))
	broken.Store(true)
	var wg sync.WaitGroup
	var lsn atomic.Uint64
	for range 3 {
		wg.Go(func() {
			for range 2000 {
				if err := x.Apply([]Change{bulk(lsn.Add(1))}); err != nil {
					if !errors.Is(err, cairn.ErrFull) {
						t.Error(err)
					}
					return
				}
			}
			t.Error("120 MB were taken in while no flush worked")
		})
	}
	wg.Wait()
	if err := x.Close(); !errors.Is(err, cairn.ErrFull) {
		t.Errorf("Close: %v", err)
	}
}
