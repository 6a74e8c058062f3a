package durable

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

// state is all of a Mem as text: every name with what it holds.
func state(t *testing.T, m *Mem) string {
	t.Helper()
	var out []string
	var walk func(dir string)
	walk = func(dir string) {
		names, err := m.List(dir)
		must(t, err)
		for _, n := range names {
			info, err := m.VFS().Stat(dir + n)
			must(t, err)
			if info.IsDir() {
				out = append(out, dir[1:]+n+"/")
				walk(dir + n + "/")
				continue
			}
			out = append(out, dir[1:]+n+"="+content(t, m, dir+n))
		}
	}
	walk("/")
	return strings.Join(out, " ")
}

func TestPowerLossKeepsWhatWasSyncedAndNothingElseForSure(t *testing.T) {
	write := func(t *testing.T, m *Mem, name, data string, sync bool) {
		f, err := m.OpenReadWrite(name)
		if errors.Is(err, cairn.ErrNotExist) {
			f, err = m.Create(name)
		}
		must(t, err)
		_, err = f.WriteAt([]byte(data), 0)
		must(t, err)
		if sync {
			must(t, f.Sync())
		}
		must(t, f.Close())
	}
	cases := []struct {
		name string
		run  func(t *testing.T, m *Mem) // on a durable file old=1
		none string                     // left at 0 percent
		all  string                     // left at 100 percent
		can  []string                   // the only other outcomes in between
	}{
		{"a file not synced in a directory synced is empty", func(t *testing.T, m *Mem) {
			write(t, m, "a", "x", false)
			must(t, m.SyncDir("."))
		}, "a= old=1", "a=x old=1", nil},
		{"a file synced in a directory not synced is gone", func(t *testing.T, m *Mem) {
			write(t, m, "a", "x", true)
		}, "old=1", "a=x old=1", nil},
		{"a file and its directory synced stay", func(t *testing.T, m *Mem) {
			write(t, m, "a", "x", true)
			must(t, m.SyncDir("."))
		}, "a=x old=1", "a=x old=1", nil},
		{"an overwrite not synced is undone", func(t *testing.T, m *Mem) {
			write(t, m, "old", "2", false)
		}, "old=1", "old=2", nil},
		{"a remove not synced may or may not have happened", func(t *testing.T, m *Mem) {
			must(t, m.Remove("old"))
		}, "old=1", "", nil},
		{"a remove synced stays removed", func(t *testing.T, m *Mem) {
			must(t, m.Remove("old"))
			must(t, m.SyncDir("/"))
		}, "", "", nil},
		{"a rename happened whole or not at all", func(t *testing.T, m *Mem) {
			must(t, m.Rename("old", "new"))
		}, "old=1", "new=1", nil},
		{"two renames are two changes", func(t *testing.T, m *Mem) {
			must(t, m.Rename("old", "mid"))
			must(t, m.Rename("mid", "new"))
		}, "old=1", "new=1", []string{"mid=1", "new=1 old=1"}},
		{"replacing by rename leaves one of the two", func(t *testing.T, m *Mem) {
			write(t, m, "tmp", "2", true)
			must(t, m.SyncDir("."))
			must(t, m.Rename("tmp", "old"))
		}, "old=1 tmp=2", "old=2", nil},
		{"a rename between directories is durable when either is synced", func(t *testing.T, m *Mem) {
			must(t, m.MkdirAll("d"))
			must(t, m.Rename("old", "d/new"))
			must(t, m.SyncDir("d"))
		}, "d/ d/new=1", "d/ d/new=1", nil},
		{"an older change of a name never wins over a synced one", func(t *testing.T, m *Mem) {
			must(t, m.MkdirAll("d"))
			write(t, m, "a", "x", true)
			must(t, m.Rename("a", "d/a"))
			must(t, m.SyncDir("d"))
		}, "d/ d/a=x old=1", "d/ d/a=x old=1", nil},
		{"MkdirAll needs no sync", func(t *testing.T, m *Mem) {
			must(t, m.MkdirAll("x/y/z"))
		}, "old=1 x/ x/y/ x/y/z/", "old=1 x/ x/y/ x/y/z/", nil},
		{"MkdirAll makes durable what a killed process left", func(t *testing.T, m *Mem) {
			must(t, m.VFS().MkdirAll("x/y", 0o700)) // as Pebble does: without sync
			must(t, m.MkdirAll("x/y/z"))
		}, "old=1 x/ x/y/ x/y/z/", "old=1 x/ x/y/ x/y/z/", nil},
		{"MkdirAll without parents' sync is lost with all that is in it", func(t *testing.T, m *Mem) {
			must(t, m.VFS().MkdirAll("x", 0o700))
			write(t, m, "x/a", "x", true)
			must(t, m.SyncDir("x"))
		}, "old=1", "old=1 x/ x/a=x", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := NewMem()
			write(t, m, "old", "1", true)
			must(t, m.SyncDir("."))
			c.run(t, m)
			before := state(t, m)
			if got := state(t, m.Crash(0, 1)); got != c.none {
				t.Errorf("at 0 %%: %q, want %q", got, c.none)
			}
			if got := state(t, m.Crash(100, 1)); got != c.all || got != before {
				t.Errorf("at 100 %%: %q, want %q, and before it was %q", got, c.all, before)
			}
			may := append([]string{c.none, c.all}, c.can...)
			seen := map[string]bool{}
			for seed := range uint64(64) {
				after := m.Crash(50, seed)
				got := state(t, after)
				seen[got] = true
				if !slices.Contains(may, got) {
					t.Fatalf("at 50 %%, seed %d: %q", seed, got)
				}
				if again := state(t, m.Crash(50, seed)); again != got {
					t.Fatalf("seed %d leaves %q and then %q", seed, got, again)
				}
				if twice := state(t, after.Crash(0, 0)); twice != got {
					t.Fatalf("a second power loss leaves %q of %q", twice, got)
				}
				checkUsed(t, after)
			}
			slices.Sort(may)
			if want := len(slices.Compact(may)); len(seen) != want {
				t.Errorf("%d outcomes in 64 power losses, want %d: %v", len(seen), want, seen)
			}
			if after := state(t, m); after != before {
				t.Errorf("Crash changed the original: %q, was %q", after, before)
			}
		})
	}
}

