package e2e

import "testing"

// TestAttackByOthersCode: what runs beside a statement (views, constraints and triggers that speak late, generated columns,
// functions that take a name of the grammar's) tells no masked value.
func TestAttackByOthersCode(t *testing.T) {
	taken := direct(t, "SELECT ssn FROM customers WHERE id = 1")
	for name, c := range map[string]struct {
		setup, undo []string
		text        string
	}{
		"a deferred constraint at COMMIT": {
			[]string{"ALTER TABLE customers ADD CONSTRAINT once UNIQUE (ssn) DEFERRABLE INITIALLY DEFERRED"},
			[]string{"ALTER TABLE customers DROP CONSTRAINT once", "DELETE FROM customers WHERE id > 20"},
			"BEGIN; INSERT INTO customers (id, name, email, ssn, card, joined) VALUES (990, 'x', 'x', '" + taken + "', 'x', '2026-01-01'); COMMIT",
		},
		"a view that casts": {
			[]string{"CREATE VIEW leaky AS SELECT id FROM customers WHERE ssn::int > 0", "GRANT SELECT ON leaky TO app"}, []string{"DROP VIEW leaky"}, "SELECT id FROM leaky",
		},
		"a view that raises": {
			[]string{"CREATE FUNCTION loud(v text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', v; RAISE EXCEPTION '%', v; END $$",
				"CREATE VIEW leaky AS SELECT id FROM customers WHERE loud(email)", "GRANT SELECT ON leaky TO app"},
			[]string{"DROP VIEW leaky", "DROP FUNCTION loud"}, "SELECT id FROM leaky",
		},
		"a generated column": {
			[]string{"CREATE TABLE derived (id int, ssn text, half text GENERATED ALWAYS AS (left(ssn, 9)) STORED)",
				"INSERT INTO derived SELECT id, ssn FROM customers", "GRANT SELECT ON derived TO app"},
			[]string{"DROP TABLE derived"}, "SELECT half FROM derived",
		},
		"a function with a name of the grammar's": {
			[]string{"CREATE FUNCTION merge_action() RETURNS text LANGUAGE sql AS 'select email from customers where id = 1'"},
			[]string{"DROP FUNCTION merge_action"}, "SELECT merge_action()",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range c.setup {
				direct(t, text)
			}
			defer func() {
				for _, text := range c.undo {
					direct(t, text)
				}
			}()
			out, _ := psql(t, shared.gw, token(t, shared.gw, "fn:reader"), "-v", "VERBOSITY=verbose", "-c", c.text)
			lacks(t, out, canaries()...)
			lacks(t, out, taken, taken[:9], "permission denied for") // the last would mean that nothing was attacked
		})
	}
}
