package cairn_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cairn-storage/cairn"

// floors is the floor plan of the house, from the ground up. A package imports
// only from floors strictly below its own. "x/*" stands for the packages
// directly below x.
var floors = [][]string{
	{".", "internal/durable", "internal/observed", "internal/wire"},
	{"layout", "erasure", "crypt", "config"},
	{"pack"},
	{"backends", "backends/*", "index", "cache"},
	{"fleet"},
	{"store", "store/*", "scrub", "recovery"},
	{"gateway", "gateway/*", "admin", "contribute"},
	{"cmd/*", "cmd/cairn/*", "internal/sim", "internal/sim/*"},
}

// beside lists the imports within one floor that are meant: importer, imported.
var beside = [][2]string{
	{"internal/durable", "."},
	{"internal/observed", "."},
	{"internal/observed", "internal/durable"},
	{"internal/wire", "."},
	{"backends/*", "backends"},
	{"store", "store/*"},
	{"gateway", "gateway/*"},
	{"cmd/cairn", "cmd/cairn/*"},
	{"cmd/cairn/demo", "cmd/cairn/engine"},
	{"cmd/cairn/engine", "cmd/cairn/keep"},
	{"cmd/cairn/engine", "cmd/cairn/secretfile"},
	{"cmd/cairn/demo", "cmd/cairn/spoken"},
	{"backends/backendtest", "backends/conform"},
}

// doubles are packages that stand in for something in tests; the product never
// imports them.
var doubles = []string{"backends/backendtest", "internal/netfault", "internal/race", "internal/sim"}

// besideInTests lists what test files may import beyond their package: the
// doubles, which themselves stand on a floor, and a real SFTP server.
var besideInTests = [][2]string{
	{"*", "backends/backendtest"},
	{"*", "internal/netfault"},
	{"*", "internal/race"},     // how much of a test runs under the race detector
	{"backends", "backends/*"}, // its wrappers are run against real transports
	{"backends/*", "backends/*"},
	{"backends/sftp", "contribute"},
	{"internal/sim/corrupt", "cmd/cairn/engine"}, // which reads what is in secrets/
}

// pure packages do no I/O and have no goroutines, clock or log.
var pure = []string{".", "internal/wire", "layout", "erasure", "crypt", "pack"}

// impure are the packages of the standard library that a pure package does
// without; a name covers what lies below it.
var impure = []string{"os", "net", "time", "log", "syscall", "io/ioutil", "testing", "context"}

// harmless are the names of impure packages that do nothing by themselves:
// types, constants, and what keeps a secret out of somebody else's log.
var harmless = map[string][]string{
	"time":     {"Time", "Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"},
	"log/slog": {"Value", "StringValue", "LogValuer"},
}

// source is one package as its files say it, without resolving its imports.
type source struct {
	name  string // below the module: "." or "backends/sftp"
	files []sourceFile
}

type sourceFile struct {
	path    string
	test    bool
	ast     *ast.File
	imports []imported
}

type imported struct {
	path string
	at   string // file:line
}

func TestLayersImportsGoDown(t *testing.T) {
	_, tree := parseTree(t, ".")
	for _, p := range tree {
		for _, problem := range importProblems(p) {
			t.Error(problem)
		}
	}
}

func TestLayersHouseRules(t *testing.T) {
	fset, tree := parseTree(t, ".")
	for _, p := range tree {
		for _, problem := range ruleProblems(fset, p) {
			t.Error(problem)
		}
	}
}

