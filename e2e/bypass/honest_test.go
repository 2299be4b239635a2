package bypass

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestHonest: who asks for nothing masked notices nothing, under a role with masks, on a connection with every guardrail that
// ships but read-only; cases that only read run on one with read-only too.
func TestHonest(t *testing.T) {
	for _, a := range honest {
		scores.count(t, "honest", a, func(t *testing.T) {
			where := left
			if where.connection = "guarded"; a.Guardrail != "" {
				where.connection = a.Guardrail
			}
			want, got := a.run(t, direct, left), a.run(t, "narrow", where)
			if strings.Contains(want.heard.String(), "ERROR") {
				t.Errorf("it does not work around the gateway:\n%s", want.heard.String())
			}
			if want.heard.String() != got.heard.String()[:min(len(want.heard.String()), got.heard.Len())] {
				t.Errorf("around the gateway:\n%.6000s\nthrough it:\n%.6000s", want.heard.String(), got.heard.String())
			}
		})
	}
}

// TestHonestPsql: what the stock client's own commands show is what they show around the gateway.
func TestHonestPsql(t *testing.T) {
	for _, command := range []string{`\d`, `\d+ items`, `\d customers`, `\d+ ledger_view`, `\l`, `\dt+`, `\df`, `\df+ act`, `\dn+`, `\du`, `\di`, `\ds`,
		`\dv`, `\dm`, `\dT+`, `\dD`, `\dp`, `\ddp`, `\dx`, `\des`, `\det`, `\dew`, `\do @@@`, `\da longest`, `\dC`, `\dc`, `\dF`, `\dL`, `\db`, `\dy`, `\dRp`,
		`\sf act(text)`, `\sv ledger_view`, `\encoding`, `\copy items (id, label) TO STDOUT`} {
		scores.count(t, "honest", attack{Technique: "psql " + command, Channel: "psql"}, func(t *testing.T) {
			where := left
			where.connection = "guarded"
			want, got := psql(t, direct, left, command), psql(t, "narrow", where, command)
			if want != got {
				t.Errorf("around the gateway:\n%s\nthrough it:\n%s", want, got)
			}
			if want == "" || strings.Contains(want, "ERROR") {
				t.Errorf("it shows nothing around the gateway: %s", want)
			}
		})
	}
}

// TestHonestStar: a star works where some of its columns are masked, and shows the others.
func TestHonestStar(t *testing.T) {
	scores.count(t, "honest", attack{Technique: "every column, some masked", Channel: "simple"}, func(t *testing.T) {
		where := left
		where.connection = "guarded"
		s := attack{Steps: simple("SELECT * FROM customers ORDER BY id")}.run(t, "narrow", where)
		if got := s.heard.String(); strings.Count(got, "ROW ") < 20 || !strings.Contains(got, `"Ada Brook"`) || strings.Contains(got, "ERROR") {
			t.Error(got)
		}
		if word := s.leaked(); word != "" {
			t.Errorf("%s has come", word)
		}
	})
}

// psql runs the stock client, and returns what it printed.
func psql(t *testing.T, role string, where values, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", "-X", "-P", "pager=off", "-d", shared.dsn(t, role, where), "-c", command)
	cmd.Env = append(os.Environ(), "PSQL_PAGER=cat", "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%s as %s: %v\n%s", command, role, err, out.String())
	}
	return out.String()
}
