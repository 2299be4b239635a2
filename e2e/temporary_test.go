package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// scratch lets two subjects use temporary tables: one without masks, and one whose e-mail addresses are masked.
const scratch = `
kind: Policy
name: scratch
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Insert, postgres:Update, postgres:Delete, postgres:CreateTable, postgres:DropTable]
    resources: ["shop/pg_temp.*"]
  - effect: allow
    actions: [postgres:Select, postgres:Delete]
    resources: ["shop/public.*"]
  - effect: approve
    actions: [postgres:Delete]
    resources: [shop/public.payments]
    reviewers: [dba]
---
kind: Policy
name: masked
statements:
  - effect: mask
    resources: [shop/public.customers.email]
    with: redact
---
kind: Role
name: scratch
bind: [{issuer: dev, claims: {sub: "fn:scratch"}}]
policies: [scratch]
---
kind: Role
name: masked
bind: [{issuer: dev, claims: {sub: "fn:masked"}}]
policies: [scratch, masked]
`

// TestTemporaryTables uses temporary tables as a program does: without masks all works; with masks what they hold is hidden,
// and steers nothing; and their names mean to the gateway what they mean to the server.
func TestTemporaryTables(t *testing.T) {
	gw := own(t)
	if r := gw.CLI(t.Context(), scratch, "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	t.Run("without masks", func(t *testing.T) {
		conn := connect(t, gw, "fn:scratch")
		runs(t, conn, "CREATE TEMP TABLE picks AS SELECT id, name AS who FROM customers")
		runs(t, conn, "INSERT INTO picks VALUES (99, 'Zoe')")
		var n int
		var who string
		if err := conn.QueryRow(t.Context(), "SELECT count(*), max(who) FROM picks LEFT JOIN customers USING (id) WHERE who > $1", "B").Scan(&n, &who); err != nil || n != 20 || who != "Zoe" {
			t.Errorf("%d, %q, %v", n, who, err)
		}
		runs(t, conn, "DROP TABLE picks")
	})
	t.Run("with masks", func(t *testing.T) {
		conn := connect(t, gw, "fn:masked")
		_, err := conn.Exec(t.Context(), "CREATE TEMP TABLE copy AS SELECT email FROM customers")
		refused(t, err)
		runs(t, conn, "CREATE TEMP TABLE mine (email text)")
		runs(t, conn, "INSERT INTO mine VALUES ('ada')")
		var email string
		if err := conn.QueryRow(t.Context(), "SELECT email FROM mine").Scan(&email); err != nil || email != "[redacted]" {
			t.Errorf("%q, %v", email, err)
		}
		_, err = conn.Exec(t.Context(), "INSERT INTO mine SELECT email FROM customers")
		refused(t, err)
		for _, sql := range []string{
			"SELECT 1 FROM mine WHERE email = 'ada'", "SELECT 1 FROM mine ORDER BY email", "SELECT count(*) FROM mine GROUP BY pg_temp.mine.email",
			"DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM mine WHERE email LIKE 'a%'", "PREPARE p AS SELECT 1 FROM mine WHERE email = $1",
			"EXPLAIN SELECT 1 FROM mine WHERE email = 'ada'", "DELETE FROM mine WHERE email = 'ada'",
			"COPY (SELECT 1 FROM mine WHERE email = 'ada') TO STDOUT",
		} {
			_, err := conn.Exec(t.Context(), sql)
			if err == nil && sql[:1] == "P" { // it is asked for when it runs
				_, err = conn.Exec(t.Context(), "EXECUTE p ('ada')")
			}
			refused(t, err)
		}
	})
	t.Run("prepared before", func(t *testing.T) {
		// The server keeps what a prepared statement meant, also when a temporary table of the name comes later.
		conn := connect(t, gw, "fn:scratch")
		runs(t, conn, "CREATE TEMP TABLE first (n integer)") // so that the path holds the temporary schema already
		before := direct(t, "SELECT count(*) FROM payments")
		if _, err := conn.Prepare(t.Context(), "gone", "DELETE FROM payments WHERE id > 0"); err != nil {
			t.Fatal(err)
		}
		runs(t, conn, "CREATE TEMP TABLE payments (id integer)")
		if _, err := conn.Exec(t.Context(), "gone"); err == nil {
			t.Error("what was prepared before ran")
		}
		_, err := conn.Exec(t.Context(), "SELECT count(*) FROM payments", pgx.QueryExecModeSimpleProtocol)
		refused(t, err)
		if after := direct(t, "SELECT count(*) FROM payments"); after != before {
			t.Errorf("%s payments before, %s after", before, after)
		}
		runs(t, conn, "SELECT count(*) FROM pg_temp.payments")
	})
}

func runs(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
