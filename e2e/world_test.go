package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// world is what the tests of this package share: one PostgreSQL, one gateway, the documents of testdata. Tests run one
// after the other, and leave the rows as they found them.
type world struct {
	dir    string
	binary string
	pg     *pgtest.Server
	gw     *gateway.Gateway
	admin  *pgxpool.Pool // the superuser's connections to the database itself
	tokens tokens
}

// tokens are those that were asked for lately, for which one command after the other would have to run.
type tokens struct {
	mu sync.Mutex
	by map[string]minted
}

type minted struct {
	token string
	at    time.Time
}

// fresh is how old a token may be when a test uses it: it lives for ten minutes.
const fresh = 3 * time.Minute

// patience bounds whatever a test waits for.
const patience = 60 * time.Second

var shared = world{tokens: tokens{by: map[string]minted{}}}

func TestMain(m *testing.M) {
	code := 1
	if err := shared.open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
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
	if w.dir, err = os.MkdirTemp("", "gatehouse-e2e-"); err != nil {
		return err
	}
	if w.binary, err = gateway.Build(ctx, w.dir); err != nil {
		return err
	}
	if w.pg, err = pgtest.New(ctx); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(w.pg.AdminDSN)
	if err != nil {
		return err
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // tests change tables under prepared plans
	if w.admin, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	w.gw, err = w.start(ctx, "state")
	return err
}

// start starts a gateway on a state directory of its own, and gives it the documents and the credential.
func (w *world) start(ctx context.Context, name string, args ...string) (*gateway.Gateway, error) {
	gw, err := gateway.Start(ctx, gateway.Options{Binary: w.binary, State: filepath.Join(w.dir, name), Args: args})
	if err != nil {
		return nil, err
	}
	if r := gw.CLI(ctx, pgtest.AppPassword, "secrets", "set", "shop"); r.Code != 0 {
		gw.Kill()
		return nil, fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
	}
	if r := gw.CLI(ctx, w.documents(), "apply", "-f", "-"); r.Code != 0 {
		gw.Kill()
		return nil, fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return gw, nil
}

func (w *world) documents() string {
	raw, err := os.ReadFile("testdata/documents.yaml")
	if err != nil {
		panic(err) // the test's own file
	}
	return filled(string(raw))
}

// filled puts the shared server into documents.
func filled(documents string) string {
	return strings.NewReplacer("${ADDRESS}", shared.pg.Address(), "${CA_FILE}", shared.pg.CAFile).Replace(documents)
}

func (w *world) close() error {
	if w.gw != nil {
		w.gw.Stop()
	}
	if w.admin != nil {
		w.admin.Close()
	}
	var err error
	if w.pg != nil {
		err = w.pg.Stop()
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// own starts a gateway for one test that kills, locks or floods it.
func own(t *testing.T, args ...string) *gateway.Gateway {
	t.Helper()
	gw, err := shared.start(t.Context(), strings.ReplaceAll(t.Name(), "/", "-"), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Stop)
	return gw
}

func token(t *testing.T, gw *gateway.Gateway, subject string) string {
	t.Helper()
	k := &shared.tokens
	k.mu.Lock()
	defer k.mu.Unlock()
	key := fmt.Sprint(gw.State, gw.PID(), subject)
	if m := k.by[key]; time.Since(m.at) < fresh {
		return m.token
	}
	tok, err := gw.Token(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	k.by[key] = minted{tok, time.Now()}
	return tok
}

// reviewer writes the token of a person of the role dba to a file, as --token-file takes it.
func reviewer(t *testing.T, gw *gateway.Gateway) string {
	t.Helper()
	tok, err := gw.PersonToken(t.Context(), "ann", "group=dba")
	if err != nil {
		t.Fatal(err)
	}
	return tokenFile(t, tok)
}

func tokenFile(t *testing.T, tok string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(f, []byte(tok+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func address(gw *gateway.Gateway) (host, port string) {
	host, port, err := net.SplitHostPort(gw.Listener["postgres"])
	if err != nil {
		panic(err) // the gateway wrote it
	}
	return host, port
}

// dsn is a connection string through the gateway, with TLS verified in full.
func dsn(gw *gateway.Gateway, tok string) string {
	host, port := address(gw)
	return fmt.Sprintf("host=%s port=%s user=fn password=%s dbname=shop sslmode=verify-full sslrootcert=%s connect_timeout=20",
		host, port, tok, gw.CAFile())
}

func connect(t *testing.T, gw *gateway.Gateway, subject string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn(gw, token(t, gw, subject)))
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(gw))
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // a test may have ended it already
	return conn
}

func tail(gw *gateway.Gateway) string {
	log, _ := gw.Log()
	return "gateway's log: …" + log[max(0, len(log)-3000):]
}

// psql runs the stock client with a token, and returns everything that it printed and its status.
func psql(t *testing.T, gw *gateway.Gateway, tok string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	host, port := address(gw)
	cmd := exec.CommandContext(ctx, "psql", append([]string{"-X"}, args...)...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=fn", "PGDATABASE=shop", "PGPASSWORD="+tok,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT="+gw.CAFile(), "PGCONNECT_TIMEOUT=20", "PAGER=cat")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// direct asks the database itself, as its superuser, around the gateway.
func direct(t *testing.T, sql string, args ...any) string {
	t.Helper()
	rows, err := shared.admin.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		values, err := r.Values()
		return fmt.Sprint(values...), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(text, "\n")
}

// saw reports whether the database logged a statement that contains a text.
func saw(t *testing.T, text string) bool {
	t.Helper()
	all, err := shared.pg.Statements()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if strings.Contains(s.Text, text) {
			return true
		}
	}
	return false
}

// await asks until the answer is yes.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited in vain for %s\n%s", what, tail(shared.gw))
		}
	}
}

func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in:\n%s", w, got)
		}
	}
}

func lacks(t *testing.T, got string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(strings.ToLower(got), strings.ToLower(w)) {
			t.Errorf("%q must not be in:\n%s", w, got)
		}
	}
}
