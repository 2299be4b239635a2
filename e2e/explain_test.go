package e2e

import "testing"

// unprovenRefused is a second connection to the same database, on which what cannot be proven is refused.
const unprovenRefused = `
kind: Connection
name: strict
type: postgres
address: ${ADDRESS}
database: orders
unproven: refuse
tls: {ca_file: "${CA_FILE}"}
credential: {user: app, secret: shop}
---
kind: Policy
name: strict
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Explain, postgres:Insert, postgres:Call, postgres:AlterSetting]
    resources: ["strict/*", strict]
  - effect: mask
    resources: ["strict/public.customers.email"]
    with: redact
---
kind: Role
name: strict
bind: [{issuer: dev, claims: {sub: "fn:strict"}}]
policies: [strict]
`

// TestPolicyTestSaysAll asks `policy test` about what policy allows and the protocol refuses: its verdict is what a client
// would meet.
func TestPolicyTestSaysAll(t *testing.T) {
	gw := own(t)
	if r := gw.CLI(t.Context(), filled(unprovenRefused), "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	for sql, why := range map[string]string{
		"COPY customers TO STDOUT (DELIMITER ';')":                         "this COPY holds masked columns in a form",
		"INSERT INTO orders SELECT id, id, email, 1, now() FROM customers": "cannot be copied into another object",
		"SET search_path = other; SELECT 1 FROM customers":                 "must be sent by itself",
		"SELECT pg_catalog.query_to_xml_unknown('x')":                      "cannot be proven free of masked fields",
		"EXPLAIN SELECT id FROM customers WHERE email = 'ada'":             "is masked",
		"SELECT id FROM customers WHERE email LIKE 'a%'":                   "is masked",
	} {
		r := gw.CLI(t.Context(), "", "policy", "test", "--connection", "strict", "--subject", "fn:strict", "--issuer", "dev", "--statement", sql, "--expect", "deny")
		if r.Code != 0 {
			t.Errorf("%s: %s%s", sql, r.Out, r.Err)
		}
		contains(t, r.Out, why)
	}
	for _, sql := range []string{"SELECT id, email FROM customers", "COPY customers TO STDOUT", "BEGIN; SELECT 1; COMMIT"} {
		r := gw.CLI(t.Context(), "", "policy", "test", "--connection", "strict", "--subject", "fn:strict", "--issuer", "dev", "--statement", sql, "--expect", "allow")
		if r.Code != 0 {
			t.Errorf("%s: %s%s", sql, r.Out, r.Err)
		}
	}
}
