package pgsql

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// analyse analyses one statement that must parse.
func analyse(t testing.TB, c *Catalogue, s State, sql string) *Analysis {
	t.Helper()
	b, err := New(Limits{}).Analyze(sql, c, s)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(b.Statements) != 1 {
		t.Fatalf("%s: %d statements", sql, len(b.Statements))
	}
	return b.Statements[0]
}

// does says whether an analysis holds an action by name and resource, without prefix and connection.
func does(a *Analysis, verb, resource string) bool {
	for _, x := range a.Actions {
		if x.Name == Prefix+verb && (x.Resource == "db/"+resource || resource == "" && x.Resource == "db") {
			return true
		}
	}
	return false
}

// TestNames resolves names in different states of the session, where something shadows something else.
func TestNames(t *testing.T) {
	c := testCatalogue(t)
	path := func(temp []string, schemas ...string) State {
		s := testState()
		s.Path, s.Temp = schemas, temp
		return s
	}
	for _, tc := range []struct {
		name, sql, verb, resource string
		state                     State
	}{
		{"first schema of the path", "select 1 from customers", "Select", "other.customers", path(nil, "pg_catalog", "other", "public")},
		{"second schema of the path", "select 1 from orders", "Select", "public.orders", path(nil, "pg_catalog", "other", "public")},
		{"not in the path", "select 1 from customers", "Opaque", "", path(nil, "pg_catalog")},
		{"no path at all", "select 1 from customers", "Opaque", "", path(nil)},
		{"pg_catalog after a user's schema", "select 1 from pg_class", "Describe", "pg_catalog.pg_class", path(nil, "public", "pg_catalog")},
		{"temporary table shadows", "select 1 from customers", "Opaque", "", path([]string{"customers"}, "pg_temp_3", "pg_catalog", "public")},
		{"another temporary table", "select 1 from customers", "Select", "public.customers", path([]string{"x"}, "pg_temp_3", "pg_catalog", "public")},
		{"temporary table after", "select 1 from customers", "Select", "public.customers", path([]string{"customers"}, "pg_catalog", "public", "pg_temp_3")},
		{"temporary target", "delete from customers where id = 1", "Opaque", "", path([]string{"customers"}, "pg_temp_3", "pg_catalog", "public")},
		{"temporary type", "select 'x'::text", "Opaque", "", path([]string{"text"}, "pg_temp_3", "pg_catalog", "public")},
		{"function of a user in the path", "select lower('x')", "Call", "evil.lower", path(nil, "pg_catalog", "public", "evil")},
		{"function of a user, qualified away", "select pg_catalog.lower('x')", "Evaluate", "", path(nil, "evil", "pg_catalog")},
		{"operator of a user in the path", "select id from customers where name = 'x'", "Call", "evil.=", path(nil, "pg_catalog", "public", "evil")},
		{"operator by IN", "select id from customers where name in ('x')", "Call", "evil.=", path(nil, "pg_catalog", "public", "evil")},
		{"operator by USING", "select 1 from orders join payments using (id)", "Call", "evil.=", path(nil, "pg_catalog", "public", "evil")},
		{"operator by CASE", "select case name when 'x' then 1 end from customers", "Call", "evil.=", path(nil, "pg_catalog", "public", "evil")},
		{"operator by NULLIF", "select nullif('a', 'b')", "Call", "evil.=", path(nil, "pg_catalog", "evil")},
		{"operator by ANY", "select 'a' = any (select 'b')", "Call", "evil.=", path(nil, "pg_catalog", "evil")},
		{"type of a user in the path", "select name::text from customers", "Select", "public.customers", path(nil, "evil", "pg_catalog", "public")},
	} {
		if a := analyse(t, c, tc.state, tc.sql); !does(a, tc.verb, tc.resource) {
			t.Errorf("%s: %s\n%s", tc.name, tc.sql, render(a))
		}
	}
}

