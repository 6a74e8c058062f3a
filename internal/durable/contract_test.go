package durable

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

// homes are the file systems that must keep the contract, and an empty
// directory of each.
var homes = []struct {
	name string
	make func(t *testing.T) (FS, string)
}{
	{"os", func(t *testing.T) (FS, string) { return OS(), t.TempDir() }},
	{"mem", func(t *testing.T) (FS, string) { return NewMem(), "/" }},
	{"mem, relative", func(t *testing.T) (FS, string) { return NewMem(), "." }},
	{"os, watched", func(t *testing.T) (FS, string) { return Watch(OS(), Hook{}), t.TempDir() }},
	{"mem, counted and slow", func(t *testing.T) (FS, string) { on, _ := Count(Slow(NewMem(), 1)); return on, "/d" }},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, on FS, name, data string) {
	t.Helper()
	f, err := on.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(data), 0)
	must(t, err)
	must(t, f.Close())
}

func content(t *testing.T, on FS, name string) string {
	t.Helper()
	b, err := ReadFile(on, name, 1<<20)
	must(t, err)
	return string(b)
}

func TestContract(t *testing.T) {
	checks := []struct {
		promise string
		run     func(t *testing.T, on FS, at func(string) string)
	}{
		{"create leaves an existing name alone", func(t *testing.T, on FS, at func(string) string) {
			create(t, on, at("a"), "old")
			if _, err := on.Create(at("a")); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), at("a")) {
				t.Errorf("second Create: %v", err)
			}
			if got := content(t, on, at("a")); got != "old" {
				t.Errorf("content is %q", got)
			}
		}},
		{"what is missing says so, by both classes and by name", func(t *testing.T, on FS, at func(string) string) {
			_, open := on.Open(at("no"))
			_, write := on.OpenReadWrite(at("no"))
			_, size := on.Size(at("no"))
			_, list := on.List(at("no"))
			_, below := on.Create(at("no/file"))
			_, _, free := on.Free(at("no"))
			_, read := ReadFile(on, at("no"), 10)
			for what, err := range map[string]error{
				"open": open, "open for writing": write, "size": size, "list": list, "create": below, "free": free, "read": read,
				"remove": on.Remove(at("no")), "rename": on.Rename(at("no"), at("b")), "sync": on.SyncDir(at("no")),
			} {
				if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, cairn.ErrNotExist) || !strings.Contains(err.Error(), at("no")) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if names, err := on.List(at("")); err != nil || len(names) != 0 {
				t.Errorf("left behind: %q, %v", names, err)
			}
		}},
		{"writes at any offset read back, and the end is io.EOF", func(t *testing.T, on FS, at func(string) string) {
			f, err := on.Create(at("a"))
			must(t, err)
			defer f.Close()
			for _, w := range []struct {
				data string
				off  int64
			}{{"world", 10}, {"hello", 0}, {"W", 10}} {
				n, err := f.WriteAt([]byte(w.data), w.off)
				if n != len(w.data) || err != nil {
					t.Fatalf("WriteAt %d: %d, %v", w.off, n, err)
				}
			}
			must(t, f.Sync())
			p := make([]byte, 20)
			n, err := f.ReadAt(p, 0)
			if got := string(p[:n]); got != "hello\x00\x00\x00\x00\x00World" || err != io.EOF {
				t.Errorf("ReadAt: %q, %v", got, err)
			}
			if n, err := f.ReadAt(p[:3], 1); n != 3 || err != nil {
				t.Errorf("ReadAt within: %d, %v", n, err)
			}
			if n, err := f.ReadAt(p, 15); n != 0 || err != io.EOF {
				t.Errorf("ReadAt at the end: %d, %v", n, err)
			}
			if n, err := f.Size(); n != 15 || err != nil {
				t.Errorf("Size: %d, %v", n, err)
			}
			if n, err := on.Size(at("a")); n != 15 || err != nil {
				t.Errorf("Size by name: %d, %v", n, err)
			}
		}},
		{"a file opened for reading refuses writes", func(t *testing.T, on FS, at func(string) string) {
			create(t, on, at("a"), "old")
			f, err := on.Open(at("a"))
			must(t, err)
			defer f.Close()
			if _, err := f.WriteAt([]byte("new"), 0); err == nil {
				t.Error("written")
			}
			if got := content(t, on, at("a")); got != "old" {
				t.Errorf("content is %q", got)
			}
		}},
		{"open for writing keeps what is there", func(t *testing.T, on FS, at func(string) string) {
			create(t, on, at("a"), "old")
			f, err := on.OpenReadWrite(at("a"))
			must(t, err)
			_, err = f.WriteAt([]byte("!"), 3)
			must(t, err)
			must(t, f.Close())
			if got := content(t, on, at("a")); got != "old!" {
				t.Errorf("content is %q", got)
			}
			if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("second Close: %v", err)
			}
			if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("ReadAt after Close: %v", err)
			}
		}},
		{"rename replaces, and open files stay", func(t *testing.T, on FS, at func(string) string) {
			create(t, on, at("a"), "new")
			create(t, on, at("b"), "old")
			old, err := on.Open(at("b"))
			must(t, err)
			defer old.Close()
			must(t, on.Rename(at("a"), at("b")))
			if got := content(t, on, at("b")); got != "new" {
				t.Errorf("content is %q", got)
			}
			p := make([]byte, 3)
			if _, err := old.ReadAt(p, 0); err != nil || string(p) != "old" {
				t.Errorf("open file: %q, %v", p, err)
			}
			if names, _ := on.List(at("")); !slices.Equal(names, []string{"b"}) {
				t.Errorf("names: %q", names)
			}
		}},
		{"a failed rename loses nothing", func(t *testing.T, on FS, at func(string) string) {
			create(t, on, at("a"), "it")
			if err := on.Rename(at("a"), at("no/a")); !errors.Is(err, cairn.ErrNotExist) {
				t.Errorf("Rename into a missing directory: %v", err)
			}
			if got := content(t, on, at("a")); got != "it" {
				t.Errorf("content is %q", got)
			}
		}},
		{"directories: made with parents, listed sorted, removed when empty", func(t *testing.T, on FS, at func(string) string) {
			must(t, on.MkdirAll(at("x/y/z")))
			must(t, on.MkdirAll(at("x/y/z")))
			for _, n := range []string{"c", "a", "b"} {
				create(t, on, at("x/y/"+n), n)
			}
			if names, err := on.List(at("x/y")); err != nil || !slices.Equal(names, []string{"a", "b", "c", "z"}) {
				t.Errorf("names: %q, %v", names, err)
			}
			if err := on.Remove(at("x")); !errors.Is(err, syscall.ENOTEMPTY) {
				t.Errorf("Remove of a full directory: %v", err)
			}
			if err := on.MkdirAll(at("x/y/a")); !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("MkdirAll of a file: %v", err)
			}
			if err := on.MkdirAll(at("x/y/a/b")); !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("MkdirAll below a file: %v", err)
			}
			must(t, on.Remove(at("x/y/z")))
			must(t, on.SyncDir(at("x/y")))
		}},
		{"allocate keeps the size", func(t *testing.T, on FS, at func(string) string) {
			f, err := on.Create(at("a"))
			must(t, err)
			defer f.Close()
			must(t, f.Allocate(0, 1<<20))
			if n, err := f.Size(); n != 0 || err != nil {
				t.Errorf("Size: %d, %v", n, err)
			}
		}},
		{"a lock excludes a second one until it is closed", func(t *testing.T, on FS, at func(string) string) {
			l, err := on.Lock(at("lock"))
			must(t, err)
			for _, name := range []string{at("lock"), at("./lock")} { // the file counts, not its spelling
				if _, err := on.Lock(name); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "held by another process") {
					t.Errorf("second Lock: %v", err)
				}
			}
			if _, err := on.VFS().Lock(at("lock")); err == nil {
				t.Error("locked through VFS")
			}
			f, err := on.Open(at("lock")) // a POSIX lock would go with this Close
			must(t, err)
			must(t, f.Close())
			if _, err := on.Lock(at("lock")); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("Lock after reading the file: %v", err)
			}
			must(t, l.Close())
			l, err = on.Lock(at("lock"))
			must(t, err)
			must(t, l.Close())
		}},
		{"free space is not more than all", func(t *testing.T, on FS, at func(string) string) {
			free, total, err := on.Free(at(""))
			if err != nil || free == 0 || free > total {
				t.Errorf("Free: %d of %d, %v", free, total, err)
			}
		}},
		{"Pebble sees the same files", func(t *testing.T, on FS, at func(string) string) {
			v := on.VFS()
			f, err := v.Create(v.PathJoin(at("p")), writer)
			must(t, err)
			_, err = f.Write([]byte("one,"))
			must(t, err)
			_, err = f.Write([]byte("two"))
			must(t, err)
			must(t, f.Close())
			if got := content(t, on, at("p")); got != "one,two" {
				t.Errorf("content is %q", got)
			}
			f, err = v.Create(at("p"), writer) // replaces
			must(t, err)
			must(t, f.Close())
			f, err = v.OpenReadWrite(at("q"), writer) // makes
			must(t, err)
			must(t, f.Close())
			must(t, v.Link(at("q"), at("r")))
			if err := v.Link(at("q"), at("r")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second Link: %v", err)
			}
			f, err = v.ReuseForWrite(at("q"), at("s"), writer)
			must(t, err)
			must(t, f.Close())
			if names, _ := on.List(at("")); !slices.Equal(names, []string{"p", "r", "s"}) {
				t.Errorf("names: %q", names)
			}
			if n, _ := on.Size(at("p")); n != 0 {
				t.Errorf("Create left %d bytes", n)
			}
			must(t, v.MkdirAll(at("d/e"), 0o755))
			must(t, v.RemoveAll(at("d")))
			must(t, v.RemoveAll(at("d")))
			if info, err := v.Stat(at("s")); err != nil || info.IsDir() || info.Mode().Perm() != fileMode {
				t.Errorf("Stat: %v, %v", info, err)
			}
		}},
		{"ReadFile refuses what is too long", func(t *testing.T, on FS, at func(string) string) {
			must(t, WriteFile(on, at("a"), []byte("12345")))
			if _, err := ReadFile(on, at("a"), 4); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("4 of 5 bytes allowed: %v", err)
			}
			if b, err := ReadFile(on, at("a"), 5); err != nil || string(b) != "12345" {
				t.Errorf("5 of 5 bytes allowed: %q, %v", b, err)
			}
			must(t, WriteFile(on, at("a"), nil))
			if b, err := ReadFile(on, at("a"), 5); err != nil || len(b) != 0 {
				t.Errorf("empty: %q, %v", b, err)
			}
		}},
	}
	for _, home := range homes {
		for _, c := range checks {
			t.Run(home.name+"/"+c.promise, func(t *testing.T) {
				on, root := home.make(t)
				must(t, on.MkdirAll(root))
				c.run(t, on, func(name string) string {
					if name == "" {
						return root
					}
					return root + "/" + name
				})
			})
		}
	}
}
