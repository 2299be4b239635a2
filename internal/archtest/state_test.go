package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

func checkInit(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				bad = append(bad, breach{s.line(f), s.path, "an init function"})
			}
		}
	}
	return bad
}

// checkVariables accepts what cannot change: error values, compiled patterns, embedded files, and tables that nothing in
// the package assigns to or takes the address of.
func checkVariables(files []*source) []breach {
	touched := map[string]bool{}
	for _, s := range files {
		collectAssigned(s.ast, touched)
	}
	var bad []breach
	for _, s := range files {
		for _, d := range s.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR || embedded(g.Doc) {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, n := range v.Names {
					if why := mutable(v, i, touched); why != "" && !embedded(v.Doc) {
						bad = append(bad, breach{s.line(n), s.dir() + "." + n.Name, fmt.Sprintf("variable %s %s", n.Name, why)})
					}
				}
			}
		}
	}
	return bad
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// mutable says why a variable can change, or "" where it cannot.
func mutable(v *ast.ValueSpec, i int, touched map[string]bool) string {
	name := v.Names[i].Name
	switch {
	case name == "_":
		return ""
	case touched[name]:
		return "is assigned to, or its address is taken"
	case i >= len(v.Values):
		return "has no value: it is there to be assigned to"
	}
	isError := strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")
	if why := mutableValue(v.Values[i]); why != "" && !isError {
		return why
	}
	if ast.IsExported(name) && !isError {
		return "is exported: any package may assign to it; make it a function, or a constant"
	}
	return ""
}

func mutableValue(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.Ident); ok && (f.Name == "make" || f.Name == "new") {
			return "is made empty: it is there to be filled"
		}
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return "points at something that can change"
		}
	case *ast.CompositeLit:
		if s, ok := e.Type.(*ast.SelectorExpr); ok {
			if p, ok := s.X.(*ast.Ident); ok && (p.Name == "sync" || p.Name == "atomic") {
				return "is a lock or a counter for the whole process"
			}
		}
	}
	return ""
}

// collectAssigned notes every name that is assigned to, in whole or in part, or whose address is taken. A local of the
// same name counts as well: call it something else.
func collectAssigned(f *ast.File, touched map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, l := range n.Lhs {
					touched[base(l)] = true
				}
			}
		case *ast.IncDecStmt:
			touched[base(n.X)] = true
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				touched[base(n.X)] = true
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
				touched[base(n.Args[0])] = true
			}
		}
		return true
	})
}

// base is the variable that an expression such as a.b[i] starts from.
func base(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// wirers may read the clock and make randomness: they pass both to everybody else. Packages that only tests link may too.
func wirers(s *source) bool {
	return s.below("cmd", "internal/listen", "e2e", "demo", "bench") || strings.HasSuffix(s.dir(), "test")
}

func checkClock(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		if wirers(s) {
			continue
		}
		for _, i := range s.ast.Imports {
			if p, _ := strconv.Unquote(i.Path.Value); p == "crypto/rand" || p == "math/rand" || p == "math/rand/v2" {
				bad = append(bad, breach{s.line(i), s.path + " " + p, p + ": take an io.Reader from whoever makes you"})
			}
		}
		for _, f := range []string{"Now", "Since", "Until"} {
			for _, at := range uses(s, "time", f) {
				bad = append(bad, breach{s.at(at), s.path + " time." + f, "time." + f + " reads the machine's clock: take a func() time.Time"})
			}
		}
	}
	return bad
}

func checkExit(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		if s.below("cmd", "demo", "bench", "scripts", "e2e/cloud/stock", "e2e/queues/stock") {
			continue
		}
		for pkg, funcs := range map[string][]string{"os": {"Exit"}, "log": {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"}, "syscall": {"Exit"}} {
			for _, f := range funcs {
				for _, at := range uses(s, pkg, f) {
					bad = append(bad, breach{s.at(at), s.path + " " + pkg + "." + f, pkg + "." + f + " ends the process"})
				}
			}
		}
	}
	return bad
}

// uses finds pkg.name, where pkg is an imported package of that path.
func uses(s *source, pkg, name string) []token.Pos {
	local := ""
	for _, i := range s.ast.Imports {
		if p, _ := strconv.Unquote(i.Path.Value); p == pkg {
			local = pkg
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var at []token.Pos
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				at = append(at, sel.Pos())
			}
		}
		return true
	})
	return at
}