// TestLayersCatch feeds each rule a package that breaks it: a plan that lets
// everything pass would be worth nothing.
func TestLayersCatch(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"fleet", "a.go", `import "` + module + `/store"`, "fleet (floor 4) imports store (floor 5)"},
		{"fleet", "a_test.go", `import "` + module + `/store"`, "fleet (floor 4) imports store (floor 5)"},
		{"store", "a.go", `import "` + module + `/scrub"`, "store (floor 5) imports scrub (floor 5)"},
		{"backends", "a.go", `import "` + module + `/backends/sftp"`, "backends (floor 3) imports backends/sftp (floor 3)"},
		{"backends/sftp", "a.go", `import "` + module + `/contribute"`, "backends/sftp (floor 3) imports contribute (floor 6)"},
		{"fleet", "a.go", `import "` + module + `/backends/backendtest"`, "only test files may"},
		{"fleet", "a.go", `import "` + module + `/helpers"`, "helpers is on no floor"},
		{"helpers", "a.go", ``, "helpers is on no floor"},
		{"pack", "a.go", `import "os"`, `pack is pure and imports "os"`},
		{"layout", "a.go", `import "net/http"`, `layout is pure and imports "net/http"`},
		{"crypt", "a.go", `import "time"; var t = time.Now()`, `crypt is pure and uses time.Now`},
		{"crypt", "a.go", `import "log/slog"; func f() { slog.Info("x") }`, `crypt is pure and uses log/slog.Info`},
		{"pack", "a.go", `import "log"`, `pack is pure and imports "log"`},
		{"erasure", "a.go", `func f() { go f() }`, "erasure is pure and starts a goroutine"},
		{".", "a.go", `import "golang.org/x/sync/errgroup"`, "the root package imports the standard library only"},
		{"store", "a.go", `func init() {}`, "init()"},
		{"store", "a.go", `import "context"; func f() { _ = context.Background() }`, "context.Background"},
		{"cmd/cairn", "verbs.go", `import "context"; func f() { _ = context.TODO() }`, "context.TODO"},
		{"store", "a.go", `import c "context"; func f() { _ = c.Background() }`, "context.Background"},
		{"store", "a_test.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"store", "a_test.go", `import ("time"; "testing/synctest"); func f() { synctest.Test(nil, func() {}); time.Sleep(1) }`, "time.Sleep"},
		{"store", "a.go", `var n = 1; func f() { n = 2 }`, "package-level var n is changed"},
		{"store", "a.go", `var n int; func f() { n++ }`, "package-level var n is changed"},
		{"store", "a.go", `var n int; func f() *int { return &n }`, "package-level var n is changed"},
		{"store", "a.go", `var m = map[string]int{}; func f() { m["x"] = 1 }`, "package-level var m is changed"},
		{"store", "a.go", `var m = map[string]int{}; func f() { delete(m, "x") }`, "package-level var m is changed"},
		{"store", "a.go", `var s struct{ n int }; func f() { s.n = 1 }`, "package-level var s is changed"},
		{"store", "a.go", `import "sync"; var mu sync.Mutex`, "package-level var mu is state"},
		{"store", "a.go", `import "sync/atomic"; var n atomic.Int64`, "package-level var n is state"},
		{"store", "a.go", `var c = make(chan int)`, "package-level var c is state"},
		{"store", "a.go", `var m map[string]int`, "package-level var m is state"},
	} {
		fset, p := parseText(t, c.name, c.file, c.text)
		problems := append(importProblems(p), ruleProblems(fset, p)...)
		if !slices.ContainsFunc(problems, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s/%s with %s: want a problem %q, got %q", c.name, c.file, c.text, c.want, problems)
		}
	}
}

// TestLayersAllow holds what must stay possible.
func TestLayersAllow(t *testing.T) {
	for _, c := range []struct{ name, file, text string }{
		{"fleet", "a.go", `import "` + module + `"`},
		{"fleet", "a.go", `import "` + module + `/backends"`},
		{"fleet", "a_test.go", `import "` + module + `/backends/backendtest"`},
		{"store", "store_test.go", `import "` + module + `/store"`}, // package store_test
		{"backends/sftp", "a_test.go", `import "` + module + `/contribute"`},
		{"gateway", "a.go", `import "` + module + `/gateway/sigv4"`},
		{"cmd/cairn", "main.go", `import "context"; func main() { _ = context.Background() }`},
		{".", "a.go", `import "time"; type T struct{ at time.Time }`},
		{"crypt", "a.go", `import "log/slog"; type T struct{}; func (T) LogValue() slog.Value { return slog.StringValue("hidden") }`},
		{"store", "a.go", `import "` + module + `/store/stage"`},
		{"backends/rclone", "a.go", `func init() {}`},
		{"store", "a_test.go", `import ("time"; "testing/synctest"); func f() { synctest.Test(nil, func() { time.Sleep(1) }) }`}, // takes no time
		{"store", "a.go", `type T struct{}; func (T) init() {}; var n = 1; func f() int { n := n; n = 2; return n }`},
		{"store", "a.go", `import "sync"; var hashers = sync.Pool{New: func() any { return 1 }}`},
		{"store", "a.go", `import "errors"; var ErrA = errors.New("a"); var table = map[int]string{1: "x"}`},
	} {
		fset, p := parseText(t, c.name, c.file, c.text)
		if problems := append(importProblems(p), ruleProblems(fset, p)...); len(problems) > 0 {
			t.Errorf("%s/%s with %s: %q", c.name, c.file, c.text, problems)
		}
	}
}

