package pgsql

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startServer runs a PostgreSQL of the test's own, reachable by a socket in a temporary directory only, and returns a way
// to connect to a database.
func startServer(t testing.TB) func(database string) *pgx.Conn {
	t.Helper()
	bin := serverPrograms(t)
	dir, err := os.MkdirTemp("", "pgsql")
	if err != nil {
		t.Fatal(err)
	}
	cred := serverUser(t, dir)
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "-D", data, "-A", "trust", "-E", "UTF8", "-U", "postgres", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var log bytes.Buffer
	server := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
		_ = os.RemoveAll(dir)
	})
	connect := func(database string) *pgx.Conn { return connectTo(t, dir, database, &log) }
	admin := connect("postgres")
	if _, err := admin.Exec(t.Context(), "create database fixture"); err != nil {
		t.Fatal(err)
	}
	return connect
}

// connectTo dials until the server answers.
func connectTo(t testing.TB, dir, database string, log *bytes.Buffer) *pgx.Conn {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable statement_timeout=2000", dir, database))
		if err == nil {
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			return conn
		}
		if ctx.Err() != nil {
			t.Fatalf("the server does not answer: %v\n%s", err, log)
		}
	}
}

// serverPrograms finds the newest installed server.
func serverPrograms(t testing.TB) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		t.Fatal("this test needs PostgreSQL's server: install the Debian package postgresql")
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1])
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// serverUser is who runs the server, which refuses to run as root: then it is the user that the package made.
func serverUser(t testing.TB, dir string) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// canaries fill the masked columns of the fixture with values that occur nowhere else.
const canaries = `
insert into customers (id, email, ssn, card, phone, name, notes, born, feeling) values
 (1, 'canary-email-7QX1', 'canary-ssn-8RY1', 'canary-card-9SZ1', 'canary-phone-6PW1', 'ann', '{"contact": {"email": "canary-notes-5OV1"}, "a": [1, 2]}', '1990-05-06', 'ok'),
 (2, 'canary-email-7QX2', 'canary-ssn-8RY2', 'canary-card-9SZ2', 'canary-phone-6PW2', 'bob', '{"contact": {"email": "canary-notes-5OV2"}, "a": []}', '1980-01-02', 'sad');
insert into orders values (1, 1, 10.5, 'open', now()), (2, 2, 20, 'done', now()), (3, 1, 7, 'open', '2020-01-01');
insert into payments values (1, 1, 'canary-paid-4NU1', 10, true), (2, 2, 'canary-paid-4NU2', 20, false);
insert into other.customers values (1, 'canary-other-3MT1'), (2, 'canary-other-3MT2');
insert into other.secrets values (1, 'canary-secret-2LS1');
insert into events values ('2024-05-05', 1, 'canary-detail-1KR1'), ('2025-05-05', 2, 'canary-detail-1KR2');
insert into "odd.schema"."tab/le%" values ('canary-odd-0JQ1', 'u', 'q');
refresh materialized view spending;
analyze;
`

// canaryFields says which field each canary lives in; whatever shows it must name that field, or be unproven.
var canaryFields = map[string]string{
	"7qx": "db/public.customers.email", "8ry": "db/public.customers.ssn", "9sz": "db/public.customers.card",
	"6pw": "db/public.customers.phone", "5ov": "db/public.customers.notes", "4nu": "db/public.payments.card",
	"3mt": "db/other.customers.email", "2ls": "db/other.secrets.value", "1kr": "db/public.events.detail",
	"0jq": "db/odd%2Eschema.tab%2Fle%25.co%2El",
}

// TestServerAgrees runs every query of testdata/cases.txt that only reads on a real server, and holds the analysis to what
// really came back: columns, their names, types and origins, and that no canary shows in a column that does not admit
// its field.
func TestServerAgrees(t *testing.T) {
	conn := fixture(t)
	c, s := readBoth(t, conn)
	ran, shown := 0, 0
	for _, sql := range append(readable(t), moreQueries...) {
		b, err := New(Limits{}).Analyze(sql, c, s)
		if err != nil || len(b.Statements) != 1 {
			continue
		}
		res, err := runReadOnly(t, conn, sql)
		if err != nil {
			continue // the server refuses it too, or it needs parameters
		}
		ran++
		shown += compare(t, c, sql, b.Statements[0], res)
	}
	t.Logf("%d queries ran, %d cells showed a canary", ran, shown)
	if ran < 200 || shown < 100 {
		t.Errorf("only %d queries ran and %d cells showed a canary: the test has lost its teeth", ran, shown)
	}
}

