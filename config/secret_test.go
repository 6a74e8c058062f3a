package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, text, mode)
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("open-behind-link", "x", 0o644), link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		want       string // content
		class      error
		says       string
	}{
		{"owner only", file("good", "hunter2\n", 0o600), "hunter2\n", nil, ""},
		{"owner and group", file("group", "x", 0o640), "x", nil, ""},
		{"the largest", file("large", strings.Repeat("x", MaxSecret), 0o400), strings.Repeat("x", MaxSecret), nil, ""},
		{"world-readable", file("readable", "x", 0o644), "", cairn.ErrDenied, "chmod o= " + filepath.Join(dir, "readable")},
		{"world-writable", file("writable", "x", 0o602), "", cairn.ErrDenied, "chmod o= "},
		{"world-readable behind a link", link, "", cairn.ErrDenied, "chmod o= " + link},
		{"too large", file("huge", strings.Repeat("x", MaxSecret+1), 0o600), "", cairn.ErrInvalid, "64 KiB"},
		{"empty", file("empty", "", 0o600), "", cairn.ErrInvalid, "is empty"},
		{"a folder", dir, "", cairn.ErrInvalid, "is not a file"},
		{"a pipe, without waiting for its writer", pipe, "", cairn.ErrInvalid, "is not a file"},
		{"missing", filepath.Join(dir, "none"), "", cairn.ErrNotExist, "none"},
		{"relative", "secret", "", cairn.ErrInvalid, "not an absolute path"},
		{"in the nix store", "/nix/store/abc-secret", "", cairn.ErrInvalid, "/nix/store"},
		{"in the nix store by a detour", "/nix/../nix/./store/abc", "", cairn.ErrInvalid, "/nix/store"},
		{"beside the nix store", "/nix/storehouse/abc", "", cairn.ErrNotExist, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadSecret(c.path)
			if string(got) != c.want {
				t.Errorf("got %d bytes, want %d", len(got), len(c.want))
			}
			if !errors.Is(err, c.class) {
				t.Errorf("error %v, want class %v", err, c.class)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestCheckSecretsNamesTheKey(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	write(t, open, "x", 0o644)
	c := Config{Identity: "/nonexistent/identity", Nodes: []Node{{Name: "a", KeyFile: open}, {Name: "b", PasswordFile: "/nonexistent"}}}
	err := c.CheckSecrets()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "node a: key_file: ") || !strings.HasPrefix(lines[1], "node b: password_file: ") {
		t.Errorf("got %q", lines)
	}
	if !errors.Is(err, cairn.ErrDenied) || !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("classes of %v", err)
	}
}
