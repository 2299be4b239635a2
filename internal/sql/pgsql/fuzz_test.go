package pgsql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/fault"
)

// addCases seeds a fuzz target with every statement of testdata/cases.txt.
func addCases(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add(c.sql, uint64(len(c.sql)))
	}
}

// small is an analyzer that gives up soon, so that more inputs are tried.
func small() *Analyzer { return New(Limits{MaxText: 1 << 14, MaxWork: 100_000}) }

// respaced is a text with other white space and comments between its tokens.
func respaced(sql string, tokens []*pg.ScanToken, pick func([]string) string) string {
	var b strings.Builder
	at, word := 0, pg.Token_NUL
	for _, tok := range tokens {
		gap := sql[at:tok.Start]
		if gap != "" {
			gaps := []string{" ", "\n", "\t \r\n", " /* x; 'y' */ ", " --z'\n", "/**/ "}
			if looksAhead(word) {
				gaps = gaps[:3]
			}
			gap = pick(gaps)
		}
		b.WriteString(gap + sql[tok.Start:tok.End])
		at, word = int(tok.End), tok.Token
	}
	return b.String() + sql[at:]
}

// FuzzSpacing: whatever the text, comments and spaces between its tokens change nothing of what is understood.
func FuzzSpacing(f *testing.F) {
	addCases(f)
	c, analyzer := testCatalogue(f), small()
	f.Fuzz(func(t *testing.T, sql string, seed uint64) {
		x, err := analyzer.Analyze(sql, c, testState())
		if err != nil {
			return
		}
		tokens, err := scanText(sql)
		if err != nil {
			t.Fatal(err)
		}
		other := respaced(sql, tokens, func(of []string) string {
			seed = seed*6364136223846793005 + 1442695040888963407
			return of[seed>>33%uint64(len(of))]
		})
		y, err := analyzer.Analyze(other, c, testState())
		if err != nil {
			if fault.KindOf(err) != fault.Denied { // comments may make it too long
				t.Fatalf("%q: %v", other, err)
			}
			return
		}
		if len(x.Statements) != len(y.Statements) {
			t.Fatalf("%q\n%q: %d and %d statements", sql, other, len(x.Statements), len(y.Statements))
		}
		for i, p := range x.Statements {
			if q := y.Statements[i]; render(p) != render(q) || p.Fingerprint != q.Fingerprint || p.Normal != q.Normal {
				t.Fatalf("%q\n%s\n%q\n%s", sql, render(p), other, render(q))
			}
		}
	})
}

// FuzzLineage: whatever query is put inside another, cast, renamed, joined or united with one, every field that a column of it
// came from, or that steered it, still shows; and what could not be proven cannot be then.
func FuzzLineage(f *testing.F) {
	addCases(f)
	for i, sql := range bases {
		f.Add(sql, uint64(i))
	}
	c, analyzer := testCatalogue(f), small()
	f.Fuzz(func(t *testing.T, sql string, seed uint64) {
		inner := queryIn(analyzer, c, sql)
		if inner == nil {
			return
		}
		k := int(seed % uint64(len(inner.Outputs)))
		names := make([]string, len(inner.Outputs))
		for i := range names {
			names[i] = fmt.Sprintf("c%d", i)
		}
		from := fmt.Sprintf("from (%s\n) w(%s)", inner.Text, strings.Join(names, ", "))
		whole := inner.Outputs
		for wrapped, kept := range map[string][]Output{
			"select * " + from:                                                 whole,
			"select w.*, o.total " + from + ", orders o":                       whole,
			"with w as (" + inner.Text + "\n) select * from w":                 whole,
			"(" + inner.Text + "\n) union all (" + inner.Text + "\n)":          whole,
			"select w::text " + from:                                           whole,
			"select row_to_json(w) " + from:                                    whole,
			"select w.c" + itoa(k) + "::text as z " + from:                     whole[k : k+1],
			"select max(w.c" + itoa(k) + "::text) as z " + from:                whole[k : k+1],
			"select coalesce(null, w.c" + itoa(k) + "::text) " + from:          whole[k : k+1],
			"select (select w.c" + itoa(k) + " limit 1) as z " + from:          whole[k : k+1],
			"select z from (select w.c" + itoa(k) + " as z " + from + ") v":    whole[k : k+1],
			"with v as materialized (select w.* " + from + ") select v from v": whole,
		} {
			if outer := queryIn(analyzer, c, wrapped); outer != nil {
				grown(t, wrapped, inner, outer, kept)
			}
		}
	})
}

// queryIn is the analysis of a text that is one understood query, of known columns; nil for any other.
func queryIn(analyzer *Analyzer, c *Catalogue, sql string) *Analysis {
	b, err := analyzer.Analyze(sql, c, testState())
	if err != nil || len(b.Statements) != 1 {
		return nil
	}
	a := b.Statements[0]
	if a.Verb != "Select" || a.Why != "" || !a.OutputsKnown || len(a.Outputs) == 0 {
		return nil
	}
	return a
}

// grown holds a query around another to what the other showed in the outputs that it keeps.
func grown(t *testing.T, sql string, inner, outer *Analysis, kept []Output) {
	var shown []string
	proven := true
	for _, o := range outer.Outputs {
		shown = append(shown, o.Fields...)
		proven = proven && o.Proven
	}
	steers := slices.Concat(outer.Tested, outer.Looked)
	for _, o := range kept {
		if !contains(shown, o.Fields) || proven && !o.Proven {
			t.Fatalf("%s\n%s\n%s", sql, render(inner), render(outer))
		}
	}
	if !contains(steers, inner.Tested) || !contains(steers, inner.Looked) {
		t.Fatalf("%s\n%s\n%s", sql, render(inner), render(outer))
	}
}
