package durable

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// TestAttendanceTellsWhatHangs: the call that began first is told, by whichever
// way the disk hangs, until it returns.
func TestAttendanceTellsWhatHangs(t *testing.T) {
	for _, c := range []struct {
		says string
		call func(FS, File) error
	}{
		{"read /d/f", func(_ FS, f File) error { _, err := f.ReadAt(make([]byte, 1), 0); return err }},
		{"write /d/f", func(_ FS, f File) error { _, err := f.WriteAt([]byte("b"), 0); return err }},
		{"sync /d/f", func(_ FS, f File) error { return f.Sync() }},
		{"stat /d/f", func(_ FS, f File) error { _, err := f.Size(); return err }},
		{"allocate /d/f", func(_ FS, f File) error { return f.Allocate(0, 9) }},
		{"stat /d/f", func(fs FS, _ File) error { _, err := fs.Size("/d/f"); return err }},
		{"open /d/f", func(fs FS, _ File) error { return opened(fs.Open("/d/f")) }},
		{"open /d/f", func(fs FS, _ File) error { return opened(fs.OpenReadWrite("/d/f")) }},
		{"create /d/g", func(fs FS, _ File) error { return opened(fs.Create("/d/g")) }},
		{"list /d", func(fs FS, _ File) error { _, err := fs.List("/d"); return err }},
		{"rename /d/f", func(fs FS, _ File) error { return fs.Rename("/d/f", "/d/h") }},
		{"remove /d/f", func(fs FS, _ File) error { return fs.Remove("/d/f") }},
		{"open /d", func(fs FS, _ File) error { return fs.SyncDir("/d") }},
		{"stat /d", func(fs FS, _ File) error { return fs.MkdirAll("/d") }},
		{"stat /d", func(fs FS, _ File) error { _, _, err := fs.Free("/d"); return err }},
	} {
		t.Run(c.says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hung, hang := Hangs(NewMem())
				fs, calls := Attend(hung)
				must(t, fs.MkdirAll("/d"))
				f, err := fs.Create("/d/f")
				must(t, err)
				_, err = f.WriteAt([]byte("a"), 0)
				must(t, err)
				if what, took := calls.Longest(); what != "" || took != 0 {
					t.Errorf("before: %s for %v", what, took)
				}
				hang.Stop("")
				var wg sync.WaitGroup
				wg.Go(func() { must(t, c.call(fs, f)) })
				synctest.Wait()
				time.Sleep(3 * time.Second) // of the bubble
				wg.Go(func() { _, _ = fs.List("/") })
				synctest.Wait()
				if what, took := calls.Longest(); what != c.says || took != 3*time.Second {
					t.Errorf("%s for %v", what, took)
				}
				hang.Go()
				wg.Wait()
				must(t, f.Close())
				if what, took := calls.Longest(); what != "" || took != 0 {
					t.Errorf("afterwards: %s for %v", what, took)
				}
			})
		})
	}
}

// TestAttendanceSeesPebblesCalls, through the same FS.
func TestAttendanceSeesPebblesCalls(t *testing.T) {
	hung, hang := Hangs(NewMem())
	fs, calls := Attend(hung)
	must(t, fs.MkdirAll("/index"))
	db, err := pebble.Open("/index", &pebble.Options{FS: fs.VFS()})
	must(t, err)
	must(t, db.Set([]byte("a"), []byte("b"), pebble.NoSync))
	hang.Stop("/index")
	var wg sync.WaitGroup
	wg.Go(func() { must(t, db.Flush()) })
	<-hang.Stuck()
	if what, _ := calls.Longest(); !strings.Contains(what, "/index/") {
		t.Errorf("%q", what)
	}
	hang.Go()
	wg.Wait()
	must(t, db.Close())
}

// TestHangStopsOnlyWhatIsBelow a name.
func TestHangStopsOnlyWhatIsBelow(t *testing.T) {
	fs, hang := Hangs(NewMem())
	must(t, fs.MkdirAll("/a"))
	must(t, fs.MkdirAll("/b"))
	hang.Stop("/a")
	must(t, opened(fs.Create("/b/f")))
	var wg sync.WaitGroup
	wg.Go(func() { must(t, opened(fs.Create("/a/f"))) })
	<-hang.Stuck()
	hang.Go()
	wg.Wait()
}

func opened(f File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

func BenchmarkAttend(b *testing.B) {
	for _, c := range []struct {
		name string
		of   func(FS) FS
	}{{"bare", func(fs FS) FS { return fs }}, {"attended", func(fs FS) FS { fs, _ = Attend(fs); return fs }}} {
		b.Run(c.name, func(b *testing.B) {
			fs := c.of(NewMem())
			f, err := fs.Create("/f")
			if err != nil {
				b.Fatal(err)
			}
			p := []byte("some bytes")
			if _, err = f.WriteAt(p, 0); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := f.ReadAt(p, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
