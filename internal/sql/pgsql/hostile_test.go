package pgsql

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"pgregory.net/rapid"

	"gatehouse/internal/fault"
)

// shapes nest or chain something n times.
func shapes(n int) map[string]string {
	r := strings.Repeat
	return map[string]string{
		"brackets": "select " + r("(", n) + "1" + r(")", n), "plus": "select 1" + r("+1", n), "minus": "select " + r("- ", n) + "1",
		"not": "select " + r("not ", n) + "true", "union": "select 1" + r(" union all select 1", n),
		"subqueries": r("select (", n) + "select 1" + r(")", n), "case": "select " + r("case when ", n) + "true" + r(" then true end", n),
		"arrays": "select " + r("array[", n) + "1" + r("]", n), "joins": "select 1 from customers c0" + r(" join orders on true", n),
		"from": r("select 1 from (", n) + "select 1" + r(") x", n), "calls": "select " + r("abs(", n) + "1" + r(")", n),
		"casts": "select 1" + r("::int", n), "collate": "select 'a'" + r(` collate "C"`, n), "with": r("with a as (", n) + "select 1" + r(") select 1", n),
		"is null": "select 1" + r(" is null", n), "in": "select 1" + r(" in (1)", n), "explain": r("explain ", n) + "select 1",
		"and": "select true" + r(" and true", n), "list": "select 1" + r(", 1", n), "values": "values (1)" + r(", (1)", n),
		"subscripts": "select notes" + r("[1]", n) + " from customers", "fields": "select " + r("(", n) + "c" + r(").c", n) + " from customers c",
		"statements": r("select 1;", n), "strings": "select ''" + r(" || ''", n), "schema": "create schema a " + r("create table b (c int) ", n),
		"quotes": "select " + r(`"`, n), "dollars": "select " + r("$a$", n), "comments": r("/*", n) + r("*/", n), "prefix": "select " + r("@ ", n) + "1",
		"empty comments": r("/**/", n) + "select 1", "signs": "select " + r("+", n) + "1", "mixed": "select " + r("+-", n), "banner": "/*" + r("*", n) + "*/ select 1 --" + r("-", n),
		"between": "select 1" + r(" between 1 and 2", n), "at": "select now()" + r(" at time zone 'UTC'", n),
	}
}

// TestHostileShapes sends deep and long texts: each is understood or refused, fast, and none takes the process down.
func TestHostileShapes(t *testing.T) {
	c := testCatalogue(t)
	sizes := []int{10, 300, 900, 1100, 5000, 20_000, 100_000}
	if testing.Short() {
		sizes = sizes[:5]
	}
	for _, n := range sizes {
		for name, sql := range shapes(n) {
			began := spent(t)
			_, err := New(Limits{}).Analyze(sql, c, testState())
			if k := fault.KindOf(err); err != nil && k != fault.Malformed && k != fault.Denied {
				t.Errorf("%s %d: %v", name, n, err)
			}
			if took := spent(t) - began; took > 40*time.Second { // the race detector takes its share
				t.Errorf("%s %d took %v", name, n, took)
			}
		}
	}
}

