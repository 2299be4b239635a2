package pgsql

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReference keeps docs/reference/postgres-actions.md what Verbs says; run with -update after a change.
func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "reference", "postgres-actions.md")
	want := reference()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference/postgres-actions.md is not current: go test ./internal/sql/pgsql -run TestReference -update")
	}
}

// reference renders the page.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Actions of PostgreSQL

Generated from ` + "`pgsql.Verbs`" + `; a test keeps it current. A statement may do several actions, and all of them must be allowed.

Implied actions touch no user data: whoever may connect may do them, unless a policy denies them. Any other must be
allowed. What cannot be understood is ` + "`postgres:Opaque`" + `, which only a policy that names it outright allows.

Resources are ` + "`connection/schema.table`" + ` for what concerns a relation, ` + "`connection/schema.name`" + ` for functions, types and
operators, ` + "`connection/name`" + ` for what has no schema (roles, settings, channels, extensions), and ` + "`connection`" + ` for what has no
name. A statement that reads a column needs ` + "`postgres:Select`" + ` on its table, also in a WHERE or RETURNING of a write. A view
is a resource of its own: who may read it need not be allowed to read its tables, but masks on their columns follow.
A write counts under every name of the rows, for deny and approve: a write to a partition or child is one to its parents, a write
to a parent one to its partitions and children (not with ONLY), and a write to a view one to the tables that it shows. An allow of
the name that is written suffices.
CASCADE is the same action on the connection too, since it reaches objects that the statement does not name.

| action | implied | what it is |
|---|---|---|
`)
	for _, v := range Verbs() {
		implied := ""
		if v.Implied {
			implied = "yes"
		}
		b.WriteString("| `" + Prefix + v.Name + "` | " + implied + " | " + v.About + " |\n")
	}
	return b.String()
}
