package bypass

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// values are the masked values of one database. Those of the two differ in every letter, length, order, count and in which of
// them are missing; only the last four of a card, which the mask leaves, are the same.
type values struct {
	connection, database, tag, email, ssn, card, phone, salary, born, mod, first, firstSSN string
}

// The two databases. Attacks that guess, guess what is in the first.
var (
	left = values{connection: "shop-a", database: "orders", tag: "alphaq", email: ".kanari@left.example.test", ssn: "078-05-41",
		card: "400000770013", phone: "+1 202 555 017", salary: "8107710000", born: "1971-03-05", mod: "3",
		first: "aalphaq.kanari@left.example.test", firstSSN: "078-05-4100"}
	right = values{connection: "shop-b", database: "orders_b", tag: "zulux", email: "_vogel.of@another-right.example.test", ssn: "991-77-882",
		card: "529999881177", phone: "+44 7700 9009", salary: "3306630000", born: "1999-11-23", mod: "2",
		first: "zzulux_vogel.of@another-right.example.test", firstSSN: "991-77-88200"}
)

// world is what all cases share: one PostgreSQL with two databases, one gateway. Cases run one after the other.
type world struct {
	dir    string
	files  string // a folder that the server may write to
	pg     *pgtest.Server
	gw     *gateway.Gateway
	admin  [2]*pgx.Conn // a superuser's connection to each database
	newest uint32       // the last relation that is there from the start
	last   [2]snapshot  // the newest of the tables, per database
	first  [2]string    // what rows said before any case, per database
	tokens map[string]string
	queues *queueWorld
}

var shared = world{tokens: map[string]string{}}

func TestMain(m *testing.M) {
	code := 1
	if err := shared.open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		if err := scores.write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (w *world) open() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first build may be cold
	defer cancel()
	if w.dir, err = os.MkdirTemp("", "gatehouse-bypass-"); err != nil {
		return err
	}
	binary, err := gateway.Build(ctx, w.dir)
	if err != nil {
		return err
	}
	if w.pg, err = pgtest.New(ctx); err != nil {
		return err
	}
	if err := w.databases(ctx); err != nil {
		return err
	}
	if w.gw, err = gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(w.dir, "state")}); err != nil {
		return err
	}
	if r := w.gw.CLI(ctx, pgtest.AppPassword, "secrets", "set", "shop"); r.Code != 0 {
		return fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
	}
	if r := w.gw.CLI(ctx, w.documents(), "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

// databases makes the two. The gateway's own user is a superuser in them: nothing but the gateway stops an attack.
func (w *world) databases(ctx context.Context) error {
	// The server runs as a user of its own, and needs a folder that it may write to.
	w.files = filepath.Join(w.dir, "files")
	if err := errors.Join(os.Mkdir(w.files, 0o777), os.Chmod(w.files, 0o777), os.Chmod(w.dir, 0o755)); err != nil {
		return err
	}
	if err := w.run(ctx, w.pg.AdminDSN, "ALTER ROLE app SUPERUSER", "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()",
		"SET ROLE app", file("world.sql"), file("guardrails.sql")); err != nil {
		return err
	}
	if err := w.run(ctx, strings.Replace(w.pg.AdminDSN, "dbname="+left.database, "dbname=postgres", 1),
		"CREATE DATABASE "+right.database+" TEMPLATE "+left.database+" OWNER app"); err != nil {
		return err
	}
	for i, v := range []values{left, right} {
		dsn := strings.Replace(w.pg.AdminDSN, "dbname="+left.database, "dbname="+v.database, 1)
		if err := w.run(ctx, dsn, v.fill(file("values.sql"))); err != nil {
			return err
		}
		var err error
		if w.admin[i], err = pgx.Connect(ctx, dsn); err != nil {
			return err
		}
	}
	return w.admin[1].QueryRow(ctx, "SELECT max(oid) FROM pg_class").Scan(&w.newest)
}

// fill puts values in the places of a text.
func (v values) fill(text string) string {
	return strings.NewReplacer("${database}", v.database, "${tag}", v.tag, "${email}", v.email, "${ssn}", v.ssn, "${card}", v.card,
		"${phone}", v.phone, "${salary}", v.salary, "${born}", v.born, "${mod}", v.mod, "${first}", v.first, "${firstssn}", v.firstSSN,
		"${port}", fmt.Sprint(shared.pg.Port), "${password}", pgtest.AppPassword, "${files}", shared.files).Replace(text)
}

func (w *world) run(ctx context.Context, dsn string, texts ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
			return errors.Join(fmt.Errorf("%.60s: %w", text, err), conn.Close(ctx))
		}
	}
	return conn.Close(ctx)
}

func file(name string) string {
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		panic(err) // the test's own file
	}
	return string(raw)
}

func (w *world) documents() string {
	return strings.NewReplacer("${ADDRESS}", w.pg.Address(), "${CA_FILE}", w.pg.CAFile).Replace(file("documents.yaml") + guarded())
}

func (w *world) close() error {
	if w.gw != nil {
		w.gw.Stop()
	}
	var err error
	for _, a := range w.admin {
		if a != nil {
			err = errors.Join(err, a.Close(context.Background()))
		}
	}
	if w.pg != nil {
		err = errors.Join(err, w.pg.Stop())
	}
	if w.queues != nil {
		err = errors.Join(err, w.queues.close())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// token returns a token of fn:role.
func (w *world) token(t *testing.T, role string) string {
	t.Helper()
	if w.tokens[role] == "" {
		tok, err := w.gw.Token(t.Context(), "fn:"+role)
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[role] = tok
	}
	return w.tokens[role]
}

// dsn is how a client reaches a database: as a role through the gateway, or around it where role is direct.
func (w *world) dsn(t *testing.T, role string, v values) string {
	t.Helper()
	if role == direct {
		return w.pg.DSN(pgtest.AppUser, pgtest.AppPassword, v.database)
	}
	host, port, err := net.SplitHostPort(w.gw.Listener["postgres"])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("host=%s port=%s user=fn password=%s dbname=%s sslmode=verify-full sslrootcert=%s connect_timeout=20",
		host, port, w.token(t, role), v.connection, w.gw.CAFile())
}