// TestCostIsBounded sends short texts that would cost much: names that multiply.
func TestCostIsBounded(t *testing.T) {
	c := testCatalogue(t)
	many := func(text string, n int) string {
		if testing.Short() {
			n /= 20
		}
		return strings.Repeat(text, n)
	}
	doubled := "with a0 as (select * from customers)"
	for i := range 40 {
		doubled += fmt.Sprintf(", a%d as (select x.*, y.* from a%d x, a%d y)", i+1, i, i)
	}
	recursive := "select 1"
	for range 12 {
		recursive = "with recursive t(a, b) as (select 1, 2 union all (" + recursive + ") union all select b, a from t) select * from t"
	}
	for name, sql := range map[string]string{
		"columns that double":  doubled + " select * from a40",
		"nested recursion":     recursive,
		"wide unions":          "select * from everything" + strings.Repeat(" union all select * from everything", 900),
		"literals that double": literalsDoubled(30),
		"literals of a batch":  strings.Repeat("select "+strings.Repeat("1,", 400)+"1;", 999),
		"cases":                "select case" + many(" when 1 then 1", 70_000) + " end",
		"arguments":            "select current_setting('a'" + many(",1", 400_000) + ")",
		"keys":                 "select array_agg(id order by 1" + many(",1", 400_000) + ") from customers",
		"sorting":              "select 1" + many(",1", 100_000) + " order by id" + many(",id", 100_000),
		"clauses of a merge":   "merge into orders o using customers c on o.id in (1" + many(",1", 200_000) + ")" + many(" when matched then delete", 20_000),
		"parts of a schema":    "create schema a create table b (c int check (c in (1" + many(",1", 400_000) + ")))" + strings.Repeat(" create table b (c int)", 200),
		"names of queries":     "with a as (select 1)" + many(", b as (select 1 from customers)", 30_000) + " select 1",
	} {
		began := spent(t)
		_, err := New(Limits{}).Analyze(sql, c, testState())
		if took := spent(t) - began; took > 40*time.Second { // the race detector takes its share
			t.Errorf("%s took %v (%v)", name, took, err)
		}
	}
}

// spent is the processor time of this process: a busy machine makes nothing more expensive.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// literalsDoubled is a literal that is joined with itself n times over.
func literalsDoubled(n int) string {
	sql := "with a0(x) as (select 'l')"
	for i := range n {
		sql += fmt.Sprintf(", a%d as (select p.x || q.x as x from a%d p, a%d q)", i+1, i, i)
	}
	return sql + fmt.Sprintf(" select x from a%d", n)
}

// wraps put a query of one column inside another: whatever they do, the outcome comes from at least the same fields.
var wraps = []string{
	"select * from (%s) w(x)", "select w.x from (%s) w(x)", "with w(x) as (%s) select x from w", "select (%s limit 1) as x",
	"select w from (%s) w(x)", "select upper(w.x::text) from (%s) w(x)", "select max(w.x::text) from (%s) w(x)",
	"(%s) union all select 'z'", "select case when true then w.x::text end from (%s) w(x)", "select array(%s)",
	"select row_to_json(w) from (%s) w(x)", "select (select w.x) from (%s) w(x)", "select coalesce(w.x::text, '') from (%s) w(x)",
	"with recursive w(x) as (select x::text from (%s) q(x) union all select x from w where false) select x from w",
	"select v from (%s) w(x), lateral (select w.x as v) l", "select unnest(array[w.x::text]) from (%s) w(x)",
	"select first_value(w.x) over () from (%s) w(x)", "select jsonb_build_object('k', w.x) -> 'k' from (%s) w(x)",
}

var bases = []string{
	"select email from customers", "select ssn || card from customers", "select name from contacts", "select address from recent_contacts",
	"select detail from events", "select card from spending", "select c from customers c", "select (c).phone from customers c",
	"select max(email) from customers group by id", "select s from leaky", "select notes ->> 'a' from customers",
}

// TestLineageOnlyGrows wraps queries in queries, up to six deep, at random.
func TestLineageOnlyGrows(t *testing.T) {
	c := testCatalogue(t)
	rapid.Check(t, func(t *rapid.T) {
		sql := rapid.SampledFrom(bases).Draw(t, "base")
		before := one1(t, c, sql)
		for range rapid.IntRange(1, 6).Draw(t, "depth") {
			wrapped := fmt.Sprintf(rapid.SampledFrom(wraps).Draw(t, "wrap"), sql)
			after := one1(t, c, wrapped)
			if !contains(after.Fields, before.Fields) || after.Proven && !before.Proven {
				t.Fatalf("%s\n%+v\n%s\n%+v", sql, before, wrapped, after)
			}
			sql, before = wrapped, after
		}
	})
}

func one1(t *rapid.T, c *Catalogue, sql string) Output {
	b, err := New(Limits{}).Analyze(sql, c, testState())
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if a := b.Statements[0]; len(a.Outputs) == 1 {
		return a.Outputs[0]
	}
	t.Fatalf("%s: not one output", sql)
	return Output{}
}

func contains(all, part []string) bool {
	for _, p := range part {
		found := false
		for _, a := range all {
			found = found || a == p
		}
		if !found {
			return false
		}
	}
	return true
}

