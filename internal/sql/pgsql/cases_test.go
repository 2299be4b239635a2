package pgsql

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

var update = flag.Bool("update", false, "write what the analysis says now into testdata; read the difference before you keep it")

// testCatalogue is the catalogue of testdata/schema.sql, as a PostgreSQL 15 gave it.
func testCatalogue(t testing.TB) *Catalogue {
	t.Helper()
	text, err := os.ReadFile("testdata/catalogue.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCatalogue("db", text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testState() State {
	return State{
		Path: []string{"pg_catalog", "public"}, User: "app", SessionUser: "app",
		StandardConformingStrings: true, ClientEncoding: "UTF8",
	}
}

// render writes an analysis on a few lines, for people to read and for tests to compare.
func render(a *Analysis) string {
	short := strings.NewReplacer("db/public.", "", "postgres:", "")
	list := func(s []string) string { return strings.Join(s, ",") }
	var b strings.Builder
	for i, x := range a.Actions {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(x.Name + " " + x.Resource)
		if len(x.Fields) > 0 {
			cut := make([]string, len(x.Fields))
			for k, f := range x.Fields {
				cut[k] = strings.TrimPrefix(f, x.Resource+".")
			}
			b.WriteString("(" + list(cut) + ")")
		}
	}
	for i, x := range a.Related {
		if i == 0 {
			b.WriteString("\n  related: ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(x.Name + " " + x.Resource)
		if len(x.Fields) > 0 {
			b.WriteString("(" + strings.ReplaceAll(list(x.Fields), x.Resource+".", "") + ")")
		}
	}
	var outs []string
	for _, o := range outputsOf(a) {
		s := o.Name + "=" + list(o.Fields)
		if o.Bare {
			s += "*"
		}
		if !o.Proven {
			s += "?"
		}
		outs = append(outs, s)
	}
	if len(outs) > 0 {
		b.WriteString("\n  out: " + strings.Join(outs, " | "))
	}
	for _, l := range []struct {
		name string
		v    []string
	}{{"tested", a.Tested}, {"looked", a.Looked}, {"copied", a.Copied}} {
		if len(l.v) > 0 {
			b.WriteString("\n  " + l.name + ": " + list(l.v))
		}
	}
	if f := flags(a); f != "" {
		b.WriteString("\n  is: " + f)
	}
	return short.Replace(b.String())
}

func outputsOf(a *Analysis) []Output {
	if a.Copy != nil {
		return a.Copy.Outputs
	}
	return a.Outputs
}

func flags(a *Analysis) string {
	var f []string
	add := func(is bool, word string) {
		if is {
			f = append(f, word)
		}
	}
	add(a.ReturnsRows && !a.OutputsKnown || a.Copy != nil && !a.Copy.OutputsKnown, "columns-unknown")
	add(!a.Bounded, "unbounded")
	add(a.ChangesState, "changes-state")
	add(a.ChangesCatalogue, "changes-catalogue")
	add(a.Tx != TxNone, fmt.Sprintf("tx=%d", a.Tx))
	if a.Set != nil {
		f = append(f, fmt.Sprintf("set=%+v", *a.Set))
	}
	add(a.Execute != "", "execute="+a.Execute)
	add(a.Fetch != "", "fetch="+a.Fetch)
	for _, b := range a.Bound {
		f = append(f, fmt.Sprintf("%s->%s", a.Text[b.Span.Start:b.Span.End], strings.Join(b.Fields, ",")))
	}
	params := make([]int, 0, len(a.ParamFields))
	for n := range a.ParamFields {
		params = append(params, n)
	}
	slices.Sort(params)
	for _, n := range params {
		f = append(f, fmt.Sprintf("$%d->%s", n, strings.Join(a.ParamFields[n], ",")))
	}
	add(len(a.Secrets) > 0, fmt.Sprintf("secrets=%d", len(a.Secrets)))
	add(a.Why != "", "("+a.Why+")")
	return strings.Join(f, " ")
}

// describe analyses one line of cases.txt.
func describe(t testing.TB, c *Catalogue, sql string) string {
	b, err := New(Limits{}).Analyze(sql, c, testState())
	if err != nil {
		say, _ := fault.Say(err)
		return fault.KindOf(err).String() + ": " + say
	}
	if len(b.Statements) == 0 {
		return "nothing"
	}
	parts := make([]string, len(b.Statements))
	for i, a := range b.Statements {
		parts[i] = render(a)
	}
	return strings.Join(parts, "\n  then: ")
}

type testCase struct{ sql, want string }

// readCases reads testdata/cases.txt: a statement on a line, what is expected of it on the indented lines below.
func readCases(t testing.TB) []testCase {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []testCase
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "## ") || strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "  "):
			last := &cases[len(cases)-1]
			if last.want != "" {
				last.want += "\n"
			}
			last.want += line
		default:
			cases = append(cases, testCase{sql: line})
		}
	}
	return cases
}

// TestCases holds every statement of testdata/cases.txt to what is written there. The answers were read one by one; a
// difference is a change of meaning.
func TestCases(t *testing.T) {
	c := testCatalogue(t)
	if *update {
		rewriteCases(t, c)
	}
	cases := readCases(t)
	if len(cases) < 500 {
		t.Fatalf("only %d cases were read", len(cases))
	}
	for _, tc := range cases {
		if got := "  " + describe(t, c, tc.sql); got != tc.want {
			t.Errorf("%s\n got:\n%s\nwant:\n%s", tc.sql, got, tc.want)
		}
	}
}

func rewriteCases(t *testing.T, c *Catalogue) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		b.WriteString(line + "\n")
		if line != "" && !strings.HasPrefix(line, "##") {
			b.WriteString("  " + describe(t, c, line) + "\n")
		}
	}
	if err := os.WriteFile("testdata/cases.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
