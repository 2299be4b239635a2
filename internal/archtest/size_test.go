package archtest

import (
	"fmt"
	"go/ast"
	"strings"
)

const (
	maxFile   = 600 // lines
	maxFunc   = 80  // lines, tables not counted
	maxMethod = 4   // of an interface
)

func checkSize(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		if n := strings.Count(s.text, "\n"); n > maxFile {
			bad = append(bad, breach{s.path, s.path, fmt.Sprintf("%d lines, more than %d", n, maxFile)})
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := codeLines(s, f); n > maxFunc {
				bad = append(bad, breach{s.line(f), s.path + " " + f.Name.Name, fmt.Sprintf("function %s has %d lines, more than %d", f.Name.Name, n, maxFunc)})
			}
		}
	}
	return bad
}

// codeLines counts a function's lines, and every table (composite literal) within it as one: a table is data.
func codeLines(s *source, f *ast.FuncDecl) int {
	span := func(n ast.Node) int { return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line }
	lines := span(f) - 1 // what stands between the braces
	ast.Inspect(f.Body, func(n ast.Node) bool {
		c, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines -= span(c)
		return false
	})
	return lines
}

func checkInterfaces(files []*source) []breach {
	var bad []breach
	for _, s := range files {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			t, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := t.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethod {
				bad = append(bad, breach{s.line(t), s.dir() + "." + t.Name.Name, fmt.Sprintf("interface %s has %d methods, more than %d", t.Name.Name, i.Methods.NumFields(), maxMethod)})
			}
			return true
		})
	}
	return bad
}
