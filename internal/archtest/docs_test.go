package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
)

func checkPackageDoc(files []*source) []breach {
	for _, s := range files {
		if s.ast.Doc == nil {
			continue
		}
		name := s.ast.Name.Name
		if text := s.ast.Doc.Text(); strings.HasPrefix(text, "Package "+name+" ") || name == "main" && len(text) > 20 {
			return nil
		}
	}
	s := files[0]
	return []breach{{s.path, s.dir(), fmt.Sprintf("package %s has no doc comment that begins with what it is for (%q …)", s.dir(), "Package "+s.ast.Name.Name)}}
}

// goFile is how a package comment names one of its files.
var goFile = regexp.MustCompile(`\b[a-z0-9_]+\.go\b`)

// checkMap reads the package comments that say where to read what: they name every file, and no other.
func checkMap(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		if s.ast.Doc == nil || !strings.Contains(s.ast.Doc.Text(), "Where to read") {
			continue
		}
		missing := map[string]bool{}
		for _, f := range files {
			missing[path.Base(f.path)] = path.Base(f.path) != "doc.go"
		}
		for _, name := range goFile.FindAllString(s.ast.Doc.Text(), -1) {
			if _, there := missing[name]; !there {
				bad = append(bad, breach{s.path, s.dir() + "/" + name, "the package comment names " + name + ", which does not exist"})
			}
			missing[name] = false
		}
		for name, yes := range missing {
			if yes {
				bad = append(bad, breach{s.path, s.dir() + "/" + name, "the package comment says where to read, and does not name " + name})
			}
		}
	}
	return bad
}

func checkExportedDoc(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		if s.ast.Name.Name == "main" {
			continue // nobody imports it
		}
		for _, d := range s.ast.Decls {
			for _, n := range undocumented(s, d) {
				bad = append(bad, breach{s.line(d), s.dir() + "." + n, fmt.Sprintf("exported %s has no doc comment", n)})
			}
		}
	}
	return bad
}

func undocumented(s *source, d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc != nil || !d.Name.IsExported() || excused(s, d) {
			return nil
		}
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		if r := receiver(d); ast.IsExported(r) {
			return []string{r + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil && d.Lparen.IsValid() && d.Tok != token.TYPE {
			return nil // the comment of a group speaks for its members
		}
		return undocumentedSpecs(d)
	}
	return nil
}

func undocumentedSpecs(d *ast.GenDecl) []string {
	var names []string
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && spec.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				names = append(names, spec.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range spec.Names {
				if n.IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// excused reports whether a one-line function carries a linter's exception with its reason.
func excused(s *source, d *ast.FuncDecl) bool {
	line := s.fset.Position(d.End()).Line
	for _, g := range s.ast.Comments {
		if s.fset.Position(g.Pos()).Line == line && strings.Contains(g.List[0].Text, "//nolint:revive // ") {
			return true
		}
	}
	return false
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