// importProblems is one line for each import of p that the plan forbids.
func importProblems(p source) (problems []string) {
	mine := floorOf(p.name)
	if mine < 0 && p.name != "internal/netfault" && p.name != "internal/race" {
		return []string{fmt.Sprintf("%s is on no floor: put it on one in layers_test.go", p.name)}
	}
	for _, f := range p.files {
		for _, i := range f.imports {
			if p.name == "." && strings.Contains(strings.Split(i.path, "/")[0], ".") && !f.test {
				problems = append(problems, fmt.Sprintf("%s: the root package imports the standard library only, not %q", i.at, i.path))
			}
			if !f.test && slices.Contains(pure, p.name) && isImpure(i.path) {
				problems = append(problems, fmt.Sprintf("%s: %s is pure and imports %q: no I/O, clock or log there", i.at, p.name, i.path))
			}
			name, ours := below(i.path)
			if !ours || f.test && name == p.name {
				continue
			}
			theirs := floorOf(name)
			switch {
			case f.test && allowed(besideInTests, p.name, name):
			case !f.test && slices.Contains(doubles, name) && !slices.Contains(doubles, p.name):
				problems = append(problems, fmt.Sprintf("%s: %s imports the double %s: only test files may", i.at, p.name, name))
			case theirs < 0:
				problems = append(problems, fmt.Sprintf("%s: %s is on no floor: put it on one in layers_test.go", i.at, name))
			case mine >= 0 && theirs >= mine && !allowed(beside, p.name, name):
				problems = append(problems, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d): imports go strictly down", i.at, p.name, mine, name, theirs))
			}
		}
	}
	return problems
}

// floorOf is the floor of a package, -1 for none.
func floorOf(name string) int {
	for i, floor := range floors {
		if slices.ContainsFunc(floor, func(pattern string) bool { return matches(pattern, name) }) {
			return i
		}
	}
	return -1
}

func matches(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	parent, ok := strings.CutSuffix(pattern, "/*")
	return pattern == name || ok && path.Dir(name) == parent
}

func allowed(pairs [][2]string, importer, name string) bool {
	return slices.ContainsFunc(pairs, func(p [2]string) bool { return matches(p[0], importer) && matches(p[1], name) })
}

// isImpure reports whether an import alone is one too many; of the harmless
// ones it depends on the names that are used.
func isImpure(imports string) bool {
	return harmless[imports] == nil &&
		slices.ContainsFunc(impure, func(p string) bool { return imports == p || strings.HasPrefix(imports, p+"/") })
}

func isMain(file string) bool {
	ok, _ := path.Match("cmd/*/main.go", filepath.ToSlash(file))
	return ok
}

// below is the name of one of our packages.
func below(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// importOf is the path that a file imports under a name.
func importOf(f *ast.File, name string) string {
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if i.Name != nil && i.Name.Name == name || i.Name == nil && path.Base(p) == name {
			return p
		}
	}
	return ""
}

// parseTree reads every package of this module; modules nested in it are not.
func parseTree(t *testing.T, dir string) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	found := map[string]*source{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != dir:
			if name := d.Name(); name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_' {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil {
				return fs.SkipDir
			}
		case !d.IsDir() && strings.HasSuffix(file, ".go"):
			name := filepath.ToSlash(filepath.Dir(file))
			if found[name] == nil {
				found[name] = &source{name: name}
			}
			return found[name].parse(fset, file, nil)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var tree []source
	for _, p := range found {
		tree = append(tree, *p)
	}
	slices.SortFunc(tree, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return fset, tree
}

// parseText makes a package of one file.
func parseText(t *testing.T, name, file, text string) (*token.FileSet, source) {
	t.Helper()
	fset := token.NewFileSet()
	p := source{name: name}
	if err := p.parse(fset, path.Join(name, file), "package x; "+text); err != nil {
		t.Fatal(err)
	}
	return fset, p
}

func (p *source) parse(fset *token.FileSet, file string, text any) error {
	f, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s := sourceFile{path: file, test: strings.HasSuffix(file, "_test.go"), ast: f}
	for _, i := range f.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		s.imports = append(s.imports, imported{name, fset.Position(i.Pos()).String()})
	}
	p.files = append(p.files, s)
	return nil
}
