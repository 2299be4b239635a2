package e2e

import (
	"strings"
	"testing"
)

const relatedDocuments = `
kind: Policy
name: every-table
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Insert, postgres:Update, postgres:Delete, postgres:Truncate]
    resources: ["shop/public.*"]
---
kind: Policy
name: keep-the-ledger
statements:
  - effect: deny
    actions: [postgres:Delete, postgres:Truncate]
    resources: [shop/public.ledger]
    message: The ledger is kept.
  - effect: deny
    actions: [postgres:Update]
    resources: [shop/public.ledger.amount]
  - effect: deny
    actions: [postgres:Insert, postgres:Delete]
    resources: [shop/public.ledger_2026]
---
kind: Role
name: clerk
bind:
  - issuer: dev
    claims: {sub: "fn:clerk"}
policies: [every-table, keep-the-ledger]
`

// TestWritesByAnotherName: what is denied on a table is denied on its partition, its parent and a view of it, and what is not
// stays allowed.
func TestWritesByAnotherName(t *testing.T) {
	for _, text := range []string{"CREATE TABLE ledger (id integer, year integer, amount integer, note text) PARTITION BY LIST (year)",
		"CREATE TABLE ledger_2025 PARTITION OF ledger FOR VALUES IN (2025)", "CREATE TABLE ledger_2026 PARTITION OF ledger FOR VALUES IN (2026)",
		"CREATE VIEW entries AS SELECT id, year, amount, note FROM ledger WHERE id > 0", "CREATE VIEW sums AS SELECT id, amount AS total, note FROM entries",
		"CREATE VIEW this_year AS SELECT * FROM ledger_2025",
		"INSERT INTO ledger VALUES (1, 2025, 10, 'a'), (2, 2026, 20, 'b')"} {
		direct(t, text)
	}
	defer direct(t, "DROP TABLE ledger CASCADE")
	for _, name := range []string{"ledger", "ledger_2025", "ledger_2026", "entries", "sums", "this_year"} {
		direct(t, "GRANT ALL ON "+name+" TO app")
	}
	gw := with(t, relatedDocuments)
	conn := connect(t, gw, "fn:clerk")
	before := direct(t, "SELECT id, year, amount, note FROM ledger ORDER BY id")
	for _, text := range []string{
		"DELETE FROM ledger WHERE id = 1", "DELETE FROM ledger_2025 WHERE id = 1", "DELETE FROM entries WHERE id = 1", "DELETE FROM sums WHERE id = 1",
		"DELETE FROM this_year WHERE id = 1", "TRUNCATE ledger_2025", "WITH x AS (DELETE FROM ledger_2025 RETURNING id) SELECT id FROM x",
		"UPDATE ledger_2025 SET amount = 0 WHERE id = 1", "UPDATE entries SET amount = 0 WHERE id = 1", "UPDATE sums SET total = 0 WHERE id = 1",
		"UPDATE ledger_2026 SET note = 'x', amount = 1 WHERE id = 2", "INSERT INTO ledger VALUES (3, 2026, 1, 'c')", "INSERT INTO entries VALUES (3, 2026, 1, 'c')",
		"MERGE INTO ledger_2025 l USING orders o ON o.id = l.id WHEN MATCHED THEN DELETE", "PREPARE p AS DELETE FROM ledger_2025 WHERE id = 1",
	} {
		_, err := conn.Exec(t.Context(), text)
		if refused(t, err); err == nil {
			t.Error(text)
		}
	}
	out, _ := psql(t, gw, token(t, gw, "fn:clerk"), "-c", `\copy ledger FROM /dev/null`, "-c", "DELETE FROM sums")
	if contains(t, out, "keep-the-ledger", "The ledger is kept."); strings.Count(out, "permission denied") != 2 {
		t.Errorf("a COPY into a partitioned table, or a DELETE from a view of a view: %s", out)
	}
	if after := direct(t, "SELECT id, year, amount, note FROM ledger ORDER BY id"); after != before {
		t.Errorf("it took effect:\n%s\n%s", before, after)
	}
	for _, text := range []string{"SELECT * FROM ledger_2025", "UPDATE ledger_2026 SET note = 'y' WHERE id = 2", "UPDATE entries SET note = 'z' WHERE id = 1",
		"INSERT INTO ledger_2025 VALUES (4, 2025, 1, 'd')", "INSERT INTO this_year VALUES (5, 2025, 1, 'e')"} {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
