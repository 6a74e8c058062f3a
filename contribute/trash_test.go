package contribute

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// bin is a trash on a real directory, served and stopped by the test's clock.
type bin struct {
	t     *testing.T
	dir   string
	root  *os.Root
	trash *trash
	stop  func()
}

// kept is short, as the clock writes each minute of it.
const kept = 6 * time.Hour

func newBin(t *testing.T) *bin {
	b := &bin{t: t, dir: t.TempDir()}
	var err error
	if b.root, err = os.OpenRoot(b.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.root.Close() })
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start is a server's start: what it knows, it reads.
func (b *bin) start() {
	space, err := openLedger(b.root, 1<<30)
	if err != nil {
		b.t.Fatal(err)
	}
	b.trash = &trash{dir: b.dir, keep: kept, space: space, log: slog.New(slog.DiscardHandler)}
	must(b.t, b.trash.open(b.t.Context()))
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { b.trash.watch(ctx) })
	b.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); b.trash.close() })
}

func (b *bin) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// remove puts a file of 1,000 bytes at name and removes it.
func (b *bin) remove(name string) {
	b.t.Helper()
	must(b.t, b.root.MkdirAll(path.Dir(name), 0o700))
	must(b.t, b.root.WriteFile(name, make([]byte, 1000), 0o600))
	must(b.t, b.trash.space.take(1000))
	must(b.t, b.trash.take(b.root, name))
	if _, err := b.root.Lstat(name); !os.IsNotExist(err) {
		b.t.Errorf("%s is still there: %v", name, err)
	}
}

// holds counts the removed files that are called name.
func (b *bin) holds(name string) (n int) {
	b.t.Helper()
	must(b.t, fs.WalkDir(b.root.FS(), trashDir, func(p string, d fs.DirEntry, err error) error {
		if ok, _ := path.Match(name+"*", d.Name()); ok && d.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}

// used is what counts against the quota, bytes.
func (b *bin) used() int64 {
	b.trash.space.mu.Lock()
	defer b.trash.space.mu.Unlock()
	return b.trash.space.used
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHazardC13TrashStaysForItsTime and goes after it, with what it took of the
// quota.
func TestHazardC13TrashStaysForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBin(t)
		b.after(90 * time.Minute)
		b.remove("packs/ab/x")
		b.after(10 * time.Minute)
		b.remove("packs/ab/y")
		b.after(kept - 20*time.Minute)
		if b.holds("x") != 1 || b.holds("y") != 1 || b.used() != 2000 {
			t.Errorf("before its time: %d and %d files, %d bytes counted", b.holds("x"), b.holds("y"), b.used())
		}
		b.after(3 * time.Hour)
		if b.holds("x") != 0 || b.holds("y") != 0 || b.used() != 0 {
			t.Errorf("after its time: %d and %d files, %d bytes counted", b.holds("x"), b.holds("y"), b.used())
		}
	})
}

// TestHazardC13OnlyObservedTimeCounts: nothing goes early because a server was
// off, was started again and again, or lost its note of the time.
func TestHazardC13OnlyObservedTimeCounts(t *testing.T) {
	for what, between := range map[string]func(*bin){
		"off for a year":      func(b *bin) { b.after(365 * 24 * time.Hour) },
		"the note is lost":    func(b *bin) { must(b.t, b.root.Remove(path.Join(trashDir, observedName))) },
		"the note is torn":    func(b *bin) { must(b.t, b.root.WriteFile(path.Join(trashDir, observedName), nil, 0o600)) },
		"the note is garbage": func(b *bin) { must(b.t, b.root.WriteFile(path.Join(trashDir, observedName), []byte("-7"), 0o600)) },
		"the note is of always": func(b *bin) {
			must(b.t, b.root.WriteFile(path.Join(trashDir, observedName), []byte("99999999999999"), 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBin(t)
				b.after(4 * time.Hour)
				b.remove("x")
				b.after(30 * time.Minute)
				b.stop()
				between(b)
				b.start()
				b.after(time.Minute)
				b.remove("z")
				b.after(kept - 32*time.Minute)
				if b.holds("x") != 1 || b.holds("z") != 1 {
					t.Errorf("gone before its time: %d, %d", b.holds("x"), b.holds("z"))
				}
				b.after(4 * time.Hour)
				if b.holds("x") != 0 || b.holds("z") != 0 || b.used() > 100 { // the note of the time is a file, too
					t.Errorf("there for ever: %d, %d", b.holds("x"), b.holds("z"))
				}
			})
		})
	}
}

// TestHazardC13AServerThatIsStartedOften observes time all the same, and none
// twice.
func TestHazardC13AServerThatIsStartedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBin(t)
		b.remove("x")
		var served time.Duration
		for b.holds("x") == 1 && served < 2*kept {
			b.after(25 * time.Minute)
			served += 25 * time.Minute
			b.stop()
			b.start()
		}
		if served < kept || served > kept+2*time.Hour {
			t.Errorf("kept for %v of service, want %v and up to two hours more", served, kept)
		}
	})
}

// TestAFullDiskDoesNotKeepTrashForEver: where the time cannot be noted, it still
// passes.
func TestAFullDiskDoesNotKeepTrashForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBin(t)
		b.remove("x")
		// A directory in its place: what is written anew fails, as on a full disk.
		must(t, b.root.Mkdir(path.Join(trashDir, observedName+durable.TempSuffix), 0o700))
		b.after(kept + 2*time.Hour)
		if b.holds("x") != 0 {
			t.Error("it is there for ever")
		}
	})
}

// TestEqualNamesInTheTrash: the same name can be used and removed again.
func TestEqualNamesInTheTrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBin(t)
		for range 3 {
			b.remove("packs/x")
		}
		b.remove("packs/x~1")
		if n := b.holds("x"); n != 4 {
			t.Errorf("%d of 4 files are kept", n)
		}
		if _, err := os.Stat(filepath.Join(b.dir, trashDir, "00000000", "packs", "x")); err != nil {
			t.Errorf("not at its old path: %v", err)
		}
	})
}
