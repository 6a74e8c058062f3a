package rclone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/lib/file"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

func put(t *testing.T, r backends.Remote, name, data string) {
	t.Helper()
	if err := r.Put(t.Context(), name, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func TestTrapDefaultsMustBeFilledIn(t *testing.T) {
	s, err := parse("local,no_preallocate:/a", map[string]string{"nounc": "true"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.info.Options {
		if _, ok := s.options.Get(o.Name); !ok {
			t.Errorf("option %s has no value", o.Name)
		}
	}
	for name, want := range map[string]string{"no_preallocate": "true", "nounc": "true", "no_set_modtime": "true", "links": "false", "time_type": "mtime"} {
		if got, _ := s.options.Get(name); got != want {
			t.Errorf("option %s is %q, want %q", name, got, want)
		}
	}
	s, err = parse("local,no_set_modtime=false:/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.options.Get("no_set_modtime"); got != "false" {
		t.Errorf("the user's option lost against ours: %q", got)
	}
}

// The environment is read when the process starts, so this needs another one.
func TestTrapEnvironmentAndConfigFileAreIgnored(t *testing.T) {
	if os.Getenv("CAIRN_TEST_TRAP") == "1" {
		trapEnvironment(t)
		return
	}
	conf := filepath.Join(t.TempDir(), "rclone.conf")
	text := []byte("[local]\ntype = memory\n[n1]\ntype = memory\nlinks = true\n")
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestTrapEnvironmentAndConfigFileAreIgnored$", "-test.v")
	cmd.Env = append(os.Environ(), "CAIRN_TEST_TRAP=1", "RCLONE_CONFIG="+conf,
		"RCLONE_LOW_LEVEL_RETRIES=77", "RCLONE_LINKS=true", "RCLONE_LOCAL_LINKS=true", "RCLONE_DRY_RUN=true",
		"RCLONE_CONFIG_N1_TYPE=memory", "RCLONE_CONFIG_LOCAL_TYPE=memory", "RCLONE_LOCAL_NOUNC=true")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if after, err := os.ReadFile(conf); err != nil || !bytes.Equal(after, text) {
		t.Errorf("the configuration file was written: %q, %v", after, err)
	}
}

func trapEnvironment(t *testing.T) {
	if global := fs.GetConfig(t.Context()); global.LowLevelRetries != 77 || !global.Links {
		t.Fatalf("the trap is not set: %d retries, links %v", global.LowLevelRetries, global.Links)
	}
	r, root := openLocal(t)
	inner := r.(*onDisk).remote
	if inner.kind != "local" {
		t.Errorf("local: is %s", inner.kind)
	}
	config := fs.GetConfig(inner.with(t.Context()))
	if config.LowLevelRetries != 1 || config.Links || config.DryRun || config.Timeout != fs.Duration(idleTimeout) {
		t.Errorf("settings from the environment: %+v", config)
	}
	s, err := parse("local:"+root, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []string{"links", "nounc"} {
		if got, _ := s.options.Get(option); got != "false" {
			t.Errorf("option %s from the environment: %q", option, got)
		}
	}
	// With links on, rclone would make a symbolic link of this.
	put(t, r, "a.rclonelink", "/etc/passwd")
	if info, err := os.Lstat(filepath.Join(root, "a.rclonelink")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestTrapReadsThatAreNotExact(t *testing.T) {
	data := []byte("0123456789")
	whole := func(o fs.Object, _ []fs.OpenOption) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	for name, c := range map[string]struct {
		open func(fs.Object, []fs.OpenOption) (io.ReadCloser, error)
		want error
	}{
		"the range is ignored, and nobody says so": {whole, cairn.ErrCorrupt},
		"the range is ignored, and rclone says so": {func(fs.Object, []fs.OpenOption) (io.ReadCloser, error) {
			return nil, fmt.Errorf("open: %w", fs.ErrorRangeIgnored)
		}, cairn.ErrCorrupt},
		"a short read ends clean (sftp chunk_size above 32k)": {func(fs.Object, []fs.OpenOption) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data[2:4])), nil
		}, cairn.ErrCorrupt},
		"nothing comes": {func(fs.Object, []fs.OpenOption) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(nil)), nil
		}, cairn.ErrCorrupt},
		"the connection breaks": {func(fs.Object, []fs.OpenOption) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[2:4]), errReader{syscall.ECONNRESET})), nil
		}, cairn.ErrUnavailable},
		"the file went between two calls": {func(fs.Object, []fs.OpenOption) (io.ReadCloser, error) {
			return nil, &os.PathError{Op: "open", Path: "file", Err: syscall.ENOENT}
		}, cairn.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := openOdd(t, &odd{open: c.open})
			put(t, r, "file", string(data))
			if err := r.ReadAt(t.Context(), "file", make([]byte, 5), 2); !errors.Is(err, c.want) || errors.Is(err, cairn.ErrNotExist) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestTrapOnlyACleanNotFoundIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		fault odd
		want  error
	}{
		"clean":                    {odd{lookup: func(string) error { return fs.ErrorObjectNotFound }}, cairn.ErrNotExist},
		"clean, wrapped":           {odd{lookup: func(string) error { return fmt.Errorf("stat: %w", fs.ErrorObjectNotFound) }}, cairn.ErrNotExist},
		"its directory is missing": {odd{lookup: func(string) error { return fs.ErrorDirNotFound }}, cairn.ErrNotExist},
		"and so is the root":       {odd{lookup: func(string) error { return fs.ErrorObjectNotFound }, noRoot: true}, cairn.ErrUnavailable},
		"text alone does not do":   {odd{lookup: func(string) error { return errors.New("404 object not found") }}, cairn.ErrUnavailable},
		"the server is away":       {odd{lookup: func(string) error { return syscall.ECONNREFUSED }}, cairn.ErrUnavailable},
		"not allowed to look":      {odd{lookup: func(string) error { return fs.ErrorPermissionDenied }}, cairn.ErrDenied},
		"a directory":              {odd{lookup: func(string) error { return fs.ErrorIsDir }}, cairn.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := openOdd(t, &c.fault)
			_, err := r.Stat(t.Context(), "file")
			if cairn.Class(err) != c.want {
				t.Errorf("stat: %v, want %v", err, c.want)
			}
			if err := r.ReadAt(t.Context(), "file", nil, 0); cairn.Class(err) != c.want {
				t.Errorf("read: %v, want %v", err, c.want)
			}
			err = r.Delete(t.Context(), "file")
			if c.want == cairn.ErrNotExist && err != nil || c.want != cairn.ErrNotExist && cairn.Class(err) != c.want {
				t.Errorf("delete: %v, want %v", err, c.want)
			}
		})
	}
}

