package e2e

import "testing"

// shadows lets a subject make tables in a schema of its own, and delete payments after a review only.
const shadows = `
kind: Policy
name: shadows
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Delete, postgres:CreateTable, postgres:DropTable]
    resources: ["shop/tools.*", "shop/public.*"]
  - effect: allow
    actions: [postgres:AlterSetting]
    resources: ["shop/search_path"]
  - effect: approve
    actions: [postgres:Delete]
    resources: [shop/public.payments]
    reviewers: [dba]
    expires: 2s
---
kind: Role
name: shadows
bind: [{issuer: dev, claims: {sub: "fn:shadows"}}]
policies: [shadows]
`

// TestAttackOnPreparedNames prepares a statement that needs a review when it runs, hides its table behind one of the
// attacker's own, and runs it: the server goes on with the table that it has found before.
func TestAttackOnPreparedNames(t *testing.T) {
	gw, _, _ := asTool(t)
	if r := gw.CLI(t.Context(), shadows, "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	conn := connect(t, gw, "fn:shadows")
	runs(t, conn, "SET search_path = tools, public")
	before := direct(t, "SELECT count(*) FROM payments")
	if _, err := conn.Prepare(t.Context(), "gone", "DELETE FROM payments WHERE id > 0"); err != nil {
		t.Fatal(err)
	}
	runs(t, conn, "PREPARE sql_gone AS DELETE FROM payments WHERE id > 0")
	runs(t, conn, "CREATE TABLE tools.payments (id integer)")
	if _, err := conn.Prepare(t.Context(), "other", "SELECT count(*) FROM payments"); err != nil {
		t.Fatal(err) // what is prepared now means the new table, to both
	}
	for _, sql := range []string{"gone", "EXECUTE sql_gone"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was not refused", sql)
		}
	}
	if after := direct(t, "SELECT count(*) FROM payments"); after != before {
		t.Errorf("%s payments before, %s after", before, after)
	}
	runs(t, conn, "other")
	runs(t, conn, "DROP TABLE tools.payments")
	if _, err := conn.Exec(t.Context(), "other"); err == nil {
		t.Error("a statement whose table is gone was not refused")
	}
	runs(t, conn, "SELECT count(*) FROM payments")
}
