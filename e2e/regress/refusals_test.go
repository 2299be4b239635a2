package regress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// TestRefusals runs scripts directly and through the gateway, and says how many of the queries that the server answers the
// gateway refuses, and why: under a role that may do everything, and under the same with a mask on a table that no script
// reads. Neither may do Opaque actions by a query; all else is let through, so that the scripts' objects are there. The
// scripts are the sample, of which no query may be refused, or with REGRESS=DIR PostgreSQL's own suite (make regress).
func TestRefusals(t *testing.T) {
	dir := cmp.Or(os.Getenv("REGRESS"), "testdata")
	suite, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if only := strings.Fields(os.Getenv("REGRESS_FILES")); len(only) > 0 {
		suite.Files = only
	}
	w := start(t, suite)
	tallies := []*tally{newTally("without masks"), newTally("with a mask on another table")}
	for i, name := range suite.Files {
		direct := w.run(t, name, fmt.Sprintf("d%d", i), "")
		for k, subject := range []string{"fn:all", "fn:masked"} {
			tallies[k].compare(name, direct, w.run(t, name, fmt.Sprintf("g%d_%d", k, i), subject))
		}
	}
	for _, y := range tallies {
		t.Log(y.table())
	}
	if os.Getenv("REGRESS") != "" {
		return
	}
	if y := tallies[0]; y.queries < 40 || y.same != y.queries {
		t.Errorf("of %d queries of the sample %d are answered alike; refused: %v; different: %v", y.queries, y.same, y.refused, y.differ)
	}
	const temporary = "permission denied: some columns are masked for you, and a temporary table may hold what was made from them"
	if y := tallies[1]; len(y.refused) != 1 || y.refused[temporary] != 5 || y.same < 30 {
		t.Errorf("with a mask %d queries of the sample are answered alike; refused: %v; different: %v", y.same, y.refused, y.differ)
	}
}

// world is a server and a gateway that knows a connection for each script and role.
type world struct {
	suite *Suite
	srv   *Server
	gw    *gateway.Gateway
}

const policies = `
kind: Policy
name: all
statements:
  - effect: allow
    actions: ["postgres:*"]
    resources: ["*"]
  - effect: allow
    actions: [postgres:Opaque]
    resources: ["*"]
  - effect: deny
    actions: [postgres:Opaque]
    resources: ["*"]
    condition: 'action.text.matches("(?is)^([\\s(]|--[^\\n]*\\n|/[*].*?[*]/)*(select|values|table|with)\\b")'
---
kind: Policy
name: mask
statements:
  - effect: mask
    resources: ["*/public.unrelated_customers.email"]
    with: redact
---
kind: Role
name: all
bind: [{issuer: dev, claims: {sub: "fn:all"}}]
policies: [all]
---
kind: Role
name: masked
bind: [{issuer: dev, claims: {sub: "fn:masked"}}]
policies: [all, mask]
`

