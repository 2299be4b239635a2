package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// swapDocuments let whoever is called fn:swap-... do all but delete without asking.
const swapDocuments = `
kind: Policy
name: swapper
statements:
  - effect: allow
    actions: ["postgres:*"]
    resources: ["*"]
  - effect: approve
    actions: [postgres:Delete]
    resources: ["*"]
    reviewers: [dba]
    expires: 2m
---
kind: Role
name: swapper
bind:
  - issuer: dev
    condition: claims.sub.startsWith("fn:swap-")
policies: [swapper]
`

// TestAttackByReplacedTables: an approval is for the table that the reviewer was shown. Who waits for it cannot put another one
// behind the same name, neither meanwhile nor before it is used.
func TestAttackByReplacedTables(t *testing.T) {
	const theirs, path, wanted = "DELETE FROM payments WHERE id = 9301", "SET search_path = work, public", "SELECT count(*) FROM public.payments WHERE id = 9301"
	gw := with(t, swapDocuments)
	a := approving{gw: gw, ann: reviewer(t, gw)}
	direct(t, "INSERT INTO payments VALUES (9301, 1, NULL, 1, 'card', 'x', now())")
	defer direct(t, "DELETE FROM payments WHERE id >= 9300")
	direct(t, "CREATE SCHEMA work AUTHORIZATION app")
	defer direct(t, "DROP SCHEMA work CASCADE")
	run := func(t *testing.T, texts ...string) error {
		t.Helper()
		conn := connect(t, gw, "fn:swap-one")
		for _, text := range texts {
			if _, err := conn.Exec(t.Context(), text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		return nil
	}
	for name, before := range map[string]string{theirs: path, "EXECUTE p": path + "; PREPARE p AS " + theirs} {
		t.Run("meanwhile, "+name, func(t *testing.T) {
			if err := run(t, "CREATE TABLE work.payments (id int)"); err != nil {
				t.Fatal(err)
			}
			w := hold(t, t.Context(), gw, "fn:swap-one", name, strings.Split(before, "; ")...)
			if err := run(t, "DROP TABLE work.payments"); err != nil {
				t.Fatal(err)
			}
			if r := a.answer(t, "approve", w.id, "their own table", a.ann); r.Code != 0 {
				t.Fatal(r.Err)
			}
			if err := w.ends(t); err == nil || !strings.Contains(err.Error(), "replaced by something else") || direct(t, wanted) != "1" {
				t.Errorf("%v; still there: %s", err, direct(t, wanted))
			}
		})
	}
	t.Run("before it is used", func(t *testing.T) {
		err := run(t, "CREATE TABLE work.payments (id int)", path, "BEGIN", theirs)
		if err == nil {
			t.Fatal("it did not wait")
		}
		m := approvalID.FindStringSubmatch(err.Error())
		if r := a.answer(t, "approve", m[1]+m[2], "their own table", a.ann); r.Code != 0 {
			t.Fatal(r.Err)
		}
		if err := run(t, "DROP TABLE work.payments", path, "BEGIN", theirs, "COMMIT"); err == nil || strings.Contains(err.Error(), m[1]+m[2]) || direct(t, wanted) != "1" {
			t.Errorf("%v; still there: %s", err, direct(t, wanted))
		}
	})
}

// estimateDocuments let fn:look-planned find subscribers by their city, and write no more than ten.
const estimateDocuments = lookupDocuments + `---
kind: Policy
name: planned
statements:
  - effect: allow
    actions: [postgres:Update]
    resources: ["shop/public.subscribers"]
  - effect: mask
    resources: [shop/public.subscribers.city]
    allow_lookup: true
    lookups: {count: 3, per: 1h}
  - effect: deny
    actions: [postgres:Update]
    resources: ["*"]
    condition: action.estimated_rows > 10
---
kind: Role
name: planned
bind: [{issuer: dev, claims: {sub: "fn:look-planned"}}]
policies: [planned]
`

// TestAttackByEstimates: how a statement is estimated depends on the value that it looks up, so that preparing it uses a lookup.
func TestAttackByEstimates(t *testing.T) {
	direct(t, "CREATE TABLE subscribers AS SELECT i AS id, CASE WHEN i > 20 THEN 'Oslo' ELSE 'Rome' || i END AS city FROM generate_series(1, 200) i")
	defer direct(t, "DROP TABLE subscribers")
	direct(t, "GRANT ALL ON subscribers TO app")
	direct(t, "ANALYZE subscribers")
	gw := with(t, estimateDocuments)
	guess := func(city string) string {
		a := attack(t, gw, "fn:look-planned")
		return answersTo(t, a, 'Z', 1, &pgproto3.Parse{Query: "UPDATE subscribers SET id = id WHERE city = '" + city + "'"}, &pgproto3.Sync{})
	}
	if many, few := guess("Oslo"), guess("Rome1"); !strings.HasPrefix(many, "E42501") || few != "ZI" {
		t.Fatalf("the estimate decides nothing: %s %s", many, few)
	}
	guess("Bonn")
	if many, few := guess("Oslo"), guess("Rome1"); many != few {
		t.Errorf("the fourth and the fifth still tell: %s %s", many, few)
	}
}
