package durable

import (
	"testing"
)

func TestCountsAreExact(t *testing.T) {
	for _, home := range homes {
		t.Run(home.name, func(t *testing.T) {
			below, root := home.make(t)
			must(t, below.MkdirAll(root))
			on, counter := Count(below)
			check := func(what string, before, want Counts) {
				t.Helper()
				if got := counter.Counts().Sub(before); got != want {
					t.Errorf("%s: %+v, want %+v", what, got, want)
				}
			}
			check("nothing", Counts{}, Counts{})
			must(t, WriteFile(on, root+"/a", make([]byte, 1000)))
			check("WriteFile", Counts{}, Counts{Creates: 1, Writes: 1, Bytes: 1000, Syncs: 1, Renames: 1, DirSyncs: 1})

			c := counter.Counts()
			f, err := on.OpenReadWrite(root + "/a")
			must(t, err)
			for range 3 {
				_, err = f.WriteAt(make([]byte, 10), 0)
				must(t, err)
				must(t, f.Sync())
			}
			must(t, f.Close())
			check("append and sync", c, Counts{Writes: 3, Bytes: 30, Syncs: 3})

			c = counter.Counts()
			must(t, on.Remove(root+"/a"))
			if err := on.Remove(root + "/a"); err == nil {
				t.Error("removed twice")
			}
			check("Remove, once in vain", c, Counts{Removes: 1})

			c = counter.Counts()
			must(t, on.VFS().MkdirAll(root+"/d", 0o700))
			must(t, on.SyncDir(root))
			check("mkdir", c, Counts{Mkdirs: 1, DirSyncs: 1})
			if n := counter.Counts().Sub(c).Fsyncs(); n != 1 {
				t.Errorf("%d fsyncs", n)
			}
		})
	}
}
