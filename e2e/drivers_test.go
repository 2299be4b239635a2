package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

const read = "SELECT id, name, email, ssn, joined FROM customers WHERE id <= 2 ORDER BY id"

// canaries are in every masked value of the seed.
func canaries() []string { return []string{"example.test", "078-05", "backup_email"} }

func TestPsql(t *testing.T) {
	tok := token(t, shared.gw, "fn:reader")
	out, code := psql(t, shared.gw, tok, "-c", read)
	if code != 0 {
		t.Fatalf("status %d: %s\n%s", code, out, tail(shared.gw))
	}
	contains(t, out, "Ada Brook", "Ben Castor", "2016-02-04", "(2 rows)")
	lacks(t, out, canaries()...)

	out, code = psql(t, shared.gw, tok, "-v", "VERBOSITY=verbose", "-c", "DROP TABLE customers", "-c", "SELECT 40 + 2 AS lives")
	if code != 0 {
		t.Errorf("the session did not go on: %s", out)
	}
	contains(t, out, "42501", "Schema changes go through migrations.", "42\n")

	out, code = psql(t, shared.gw, tok, "-c", `\copy (SELECT id, name, email FROM customers ORDER BY id) TO STDOUT`)
	if code != 0 || strings.Count(out, "\n") != 20 {
		t.Errorf("COPY: status %d, %s", code, out)
	}
	lacks(t, out, canaries()...)

	out, code = psql(t, shared.gw, tok, "-c", `\d customers`, "-c", `\dt`)
	if code != 0 {
		t.Errorf(`\d: status %d, %s`, code, out)
	}
	contains(t, out, "email", "payments")
}

func TestPgx(t *testing.T) {
	for name, mode := range map[string]pgx.QueryExecMode{
		"simple": pgx.QueryExecModeSimpleProtocol, "prepared and cached": pgx.QueryExecModeCacheStatement,
		"described": pgx.QueryExecModeDescribeExec, "executed": pgx.QueryExecModeExec,
	} {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, shared.gw, "fn:reader")
			for range 2 { // the second time with whatever was cached
				rows, err := conn.Query(t.Context(), "SELECT id, name, email, ssn FROM customers WHERE id <= $1 ORDER BY id", mode, 3)
				if err != nil {
					t.Fatal(err)
				}
				got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != 3 || got[2].Name != "Cleo Dorn" {
					t.Errorf("got %+v", got)
				}
				for _, r := range got {
					lacks(t, r.Email+r.SSN, canaries()...)
				}
			}
			_, err := conn.Exec(t.Context(), "DROP TABLE customers", mode)
			refused(t, err)
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders", mode).Scan(&n); err != nil || n != 24 {
				t.Errorf("after the refusal: %d, %v", n, err)
			}
		})
	}
}

type row struct {
	ID    int32
	Name  string
	Email string
	SSN   string
}

// refused checks for the refusal that a driver understands.
func refused(t *testing.T, err error) {
	t.Helper()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "42501" {
		t.Errorf("want SQLSTATE 42501, got %v", err)
	}
}

func TestPgxPipeline(t *testing.T) {
	conn := connect(t, shared.gw, "fn:reader")
	var b pgx.Batch
	b.Queue("SELECT name FROM customers WHERE id = $1", 1)
	b.Queue("SELECT email FROM customers WHERE id = $1", 2)
	b.Queue("SELECT sum(total)::text FROM orders")
	r := conn.SendBatch(t.Context(), &b)
	var name, email, sum string
	if err := errors.Join(r.QueryRow().Scan(&name), r.QueryRow().Scan(&email), r.QueryRow().Scan(&sum), r.Close()); err != nil {
		t.Fatal(err)
	}
	if name != "Ada Brook" || sum == "" {
		t.Errorf("got %q, %q", name, sum)
	}
	lacks(t, email, canaries()...)

	b = pgx.Batch{} // the middle one is refused: what follows it in its transaction is skipped, and the session lives on
	b.Queue("SELECT 1")
	b.Queue("DROP TABLE customers")
	b.Queue("SELECT 2")
	refused(t, conn.SendBatch(t.Context(), &b).Close())
	var one int
	if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil {
		t.Errorf("after a refusal within a pipeline: %v", err)
	}
}

