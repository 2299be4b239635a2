package pgsql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/pgtest"
	"gatehouse/e2e/regress"
)

// TestReadingIsReading runs scripts on a real server, and before each statement asks the analysis what it does. What the
// analysis calls reading is run in a read-only transaction first, and the server must not find that it writes. The scripts
// are the sample of e2e/regress; with REGRESS=DIR they are PostgreSQL's own regression suite, and the refusals of a role
// that may do everything but Opaque actions are listed by reason (make regress).
func TestReadingIsReading(t *testing.T) {
	dir := os.Getenv("REGRESS")
	if dir == "" {
		dir = "../../../e2e/regress/testdata"
	}
	suite, err := regress.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pg := pgtest.Start(t)
	srv, err := suite.Prepare(t.Context(), pg.AdminDSN, filepath.Join(pg.Dir, "suite"))
	if err != nil {
		t.Fatal(err)
	}
	total := newTally()
	only := strings.Fields(os.Getenv("REGRESS_FILES"))
	for i, name := range suite.Files {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		w := walker{t: t, name: fmt.Sprintf("regress_%d", i), tally: total, script: name}
		w.walk(suite, srv, name)
	}
	if os.Getenv("REGRESS") == "" && total.refused() > 0 {
		t.Errorf("queries of the sample are refused:\n%s", total.table())
	}
	t.Logf("%d statements, %d read by the analysis, of which %d ran in a read-only transaction\n%s", total.all, total.reading, total.ran, total.table())
	if total.ran < 20 {
		t.Errorf("only %d statements ran in a read-only transaction: the test has lost its teeth", total.ran)
	}
}

// tally counts.
type tally struct {
	all, queries, hidden int
	reading, ran         int
	reasons              map[string]int
	example              map[string]string
	other                map[string]int
}

func newTally() *tally {
	return &tally{reasons: map[string]int{}, example: map[string]string{}, other: map[string]int{}}
}

func (y *tally) refused() (n int) {
	for _, of := range y.reasons {
		n += of
	}
	return n
}