func TestTrapPutInPlaceNeverLeavesAPartUnderTheName(t *testing.T) {
	torn := syscall.ECONNRESET
	for name, c := range map[string]struct {
		fault odd
		want  error
	}{
		"the connection breaks half-way":    {odd{}, cairn.ErrUnavailable},
		"half arrives, and success is said": {odd{}, cairn.ErrUnavailable},
		"the rename fails":                  {odd{move: torn}, cairn.ErrUnavailable},
		"the rename cannot be done":         {odd{move: fs.ErrorCantMove}, cairn.ErrUnavailable},
		"the disk is full":                  {odd{move: &os.LinkError{Err: syscall.ENOSPC}}, cairn.ErrFull},
	} {
		t.Run(name, func(t *testing.T) {
			f := &c.fault
			r, root := openOdd(t, f)
			half := func(in io.Reader, name string) (fs.Object, error) {
				b, _ := io.ReadAll(in)
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
					return nil, err
				}
				if err := os.WriteFile(filepath.Join(root, name), b[:len(b)/2], 0o600); err != nil {
					return nil, err
				}
				return f.Fs.NewObject(t.Context(), name)
			}
			switch {
			case strings.HasPrefix(name, "the connection"):
				f.put = func(in io.Reader, name string) (fs.Object, error) { half(in, name); return nil, torn }
			case strings.HasPrefix(name, "half"):
				f.put = half
			}
			if err := r.Put(t.Context(), "packs/file", []byte("0123456789")); !errors.Is(err, c.want) {
				t.Errorf("put: %v, want %v", err, c.want)
			}
			var left []string
			filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					left = append(left, path)
				}
				return err
			})
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTrapAnObjectStoreThatShortensIsNoticed(t *testing.T) {
	f := &odd{noMove: true}
	r, _ := openOdd(t, f)
	f.put = func(in io.Reader, name string) (fs.Object, error) {
		return f.Fs.Put(t.Context(), io.LimitReader(in, 5), source(name))
	}
	if err := r.Put(t.Context(), "file", []byte("0123456789")); !errors.Is(err, cairn.ErrUnavailable) {
		t.Errorf("put: %v", err)
	}
}

