package archtest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// testName is how documents name tests: `TestX`, or `folder.TestX`.
var testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)

// TestNamedTestsExist reads the package comments and the documents: a test that they name must be there, since a claim
// whose proof is gone is only a claim.
func TestNamedTestsExist(t *testing.T) {
	all := load(t)
	have := map[string]bool{}
	for _, s := range all {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && (s.test || s.below("internal/wire/wiretest")) {
				have[f.Name.Name] = true
			}
		}
	}
	named := func(at, text string) {
		for _, n := range testName.FindAllString(text, -1) {
			if !have[n] {
				t.Errorf("%s names %s, which does not exist: write it, or name the test that proves the claim", at, n)
			}
		}
	}
	for _, s := range all {
		if !s.test && s.ast.Doc != nil {
			named(s.path, s.ast.Doc.Text())
		}
	}
	walk(t, func(name string, text []byte) {
		if strings.HasSuffix(name, ".md") {
			named(name, string(text))
		}
	})
}

// TestThreatModelNamesATestForEveryPromise reads the table of docs/threat-model.md.
func TestThreatModelNamesATestForEveryPromise(t *testing.T) {
	const promises = 10
	rows := 0
	for line := range strings.Lines(read(t, "docs/threat-model.md")) {
		if !regexp.MustCompile(`^\| \d+ \|`).MatchString(line) {
			continue
		}
		rows++
		if !testName.MatchString(line) {
			t.Errorf("docs/threat-model.md: promise without a test: %s", line)
		}
	}
	if rows != promises {
		t.Errorf("docs/threat-model.md has %d promises, want %d", rows, promises)
	}
}

// TestEveryDependencyHasAReason compares go.mod's direct requirements with docs/dependencies.md.
func TestEveryDependencyHasAReason(t *testing.T) {
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(read(t, "docs/dependencies.md")) {
		if m := regexp.MustCompile("^\\| `([^`]+)` \\|").FindStringSubmatch(line); m != nil {
			rows = append(rows, m[1])
		}
	}
	for _, r := range mod.Require {
		i := slices.Index(rows, r.Mod.Path)
		switch {
		case r.Indirect && i >= 0:
			t.Errorf("docs/dependencies.md: %s is no longer used directly: remove its line", r.Mod.Path)
		case !r.Indirect && i < 0:
			t.Errorf("docs/dependencies.md: %s has no line: what for, how large, what would replace it", r.Mod.Path)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == row }) {
			t.Errorf("docs/dependencies.md: %s is not in go.mod", row)
		}
	}
}

// TestDecisionsHaveTheirForm reads docs/adr.
func TestDecisionsHaveTheirForm(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions in docs/adr: %v", err)
	}
	for _, f := range files {
		name := path.Join("docs/adr", filepath.Base(f))
		text := read(t, name)
		if !regexp.MustCompile(`^\d{4}-[a-z0-9-]+\.md$`).MatchString(filepath.Base(f)) {
			t.Errorf("%s: name it 0001-what-was-decided.md", name)
		}
		at := 0
		for _, h := range []string{"# ", "\n## Decided\n", "\n## Because\n", "\n## Given up\n", "\n## Measured\n"} {
			i := strings.Index(text[at:], h)
			if i < 0 {
				t.Errorf("%s has no %q in its place", name, strings.TrimSpace(h))
				break
			}
			at += i
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
