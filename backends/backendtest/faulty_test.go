package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	. "github.com/cairn-storage/cairn/backends/backendtest"
)

// outcome is what one call said and did.
type outcome struct {
	put      error
	stored   bool // the put is there
	read     error
	altered  bool // other bytes than the file's were given
	stat     error
	size     int64
	listed   int
	list     error
	delete   error
	deleted  bool
	free     int64
	freeErr  error
	replace  error
	replaced bool
}

// observe makes every call once against a node of two files of 10 bytes.
func observe(t *testing.T, fate Fate) outcome {
	mem := &Mem{Capacity: 100}
	old := []byte("0123456789")
	mem.SetBytes("a", old)
	mem.SetBytes("b", old)
	f := NewFaulty(mem, Always(fate))
	ctx := t.Context()
	if fate == Hangs {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	var o outcome
	p := make([]byte, 10)
	o.read = f.ReadAt(ctx, "a", p, 0)
	o.altered = o.read == nil && !bytes.Equal(p, old)
	o.size, o.stat = f.Stat(ctx, "a")
	for _, err := range f.List(ctx, "") {
		if o.list = err; err == nil {
			o.listed++
		}
	}
	c, _ := backends.As[backends.Capacity](f)
	o.free, _, o.freeErr = c.Free(ctx)
	w, _ := backends.As[backends.Replacer](f)
	o.replace = w.Replace(ctx, "b", []byte("new"))
	b, _ := mem.Bytes("b")
	o.replaced = string(b) == "new"
	o.delete = f.Delete(ctx, "a")
	o.deleted = !slices.Contains(mem.Names(), "a")
	o.put = f.Put(ctx, "c", old)
	o.stored = slices.Contains(mem.Names(), "c")
	return o
}

func TestEachFate(t *testing.T) {
	no, end := cairn.ErrUnavailable, context.DeadlineExceeded
	for _, c := range []struct {
		fate Fate
		want outcome
	}{
		{Works, outcome{size: 10, listed: 2, free: 80, replaced: true, deleted: true, stored: true}},
		{Fails, outcome{put: no, read: no, stat: no, list: no, delete: no, freeErr: no, replace: no}},
		{WorksButFails, outcome{put: no, read: no, stat: no, list: no, delete: no, freeErr: no, replace: no,
			listed: 2, replaced: true, deleted: true, stored: true}},
		{Lies, outcome{altered: true, size: 11, listed: 1, free: 160}},
		{Hangs, outcome{put: end, read: end, stat: end, list: end, delete: end, freeErr: end, replace: end}},
		{Drips, outcome{size: 10, listed: 2, free: 80, replaced: true, deleted: true, stored: true}},
	} {
		t.Run(c.fate.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := observe(t, c.fate)
				for what, e := range map[string][2]error{
					"put": {got.put, c.want.put}, "read": {got.read, c.want.read}, "stat": {got.stat, c.want.stat},
					"list": {got.list, c.want.list}, "delete": {got.delete, c.want.delete},
					"free": {got.freeErr, c.want.freeErr}, "replace": {got.replace, c.want.replace},
				} {
					if !errors.Is(e[0], e[1]) || (e[1] == nil) != (e[0] == nil) {
						t.Errorf("%s: %v, want %v", what, e[0], e[1])
					}
				}
				got.put, got.read, got.stat, got.list, got.delete, got.freeErr, got.replace = c.want.put, c.want.read, c.want.stat, c.want.list, c.want.delete, c.want.freeErr, c.want.replace
				if got != c.want {
					t.Errorf("got  %+v\nwant %+v", got, c.want)
				}
			})
		})
	}
}

func TestDripTakesASecondAByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFaulty(&Mem{}, Always(Drips))
		began := time.Now()
		if err := f.Put(t.Context(), "file", make([]byte, 90)); err != nil || time.Since(began) != 90*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began = time.Now()
		if err := f.ReadAt(ctx, "file", make([]byte, 90), 0); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestADownNodeFailsAtOnceAndComesBack(t *testing.T) {
	f := NewFaulty(&Mem{}, Always(Works))
	f.SetDown(true)
	if err := f.Put(t.Context(), "file", nil); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("down: %v", err)
	}
	f.SetDown(false)
	if err := f.Put(t.Context(), "file", nil); err != nil {
		t.Errorf("up again: %v", err)
	}
}

func TestLiesAboutMissingFiles(t *testing.T) {
	f := NewFaulty(&Mem{}, Always(Lies))
	p := make([]byte, 20)
	if err := f.ReadAt(t.Context(), "none", p, 5); err != nil || bytes.Equal(p, make([]byte, 20)) {
		t.Errorf("read: %q, %v", p, err)
	}
	if size, err := f.Stat(t.Context(), "none"); size != 1 || err != nil {
		t.Errorf("stat: %d, %v", size, err)
	}
}

func TestChoosers(t *testing.T) {
	first := First(2, Fails)
	if first("put", "a", 1) != Fails || first("put", "a", 2) != Fails || first("put", "a", 3) != Works {
		t.Error("First(2) is not the first two")
	}
	on := On(Lies, backends.OpRead, backends.OpStat)
	if on("read", "a", 1) != Lies || on("stat", "b", 9) != Lies || on("put", "a", 1) != Works {
		t.Error("On is not on its operations")
	}
}

func TestSeededFatesDependOnTheCallAloneAndKeepTheirRates(t *testing.T) {
	rates := Rates{Fails: 0.2, Lies: 0.1}
	choose, again, other := Seeded(1, "n1", rates), Seeded(1, "n1", rates), Seeded(1, "n2", rates)
	count, differs := map[Fate]int{}, 0
	const calls = 10_000
	for n := range calls {
		fate := choose("put", "packs/a", n)
		count[fate]++
		if again("put", "packs/a", n) != fate {
			t.Fatal("the same call met two fates")
		}
		if other("put", "packs/a", n) != fate {
			differs++
		}
	}
	for fate, want := range map[Fate]float64{Works: 0.7, Fails: 0.2, WorksButFails: 0, Lies: 0.1, Hangs: 0} {
		if got := float64(count[fate]) / calls; got < want-0.02 || got > want+0.02 {
			t.Errorf("%v: %v of all calls, want %v", fate, got, want)
		}
	}
	if differs < calls/4 {
		t.Errorf("two nodes differ in only %d of %d fates", differs, calls)
	}
}
