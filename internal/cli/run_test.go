package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"gatehouse/internal/cli"
)

func runIn(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	d := deps()
	d.In, d.Out, d.Err = strings.NewReader(""), &out, &err
	d.Env = func(string) string { return "" }
	d.StateDir = t.TempDir()
	code = cli.Run(t.Context(), d, args)
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	for line, want := range map[string]int{
		"version": 0, "--help": 0, "help": 0, "": 0, "apply --help": 0, "approvals": 0, "completion bash": 0,
		"audit verify --key good.pub": 0, "audit verify --key bad.pub": 1, "get roles": 1, "restore bad": 1,
		"aply": 2, "approvals lst": 2, "--nonsense": 2, "get": 2, "get nonsense": 2, "get role a b": 2, "version extra": 2, "version -o xml": 2,
		"approvals approve x": 2, "audit verify": 2, "dev token": 2, "serve --listen x": 2, "apply": 2, "serve --ready-fd 1": 2, "version --output": 2,
	} {
		code, _, stderr := runIn(t, strings.Fields(line)...)
		if code != want {
			t.Errorf("gatehouse %s: exit code %d, want %d\n%s", line, code, want, stderr)
		}
		if (code == cli.ExitUsage) != strings.Contains(stderr, "--help") {
			t.Errorf("gatehouse %s: code %d and %q", line, code, stderr)
		}
	}
}

func TestSuggestions(t *testing.T) {
	if _, _, stderr := runIn(t, "aply"); !strings.Contains(stderr, "did you mean apply?") {
		t.Error(stderr)
	}
	if _, _, stderr := runIn(t, "approvals", "lst"); !strings.Contains(stderr, "did you mean list?") {
		t.Error(stderr)
	}
}

// TestEveryCommandIsExplained wants a short text, and an example from every command that does something.
func TestEveryCommandIsExplained(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if strings.Contains(c.CommandPath(), "completion") || c.Name() == "help" {
			return
		}
		if c.Short == "" {
			t.Errorf("%s has no short text", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.New(deps()))
}
