package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// moreObjects give the tools something to find beside the story's tables.
const moreObjects = `
CREATE SCHEMA tools;
CREATE TYPE tools.mood AS ENUM ('calm', 'busy');
CREATE DOMAIN tools.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE SEQUENCE tools.tickets START 7;
CREATE TABLE tools.shelf (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood tools.mood DEFAULT 'calm', full_to tools.percent,
  label text NOT NULL DEFAULT 'it''s', tags text[], during tstzrange, doubled integer GENERATED ALWAYS AS (2) STORED, UNIQUE (label, mood));
CREATE TABLE tools.book (shelf bigint REFERENCES tools.shelf ON DELETE CASCADE, title text COLLATE "C", price numeric(8,2) CHECK (price > 0)) PARTITION BY LIST (title);
CREATE TABLE tools.book_rest PARTITION OF tools.book DEFAULT;
CREATE INDEX book_lower ON tools.book (lower(title)) WHERE price > 1;
CREATE MATERIALIZED VIEW tools.summary AS SELECT count(*) AS n FROM tools.book;
CREATE VIEW tools.cheap AS SELECT title FROM tools.book WHERE price < 5;
CREATE FUNCTION tools.one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION tools.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON tools.shelf FOR EACH ROW EXECUTE FUNCTION tools.touch();
ALTER TABLE tools.shelf ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON tools.shelf USING (mood = 'calm');
CREATE STATISTICS tools.both ON shelf, price FROM tools.book;
COMMENT ON TABLE tools.shelf IS 'where books stand';
INSERT INTO tools.shelf (label, tags) VALUES ('a', '{x,"y z"}'), ('b', NULL);
`

// asTool gives the database more objects for one test, and starts a gateway with a role for tools: one that read the
// catalogue before would use what it knows for some seconds. It returns the environments in which libpq reaches the
// database directly and through the gateway.
func asTool(t *testing.T) (gw *gateway.Gateway, around, through []string) {
	t.Helper()
	asOwner(t, moreObjects)
	t.Cleanup(func() { asOwner(t, "DROP SCHEMA tools CASCADE") })
	gw = own(t)
	if r := gw.CLI(t.Context(), "", "apply", "-f", "testdata/tools.yaml"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	env := func(dsn string) []string {
		names := map[string]string{"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
			"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "connect_timeout": "PGCONNECT_TIMEOUT"}
		out := append(os.Environ(), "DSN="+dsn, "PYTHONDONTWRITEBYTECODE=1")
		for word := range strings.FieldsSeq(dsn) {
			k, v, _ := strings.Cut(word, "=")
			out = append(out, names[k]+"="+v)
		}
		return out
	}
	return gw, env(shared.pg.DSN(pgtest.AppUser, pgtest.AppPassword, pgtest.Database)), env(dsn(gw, token(t, gw, "fn:tools")))
}

// asOwner runs statements on the database itself as the owner of its tables.
func asOwner(t *testing.T, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // cleaning up outlives the test's own
	defer cancel()
	conn, err := pgx.Connect(ctx, shared.pg.DSN(pgtest.AppUser, pgtest.AppPassword, pgtest.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // the statement's error is the one to tell
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

// tool runs a program, and returns what it printed on its standard output.
func tool(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s\nit printed: %s", name, args, err, errs.String(), out.String())
	}
	return out.String()
}

// TestDump dumps schemas and an unmasked table through the gateway, under a role with masks: the same as around it.
func TestDump(t *testing.T) {
	_, around, through := asTool(t)
	for name, args := range map[string][]string{
		"schema":  {"--schema-only"},
		"data":    {"--data-only", "--table=orders", "--table=payments"},
		"inserts": {"--inserts", "--table=tools.shelf", "--enable-row-security"},
		"clean":   {"--schema-only", "--clean", "--if-exists", "--no-owner", "--table=public.*"},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := dumped(tool(t, around, "pg_dump", args...)), dumped(tool(t, through, "pg_dump", args...))
			same(t, got, want)
			if len(want) < 500 {
				t.Errorf("the dump holds nothing: %s", want)
			}
		})
	}
}

// TestDumpOfMaskedTable dumps rows whose columns are masked: it succeeds, and holds none of them.
func TestDumpOfMaskedTable(t *testing.T) {
	_, _, through := asTool(t)
	for _, args := range [][]string{{"--data-only", "--table=customers"}, {"--inserts", "--table=customers"}} {
		got := tool(t, through, "pg_dump", args...)
		contains(t, got, "Ada Brook", "Tea Umber")
		lacks(t, got, canaries()...)
	}
}

// dumped is a dump without its comments, and without what newer versions of pg_dump choose at random.
func dumped(dump string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(dump, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "--") || strings.HasPrefix(l, `\restrict`) || strings.HasPrefix(l, `\unrestrict`) || strings.TrimSpace(l) == ""
	})
	return strings.Join(lines, "")
}

// same shows the first line that differs.
func same(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d through the gateway:\n%s\naround it:\n%s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines through the gateway, %d around it", len(g), len(w))
}

// TestIntrospection lets two frameworks read the models of a database through the gateway, under a role with masks.
func TestIntrospection(t *testing.T) {
	_, around, through := asTool(t)
	for _, script := range []string{"testdata/reflect.py", "testdata/inspectdb.py"} {
		t.Run(script, func(t *testing.T) {
			want := tool(t, around, "/usr/bin/python3", script)
			same(t, tool(t, through, "/usr/bin/python3", script), want)
			contains(t, want, "customer_contacts", "placed_at")
		})
	}
}