// TestUnknownIsOpaque gives the analysis what it has no rule for.
func TestUnknownIsOpaque(t *testing.T) {
	c := testCatalogue(t)
	for _, sql := range []string{
		"select json_object('a': 1)", "select json_array(1)", "select json_value('{}', '$.a')", "select '{}' is json",
		"select * from json_table('{}', '$' columns (a int path '$.a')) t", "select json_scalar(1)", "select json_serialize('1')",
		"select system_user", "select * from customers c, xmltable(xmlnamespaces('x' as y), '/a' passing nosuch columns a text) x",
		"select c.nosuch from customers c", "select 'x'::customers.email%type", "select * from a.b.c.d",
		"do $$ begin end $$", "select query_to_xml('select 1', true, true, '')",
	} {
		b, err := New(Limits{}).Analyze(sql, c, testState())
		if err != nil {
			if fault.KindOf(err) != fault.Malformed {
				t.Errorf("%s: %v", sql, err)
			}
			continue
		}
		a := b.Statements[0]
		if !does(a, "Opaque", "") || a.Why == "" || !a.ChangesState || !a.ChangesCatalogue {
			t.Errorf("%s is not opaque:\n%s", sql, render(a))
		}
	}
}

// TestEveryVerbIsListed keeps the closed list closed: whatever the cases did is in it.
func TestEveryVerbIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, v := range Verbs() {
		if listed[v.Name] || v.About == "" {
			t.Errorf("the verb %s is listed twice or says nothing", v.Name)
		}
		listed[v.Name] = true
	}
	c := testCatalogue(t)
	for _, tc := range readCases(t) {
		b, err := New(Limits{}).Analyze(tc.sql, c, testState())
		if err != nil {
			continue
		}
		for _, a := range b.Statements {
			if len(a.Actions) == 0 {
				t.Errorf("%s: no action", tc.sql)
			}
			for _, x := range a.Actions {
				if !listed[strings.TrimPrefix(x.Name, Prefix)] {
					t.Errorf("%s: %s is not listed", tc.sql, x.Name)
				}
			}
		}
	}
}

// TestAdmit refuses what the server would read otherwise than the parser.
func TestAdmit(t *testing.T) {
	c := testCatalogue(t)
	with := func(change func(*State)) State {
		s := testState()
		change(&s)
		return s
	}
	loose := with(func(s *State) { s.StandardConformingStrings = false })
	sjis := with(func(s *State) { s.ClientEncoding = "SJIS" })
	for _, tc := range []struct {
		name, sql string
		s         State
		kind      fault.Kind
	}{
		{"zero byte", "select 1\x00", testState(), fault.Malformed},
		{"not UTF-8", "select '\xff'", testState(), fault.Malformed},
		{"overlong UTF-8", "select '\xc0\xa7'", testState(), fault.Malformed},
		{"backslash under loose strings", `select '\'' or 1=1 --'`, loose, fault.Denied},
		{"trailing byte that hides a quote", "select '\x83\x5c'", sjis, fault.Denied},
		{"too long", "select '" + strings.Repeat("x", 1<<20) + "'", testState(), fault.Denied},
		{"a megabyte of space before DROP", strings.Repeat(" ", 1<<20) + "drop table customers", testState(), fault.Denied},
		{"does not parse", "selec 1", testState(), fault.Malformed},
		{"unfinished string", "select 'secret", testState(), fault.Malformed},
		{"unfinished comment", "select 1 /* secret", testState(), fault.Malformed},
		{"unfinished dollar", "select $a$secret", testState(), fault.Malformed},
		{"error near a value", "select 'secret' 'secret'", testState(), fault.Malformed},
		{"many statements", strings.Repeat("select 1;", 1001), testState(), fault.Denied},
	} {
		_, err := New(Limits{}).Analyze(tc.sql, c, tc.s)
		if fault.KindOf(err) != tc.kind || err == nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error echoes a value: %v", tc.name, err)
		}
	}
	if _, err := New(Limits{}).Analyze("select 'éé' from from", c, testState()); !positioned(err, 18) {
		t.Errorf("the position is missing: %v", err)
	}
	if _, err := New(Limits{}).Analyze("select 'a' from customers", c, sjis); err != nil {
		t.Errorf("plain ASCII is fine in any encoding: %v", err)
	}
}

