package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
)

// sharing lets three principals do everything, what nobody understands included: what they leave on a backend is what the
// gateway must find.
const sharing = `
---
kind: Policy
name: sharing
statements:
  - effect: allow
    actions: ["postgres:*"]
    resources: ["*"]
  - effect: allow
    actions: [postgres:Opaque]
    resources: ["*"]
  - effect: approve
    actions: [postgres:Delete]
    resources: [shop/public.payments]
    reviewers: [dba]
    expires: 2m
---
kind: Role
name: sharing
bind:
  - {issuer: dev, claims: {sub: "fn:ann"}}
  - {issuer: dev, claims: {sub: "fn:bob"}}
  - {issuer: dev, claims: {sub: "fn:cyd"}}
policies: [sharing]
`

// poolObjects are what an attacker needs besides SQL: functions whose text says nothing of what they do.
const poolObjects = `
DROP SCHEMA IF EXISTS pool CASCADE;
CREATE SCHEMA pool;
CREATE SEQUENCE pool.numbers;
CREATE TABLE pool.work (id serial PRIMARY KEY, note text);
CREATE FUNCTION pool.run(what text) RETURNS text LANGUAGE plpgsql AS 'BEGIN EXECUTE what; RETURN ''done''; END';
CREATE TABLE pool.tenants (principal text, secret text);
INSERT INTO pool.tenants VALUES ('ann', 'of ann'), ('bob', 'of bob'), ('cyd', 'of cyd');
ALTER TABLE pool.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE pool.tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON pool.tenants USING (current_setting('app.principal', true) LIKE '%#fn:' || principal);
`

// pooled starts a gateway whose connection shares its backends as conf says.
func pooled(t *testing.T, conf string) *gateway.Gateway {
	t.Helper()
	asOwner(t, poolObjects)
	t.Cleanup(func() { asOwner(t, "DROP SCHEMA pool CASCADE") }) // other tests read all there is
	return with(t, strings.Replace(shared.documents(), "record_results: 5", conf, 1)+sharing)
}

// one returns the one value that a query answers, as text; an error is its SQLSTATE.
func one(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var v *string
	err := conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&v)
	var pe *pgconn.PgError
	switch {
	case errors.As(err, &pe):
		return pe.Code
	case err != nil:
		t.Fatalf("%s: %v", sql, err)
	case v == nil:
		return "null"
	}
	return *v
}

func leaveNow(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	if err := conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// pid is the backend that a session has at the moment.
func pid(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return one(t, conn, "SELECT pg_backend_pid()::text")
}

func poolConf(mode string, most int, more string) string {
	return fmt.Sprintf("pool: {mode: %s, max_backends: %d, wait: 20s%s}", mode, most, more)
}