func TestTrapUploadsGoThroughTmp(t *testing.T) {
	var names []string
	f := &odd{}
	r, _ := openOdd(t, f)
	f.put = func(in io.Reader, name string) (fs.Object, error) {
		names = append(names, name)
		return f.Fs.Put(t.Context(), in, source(name))
	}
	put(t, r, "packs/file", "x")
	put(t, r, "packs/file", "x")
	if len(names) != 2 || names[0] == names[1] || !strings.HasPrefix(names[0], "tmp/") || backends.CheckName(names[0]) != nil {
		t.Errorf("uploaded to %v", names)
	}
}

func TestTrapRememberedDirectoriesMayHaveBeenSwept(t *testing.T) {
	r, root := openLocal(t)
	put(t, r, "packs/0/1/a", "a")
	if err := os.RemoveAll(filepath.Join(root, "packs")); err != nil {
		t.Fatal(err)
	}
	put(t, r, "packs/0/1/b", "b")
	if size, err := r.Stat(t.Context(), "packs/0/1/b"); size != 1 || err != nil {
		t.Errorf("%d, %v", size, err)
	}
}

func TestTrapLinksAndPipesAreNotFollowed(t *testing.T) {
	r, root := openLocal(t)
	put(t, r, "packs/good", "good")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path string) error{
		"packs/link": func(path string) error { return os.Symlink(secret, path) },
		"packs/pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		if err := plant(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		if err := r.ReadAt(t.Context(), name, make([]byte, 3), 0); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("read %s: %v", name, err)
		}
		if _, err := r.Stat(t.Context(), name); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("stat %s: %v", name, err)
		}
	}
	// What is not ours is passed over, links to directories and lost+found too.
	if err := os.Symlink(t.TempDir(), filepath.Join(root, "packs", "dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "packs", "lost+found", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, r, ""); !slices.Equal(got, []string{"packs/good"}) {
		t.Errorf("listed %v", got)
	}
}

func listing(t *testing.T, r backends.Remote, dir string) []string {
	t.Helper()
	var names []string
	for e, err := range r.List(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name)
	}
	return names
}

func TestTrapAFileWhereADirectoryShouldBeIsAnError(t *testing.T) {
	r, _ := openLocal(t)
	put(t, r, "packs", "a file")
	for _, err := range r.List(t.Context(), "packs") {
		if err == nil || errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("list: %v", err)
		}
	}
	if err := r.Put(t.Context(), "packs/a", nil); err == nil {
		t.Error("put below a file")
	}
}

func TestErrorClasses(t *testing.T) {
	path := func(e error) error { return &os.PathError{Op: "write", Path: "/a", Err: e} }
	for _, c := range []struct{ err, want error }{
		{path(syscall.ENOSPC), cairn.ErrFull},
		{path(syscall.EDQUOT), cairn.ErrFull},
		{fmt.Errorf("put: %w", file.ErrDiskFull), cairn.ErrFull},
		{path(syscall.EACCES), cairn.ErrDenied},
		{path(syscall.EPERM), cairn.ErrDenied},
		{path(syscall.EROFS), cairn.ErrDenied},
		{fs.ErrorPermissionDenied, cairn.ErrDenied},
		{fs.ErrorRangeIgnored, cairn.ErrCorrupt},
		{fs.ErrorIsDir, cairn.ErrCorrupt},
		{fs.ErrorFileNameTooLong, cairn.ErrInvalid},
		{path(syscall.EIO), cairn.ErrUnavailable},
		{path(syscall.ENOENT), cairn.ErrUnavailable},
		{fs.ErrorObjectNotFound, cairn.ErrUnavailable},
		{errors.New("anything else"), cairn.ErrUnavailable},
		{fmt.Errorf("known: %w", cairn.ErrLost), cairn.ErrLost},
	} {
		if err := classed(t.Context(), c.err); cairn.Class(err) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%v became %v, want %v", c.err, err, c.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := classed(ended, errors.New("broken pipe")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller gave up: %v", err)
	}
}

func TestTrapRclonesOwnLogIsRouted(t *testing.T) {
	var out bytes.Buffer
	RouteLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})).With("node", "n1"))
	defer fs.SetLogger(slog.DiscardHandler)
	fs.Errorf("packs/a", "it %s", "broke")
	fs.Logf(nil, "by the way")
	want := `level=WARN msg="rclone: it broke" node=n1 file=packs/a
level=INFO msg="rclone: by the way" node=n1
`
	if out.String() != want {
		t.Errorf("logged\n%swant\n%s", out.String(), want)
	}
}
