package e2e

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// loginError is what a client is told about a login with a good or bad token to a connection.
func loginError(t *testing.T, tok, connection string) *pgconn.PgError {
	t.Helper()
	_, err := pgx.Connect(t.Context(), strings.Replace(dsn(shared.gw, tok), "dbname=shop", "dbname="+connection, 1))
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		t.Fatalf("want an error in the client's protocol, got %v", err)
	}
	return pe
}

// TestErrorsSayWhatToDo: whoever reads a refusal learns what happened and what to do next, in their own protocol.
func TestErrorsSayWhatToDo(t *testing.T) {
	tok := token(t, shared.gw, "fn:reader")
	for text, want := range map[string]struct {
		code string
		says []string
	}{
		"SELEKT 1":              {"42601", []string{"syntax error"}},
		"DROP TABLE customers":  {"42501", []string{"permission denied", "migrations"}},
		"DELETE FROM customers": {"42501", []string{"permission denied", "gatehouse policy test"}},
		"SELECT id FROM customers WHERE email = 'x'": {"42501", []string{"masked"}},
	} {
		t.Run(text, func(t *testing.T) {
			out, code := psql(t, shared.gw, tok, "-v", "VERBOSITY=verbose", "-c", text)
			if code == 0 {
				t.Error("it succeeded")
			}
			contains(t, out, append(want.says, want.code)...)
		})
	}
}

// TestUnknownAndForbiddenConnectionsLookAlike: who may not use a connection does not learn that it exists.
func TestUnknownAndForbiddenConnectionsLookAlike(t *testing.T) {
	tok := token(t, shared.gw, "fn:nobody")
	forbidden, unknown := loginError(t, tok, "shop"), loginError(t, tok, "nope")
	f := strings.ReplaceAll(forbidden.Message+forbidden.Detail+forbidden.Hint, "shop", "X")
	u := strings.ReplaceAll(unknown.Message+unknown.Detail+unknown.Hint, "nope", "X")
	ref := regexp.MustCompile(`ref [0-9a-z]+`)
	if ref.ReplaceAllString(f, "") != ref.ReplaceAllString(u, "") || forbidden.Code != unknown.Code {
		t.Errorf("they can be told apart:\n%s %s\n%s %s", forbidden.Code, f, unknown.Code, u)
	}
}

// TestReferenceLeadsToTheReason: the client gets a reference, the administrator the reason.
func TestReferenceLeadsToTheReason(t *testing.T) {
	pe := loginError(t, "no-token-at-all", "shop")
	m := regexp.MustCompile(`ref ([0-9a-z]+)`).FindStringSubmatch(pe.Message)
	if m == nil {
		t.Fatalf("no reference in %q", pe.Message)
	}
	r := shared.gw.CLI(t.Context(), "", "whoami", "--ref", m[1])
	if r.Code != 0 || !strings.Contains(r.Out+r.Err, "token") {
		t.Errorf("whoami --ref: status %d: %s%s", r.Code, r.Out, r.Err)
	}
	if r := shared.gw.CLI(t.Context(), "", "whoami", "--ref", m[1], "--token-file", tokenFile(t, token(t, shared.gw, "fn:reader"))); r.Code == 0 {
		t.Errorf("somebody else reads the reason: %s", r.Out)
	}
}

func TestUnreachableBackend(t *testing.T) {
	gw := own(t)
	elsewhere := strings.Replace(shared.documents(), "address: "+shared.pg.Address(), "address: 127.0.0.1:1", 1)
	if r := gw.CLI(t.Context(), elsewhere, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	out, code := psql(t, gw, token(t, gw, "fn:reader"), "-c", "SELECT 1")
	if code == 0 {
		t.Error("it succeeded")
	}
	contains(t, out, "FATAL")
	lacks(t, out, "127.0.0.1:1\"", "app-obviously")
	r := gw.CLI(t.Context(), "", "connections", "test", "shop")
	if r.Code != 1 || !strings.Contains(r.Out+r.Err, "refused") {
		t.Errorf("connections test: status %d: %s%s", r.Code, r.Out, r.Err)
	}
}

// TestCommandsSayWhatToDo: the same for the command line.
func TestCommandsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		says []string
	}{
		"unknown key":     {"kind: Policy\nname: p\nstatments: []\n", []string{"apply", "-f", "-"}, 1, []string{"statments", "statements", "^"}},
		"unknown action":  {"kind: Policy\nname: p\nstatements:\n  - effect: allow\n    actions: [postgres:Selekt]\n    resources: ['*']\n", []string{"apply", "-f", "-"}, 1, []string{"Selekt", "Select", "^"}},
		"unknown command": {"", []string{"aply"}, 2, []string{"apply"}},
		"no such role":    {"", []string{"get", "Role", "nope"}, 1, []string{"nope"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := shared.gw.CLI(t.Context(), c.in, c.args...)
			if r.Code != c.code {
				t.Errorf("status %d, want %d", r.Code, c.code)
			}
			contains(t, r.Out+r.Err, c.says...)
		})
	}
	gone := *shared.gw
	gone.State = t.TempDir()
	r := gone.CLI(t.Context(), "", "get", "Role")
	if r.Code != 1 {
		t.Errorf("without a gateway: status %d", r.Code)
	}
	contains(t, r.Err, "gatehouse serve")
}
