package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
)

// lookupDocuments let whoever is called fn:look-... find customers by e-mail, three times an hour.
const lookupDocuments = `
kind: Policy
name: looker
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Update, postgres:Explain]
    resources: ["shop/public.*"]
  - effect: mask
    resources: [shop/public.customers.email]
    allow_lookup: true
    lookups: {count: 3, per: 1h}
  - effect: mask
    resources: ["*.ssn", "*.notes"]
---
kind: Role
name: looker
bind:
  - issuer: dev
    condition: claims.sub.startsWith("fn:look-")
policies: [looker]
`

// with starts a gateway for one test, with more documents.
func with(t *testing.T, documents string, args ...string) *gateway.Gateway {
	t.Helper()
	gw := own(t, args...)
	if r := gw.CLI(t.Context(), documents, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	return gw
}

// found looks a customer up, and returns what is shown of them.
func found(t *testing.T, conn *pgx.Conn, how pgx.QueryExecMode, mail string) (name, shown string, err error) {
	t.Helper()
	err = conn.QueryRow(t.Context(), "SELECT name, email FROM customers WHERE email = $1", how, mail).Scan(&name, &shown)
	return name, shown, err
}

// TestLookups: a function finds a customer by e-mail, whatever its driver, and does not see it; the fourth time in the hour
// it is told until when it must wait.
func TestLookups(t *testing.T) {
	gw := with(t, lookupDocuments)
	const ada = "ada.brook@mail.example.test"
	for name, how := range map[string]pgx.QueryExecMode{"prepared": pgx.QueryExecModeCacheStatement, "described": pgx.QueryExecModeDescribeExec,
		"extended": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol} {
		t.Run(name, func(t *testing.T) {
			subject := "fn:look-" + name
			for range 3 {
				conn := connect(t, gw, subject) // the budget is the principal's, not the session's
				if who, shown, err := found(t, conn, how, ada); err != nil || who != "Ada Brook" || strings.Contains(shown, "@") {
					t.Fatalf("%q %q %v", who, shown, err)
				}
			}
			_, _, err := found(t, connect(t, gw, subject), how, ada)
			refused(t, err)
			if err == nil || !strings.Contains(err.Error(), "used up until 20") {
				t.Errorf("it does not say until when: %v", err)
			}
		})
	}
	tok := token(t, gw, "fn:look-psql")
	out, _ := psql(t, gw, tok, "-c", "SELECT name, email FROM customers WHERE id > 0 AND email = '"+ada+"'",
		"-c", "PREPARE p(text) AS SELECT name FROM customers WHERE email = $1", "-c", "EXECUTE p('"+ada+"')",
		"-c", "UPDATE customers SET name = name WHERE email = 'nobody@nowhere.test'", "-c", "EXECUTE p('"+ada+"')")
	if strings.Count(out, "Ada Brook") != 2 || !strings.Contains(out, "UPDATE 0") || strings.Count(out, "used up until") != 1 {
		t.Errorf("psql:\n%s", out)
	}
	if r := gw.CLI(t.Context(), "", "sessions", "list", "-o", "json"); strings.Contains(r.Out, ada) {
		t.Errorf("the record tells what was looked up: %s", r.Out)
	}
	refusedLookup(t, gw)
}

// refusedLookup: a mask that says nothing of lookups keeps refusing them.
func refusedLookup(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	_, _, err := found(t, connect(t, gw, "fn:reader"), pgx.QueryExecModeExec, "x")
	refused(t, err)
	guarded := strings.Replace(shared.documents(), "record_results: 5", "record_results: 5\nguardrails: [no-lookups]", 1) +
		"\n---\nkind: Policy\nname: no-lookups\nstatements:\n  - effect: mask\n    resources: [\"*.email\"]\n    with: hash\n"
	if r := gw.CLI(t.Context(), guarded, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	_, _, err = found(t, connect(t, gw, "fn:look-guarded"), pgx.QueryExecModeExec, "x")
	refused(t, err)
}

// lookAlikes look like lookups, and tell more.
var lookAlikes = []string{
	"SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test' OR id = 2",
	"SELECT id FROM customers WHERE email IN ('ada.brook@mail.example.test')",
	"SELECT id FROM customers WHERE NOT email = 'ada.brook@mail.example.test'",
	"SELECT id FROM customers WHERE lower(email) = 'ada.brook@mail.example.test'",
	"SELECT id FROM customers WHERE email = ANY (ARRAY['ada.brook@mail.example.test'])",
	"SELECT id FROM customers WHERE email = (SELECT 'ada.brook@mail.example.test')",
	"SELECT id FROM customers WHERE email = (SELECT min(email) FROM customers)",
	"SELECT id FROM customers WHERE (email, id) = ('ada.brook@mail.example.test', 1)",
	"SELECT id FROM customers WHERE CASE WHEN email = 'ada.brook@mail.example.test' THEN true END",
	"SELECT id FROM customer_contacts WHERE email = 'ada.brook@mail.example.test'",
	"SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = 'ada.brook@mail.example.test'",
	"SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test' AND ssn > '078'",
	"SELECT id FROM customers WHERE ssn = '078-05-1137'",
	"SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test' AND email = 'ada.brook@mail.example.test'",
	"SELECT (SELECT count(*) FROM customers WHERE email = 'ada.brook@mail.example.test')",
	"SELECT count(*) FROM customers GROUP BY id HAVING max(email) = 'ada.brook@mail.example.test'",
	"SELECT id, email = 'ada.brook@mail.example.test' FROM customers ORDER BY id LIMIT 2",
	"EXPLAIN SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test'",
	"EXPLAIN (ANALYZE) SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test'",
	"BEGIN; DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test'; FETCH c; COMMIT",
	"PREPARE p AS SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test' OR true; EXECUTE p",
	"COPY (SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test') TO STDOUT",
}

// TestLookAlikesTellNothing: with lookups allowed, whatever is not one gives the same answer when the values are others.
func TestLookAlikesTellNothing(t *testing.T) {
	gw := with(t, lookupDocuments)
	before := answersOf(t, gw, "fn:look-alike", lookAlikes)
	control, _ := psql(t, gw, token(t, gw, "fn:look-control"), "-c", "SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test'")
	direct(t, "UPDATE customers SET email = 'z' || email, ssn = 'z' || ssn")
	defer direct(t, "UPDATE customers SET email = substr(email, 2), ssn = substr(ssn, 2)")
	after := answersOf(t, gw, "fn:look-alike", lookAlikes)
	for i, text := range lookAlikes {
		if before[i] != after[i] {
			t.Errorf("the answer tells the masked values apart: %s\n--- with the first values:\n%s\n--- with others:\n%s", text, before[i], after[i])
		}
	}
	if again, _ := psql(t, gw, token(t, gw, "fn:look-control"), "-c", "SELECT id FROM customers WHERE email = 'ada.brook@mail.example.test'"); again == control {
		t.Errorf("not even a lookup sees a difference: the test cannot fail\n%s", again)
	}
}
