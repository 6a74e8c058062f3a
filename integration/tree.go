package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Tree is a directory of real files: name, slash-separated, and content.
type Tree map[string][]byte

// odd are names that clients and servers get wrong.
var odd = []string{
	"empty", "a b", "plus+and=equals", "percent%41", "ünï/çödé", "quote'd \"twice\"", "hash#tag", "question?mark&more",
	"semi;colon,comma", "dollar$(x)", "at@home", "brackets[1]{2}", "tilde~", "dots..twice", ".hidden", "日本語.txt",
}

// BuildTree reads up to n files below from, and adds an empty file, odd names
// and one file of 8 MiB.
func BuildTree(from string, n int, o Objects) (Tree, error) {
	tree := Tree{}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if len(tree) == n {
			return fs.SkipAll
		}
		content, err := os.ReadFile(path)
		if err != nil || len(content) > 4<<20 {
			return err
		}
		rel, err := filepath.Rel(from, path)
		tree["src/"+filepath.ToSlash(rel)] = content
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(tree) < n {
		return nil, fmt.Errorf("%s has only %d files", from, len(tree))
	}
	for i, name := range odd {
		tree["odd/"+name] = o.Version(i, 0, 100*i)
	}
	tree["large.bin"] = o.Version(1000, 0, 8<<20)
	return tree, nil
}

// WriteTo makes the files below dir.
func (t Tree) WriteTo(dir string) error {
	for name, content := range t {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// CompareDir returns an error unless dir holds exactly these files.
func (t Tree) CompareDir(dir string) error {
	var problems []string
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		seen++
		want, ok := t[filepath.ToSlash(rel)]
		got, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case !ok:
			problems = append(problems, rel+" was never put in")
		case !bytes.Equal(got, want):
			problems = append(problems, (&WrongBytes{rel, fmt.Sprintf("%d bytes, want %d", len(got), len(want))}).Error())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if seen != len(t) {
		problems = append(problems, fmt.Sprintf("%d files, want %d", seen, len(t)))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d differences:\n%s", len(problems), strings.Join(problems[:min(len(problems), 10)], "\n"))
	}
	return nil
}
