package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// source is one Go file of the module.
type source struct {
	path string // slash-separated, from the root
	test bool
	fset *token.FileSet
	ast  *ast.File
	text string
}

// dir is the folder of the package, "." for the root.
func (s *source) dir() string { return path.Dir(s.path) }

// line is where a node stands, as path:line.
func (s *source) line(n ast.Node) string { return s.at(n.Pos()) }

func (s *source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(p).Line)
}

// below reports whether the file lies in one of the folders or their subfolders.
func (s *source) below(folders ...string) bool {
	for _, f := range folders {
		if s.path == f || strings.HasPrefix(s.path, f+"/") {
			return true
		}
	}
	return false
}

func parse(name, text string) (*source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &source{path: name, test: strings.HasSuffix(name, "_test.go"), fset: fset, ast: f, text: text}, nil
}

// load parses every Go file of the module that is built here and was written by hand.
func load(t *testing.T) []*source {
	t.Helper()
	var all []*source
	walk(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		if match, err := build.Default.MatchFile(filepath.Join(root, path.Dir(name)), path.Base(name)); err != nil || !match {
			return
		}
		s, err := parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(s.ast) {
			all = append(all, s)
		}
	})
	if len(all) < 10 {
		t.Fatalf("only %d files found below %s: the walk is broken", len(all), root)
	}
	return all
}

// walk calls do for every file of the repository that people wrote, other modules within it included.
func walk(t *testing.T, do func(name string, text []byte)) {
	t.Helper()
	skip := map[string]bool{"testdata": true, "node_modules": true, "bin": true, "build": true, "dist": true}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (skip[name] || strings.HasPrefix(name, ".") && name != ".ci") {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if !bytes.Contains(text[:min(len(text), 8000)], []byte{0}) { // what people wrote is text
			do(filepath.ToSlash(rel), text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
