package e2e

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

const violationDocuments = `
kind: Policy
name: filler
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Insert, postgres:Update]
    resources: ["shop/public.*"]
  - effect: mask
    resources: [shop/public.customers.email, shop/public.customers.ssn]
---
kind: Role
name: filler
bind:
  - issuer: dev
    claims: {sub: "fn:filler"}
policies: [filler]
`

// TestCoarseViolations: a violated constraint of a table with masked columns is a 23000 that does not say which it was; one
// of another table is what the server says, without its words.
func TestCoarseViolations(t *testing.T) {
	direct(t, "CREATE TABLE tokens (id integer PRIMARY KEY, CONSTRAINT small CHECK (id < 10))")
	direct(t, "GRANT ALL ON tokens TO app")
	direct(t, "INSERT INTO tokens VALUES (1)")
	defer direct(t, "DROP TABLE tokens")
	gw := with(t, violationDocuments)
	conn := connect(t, gw, "fn:filler")
	const row = "INSERT INTO customers (id, name, email, ssn, card, phone, notes, joined) VALUES "
	for text, want := range map[string]struct{ code, constraint string }{
		row + "(901, 'x', 'ada.brook@mail.example.test', 's', 'c', NULL, '{}', '2026-01-01')": {"23000", ""},
		row + "(1, 'x', 'x@y.test', 's', 'c', NULL, '{}', '2026-01-01')":                      {"23000", ""},
		row + "(901, 'x', NULL, 's', 'c', NULL, '{}', '2026-01-01')":                          {"23000", ""},
		row + "(901, NULL, 'x@y.test', 's', 'c', NULL, '{}', '2026-01-01')":                   {"23000", ""},
		"UPDATE customers SET email = 'ada.brook@mail.example.test' WHERE id = 2":             {"23000", ""},
		"INSERT INTO orders VALUES (9801, 999, 'x', 1, now())":                                {"23000", ""},
		"INSERT INTO tokens VALUES (1)":                                                       {"23505", "tokens_pkey"},
		"INSERT INTO tokens VALUES (11)":                                                      {"23514", "small"},
		"INSERT INTO tokens VALUES (NULL)":                                                    {"23502", ""},
	} {
		_, err := conn.Exec(t.Context(), text)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != want.code || pe.ConstraintName != want.constraint || pe.Detail != "" || pe.ColumnName != "" {
			t.Errorf("%s: %+v", text, err)
		}
	}
}