func positioned(err error, at int) bool {
	var e *SyntaxError
	return errors.As(err, &e) && e.Position == at
}

// TestBatch cuts a text into its statements, byte for byte.
func TestBatch(t *testing.T) {
	c := testCatalogue(t)
	text := "  select 'é;' ; -- note\n delete from orders where id = 1 ;; /* a */ begin;\n"
	b, err := New(Limits{}).Analyze(text, c, testState())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"select 'é;'", "-- note\n delete from orders where id = 1", "/* a */ begin"}
	if len(b.Statements) != len(want) {
		t.Fatalf("%d statements", len(b.Statements))
	}
	for i, a := range b.Statements {
		if a.Text != want[i] || text[a.Offset:a.Offset+len(a.Text)] != a.Text {
			t.Errorf("statement %d is %q, want %q", i, a.Text, want[i])
		}
	}
	if got := b.Statements[1].Normal; got != "delete from orders where id = ?" {
		t.Errorf("normal text is %q", got)
	}
}

// TestLiterals finds every way to write a value, and nothing else.
func TestLiterals(t *testing.T) {
	c := testCatalogue(t)
	for sql, want := range map[string]string{
		`select 'a''b', E'c\'d', $$e$$, $x$f$$g$x$, b'1', x'F', U&'\0041', n'h', 1, 2.5, 1e3, .5`: `'a''b'|E'c\'d'|$$e$$|$x$f$$g$x$|b'1'|x'F'|U&'\0041'|'h'|1|2.5|1e3|.5`,
		"select 'a'\n'b', \"c\", $1 -- 'd'\n/* 'e' */":                                            "'a'\n'b'",
		`select -5, date '2020-01-01', interval '1' day, true, null`:                              `5|'2020-01-01'|'1'`,
	} {
		a := analyse(t, c, testState(), sql)
		var got []string
		for _, s := range a.Literals {
			got = append(got, a.Text[s.Start:s.End])
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

// TestParseRefusesBrokenAnswers: an answer that is not whole is no catalogue and no state.
func TestParseRefusesBrokenAnswers(t *testing.T) {
	for _, text := range []string{"", "null", "{}", "[]", `{"version":150000}`, `{"version":150000,"encoding":"UTF8","relations":[]}`,
		`{"version":150000,"encoding":"UTF8","relations":[{"o":1,"s":"a","n":"b","k":""}]}`,
		`{"version":150000,"encoding":"UTF8","relations":[{"o":1,"s":"a","n":"b","k":"r","c":[["x"]]}]}`} {
		if _, err := ParseCatalogue("db", []byte(text)); fault.KindOf(err) != fault.Backend {
			t.Errorf("catalogue %q: %v", text, err)
		}
		if _, err := ParseState([]byte(text)); fault.KindOf(err) != fault.Backend {
			t.Errorf("state %q: %v", text, err)
		}
	}
}

// TestExecutes finds every prepared statement that a statement runs, wherever it stands.
func TestExecutes(t *testing.T) {
	c := testCatalogue(t)
	for sql, want := range map[string]string{
		"execute q": "q", `execute "Q q"(1, 'a')`: "Q q", "explain execute q": "q", "explain analyze execute q(1)": "q",
		"explain (analyze, buffers) execute q": "q", "create table x as execute q": "q", "create temp table x as execute q(1) with no data": "q",
		"explain create table x as execute q": "q", "explain analyze create table x as execute q": "q",
		"select 1": "", "prepare q as select 1": "", "deallocate q": "", "explain select 1": "",
	} {
		if got := strings.Join(analyse(t, c, testState(), sql).Executes, ","); got != want {
			t.Errorf("%s runs %q", sql, got)
		}
	}
	for _, sql := range []string{"prepare p as execute q", "declare c cursor for execute q", "copy (execute q) to stdout",
		"with a as (execute q) select 1", "select (execute q)", "create view v as execute q", "explain explain execute q"} {
		if _, err := New(Limits{}).Analyze(sql, c, testState()); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: the grammar allows it now: %v", sql, err)
		}
	}
}
