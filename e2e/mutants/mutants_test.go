package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestMutants checks that the table fits the code: what each mutant replaces is there, once, and the test it names exists.
// With MUTANTS=1 it runs each mutant, and fails for one that its test survives.
func TestMutants(t *testing.T) {
	run := os.Getenv("MUTANTS") == "1"
	for _, m := range slices.Concat(table, messages) {
		t.Run(m.check, func(t *testing.T) {
			changed := m.apply(t)
			if !named(t, m.pkg, m.test) {
				t.Fatalf("%s has no test %s", m.pkg, m.test)
			}
			if run {
				m.mustFail(t, changed)
			}
		})
	}
}

// apply returns the text of the file without the check.
func (m mutant) apply(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), m.find); n != 1 {
		t.Fatalf("%s has %q %d times: bring the table up to date", m.file, m.find, n)
	}
	return strings.Replace(string(raw), m.find, m.replace, 1)
}

func named(t *testing.T, pkg, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^func ` + test + `\(`).Match(raw) {
			return true
		}
	}
	return false
}

// mustFail runs the test with the changed file in place of the real one. The tree stays as it is: the compiler is told to
// read the file from elsewhere, and so are the builds that the test itself starts.
func (m mutant) mustFail(t *testing.T, changed string) {
	t.Helper()
	dir := t.TempDir()
	there := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(there, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: there}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := "GOFLAGS=" + strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+list)
	for _, step := range [][]string{{"vet", "-unsafeptr=false", m.pkg}, {"build", "-o", os.DevNull, "./cmd/gatehouse"}} {
		if out, err := command(flags, step...).CombinedOutput(); err != nil {
			t.Fatalf("the mutant does not compile, so it proves nothing: %v\n%s", err, out)
		}
	}
	out, err := command(flags, "test", "-count=1", "-timeout=10m", "-run", "^"+m.test+"$", m.pkg).CombinedOutput()
	if err == nil {
		t.Fatalf("%s stays green without this check: it proves nothing about it", m.test)
	}
	if !strings.Contains(string(out), "--- FAIL: "+m.test) && !strings.Contains(string(out), "panic:") {
		t.Fatalf("%s did not fail, something else did:\n%s", m.test, out)
	}
	t.Logf("%s turns red", m.test)
}

func command(flags string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), flags, "MUTANTS=")
	return cmd
}