func start(t *testing.T, suite *Suite) *world {
	t.Helper()
	ctx := t.Context()
	pg := pgtest.Start(t)
	srv, err := suite.Prepare(ctx, pg.AdminDSN, filepath.Join(pg.Dir, "suite"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary, err := gateway.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Stop)
	user, password := "", ""
	for word := range strings.FieldsSeq(pg.AdminDSN) {
		switch k, v, _ := strings.Cut(word, "="); k {
		case "user":
			user = v
		case "password":
			password = v
		}
	}
	if r := gw.CLI(ctx, password, "secrets", "set", "admin"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	docs := policies
	for i := range suite.Files {
		for k := range 2 {
			docs += fmt.Sprintf("---\nkind: Connection\nname: g%d_%d\ntype: postgres\naddress: %s\ndatabase: g%d_%d\ntls: {ca_file: %s}\ncredential: {user: %s, secret: admin}\n",
				k, i, pg.Address(), k, i, pg.CAFile, user)
		}
	}
	if r := gw.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	return &world{suite: suite, srv: srv, gw: gw}
}

// outcome is what one step of a script gave.
type outcome struct {
	sql  string
	err  *pgconn.PgError
	rows [][][]byte
	ran  bool // it was sent, to a session that was not in a failed transaction
}

// run runs a script on a database of its own: directly where there is no subject.
func (w *world) run(t *testing.T, script, database, subject string) []outcome {
	t.Helper()
	if err := w.srv.Database(t.Context(), w.suite, database, script); err != nil {
		t.Fatal(err)
	}
	sc, err := w.suite.Script(script, w.srv.Data())
	if err != nil {
		t.Fatal(err)
	}
	conn := w.connect(t, database, subject)
	var all []outcome
	for step, ok := sc.Next(); ok; step, ok = sc.Next() {
		if step.Connect || conn.IsClosed() {
			_ = conn.Close(t.Context())
			conn = w.connect(t, database, subject)
		}
		if !step.Connect {
			all = append(all, w.step(t, conn, sc, step, subject != ""))
		}
	}
	_ = conn.Close(t.Context())
	if err := w.srv.Drop(t.Context(), database); err != nil {
		t.Error(err)
	}
	return all
}

func (w *world) connect(t *testing.T, database, subject string) *pgconn.PgConn {
	t.Helper()
	var conn *pgconn.PgConn
	var err error
	if subject == "" {
		conn, err = w.srv.Connect(t.Context(), database)
	} else {
		var tok string
		if tok, err = w.gw.Token(t.Context(), subject); err == nil {
			host, port, _ := net.SplitHostPort(w.gw.Listener["postgres"])
			conn, err = pgconn.Connect(t.Context(), fmt.Sprintf("postgres://fn:%s@%s:%s/%s?sslmode=verify-full&sslrootcert=%s",
				url.QueryEscape(tok), host, port, database, url.QueryEscape(w.gw.CAFile())))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// step runs one step; a query that is refused in a transaction does not take the transaction with it.
func (w *world) step(t *testing.T, conn *pgconn.PgConn, sc *Script, st Step, guard bool) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	guard = guard && isQuery(st.SQL) && conn.TxStatus() == 'T'
	out := outcome{sql: st.SQL, ran: conn.TxStatus() != 'E'}
	if guard {
		_, _ = conn.Exec(ctx, "SAVEPOINT before_query").ReadAll() // where it fails the query does, too
	}
	results, err := Run(ctx, conn, sc, st)
	if err != nil && !errors.As(err, &out.err) {
		out.err = &pgconn.PgError{Message: err.Error()}
	}
	for _, r := range results {
		out.rows = append(out.rows, r.Rows...)
	}
	if guard && conn.TxStatus() == 'E' && refusal(out.err) != "" {
		_, _ = conn.Exec(ctx, "ROLLBACK TO before_query").ReadAll() // the same
	}
	return out
}

// refusal is the gateway's reason where an error is its own, and not the server's.
func refusal(e *pgconn.PgError) string {
	if e == nil {
		return ""
	}
	if _, why, ok := strings.Cut(e.Hint, "touch: "); ok {
		return "Opaque: " + strings.TrimSuffix(why[:max(strings.Index(why, ". "), 0)], ".")
	}
	if strings.HasPrefix(e.Message, "permission denied: ") || strings.Contains(e.Hint, "gateway") || strings.Contains(e.Message, "gateway") ||
		strings.Contains(e.Message, "sent by itself") || strings.Contains(e.Message, "standard_conforming_strings") || strings.Contains(e.Message, "in this session") {
		return e.Message
	}
	return ""
}

// tally counts the outcomes of one role.
type tally struct {
	role     string
	queries  int // that the server answers
	same     int // answered with the same rows
	other    int // answered otherwise: rows hidden, or not the same from run to run
	refused  map[string]int
	example  map[string]string
	differ   []string
	elseward map[string]int // refusals of what is no query
}

func newTally(role string) *tally {
	return &tally{role: role, refused: map[string]int{}, example: map[string]string{}, elseward: map[string]int{}}
}

func (y *tally) compare(script string, direct, through []outcome) {
	for i, d := range direct {
		if i >= len(through) || d.err != nil || !d.ran {
			continue
		}
		g := through[i]
		why := general(refusal(g.err))
		if !isQuery(d.sql) {
			if why != "" {
				y.elseward[why]++
			}
			continue
		}
		y.queries++
		switch {
		case why != "":
			y.refused[why]++
			if y.example[why] == "" {
				s := script + ": " + strings.Join(strings.Fields(d.sql), " ")
				y.example[why] = s[:min(len(s), 110)]
			}
		case g.err == nil && reflect.DeepEqual(g.rows, d.rows):
			y.same++
		default:
			y.other++
			y.differ = append(y.differ, d.sql)
		}
	}
}

// general leaves names out of a reason, so that equal ones count together.
func general(why string) string {
	words := strings.Fields(why)
	for i := 1; i < len(words); i++ {
		switch words[i-1] {
		case "relation", "column", "type", "function", "on":
			if i+1 < len(words) && (words[i+1] == "is" || words[i+1] == "runs" || words[i+1] == "of") || words[i-1] == "on" {
				words[i] = "..."
			}
		}
	}
	return strings.Join(words, " ")
}

func (y *tally) table() string {
	var b strings.Builder
	n := 0
	for _, of := range y.refused {
		n += of
	}
	fmt.Fprintf(&b, "role %s: %d queries that the server answers: %d refused (%.2f %%), %d the same rows, %d other rows or another error\n",
		y.role, y.queries, n, 100*float64(n)/float64(max(y.queries, 1)), y.same, y.other)
	row := func(m map[string]int, of int) {
		for _, k := range slices.SortedFunc(maps.Keys(m), func(a, c string) int { return cmp.Or(m[c]-m[a], strings.Compare(a, c)) }) {
			fmt.Fprintf(&b, "%6d  %6.2f %%  %-90s %s\n", m[k], 100*float64(m[k])/float64(max(of, 1)), k, y.example[k])
		}
	}
	row(y.refused, y.queries)
	fmt.Fprintf(&b, "refused besides, of what is no query:\n")
	row(y.elseward, 0)
	return b.String()
}

func isQuery(sql string) bool {
	sql = strings.ToLower(stripComments(strings.TrimLeft(stripComments(sql), "(")))
	for _, word := range []string{"select", "values", "table", "with"} {
		if rest, ok := strings.CutPrefix(sql, word); ok && (rest == "" || !isWord(rest[:1])) {
			return true
		}
	}
	return false
}