func fixture(t testing.TB) *pgx.Conn {
	connect := startServer(t)
	conn := connect("fixture")
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{string(schema), canaries} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// readBoth reads the catalogue and the state as the gateway does.
func readBoth(t testing.TB, conn *pgx.Conn) (*Catalogue, State) {
	t.Helper()
	var text string
	if err := conn.QueryRow(t.Context(), CatalogueQuery).Scan(&text); err != nil {
		t.Fatal(err)
	}
	c, err := ParseCatalogue("db", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), StateQuery).Scan(&text); err != nil {
		t.Fatal(err)
	}
	s, err := ParseState([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// readable are the statements of cases.txt that give rows.
func readable(t testing.TB) []string {
	var out []string
	for _, tc := range readCases(t) {
		switch word, _, _ := strings.Cut(tc.sql, " "); word {
		case "select", "with", "table", "values", "insert", "update", "delete", "(select":
			out = append(out, tc.sql)
		}
	}
	return out
}

type answer struct {
	names []string
	types []uint32
	from  [][2]uint32 // table OID and attribute number
	rows  [][]string
}

// runReadOnly runs one statement in a transaction that is rolled back.
func runReadOnly(t testing.TB, conn *pgx.Conn, sql string) (answer, error) {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if strings.Contains(sql, "pg_sleep") || strings.Contains(sql, "pg_terminate") || strings.Contains(sql, "advisory") {
		return answer{}, fmt.Errorf("not run")
	}
	var a answer
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return a, err
	}
	for _, r := range results {
		for _, f := range r.FieldDescriptions {
			a.names = append(a.names, f.Name)
			a.types = append(a.types, f.DataTypeOID)
			a.from = append(a.from, [2]uint32{f.TableOID, uint32(f.TableAttributeNumber)})
		}
		for _, row := range r.Rows {
			cells := make([]string, len(row))
			for i, v := range row {
				cells[i] = string(v)
			}
			a.rows = append(a.rows, cells)
		}
	}
	return a, nil
}

// compare holds an analysis to an answer, and returns how many cells showed a canary.
func compare(t *testing.T, c *Catalogue, sql string, a *Analysis, res answer) (shown int) {
	if !a.OutputsKnown {
		return countCanaries(res)
	}
	if len(res.names) == 0 {
		return 0 // no rows: the driver does not say which columns there were
	}
	if len(a.Outputs) != len(res.names) {
		t.Errorf("%s: %d outputs, the server gives %d columns", sql, len(a.Outputs), len(res.names))
		return 0
	}
	for i, o := range a.Outputs {
		if o.Name != res.names[i] {
			t.Errorf("%s: column %d is named %q, the server says %q", sql, i+1, o.Name, res.names[i])
		}
		if o.TypeOID != 0 && o.TypeOID != res.types[i] {
			t.Errorf("%s: column %s has type %d, the server says %d", sql, o.Name, o.TypeOID, res.types[i])
		}
		if from, ok := c.Field(res.from[i][0], int16(res.from[i][1])); ok && o.Proven && !slices.Contains(o.Fields, from) {
			t.Errorf("%s: column %s comes from %s by the server, and from %v by the analysis", sql, o.Name, from, o.Fields)
		}
		for _, row := range res.rows {
			for canary, field := range canaryFields {
				if strings.Contains(strings.ToLower(row[i]), canary) {
					shown++
					if o.Proven && !slices.Contains(o.Fields, field) {
						t.Errorf("%s: column %s shows %s and says that it comes from %v", sql, o.Name, field, o.Fields)
					}
				}
			}
		}
	}
	return shown
}

func countCanaries(res answer) (n int) {
	for _, row := range res.rows {
		for _, cell := range row {
			if strings.Contains(cell, "canary") {
				n++
			}
		}
	}
	return n
}

// moreQueries show canaries by ways that cases.txt does not hold.
var moreQueries = []string{
	`select reverse(reverse(email)), translate(ssn, 'x', 'y'), lpad(card, 40) from customers`,
	`select jsonb_agg(c) filter (where id = 1), string_agg(phone, ';') from customers c`,
	`select * from customers c cross join lateral (select o.*, c.ssn as s from orders o where o.customer_id = c.id) x`,
	`select x from (select row_to_json(c)::text as x from customers c) q`,
	`select (array_agg(email))[1], (array_agg(c))[1] from customers c`,
	`select xmlforest(email as e)::text from customers`,
	`select e.v from customers c, unnest(array[c.email, c.phone]) e(v)`,
	`select key, value from customers c, jsonb_each_text(to_jsonb(c))`,
	`select * from json_to_recordset((select json_agg(c) from customers c)) as x(email text, ssn text)`,
	`select * from jsonb_populate_recordset(null::customers, (select jsonb_agg(c) from customers c))`,
	`select first_value(c) over (order by id) from customers c`,
	`select (first_value(c) over (order by id)).email from customers c`,
	`with recursive t(i, v) as (select 1, email from customers where id = 1 union all select i + 1, v || '.' from t where i < 4) select v from t`,
	`select case when id = 1 then email else name end, coalesce(null, ssn), nullif(card, ''), greatest(email, ssn) from customers`,
	`select to_jsonb(c) -> 'ssn', to_jsonb(c) #>> '{email}', (to_jsonb(c) - 'email')::text from customers c`,
	`select format('%s/%s', email, ssn), concat_ws('-', card, phone), overlay(email placing 'X' from 1 for 1) from customers`,
	`select (c).ssn, (c.*)::text, c::text, row(c.*)::text from customers c`,
	`select (select c), (select (select c.email)), array(select c.ssn) from customers c`,
	`select encode(convert_to(email, 'UTF8'), 'escape'), quote_literal(ssn), regexp_replace(card, 'x', 'y') from customers`,
	`select * from (select email as id, id as email from customers) swapped`,
	`select * from (select * from customers) as c(email, id)`,
	`select id from customers as c(a, id)`,
	`select a.email from customers a natural join customers b`,
	`select * from customers a join customers b using (id, email)`,
	`select email from customers a full join other.customers b using (email)`,
	`select * from (values ((select email from customers where id = 1))) v`,
	`select max(email) over (), lag(email) over (order by id), nth_value(ssn, 1) over (order by id) from customers`,
	`table everything`,
	`select value from other.secrets union all select email from contacts`,
	`select u.s from (select secret_of(id) as s from customers) u`,
	`select string_agg(d, '') from (select detail as d from events) q`,
	`select detail from events_2025`,
	`select t from "odd.schema"."tab/le%" t`,
	`select most_common_vals::text, histogram_bounds::text from pg_stats where tablename = 'customers'`,
	`select stavalues1::text from pg_statistic`,
	`select min(c.card), max(s.card) from customers c, spending s`,
	`with x as (select * from customers) select y.* from (select * from x) y`,
	`with moved as (update customers set name = email returning id, name) select name from moved`,
	`with gone as (delete from payments returning card as ok, ok as card) select ok from gone`,
	`update customers c set name = q.e from (select id, email as e from customers) q where q.id = c.id returning c.name, q.e`,
	`insert into other.secrets select id, email from customers returning value`,
	`insert into customers (id, email) values (1, 'x') on conflict (id) do update set name = customers.ssn returning name`,
	`select x.a from customers c, xmltable('/a' passing xmlelement(name a, c.email) columns a text path '.') x`,
	`select jsonb_path_query(notes, '$.contact.email') #>> '{}', notes['contact']['email'] from customers`,
	`select substring(email from 1), left(ssn, -1), split_part(card, '@', 1), md5(email) from customers`,
	`select convert_from(decode(encode(email::bytea, 'base64'), 'base64'), 'UTF8') from customers`,
}