func TestPowerLossTearsFilesAtSectors(t *testing.T) {
	m := NewMem()
	fill := func(c byte) []byte { return []byte(strings.Repeat(string(c), sector)) }
	f, err := m.Create("a")
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(append(fill('a'), fill('b')...), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, m.SyncDir("."))
	_, err = f.WriteAt(append(append(fill('B'), fill('C')...), fill('D')[:10]...), sector)
	must(t, err)

	outcomes := map[string]bool{}
	for seed := range uint64(300) {
		got := []byte(content(t, m.Crash(50, seed), "a"))
		var text strings.Builder
		for len(got) > 0 {
			n := min(sector, len(got))
			if strings.Count(string(got[:n]), string(got[:1])) != n {
				t.Fatalf("a sector is torn: %q", got[:n])
			}
			fmt.Fprintf(&text, "%c", max(got[0], '0'))
			got = got[n:]
		}
		outcomes[text.String()] = true
	}
	for _, want := range []string{"ab", "aB", "abC", "aBC", "ab0D", "aB0D", "abCD", "aBCD"} {
		if !outcomes[want] {
			t.Errorf("never left: %s", want)
		}
		delete(outcomes, want)
	}
	if len(outcomes) > 0 {
		t.Errorf("impossible: %v", outcomes)
	}
}

// TestAFailedSyncIsNotMendedByALaterOne is why a stage is never synced again.
func TestAFailedSyncIsNotMendedByALaterOne(t *testing.T) {
	m := NewMem()
	failing := true
	on := Watch(m, Hook{Before: func(s Step) error {
		if s.Op == OpSync && failing {
			failing = false
			return errors.Join(syscall.EIO, m.LoseUnsynced(s.Name))
		}
		return nil
	}})
	f, err := on.Create("a")
	must(t, err)
	must(t, on.SyncDir("."))
	_, err = f.WriteAt([]byte("one"), 0)
	must(t, err)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync: %v", err)
	}
	_, err = f.WriteAt([]byte("two"), 3)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	if got := content(t, on, "a"); got != "onetwo" {
		t.Errorf("read before the power loss: %q", got)
	}
	for _, percent := range []int{0, 100} {
		if got := content(t, m.Crash(percent, 1), "a"); got != "\x00\x00\x00two" {
			t.Errorf("left at %d %%: %q", percent, got)
		}
	}
	if err := m.LoseUnsynced("no"); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestUnsyncedChangesAreWrittenBackAfterManyOthers(t *testing.T) {
	m := NewMem()
	for i := range maxPending + 1 {
		name := fmt.Sprint(i % 7)
		_ = m.Remove(name)
		create(t, m, name, "x")
	}
	if n := len(m.tree.pending); n > maxPending {
		t.Errorf("%d changes are kept", n)
	}
	if got, want := state(t, m.Crash(100, 1)), state(t, m); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := state(t, m.Crash(0, 1)); got == "" {
		t.Error("nothing was written back")
	}
	checkUsed(t, m)
}