// TestSpacingChangesNothing puts comments, spaces and line ends between the tokens of every case, and changes the case of
// its keywords: the analysis and the fingerprint stay.
func TestSpacingChangesNothing(t *testing.T) {
	c := testCatalogue(t)
	cases := readCases(t)
	rapid.Check(t, func(t *rapid.T) {
		sql := rapid.SampledFrom(cases).Draw(t, "case").sql
		tokens, err := scanText(sql)
		if err != nil {
			return
		}
		spaced := respaced(sql, tokens, func(of []string) string { return rapid.SampledFrom(of).Draw(t, "gap") })
		x, errX := New(Limits{}).Analyze(sql, c, testState())
		y, errY := New(Limits{}).Analyze(spaced, c, testState())
		if (errX == nil) != (errY == nil) {
			t.Fatalf("%q: %v\n%q: %v", sql, errX, spaced, errY)
		}
		if errX != nil {
			return
		}
		for i := range x.Statements {
			p, q := x.Statements[i], y.Statements[i]
			if render(p) != render(q) || p.Fingerprint != q.Fingerprint || p.Normal != q.Normal {
				t.Fatalf("%q\n%s\n%q\n%s", sql, render(p), spaced, render(q))
			}
		}
	})
}

// looksAhead tells the words that the parser joins with the next one. A comment between them is an error to it, though not
// to the server: such a text is refused.
func looksAhead(t pg.Token) bool {
	switch t {
	case pg.Token_WITH, pg.Token_WITHOUT, pg.Token_NOT, pg.Token_NULLS_P, pg.Token_FORMAT:
		return true
	}
	return false
}

// FuzzAnalyze: no text panics, and every answer keeps the promises of its type.
func FuzzAnalyze(f *testing.F) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line != "" && line[0] != ' ' && line[0] != '#' {
			f.Add(line)
		}
	}
	catalogue, err := os.ReadFile("testdata/catalogue.json")
	if err != nil {
		f.Fatal(err)
	}
	c, err := ParseCatalogue("db", catalogue)
	if err != nil {
		f.Fatal(err)
	}
	analyzer := New(Limits{MaxText: 1 << 14, MaxWork: 100_000})
	f.Fuzz(func(t *testing.T, sql string) {
		b, err := analyzer.Analyze(sql, c, testState())
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed && k != fault.Denied {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, a := range b.Statements {
			checkShape(t, sql, a)
		}
	})
}

func checkShape(t *testing.T, sql string, a *Analysis) {
	if len(a.Actions) == 0 || a.Verb == "" {
		t.Fatalf("%q: no action or verb", sql)
	}
	if sql[a.Offset:a.Offset+len(a.Text)] != a.Text {
		t.Fatalf("%q: the text is not a slice of the batch", sql)
	}
	last := 0
	for _, s := range a.Literals {
		if s.Start < last || s.End <= s.Start || s.End > len(a.Text) {
			t.Fatalf("%q: span %v", sql, s)
		}
		last = s.End
	}
	for _, o := range a.Outputs {
		if o.Bare && (!o.Proven || len(o.Fields) == 0) {
			t.Fatalf("%q: output %+v", sql, o)
		}
	}
}

// BenchmarkAnalyze measures what a miss of the cache costs.
func BenchmarkAnalyze(b *testing.B) {
	c := testCatalogue(b)
	s := testState()
	a := New(Limits{})
	for name, sql := range map[string]string{
		"point":  "select abalance from pgbench_accounts where aid = 5",
		"select": "select id, email, name from customers where id = $1",
		"join":   "select c.name, sum(o.total) from customers c join orders o on o.customer_id = c.id where o.status = 'open' group by c.name order by 2 desc limit 10",
		"insert": "insert into orders (id, customer_id, total) values ($1, $2, $3) returning id",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Analyze(sql, c, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParseCatalogue measures what a change of the catalogue costs.
func BenchmarkParseCatalogue(b *testing.B) {
	text, err := os.ReadFile("testdata/catalogue.json")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ParseCatalogue("db", text); err != nil {
			b.Fatal(err)
		}
	}
}
