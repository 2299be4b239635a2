package archtest

import (
	"slices"
	"strings"
	"testing"
)

// breach is one place that breaks a rule. key names it in exceptions: it holds no line number, so that it survives edits.
type breach struct {
	at   string
	key  string
	what string
}

// rule is one house rule over one package: the files that are not tests, or the tests.
type rule struct {
	name    string
	because string
	tests   bool // whether it holds for test files too
	check   func(files []*source) []breach
}

var rules = []rule{
	{"imports", "arrows point one way, so that the kernel can be read without the rest", false, checkImports},
	{"package doc", "who opens a folder must learn what it is for from its first lines", false, checkPackageDoc},
	{"map", "a map that leaves rooms out sends its reader past them: say in `Where to read` what the file is about", false, checkMap},
	{"exported doc", "who calls it should not have to read its code: say what it does, its units, its errors", false, checkExportedDoc},
	{"package name", "a name that fits everything says nothing: name the package after what it knows", true, checkPackageName},
	{"protocol name", "a protocol is its folder and one line in the list; a name elsewhere is a protocol's knowledge elsewhere", false, checkProtocolNames},
	{"no init", "what runs before main cannot be passed anything, tested or left out: make it a value that main wires", true, checkInit},
	{"no mutable package variable", "state without an owner races and leaks between tests: put it in a struct that main makes", false, checkVariables},
	{"clock and randomness are passed in", "a test must be able to say what time it is: take a func() time.Time, or an io.Reader", false, checkClock},
	{"no exit", "only main ends the process: return an error", false, checkExit},
	{"size", "one file is one thought, one function one level of it: split by what the parts know", true, checkSize},
	{"small interfaces", "the one who asks declares what it needs, at most four methods: split by who asks", false, checkInterfaces},
}

func TestHouseRules(t *testing.T) {
	all := load(t)
	byDir := map[string][]*source{}
	for _, s := range all {
		byDir[s.dir()] = append(byDir[s.dir()], s)
	}
	used := map[string]bool{}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, files := range byDir {
				for _, b := range r.apply(files) {
					id := r.name + ": " + b.key
					if exceptions[id] != "" {
						used[id] = true
						continue
					}
					t.Errorf("%s: %s\n\twhy: %s.\n\tto except it with a reason: %q", b.at, b.what, r.because, id)
				}
			}
		})
	}
	for id := range exceptions {
		if !used[id] {
			t.Errorf("exceptions_test.go: %q is no longer needed: remove it", id)
		}
	}
}

func (r rule) apply(files []*source) []breach {
	if !r.tests {
		files = slices.DeleteFunc(slices.Clone(files), func(s *source) bool { return s.test })
	}
	if len(files) == 0 {
		return nil
	}
	return r.check(files)
}