func TestPgxCopy(t *testing.T) {
	conn := connect(t, shared.gw, "fn:writer")
	defer func() { direct(t, "DELETE FROM orders WHERE id >= 9000") }()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"orders"}, []string{"id", "customer_id", "status", "total", "placed_at"},
		pgx.CopyFromRows([][]any{{9001, 1, "open", "1.50", day}, {9002, 2, "open", "2.50", day}}))
	if err != nil || n != 2 {
		t.Errorf("binary COPY: %d rows, %v\n%s", n, err, tail(shared.gw))
	}
	conn = connect(t, shared.gw, "fn:writer")
	tag, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader("9003\t1\topen\t1.5\t2026-01-01\n9004\t2\topen\t2.5\t2026-01-02\n"), "COPY orders FROM STDIN")
	if err != nil || tag.RowsAffected() != 2 {
		t.Errorf("text COPY: %s, %v\n%s", tag, err, tail(shared.gw))
	}
	if got := direct(t, "SELECT count(*) FROM orders WHERE id >= 9000"); got != "4" {
		t.Errorf("%s rows arrived", got)
	}
	reader := connect(t, shared.gw, "fn:reader")
	var out bytes.Buffer
	if _, err := reader.PgConn().CopyTo(t.Context(), &out, "COPY (SELECT id, email, ssn FROM customers) TO STDOUT WITH (FORMAT csv, HEADER)"); err != nil {
		t.Fatal(err)
	}
	lacks(t, out.String(), canaries()...)
	if strings.Count(out.String(), "\n") != 21 {
		t.Errorf("COPY gave %s", out.String())
	}
}

func TestPgxCancel(t *testing.T) {
	const running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 1000000000)%' AND pid <> pg_backend_pid()"
	conn := connect(t, shared.gw, "fn:writer")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT count(*) FROM generate_series(1, 1000000000)")
		ended <- err
	}()
	await(t, "the statement to run", func() bool { return direct(t, running) == "1" })
	cancel()
	if err := <-ended; err == nil {
		t.Error("the statement was not cancelled")
	}
	await(t, "the database to stop", func() bool { return direct(t, running) == "0" })
}

func TestLibPQ(t *testing.T) {
	db, err := sql.Open("postgres", dsn(shared.gw, token(t, shared.gw, "fn:reader")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // nothing is pending
	stmt, err := db.PrepareContext(t.Context(), "SELECT name, email FROM customers WHERE id = $1")
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(shared.gw))
	}
	for id, want := range map[int]string{1: "Ada Brook", 20: "Tea Umber"} {
		var name, email string
		if err := stmt.QueryRowContext(t.Context(), id).Scan(&name, &email); err != nil || name != want {
			t.Errorf("%d: %q, %v", id, name, err)
		}
		lacks(t, email, canaries()...)
	}
	_, err = db.ExecContext(t.Context(), "DROP TABLE customers")
	var pe *pq.Error
	if !errors.As(err, &pe) || pe.Code != "42501" {
		t.Errorf("want SQLSTATE 42501, got %v", err)
	}
}

// TestPsycopg2 runs a driver of another ecosystem: Debian's python3 with Debian's psycopg2.
func TestPsycopg2(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/psycopg2_driver.py")
	cmd.Env = append(os.Environ(), "DSN="+dsn(shared.gw, token(t, shared.gw, "fn:reader")))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, tail(shared.gw))
	}
	var got struct {
		Rows    [][]string `json:"rows"`
		Cursor  int        `json:"cursor"`
		Refused string     `json:"refused"`
		Copy    string     `json:"copy"`
		After   int        `json:"after"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got.Rows) != 2 || got.Rows[0][0] != "Ada Brook" || got.Cursor != 20 || got.Refused != "42501" || got.After != 42 {
		t.Errorf("got %+v", got)
	}
	lacks(t, string(out), canaries()...)
}
