package rclone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/rclone/rclone/backend/memory" // an object store: no rename, buckets

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// openLocal opens a node in a new directory, which it returns too.
func openLocal(t *testing.T) (backends.Remote, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "node")
	r, err := Open(t.Context(), Config{Node: "n1", Spec: "local:" + root, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

func openMemory(t *testing.T) backends.Remote {
	t.Helper()
	// One store for the whole process: a bucket for each test.
	bucket := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	r, err := Open(t.Context(), Config{Node: "n1", Spec: "memory:" + bucket + "/below", Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLocalKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Remote {
		r, _ := openLocal(t)
		return r
	})
}

func TestLocalBelowTheWholeStackKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Remote {
		r, _ := openLocal(t)
		r = backends.Guard(r, backends.Bounds{})
		r = backends.Deadline(r, backends.DeadlineConfig{})
		r = backends.Limit(r, 8)
		r = backends.Retry(r, backends.RetryConfig{})
		return backends.Meter(r, "n1", nil)
	})
}

func TestAnObjectStoreKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Remote { return openMemory(t) })
}

func TestOpenRefusesWhatCannotBeMeant(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config Config
		class  error
		says   string
	}{
		"an unknown backend names those there are": {Config{Spec: "floppy:/a"}, cairn.ErrInvalid, `no backend "floppy" built in, only local`},
		"no backend at all":                        {Config{Spec: dir}, cairn.ErrInvalid, "such as local:/srv/disk"},
		"nothing":                                  {Config{}, cairn.ErrInvalid, "empty"},
		"a relative path":                          {Config{Spec: "local:disk"}, cairn.ErrInvalid, "absolute"},
		"an unknown option":                        {Config{Spec: "local:" + dir, Options: map[string]string{"no_such": "1"}}, cairn.ErrInvalid, `no option "no_such"`},
		"an unknown option in the address":         {Config{Spec: "local,no_such=1:" + dir}, cairn.ErrInvalid, `no option "no_such"`},
		"an option for the whole process":          {Config{Spec: "local,global.timeout=1h:" + dir}, cairn.ErrInvalid, `no option "global.timeout"`},
		"an option set twice":                      {Config{Spec: "local,links:" + dir, Options: map[string]string{"links": "false"}}, cairn.ErrInvalid, "twice"},
		"a file as root (ErrorIsFile)":             {Config{Spec: "local:" + file}, cairn.ErrInvalid, "is a file"},
		"a missing root":                           {Config{Spec: "local:" + dir + "/missing"}, cairn.ErrUnavailable, "mounted?"},
		"a missing bucket":                         {Config{Spec: "memory:no-such-bucket"}, cairn.ErrUnavailable, "root"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Node = "n1"
			_, err := Open(t.Context(), c.config)
			var known *backends.Error
			if !errors.As(err, &known) || known.Node != "n1" || known.Op != backends.OpConnect {
				t.Fatalf("%v does not say where", err)
			}
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v and %q", err, c.class, c.says)
			}
		})
	}
	if _, err := os.Stat(dir + "/missing"); err == nil {
		t.Error("a missing root was made without Create")
	}
}

func TestErrorsNeverShowOptions(t *testing.T) {
	_, err := Open(t.Context(), Config{Spec: "webdav,pass=hunter2:box"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}

func TestBothSpellingsAndOptionsOpenTheSameDirectory(t *testing.T) {
	_, root := openLocal(t)
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("123"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{
		{Spec: "local:" + root},
		{Spec: ":local:" + root + "/"},
		{Spec: ":local,no_preallocate:" + root, Options: map[string]string{"case_sensitive": "true"}},
	} {
		r, err := Open(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", c.Spec, err)
			continue
		}
		if size, err := r.Stat(t.Context(), "file"); size != 3 || err != nil {
			t.Errorf("%s: %d, %v", c.Spec, size, err)
		}
	}
}

func TestAbilitiesByBackend(t *testing.T) {
	local, _ := openLocal(t)
	for name, c := range map[string]struct {
		r                        backends.Remote
		kind                     string
		atomic, replaces, spaces bool
	}{
		"local":  {local, "local", true, true, true},
		"memory": {openMemory(t), "memory", false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, replaces := backends.As[backends.Replacer](c.r)
			_, spaces := backends.As[backends.Capacity](c.r)
			d, _ := backends.As[backends.Describer](c.r)
			traits, err := d.Describe(t.Context())
			if err != nil || replaces != c.replaces || spaces != c.spaces || traits.Kind != c.kind || traits.AtomicRename != c.atomic || traits.Fsync != c.atomic {
				t.Errorf("replaces %v, tells space %v, %+v, %v", replaces, spaces, traits, err)
			}
		})
	}
}
