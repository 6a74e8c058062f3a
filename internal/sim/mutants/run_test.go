package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMutantsApply holds the list against the source: each line that is to be
// broken is there once, and each test that is to notice exists.
func TestMutantsApply(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range mutants() {
		if seen[m.name] {
			t.Errorf("%s: named twice", m.name)
		}
		seen[m.name] = true
		if _, err := m.apply(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if err := m.noticed(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if len(seen) < 12 {
		t.Errorf("%d mutants", len(seen))
	}
}

// TestAMutantThatDriftedIsNoticed shows the checks of the list a list that is
// wrong.
func TestAMutantThatDriftedIsNoticed(t *testing.T) {
	good := mutants()[0]
	for _, x := range []struct {
		what string
		make func(*mutant)
	}{
		{"the line changed", func(m *mutant) { m.old += " // changed" }},
		{"the line is there twice", func(m *mutant) { m.old = "return" }},
		{"nothing is broken", func(m *mutant) { m.new = m.old }},
		{"the file is gone", func(m *mutant) { m.file += ".not" }},
		{"the test is gone", func(m *mutant) { m.tests = "TestThatNobodyWrote" }},
		{"one of two tests is gone", func(m *mutant) { m.tests += "|TestThatNobodyWrote" }},
	} {
		m := good
		x.make(&m)
		_, err := m.apply()
		if err = errors.Join(err, m.noticed()); err == nil {
			t.Errorf("%s: nobody noticed", x.what)
		}
	}
}

// limit is how long the tests of one mutant may run, its build included. Those
// that hang are caught.
const limit = 5 * time.Minute

// TestMutantsAreCaught makes each break in turn, by an overlay, so that nothing
// in the tree changes, and runs the tests that should notice. They are run
// without it first: a test that fails anyway catches nothing.
func TestMutantsAreCaught(t *testing.T) {
	if os.Getenv("CAIRN_MUTANTS") == "" {
		t.Skip("only in ./test long")
	}
	caught, all := 0, 0
	for _, m := range mutants() {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			all++
			if out, err := m.run(t.Context(), ""); err != nil {
				t.Fatalf("%s fails without the mutant: %v\n%s", m.tests, err, out)
			}
			broken, err := m.apply()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			out, err := m.run(t.Context(), overlay(t, m.file, broken))
			by, wrong := judge(out, err)
			if wrong != nil {
				t.Fatalf("%v\n%s", wrong, out)
			}
			caught++
			fmt.Printf("caught    %-60s %s %s, %.0f s\n", m.name, m.pkg, by, time.Since(began).Seconds())
		})
		if t.Context().Err() != nil {
			return
		}
	}
	fmt.Printf("FIGURE %s: %d of %d deliberate breaks caught\n", t.Name(), caught, all)
}

// apply returns the file of m with the break in it.
func (m mutant) apply() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	text := string(b)
	switch n := strings.Count(text, m.old); {
	case m.old == "" || m.old == m.new:
		return nil, errors.New("it breaks nothing")
	case n != 1:
		return nil, fmt.Errorf("it no longer applies: %s has %q %d times, want once", m.file, m.old, n)
	}
	return []byte(strings.Replace(text, m.old, m.new, 1)), nil
}

// noticed returns nil when each of the tests of m exists.
func (m mutant) noticed() error {
	files, err := filepath.Glob(filepath.Join(root(), filepath.FromSlash(m.pkg), "*_test.go"))
	if err != nil {
		return err
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all.Write(b)
	}
	for name := range strings.SplitSeq(m.tests, "|") {
		name, _, _ = strings.Cut(name, "/")
		if !regexp.MustCompile(`(?m)^func ` + name + `\w*\(`).MatchString(all.String()) {
			return fmt.Errorf("package %s has no test %s", m.pkg, name)
		}
	}
	return nil
}

// run runs the tests of m with an overlay, and without one those that passed
// before are not run again.
func (m mutant) run(ctx context.Context, overlay string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute)
	defer cancel()
	args := []string{"-n", "10", "go", "test", "-vet=off", "-run", m.tests, "-timeout", limit.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay, "-failfast")
	}
	cmd := exec.CommandContext(ctx, "nice", append(args, "./"+m.pkg)...)
	cmd.Dir = root()
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "CAIRN_MUTANTS=", "CAIRN_LONG=")
	out, err := cmd.CombinedOutput()
	return string(out), errors.Join(err, ctx.Err())
}

// failed is the line by which a test says that it noticed.
var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (test timed out)|^(panic|fatal error): `)

// judge tells which test caught a mutant, or why none did.
func judge(out string, err error) (by string, wrong error) {
	at := failed.FindStringSubmatch(out)
	switch {
	case err == nil:
		return "", errors.New("SURVIVED: no test noticed")
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return "", errors.New("the mutant does not build: mend the list")
	case at == nil:
		return "", fmt.Errorf("the tests did not run: %w", err)
	}
	return strings.TrimSpace(strings.Join(at[1:], "")), nil
}

// overlay writes what -overlay reads: file has the content broken.
func overlay(t *testing.T, file string, broken []byte) string {
	t.Helper()
	dir := t.TempDir()
	with := filepath.Join(dir, "broken.go")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root(), filepath.FromSlash(file)): with}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	for name, content := range map[string][]byte{with: broken, list: b} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// root is the folder of the module; tests run in that of their package.
func root() string {
	dir, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		panic("mutants: " + err.Error()) // unreachable: there is a working directory
	}
	return dir
}
