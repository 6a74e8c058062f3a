package cairn_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// ruleProblems is one line for each house rule that the code of p breaks.
func ruleProblems(fset *token.FileSet, p source) (problems []string) {
	say := func(at token.Pos, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%v: ", fset.Position(at))+fmt.Sprintf(format, args...))
	}
	for _, f := range p.files {
		var bubble token.Pos // end of the synctest bubble that we are in
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.SelectorExpr); ok && fun.Sel.Name == "Test" {
					if x, ok := fun.X.(*ast.Ident); ok && importOf(f.ast, x.Name) == "testing/synctest" {
						bubble = max(bubble, n.End())
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil && !f.test && p.name != "backends/rclone" {
					say(n.Pos(), "init(): construct things in New or in main")
				}
			case *ast.GoStmt:
				if !f.test && slices.Contains(pure, p.name) {
					say(n.Pos(), "%s is pure and starts a goroutine", p.name)
				}
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok {
					break
				}
				from := importOf(f.ast, x.Name)
				if names, ok := harmless[from]; ok && !f.test && slices.Contains(pure, p.name) && !slices.Contains(names, n.Sel.Name) {
					say(n.Pos(), "%s is pure and uses %s.%s: no clock or log there", p.name, from, n.Sel.Name)
				}
				switch {
				case from == "context" && (n.Sel.Name == "Background" || n.Sel.Name == "TODO") && !f.test && !isMain(f.path):
					say(n.Pos(), "context.%s below main: take a ctx", n.Sel.Name)
				case from == "time" && n.Sel.Name == "Sleep" && f.test && n.Pos() >= bubble:
					say(n.Pos(), "time.Sleep in a test: use testing/synctest or wait for the thing itself")
				}
			}
			return true
		})
	}
	return append(problems, stateProblems(fset, p)...)
}

// stateProblems finds package-level variables that hold state: those of a type
// that exists to be changed, and those that any function changes. Names are
// resolved by go/types without the imports, which is enough to tell a local
// variable from one of the package.
func stateProblems(fset *token.FileSet, p source) (problems []string) {
	var files []*ast.File
	for _, f := range p.files {
		if !f.test {
			files = append(files, f.ast)
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}, IgnoreFuncBodies: false}
	pkg, _ := conf.Check(p.name, fset, files, info) // incomplete on purpose
	if pkg == nil {
		return nil
	}
	changed := func(e ast.Expr) {
		if id := root(e); id != nil {
			if v, ok := info.Uses[id].(*types.Var); ok && v.Parent() == pkg.Scope() {
				problems = append(problems, fmt.Sprintf("%v: package-level var %s is changed: state belongs to a value that someone made", fset.Position(id.Pos()), id.Name))
			}
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, s := range g.Specs {
					for i, id := range s.(*ast.ValueSpec).Names {
						if why := stateful(f, s.(*ast.ValueSpec), i); why != "" && id.Name != "_" {
							problems = append(problems, fmt.Sprintf("%v: package-level var %s is state (%s)", fset.Position(id.Pos()), id.Name, why))
						}
					}
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, l := range n.Lhs {
					changed(l)
				}
			case *ast.IncDecStmt:
				changed(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					changed(n.X)
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && (fun.Name == "delete" || fun.Name == "clear") && len(n.Args) > 0 {
					changed(n.Args[0])
				}
			}
			return true
		})
	}
	return problems
}

// stateful says why the i-th variable of a spec can only be meant as state.
func stateful(f *ast.File, s *ast.ValueSpec, i int) string {
	e := s.Type
	if i < len(s.Values) {
		switch v := s.Values[i].(type) {
		case *ast.CompositeLit:
			e = v.Type
		case *ast.CallExpr:
			if fun, ok := v.Fun.(*ast.Ident); ok && fun.Name == "make" && len(v.Args) > 0 {
				return "made empty"
			}
		}
	} else {
		switch e.(type) {
		case *ast.MapType, *ast.StarExpr, *ast.ArrayType:
			return "declared empty"
		}
	}
	switch e := e.(type) {
	case *ast.ChanType:
		return "a channel"
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		if !ok {
			return ""
		}
		// A pool holds nothing that anybody can see, and a Once function is a
		// constant that is computed late.
		if from := importOf(f, x.Name); from == "sync/atomic" || from == "sync" && e.Sel.Name != "Pool" {
			return from + "." + e.Sel.Name
		}
	}
	return ""
}

// root is the variable that an expression selects, indexes or points from.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }
