package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func checkPackageName(files []*source) []breach {
	vague := []string{"common", "util", "utils", "helper", "helpers", "misc", "base", "shared", "lib", "types", "models", "services"}
	var bad []breach
	for _, s := range files {
		name := strings.TrimSuffix(s.ast.Name.Name, "_test")
		if slices.Contains(vague, name) {
			bad = append(bad, breach{s.path, s.dir(), fmt.Sprintf("package %s: name it after what it knows", name)})
		}
	}
	return bad
}

// protocolNames are the folders below internal/protocol, and the name that must not leak even before its folder exists.
func protocolNames() []string {
	names := []string{"postgres"}
	entries, err := os.ReadDir(filepath.Join(root, "internal", "protocol"))
	if err != nil {
		return names
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" && !slices.Contains(names, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// checkProtocolNames looks at identifiers and string literals; comments may give examples.
func checkProtocolNames(files []*source) []breach {
	names := protocolNames()
	var bad []breach
	for _, s := range files {
		if s.below("internal/protocol", "internal/sql", "internal/archtest", "e2e", "demo", "bench") {
			continue
		}
		for _, d := range s.ast.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				text, ok := spelled(n)
				if !ok {
					return true
				}
				if name, leaks := leak(names, text); leaks {
					bad = append(bad, breach{s.line(n), s.path + " " + text, fmt.Sprintf("%s spells the protocol %s: ask it of the protocol's value instead", text, name)})
				}
				return true
			})
		}
	}
	return bad
}

func spelled(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.Ident:
		return n.Name, true
	case *ast.BasicLit:
		return n.Value, n.Kind == token.STRING
	}
	return "", false
}

// leak finds a protocol's name in a text. Short names (http, aws) are words of other trades too: they leak only as a
// whole literal.
func leak(names []string, text string) (string, bool) {
	lower := strings.ToLower(text)
	for _, n := range names {
		if len(n) > 4 && strings.Contains(lower, n) || strings.Trim(lower, "\"`") == n && strings.ContainsAny(lower, "\"`") {
			return n, true
		}
	}
	return "", false
}
