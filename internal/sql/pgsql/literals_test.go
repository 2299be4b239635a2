package pgsql

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"pgregory.net/rapid"
)

// TestLiteralMatters names the places where a value is read, and some where only its place counts.
func TestLiteralMatters(t *testing.T) {
	c := testCatalogue(t)
	for sql, want := range map[string]bool{
		"select set_config('role', 'x', false)":                                             true,
		"select 1 from customers where id = 1 and current_setting('data_directory') = 'a'":  true,
		"select nextval('orders_id_seq')":                                                   true,
		"select setval('orders_id_seq'::regclass, 5)":                                       true,
		"insert into orders (id) values (currval('orders_id_seq'))":                         true,
		"select id, email from customers order by 1":                                        true,
		"select id, email from customers order by -1":                                       true,
		"select id from customers group by rollup (1)":                                      true,
		"select distinct on (2) id, email from customers":                                   true,
		"(select id from customers) union all (select id from orders) order by 1":           true,
		"select 1 from (select id, email from customers order by 2 limit 1) x":              true,
		"update customers set name = 'a' where name like '%'":                               true,
		"delete from customers where not (name ilike 'a')":                                  true,
		"delete from customers where id in (select id from orders where status like '%')":   true,
		"merge into customers c using orders o on c.name like '%' when matched then delete": true,
		"with d as (delete from orders where status like '%x') select 1":                    true,
		"select 1::float(10)":                            true,
		`select U&"d!0061ta" uescape '!' from customers`: true,
		"set work_mem = '4MB'":                           true,
		"explain (format 'json') select 1":               true,
		"prepare p as select 1":                          true,
		"declare p cursor for select 1":                  true,
		"execute p(1)":                                   true,
		"copy customers to stdout with (delimiter ',')":  true,
		"alter role app password 'x'":                    true,
		"notify x, 'y'":                                  true,
		"create table x (a int default 5)":               true,

		"begin":                    false,
		"set search_path = public": false,
		"select email from customers where id = 5":                        false,
		"select email from customers where name like 'a%' limit 3":        false,
		"insert into orders (id, total) values (1, 2.5), (3, -4)":         false,
		"update orders set total = 5 where id = 1 and status in ('a')":    false,
		"delete from orders where id between 1 and 3":                     false,
		"select count(*) from orders where status = 'a' and total > 10.5": false,
	} {
		if a := analyse(t, c, testState(), sql); a.LiteralMatters != want {
			t.Errorf("%s: LiteralMatters is %v", sql, a.LiteralMatters)
		}
	}
}

// otherStrings and otherNumbers stand for any: those that mean something somewhere are among them.
var (
	otherStrings = []string{"''", "'%'", "'role'", "'search_path'", "'data_directory'", "'orders_id_seq'", "'customers'",
		"'public.orders'", "'true'", "'f'", "'2'", "'x''y'", "'json'", "'on'", "'%a_'", "'1 day'", "'{a,b}'", "'$.a'"}
	otherNumbers = []string{"0", "1", "2", "3", "7", "53", "1.5", "99999999999999999999", "0.0"}
)

// TestOtherLiterals puts other literals of the same kind into the texts of every case and of some templates: where
// LiteralMatters is false, the analysis stays.
func TestOtherLiterals(t *testing.T) {
	c := testCatalogue(t)
	texts := append(slices.Clone(moreQueries), literalTexts...)
	for _, tc := range readCases(t) {
		texts = append(texts, tc.sql)
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 50 { // rapid's own number of checks is too small for so many texts
			sql := rapid.SampledFrom(texts).Draw(t, "text")
			if tokens, err := scanText(sql); err == nil {
				sameButLiterals(t, c, sql, relit(t, sql, tokens))
			}
		}
	})
}

func sameButLiterals(t *rapid.T, c *Catalogue, sql, other string) {
	x, errX := New(Limits{}).Analyze(sql, c, testState())
	y, errY := New(Limits{}).Analyze(other, c, testState())
	if errX != nil || errY != nil {
		return // a number with a fraction may not stand everywhere
	}
	if len(x.Statements) != len(y.Statements) {
		t.Fatalf("%s\n%s\n%d and %d statements", sql, other, len(x.Statements), len(y.Statements))
	}
	for i := range x.Statements {
		p, q := x.Statements[i], y.Statements[i]
		if p.LiteralMatters != q.LiteralMatters {
			t.Fatalf("%s\n%s\nLiteralMatters differs", sql, other)
		}
		if !p.LiteralMatters && !reflect.DeepEqual(bare(p), bare(q)) {
			t.Fatalf("%s\n%s\n%s\n%s", sql, other, render(p), render(q))
		}
	}
}

// literalTexts have literals wherever a query may have one.
var literalTexts = []string{
	"select 'a', 1, id from customers where id = 1 and name like 'b%' and born > date '2020-01-01' order by 'x', 2 limit 1 offset 2",
	"select substring(email from 1 for 3), extract(year from born), interval '1' day, name || 'x' from customers",
	"update customers set name = 'a', notes = jsonb_set(notes, '{a}', '1') where id = 1 or email = 'x'",
	"delete from orders where 1 = 1 and total * 0 = 0", "delete from orders where id = id + 1", "delete from orders where name like 'a'",
	"delete from customers where name like '%a' escape '!'", "select 1::float(3), 2::numeric(3,1), 'a'::varchar(3)",
	"insert into orders (id, total, status) values (1, -2, 'a'), (3, 4.5, 'b') on conflict (id) do update set total = 5 where orders.id = 1",
	"select sum(total) over (order by 1 rows between 1 preceding and 2 following) from orders group by 1, id having count(*) > 1",
	"select (array['a', 'b'])[1], notes -> 'a' ->> 'b', notes['x'] from customers fetch first 3 rows only",
	"select nextval('x'), currval('orders_id_seq'), current_setting('y'), set_config('role', 'z', true)",
	"select * from customers tablesample system (10) repeatable (3), generate_series(1, 5) g where id in (1, 2, 3)",
	"select case id when 1 then 'a' else 'b' end, coalesce(name, 'c'), nullif(name, 'd') from customers where id = any('{1,2}')",
	"select to_regclass('customers'), 'orders'::regclass, pg_notify('a', 'b'), pg_advisory_lock(1), format('%s', 'x')",
	"select id from customers union select 1 order by 1", "select distinct on (1) id, name from customers", "values (1, 'a'), (2, 'b')",
	"with d as (delete from orders where status like '%' returning id) select * from d where id = 1",
	"merge into orders o using customers c on o.id = 1 when matched and c.name like '%' then delete when not matched then insert (id) values (1)",
	"set work_mem = '4MB'", "prepare p as select 1 order by 1", "explain select 'a'", "copy (select 'a') to stdout with (delimiter ',')",
}

// relit is a text with literals of the same kinds in place of its own.
func relit(t *rapid.T, sql string, tokens []*pg.ScanToken) string {
	var b strings.Builder
	at := 0
	for _, tok := range tokens {
		word := sql[tok.Start:tok.End]
		switch tok.Token {
		case pg.Token_SCONST:
			word = rapid.SampledFrom(otherStrings).Draw(t, "string")
		case pg.Token_ICONST, pg.Token_FCONST:
			word = rapid.SampledFrom(otherNumbers).Draw(t, "number")
		}
		b.WriteString(sql[at:tok.Start] + word)
		at = int(tok.End)
	}
	return b.String() + sql[at:]
}

// bare is an analysis without the places of its literals.
func bare(a *Analysis) *Analysis {
	out := *a
	out.Text, out.Offset = "", 0
	out.Literals, out.Bound, out.Secrets = nil, nil, nil
	for i, l := range a.Literals {
		for _, bound := range a.Bound {
			if bound.Span == l {
				l.Start, l.End = i, i
				out.Bound = append(out.Bound, BoundLiteral{l, bound.Fields})
			}
		}
	}
	return &out
}
