package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// quiet is a pebble.Logger that fails the test where Pebble would end the
// process.
type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)             {}
func (quiet) Errorf(string, ...any)            {}
func (q quiet) Fatalf(format string, a ...any) { q.t.Errorf("pebble: "+format, a...) }

func openPebble(t *testing.T, on FS, dir string) *pebble.DB {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: on.VFS(), DisableWAL: true, Logger: quiet{t}, MemTableSize: 1 << 20})
	must(t, err)
	return db
}

// add writes batch i: three keys and "applied", as the index does.
func add(t *testing.T, db *pebble.DB, i int) {
	t.Helper()
	b := db.NewBatch()
	number := binary.BigEndian.AppendUint64(nil, uint64(i))
	for k := range 3 {
		must(t, b.Set(fmt.Appendf(nil, "%04d/%d", i, k), number, nil))
	}
	must(t, b.Set([]byte("applied"), number, nil))
	must(t, b.Commit(pebble.NoSync))
}

// applied checks that the database holds the batches 1 to n and nothing else,
// and returns n.
func applied(t *testing.T, on FS, dir string) int {
	t.Helper()
	db := openPebble(t, on, dir)
	defer func() { must(t, db.Close()) }()
	n := 0
	if v, c, err := db.Get([]byte("applied")); err == nil {
		n = int(binary.BigEndian.Uint64(v))
		must(t, c.Close())
	} else if !errors.Is(err, pebble.ErrNotFound) {
		t.Fatal(err)
	}
	it, err := db.NewIter(&pebble.IterOptions{UpperBound: []byte("a")})
	must(t, err)
	keys := 0
	for it.First(); it.Valid(); it.Next() {
		if want := fmt.Sprintf("%04d/%d", keys/3+1, keys%3); string(it.Key()) != want {
			t.Fatalf("key %d is %s, want %s", keys, it.Key(), want)
		}
		keys++
	}
	must(t, it.Close())
	if keys != 3*n {
		t.Fatalf("applied says %d batches, there are %d keys", n, keys)
	}
	return n
}

func TestPebbleLosesExactlyWhatWasNotFlushed(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("index"))
	db := openPebble(t, m, "index")
	for i := 1; i <= 10; i++ {
		add(t, db, i)
	}
	must(t, db.Flush())
	for i := 11; i <= 15; i++ {
		add(t, db, i)
	}
	// Even at 100 percent: what Pebble did not write, no power loss finds.
	for _, percent := range []int{0, 50, 100} {
		if n := applied(t, m.Crash(percent, 1), "index"); n != 10 {
			t.Errorf("at %d %%: %d batches, want 10", percent, n)
		}
	}
	must(t, db.Flush())
	if n := applied(t, m.Crash(0, 1), "index"); n != 15 {
		t.Errorf("after the second flush: %d batches, want 15", n)
	}
	must(t, db.Close())
}

// TestPebbleIsAPrefixAfterEachStep loses the power before and after every
// step that Pebble takes, by looking at what Mem.Crash leaves from the hook.
func TestPebbleIsAPrefixAfterEachStep(t *testing.T) {
	type loss struct {
		step             string
		left             *Mem
		flushed, written int
	}
	m := NewMem()
	must(t, m.MkdirAll("index"))
	var mu sync.Mutex // Pebble also takes steps beside this goroutine
	var losses []loss
	var flushed, written int
	look := func(s Step) {
		mu.Lock()
		defer mu.Unlock()
		losses = append(losses, loss{s.String(), m.Crash([]int{0, 50, 100}[len(losses)%3], s.N), flushed, written})
	}
	on, counter := Count(Watch(m, Hook{
		Before: func(s Step) error { look(s); return nil },
		After:  func(s Step, err error) error { look(s); return err },
	}))
	db, err := pebble.Open("index", &pebble.Options{FS: on.VFS(), DisableWAL: true, Logger: quiet{t}, DisableAutomaticCompactions: true})
	must(t, err)
	for i := 1; i <= 60; i++ {
		mu.Lock()
		written = i
		mu.Unlock()
		add(t, db, i)
		if i%10 == 0 {
			must(t, db.Flush())
			mu.Lock()
			flushed = i
			mu.Unlock()
		}
	}
	must(t, db.Close())
	if c := counter.Counts(); c.Syncs < 12 || c.DirSyncs < 6 || c.Bytes == 0 {
		t.Errorf("Pebble flushed six times with %+v", c)
	}
	if len(losses) < 100 {
		t.Errorf("only %d power losses", len(losses))
	}
	for _, l := range losses {
		n := applied(t, l.left, "index")
		if n < l.flushed || n > l.written || n%10 != 0 {
			t.Errorf("power lost at step %s: %d batches are left, %d were flushed and %d written", l.step, n, l.flushed, l.written)
		}
	}
}

func TestPebbleOnOSIsCountedAndLocked(t *testing.T) {
	on, counter := Count(OS())
	dir := t.TempDir() + "/index"
	db := openPebble(t, on, dir)
	add(t, db, 1)
	before := counter.Counts()
	must(t, db.Flush())
	if c := counter.Counts().Sub(before); c.Syncs == 0 || c.Bytes == 0 {
		t.Errorf("a flush is counted as %+v", c)
	}
	if second, err := pebble.Open(dir, &pebble.Options{FS: OS().VFS(), Logger: quiet{t}}); err == nil {
		t.Error("opened twice", second.Close())
	}
	must(t, db.Close())
	if n := applied(t, on, dir); n != 1 {
		t.Errorf("%d batches", n)
	}
}