// TestRulesCanFail shows each rule something wrong, and something right that looks like it.
func TestRulesCanFail(t *testing.T) {
	for _, c := range []struct{ rule, path, wrong, right string }{
		{"imports", "internal/policy/x.go", "package policy\nimport _ \"gatehouse/internal/audit\"", "package policy\nimport _ \"gatehouse/internal/access\""},
		{"imports", "internal/gate/x.go", "package gate\nimport _ \"example.org/x\"", "package gate\nimport _ \"net\""},
		{"imports", "internal/audit/verify/x.go", "package verify\nimport _ \"gatehouse/internal/audit\"", "package verify\nimport _ \"golang.org/x/mod/sumdb/note\""},
		{"imports", "internal/audit/x.go", "package audit\nimport _ \"gatehouse/internal/audit/verify\"", "package audit\nimport _ \"gatehouse/internal/audit/tiles\""},
		{"imports", "cmd/gatehouse/x.go", "package main\nimport _ \"gatehouse/internal/store/storetest\"", "package main\nimport _ \"gatehouse/internal/devissuer\""},
		{"imports", "internal/protocol/a/x.go", "package a\nimport _ \"gatehouse/internal/protocol/b\"", "package a\nimport _ \"gatehouse/internal/wire\""},
		{"imports", "internal/session/x.go", "package session\nimport _ \"gatehouse/internal/devissuer\"", "package session\nimport _ \"gatehouse/internal/gate\""},
		{"imports", "novelty/x.go", "package novelty", "package novelty"},
		{"package doc", "internal/policy/x.go", "package policy", "// Package policy decides.\npackage policy"},
		{"map", "internal/policy/x.go", "// Package policy decides. Where to read: y.go\npackage policy", "// Package policy decides. Where to read: x.go (all)\npackage policy"},
		{"map", "internal/policy/doc.go", "// Package policy decides. Where to read: gone.go\npackage policy", "// Package policy decides. Some of it is in y.go.\npackage policy"},
		{"exported doc", "internal/policy/x.go", "package policy\nfunc Decide() {}", "package policy\n// Decide decides.\nfunc Decide() {}"},
		{"exported doc", "internal/policy/x.go", "package policy\n// T is.\ntype T int\nfunc (T) M() {}", "package policy\ntype t int\nfunc (t) M() {}"},
		{"package name", "internal/util/x.go", "package util", "package utility"},
		{"protocol name", "internal/session/x.go", "package session\nconst x = \"a Postgres error\"", "package session\n// Postgres may be named here.\nconst x = 1"},
		{"protocol name", "internal/session/x.go", "package session\nfunc dialPostgres() {}", "package session\nimport _ \"example.org/postgres\""},
		{"no init", "internal/policy/x.go", "package policy\nfunc init() {}", "package policy\ntype t int\nfunc (t) init() {}"},
		{"no mutable package variable", "internal/policy/x.go", "package policy\nvar n int", "package policy\nconst n = 1"},
		{"no mutable package variable", "internal/policy/x.go", "package policy\nvar m = map[string]int{}\nfunc f() { m[\"a\"] = 1 }", "package policy\nvar m = map[string]int{\"a\": 1}\nfunc f() int { return m[\"a\"] }"},
		{"no mutable package variable", "internal/policy/x.go", "package policy\nvar l = sync.Mutex{}", "package policy\nvar l = sync.OnceValue(f)"},
		{"no mutable package variable", "internal/policy/x.go", "package policy\nvar p = &T{}", "package policy\nvar errP = &fault.Error{}"},
		{"no mutable package variable", "internal/policy/x.go", "package policy\nvar Table = []int{1}", "package policy\nvar ErrX = errors.New(\"x\")"},
		{"clock and randomness are passed in", "internal/policy/x.go", "package policy\nimport \"time\"\nvar f = time.Now", "package policy\nimport \"time\"\nvar f = time.NewTimer"},
		{"clock and randomness are passed in", "internal/policy/x.go", "package policy\nimport \"crypto/rand\"", "package policy\nimport \"io\""},
		{"no exit", "internal/policy/x.go", "package policy\nimport \"os\"\nfunc f() { os.Exit(1) }", "package policy\nimport \"os\"\nfunc f() { os.Getpid() }"},
		{"no exit", "internal/policy/x.go", "package policy\nimport \"log\"\nfunc f() { log.Fatalf(\"\") }", "package policy\ntype log struct{}\n"},
		{"size", "internal/policy/x.go", "package policy\nfunc f() {\n" + strings.Repeat("g()\n", 81) + "}", "package policy\nfunc f() {\n_ = []int{\n" + strings.Repeat("1,\n", 80) + "}\n}"},
		{"size", "internal/policy/x.go", "package policy\n" + strings.Repeat("\n", 600), "package policy\n" + strings.Repeat("\n", 590)},
		{"small interfaces", "internal/policy/x.go", "package policy\ntype I interface { A(); B(); C(); D(); E() }", "package policy\ntype I interface { A(); B(); C(); D() }"},
	} {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == c.rule })
		if i < 0 {
			t.Fatalf("no rule %q", c.rule)
		}
		if got := applyText(t, rules[i], c.path, c.wrong); len(got) == 0 {
			t.Errorf("rule %q does not see what is wrong in %q", c.rule, c.wrong)
		}
		if c.path == "novelty/x.go" {
			continue // nothing in a package that no row names is right
		}
		if got := applyText(t, rules[i], c.path, c.right); len(got) != 0 {
			t.Errorf("rule %q refuses %q: %+v", c.rule, c.right, got)
		}
	}
}

func applyText(t *testing.T, r rule, name, text string) []breach {
	t.Helper()
	s, err := parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return r.apply([]*source{s})
}