func (y *tally) table() string {
	var b strings.Builder
	refused := y.refused()
	fmt.Fprintf(&b, "%d queries that the server runs, %d refused (%.2f %%); %d answered with a column that is not proven\n", y.queries, refused, 100*float64(refused)/float64(max(y.queries, 1)), y.hidden)
	for _, m := range []map[string]int{y.reasons, y.other} {
		keys := slices.SortedFunc(maps.Keys(m), func(a, c string) int { return cmp.Or(m[c]-m[a], strings.Compare(a, c)) })
		for _, k := range keys {
			fmt.Fprintf(&b, "%6d  %-80s %s\n", m[k], k, y.example[k])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// walker runs one script.
type walker struct {
	t      *testing.T
	name   string
	script string
	tally  *tally
	conn   *pgconn.PgConn
	side   *pgconn.PgConn
	cat    *Catalogue
	dirty  bool
}

func (w *walker) walk(suite *regress.Suite, srv *regress.Server, name string) {
	ctx := w.t.Context()
	if err := srv.Database(ctx, suite, w.name, name); err != nil {
		w.t.Fatal(err)
	}
	sc, err := suite.Script(name, srv.Data())
	if err != nil {
		w.t.Fatal(err)
	}
	w.side, w.dirty = w.connect(srv), true
	w.conn = w.connect(srv)
	for {
		step, ok := sc.Next()
		if !ok {
			break
		}
		if step.Connect || w.conn.IsClosed() {
			_ = w.conn.Close(ctx)
			w.conn = w.connect(srv)
			continue
		}
		w.step(sc, step)
	}
	_ = w.conn.Close(ctx)
	_ = w.side.Close(ctx)
	if err := srv.Drop(ctx, w.name); err != nil {
		w.t.Error(err)
	}
}

func (w *walker) connect(srv *regress.Server) *pgconn.PgConn {
	conn, err := srv.Connect(w.t.Context(), w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// step judges a statement, tries what reads in a read-only transaction, and runs it.
func (w *walker) step(sc *regress.Script, st regress.Step) {
	w.tally.all++
	var batch *Batch
	var refused error
	judged := w.conn.TxStatus() != 'E'
	if judged {
		batch, refused = w.judge(st.SQL)
	}
	if batch != nil && reads(batch) {
		w.tally.reading++
		if w.script == "effects" {
			w.t.Errorf("the analysis calls this reading: %s", st.SQL)
		}
		w.tryReading(st.SQL)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	_, err := regress.Run(ctx, w.conn, sc, st)
	if judged {
		w.count(st.SQL, batch, refused, err)
	}
	if batch == nil || !reads(batch) {
		w.dirty = true
	}
}

// judge analyses a text in the state of the session, with the catalogue that another session sees.
func (w *walker) judge(sql string) (*Batch, error) {
	if w.dirty {
		text, err := w.ask(w.side, CatalogueQuery)
		if err != nil {
			return nil, fmt.Errorf("the catalogue cannot be read: %w", err)
		}
		if w.cat == nil || w.cat.Version() != CatalogueVersion(text) {
			if w.cat, err = ParseCatalogue("db", text); err != nil {
				w.t.Fatal(err)
			}
		}
		w.dirty = false
	}
	text, err := w.ask(w.conn, StateQuery)
	if err != nil {
		return nil, fmt.Errorf("the state cannot be read: %w", err)
	}
	s, err := ParseState(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return New(Limits{}).Analyze(sql, w.cat, s)
}

func (w *walker) ask(conn *pgconn.PgConn, sql string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	r, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(r) != 1 || len(r[0].Rows) != 1 {
		return nil, errors.Join(err, errors.New("no answer"))
	}
	return r[0].Rows[0][0], nil
}

// reads says whether all of a text does is read.
func reads(b *Batch) bool {
	for _, a := range b.Statements {
		for _, x := range a.Actions {
			switch strings.TrimPrefix(x.Name, Prefix) {
			case verbSelect, verbEvaluate, verbDescribe, verbShow, verbShowSetting, verbExplain, verbDeclare:
			default:
				return false
			}
		}
	}
	return len(b.Statements) > 0
}

// tryReading runs a text in a read-only transaction of its own, or in a savepoint of the one that is open.
func (w *walker) tryReading(sql string) {
	before, after := "BEGIN READ ONLY", "ROLLBACK"
	if w.conn.TxStatus() == 'T' {
		before, after = "SAVEPOINT reading; SET TRANSACTION READ ONLY", "ROLLBACK TO reading; RELEASE reading"
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := w.conn.Exec(ctx, before).ReadAll(); err != nil {
		w.t.Fatalf("%s: %v", before, err)
	}
	_, err := w.conn.Exec(ctx, sql).ReadAll()
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "25006" {
		w.t.Errorf("%s: the analysis calls this reading, and the server: %s\n%s", w.script, pe.Message, sql)
	}
	if err == nil {
		w.tally.ran++
	}
	if _, err := w.conn.Exec(ctx, after).ReadAll(); err != nil && !w.conn.IsClosed() {
		w.t.Fatalf("%s: %v", after, err)
	}
}

// count sorts what a role that may do everything but Opaque actions would be refused.
func (w *walker) count(sql string, b *Batch, refused, err error) {
	if err != nil {
		return // the server refuses it too
	}
	why, query := "", isQuery(sql)
	hidden := false
	if refused != nil {
		why = refused.Error()
	} else {
		for _, a := range b.Statements {
			for _, x := range a.Actions {
				if x.Name == Prefix+verbOpaque {
					why = a.Why
				}
			}
			for _, o := range a.Outputs {
				hidden = hidden || !o.Proven
			}
		}
	}
	if query {
		w.tally.queries++
	}
	if why == "" {
		if query && hidden {
			w.tally.hidden++
			for _, a := range b.Statements {
				for _, x := range a.Actions {
					if strings.HasSuffix(x.Name, "Call") {
						w.tally.other["call "+x.Resource]++
						w.tally.example["call "+x.Resource] = w.example(sql)
					}
				}
			}
		}
		return
	}
	if !query {
		return
	}
	k := generalReason(why)
	w.tally.reasons[k]++
	if w.tally.reasons[k] == 1 || os.Getenv("REGRESS_ALL") == "" && len(w.tally.example[k]) > 150 {
		w.tally.example[k] = w.example(sql)
	}
	if os.Getenv("REGRESS_ALL") != "" {
		w.t.Logf("REFUSED %s: %s: %s", w.script, why, w.example(sql))
	}
}

func (w *walker) example(sql string) string {
	s := strings.Join(strings.Fields(sql), " ")
	return w.script + ": " + s[:min(len(s), 160)]
}

func isQuery(sql string) bool {
	for {
		sql = strings.TrimLeft(sql, " \t\n(")
		if strings.HasPrefix(sql, "--") {
			_, sql, _ = strings.Cut(sql, "\n")
			continue
		}
		break
	}
	word, _, _ := strings.Cut(strings.ToLower(sql), " ")
	word = strings.Fields(word + " x")[0]
	return word == "select" || word == "values" || word == "with" || word == "table" || strings.HasPrefix(word, "select")
}

// generalReason leaves names out of a reason.
func generalReason(why string) string {
	words := strings.Fields(why)
	for i, w := range words {
		if i > 0 && (words[i-1] == "column" || words[i-1] == "relation" || words[i-1] == "type" || words[i-1] == "name") && w != "of" && w != "is" && w != "that" {
			words[i] = "X"
		}
	}
	return strings.Join(words, " ")
}
