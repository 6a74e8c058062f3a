package backends_test

import (
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("n", 255)
	good := []string{
		"cairn.json", "README.txt", "STATUS.txt", "cairn-operator.txt", "tmp/0123456789abcdef",
		"packs/0/0/ff/1a/0123456789abcdef0123456789abcdef-0a-89abcdef", "roots/12-abc", "keys/1-abc",
		"a", "-", "...", ".a", "a.", "..a", "a/b/c/d/e/f/g", "x/README.txt", long, long + "/" + long + "/" + long,
	}
	for _, name := range good {
		if err := backends.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := backends.CheckDir(name); err != nil {
			t.Errorf("directory %q: %v", name, err)
		}
	}
	bad := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "../a", "a/../b", "A", "a_b", "a b", "a\\b", "a\x00",
		"a\n", "ä", "\xff", "a:b", "a?b", "a%2fb", "README.md", "README.txt/a", "readme.TXT", "STATUS.txt.", "~", "lost+found",
		long + "n", "a/" + long + "n", strings.Repeat("a/", 600) + "a",
	}
	for _, name := range bad {
		if err := backends.CheckName(name); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
		if err := backends.CheckDir(name); name != "" && !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("directory %q: %v", name, err)
		}
	}
	if err := backends.CheckDir(""); err != nil {
		t.Errorf("the root: %v", err)
	}
}

// FuzzNameNeverLeavesTheRoot holds what is accepted against the standard
// library's idea of a path that stays where it is, in its only spelling.
func FuzzNameNeverLeavesTheRoot(f *testing.F) {
	for _, name := range []string{"packs/0/0/0/1/ab-00-cd", "../a", "a/./b", "a//b", "README.txt", "a/README.txt/b", "\x00", "con", "a\\..\\b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := backends.CheckName(name)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Errorf("%q: %v has no class", name, err)
			}
			return
		}
		if path.Clean(name) != name || path.IsAbs(name) || !filepath.IsLocal(name) {
			t.Errorf("%q is not a clean local path", name)
		}
		for _, element := range strings.Split(name, "/") {
			if len(element) > backends.MaxElement {
				t.Errorf("%q has a long element", name)
			}
		}
		if lower := strings.ToLower(name); lower != name && path.Base(name) != "README.txt" && path.Base(name) != "STATUS.txt" {
			t.Errorf("%q differs from %q only by case", name, lower)
		}
	})
}
