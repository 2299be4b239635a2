package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answersTo sends frames and returns the answers, by a letter each, up to the n-th ReadyForQuery or error as asked: what a
// client that counts answers sees.
func answersTo(t *testing.T, a *attacker, last byte, n int, frames ...pgproto3.FrontendMessage) string {
	t.Helper()
	a.send(t, frames...)
	var seen strings.Builder
	for n > 0 {
		if err := a.conn.Conn.SetReadDeadline(time.Now().Add(tooLong)); err != nil {
			t.Fatal(err)
		}
		m, err := a.conn.Frontend.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the gateway hangs after %q", seen.String())
		}
		if err != nil {
			t.Fatalf("after %q: %v", seen.String(), err)
		}
		letter := byte('.')
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			fmt.Fprintf(&seen, "Z%c", m.TxStatus)
			letter = 'Z'
		case *pgproto3.ErrorResponse:
			seen.WriteString("E" + m.Code)
			letter = 'E'
		case *pgproto3.DataRow:
			seen.WriteByte('D')
		case *pgproto3.CommandComplete:
			seen.WriteByte('C')
		}
		if letter == last {
			n--
		}
		if seen.Len() > 100_000 {
			t.Fatalf("the answer does not end: %.100s...", seen.String())
		}
	}
	return seen.String()
}

// TestInStep: whatever fails or is refused in whatever place, the client gets the answers that the server would give, and
// the transaction is as the server would leave it.
func TestInStep(t *testing.T) {
	sync, flush := &pgproto3.Sync{}, &pgproto3.Flush{}
	refused := func() step { return step{parse("", "DROP TABLE customers")} }
	for name, run := range map[string]func(t *testing.T, a *attacker) (got, want string){
		"a refused Parse is answered without a Sync": func(t *testing.T, a *attacker) (string, string) {
			return answersTo(t, a, 'E', 1, refused()...) + answersTo(t, a, 'Z', 1, flush, sync), "E42501ZI"
		},
		"in a transaction too": func(t *testing.T, a *attacker) (string, string) {
			return answersTo(t, a, 'Z', 1, query("BEGIN")) + answersTo(t, a, 'E', 1, append(refused(), flush)...) +
				answersTo(t, a, 'Z', 1, sync) + answersTo(t, a, 'Z', 1, query("ROLLBACK")), "CZTE42501ZECZI"
		},
		"a statement behind one that fails is skipped": func(t *testing.T, a *attacker) (string, string) {
			frames := append(append(whole("SET search_path = 'a', 5e5e5"), whole("SELECT 1")...), sync)
			got := answersTo(t, a, 'Z', 1, frames...)
			return got[len(got)-2:] + answersTo(t, a, 'Z', 1, append(whole("SELECT 1"), sync)...), "ZIDCZI"
		},
		"a refusal after a pipelined SET tells the transaction's state": func(t *testing.T, a *attacker) (string, string) {
			begin := answersTo(t, a, 'Z', 1, query("BEGIN"))
			frames := append(append(whole("SET application_name = 'x'"), refused()...), sync)
			return begin + answersTo(t, a, 'Z', 1, frames...) + answersTo(t, a, 'Z', 1, query("ROLLBACK")), "CZTCE42501ZECZI"
		},
		"a refused query undoes what was executed before it without a Sync": func(t *testing.T, a *attacker) (string, string) {
			frames := append(whole("INSERT INTO orders (id, customer_id, status, total, placed_at) VALUES (9901, 1, 'x', 1, '2026-01-01')"),
				query("DROP TABLE customers"))
			got := answersTo(t, a, 'Z', 1, frames...)
			got += answersTo(t, a, 'Z', 1, query("SELECT 1"))
			if n := direct(t, "SELECT count(*) FROM orders WHERE id = 9901"); n != "0" {
				t.Errorf("%s rows were kept", n)
			}
			return got, "CE42501ZIDCZI"
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer direct(t, "DELETE FROM orders WHERE id = 9901")
			a := attack(t, shared.gw, "fn:writer")
			if got, want := run(t, a); got != want {
				t.Errorf("answers %s, want %s", got, want)
			}
		})
	}
}

// TestStartupSettings: what a StartupMessage sets needs the permission of a SET, however it is written.
func TestStartupSettings(t *testing.T) {
	for _, name := range []string{"search_path", "SEARCH_PATH", "Search_Path"} {
		c, err := pgx.ParseConfig(dsn(shared.gw, token(t, shared.gw, "fn:reader")))
		if err != nil {
			t.Fatal(err)
		}
		c.RuntimeParams[name] = "pg_temp"
		conn, err := pgx.ConnectConfig(t.Context(), c)
		if err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%s was taken at startup", name)
			continue
		}
		contains(t, err.Error(), "AlterSetting")
	}
	c, err := pgx.ParseConfig(dsn(shared.gw, token(t, shared.gw, "fn:reader")))
	if err != nil {
		t.Fatal(err)
	}
	c.RuntimeParams["application_name"] = "recorded-at-startup"
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var name string
	if err := conn.QueryRow(t.Context(), "SHOW application_name").Scan(&name); err != nil || name != "recorded-at-startup" {
		t.Errorf("application_name is %q, %v", name, err)
	}
}
