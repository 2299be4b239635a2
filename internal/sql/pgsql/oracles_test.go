package pgsql

import (
	"slices"
	"strings"
	"testing"
)

// failing are expressions that fail, or not, depending on the value of email or of notes.
var failing = []string{
	`jsonb_path_query_first(to_jsonb(email), '$.double()')`, `jsonb_path_query_array(notes, 'strict $.a')`,
	`jsonb_path_exists(notes, 'strict $.a')`, `jsonb_path_match(notes, '$.a')`, `notes @? '$.a.datetime() < "2020-01-01".datetime()'`,
	`notes @@ '$.a == 1'`, `jsonb_set(notes, '{a}', '1')`, `jsonb_insert(notes, '{a,0}', '1')`, `jsonb_set_lax(notes, '{a}', null, true, 'raise_exception')`,
	`format(replace(email, 'a@b.c', '%'))`, `format('%s', email)`, `array_agg(string_to_array(email, 'a'))`, `array_agg(array[string_to_array(email, 'a')])`,
	`array[array['x'], string_to_array(email, 'a')]`, `array[string_to_array(email, 'a'), string_to_array('x', 'y')]`,
	`string_to_array(email, 'a') || array[['x']]`, `string_to_array(email, 'a') || string_to_array(name, 'a')`, `array[email] || array[['x']]`,
	`string_to_array(email, 'a') || name`, `notes || '1'`, `notes || notes`, `array_cat(string_to_array(email, 'a'), array[['x']])`,
	`array_append(string_to_array(email, 'a'), 'x')`, `array(select string_to_array(email, 'a') from orders)`,
	`array_position(string_to_array(email, 'a'), 'x')`, `array_remove(string_to_array(email, 'a'), 'x')`,
	`email like 'abc\'`, `email ilike 'abc\'`, `email not like 'abc\'`, `pg_catalog.like(email, 'abc\')`, `coalesce(email, '')::int`,
	`email::date`, `email::"char"`, `to_number(email, '9')`, `to_date(email, 'YYYY')`, `to_timestamp(email, 'YYYY')`, `chr(ascii(email))`, `repeat('x', ascii(email))`,
	`substr('x', 1, ascii(email))`, `left('x', ascii(email))`, `split_part('x', 'y', ascii(email))`, `split_part('a', email, 0)`, `lpad('x', ascii(email))`,
	`overlay('x' placing 'y' from ascii(email))`, `convert_to(email, 'LATIN1')`, `convert_from(email::bytea, 'UTF8')`, `decode(email, 'hex')`,
	`encode('x', email)`, `1 / nullif(ascii(email), 5)`, `ln(ascii(email))`, `sqrt(ascii(email))`, `power(10, ascii(email))`, `ascii(email) + 1`,
	`width_bucket(ascii(email), 1, 2, 3)`, `regexp_replace('x', email, '')`, `'x' ~ email`, `'x' similar to email`, `email::json`, `to_json(email)::text::int`,
	`notes['a']::int`, `to_tsquery(email)`, `abs(ascii(email))`, `date_trunc(email, now())`, `now() at time zone email`, `extract(epoch from email::interval)`,
	`bit_and(email::bit(3))`, `sum(ascii(email))`, `to_char(ascii(email), '9V999999999')`, `to_jsonb(email::json)`, `json_strip_nulls(email::json)`,
	`email::json -> 'a'`, `to_json(notes) ->> 'a'`, `json_extract_path_text(to_json(notes), 'a')`, `xmlparse(document email)`, `make_date(ascii(email), 1, 1)`,
	`email::varchar::bpchar::uuid`, `bpchar(email, 5, false)`, `random(1, ascii(email))`, `length(email::bytea, 'UTF8')`, `generate_series(1, 2, ascii(email))`,
	// These fail wherever there is a value, and so tell whether there is one.
	`substr(email, 1, -1)`, `email ~ '['`, `email ~ 'a{2,1}'`, `email ~ '^*'`, `email !~* $1`, `regexp_replace(email, '[', '')`, `regexp_replace(email, 'a', '', 'q!')`,
	`regexp_match(email, 'a', 'g')`, `regexp_count(email, 'a', 0)`, `substring(email from '(')`, `split_part(email, 'x', 0)`, `overlay(email placing 'x' from 0)`,
	`lpad(email, 2000000000)`, `encode(sha256(email::bytea), 'x')`, `is_normalized(email, 'x')`, `extract(hour from email::date)`, `substring(email from 1 for -1)`,
	`strpos(email collate loose, 'x')`, `email collate loose`, `email collate public."C"`,
	// These aim at the server's limit of 1 GiB for a value.
	`repeat('x', 1073741700) || replace(email, 'a', '')`, `replace(email, 'a', repeat('x', 1073741800))`, `replace(replace(email, 'a', 'xxxx'), 'x', 'yyyy')`,
	`lpad('x', 1073741700) || email`, `concat(repeat('x', 1073741700), email)`, `concat_ws(repeat('x', 500000000), email, name, email)`,
	`(select string_agg('x', '') from generate_series(1, 1073741700)) || email`, `'x'::char(10485760) || email`, `array_to_string(array[email, email], repeat('x', 900000000))`,
	`string_agg(email, '')`, `json_agg(email)`, `array_agg(email)`, `regexp_replace(email, 'a', repeat('x', 1000000000), 'g')`,
}

// safe are expressions that give an answer whatever the value is.
var safe = []string{
	`email`, `email || ' '`, `name || ' <' || email || '>'`, `coalesce(name, '') || ' ' || coalesce(email, 'none')`, `id || '/' || email`,
	`upper(email)`, `lower(left(email, 1)) || '***'`, `md5(email)`, `concat(name, ' ', email)`, `concat_ws(', ', name, email)`, `replace(email, '@', ' at ')`,
	`left(email, 3)`, `right(email, -2)`, `split_part(email, '@', 1)`, `substring(email from 1 for 3)`, `lpad(email, 10)`, `btrim(email)`,
	`email = 'x'`, `email is null`, `email::text`, `email::varchar(3)`, `array[email, ssn]`, `string_to_array(email, ',')`, `notes -> 'a' ->> 'b'`, `notes #>> '{a,b}'`,
	`notes['a']['b']`, `to_json(c)`, `row_to_json(c)`, `count(email)`, `max(email)`, `max(email) || '!'`, `greatest(email, ssn)`, `nullif(email, 'x')`, `email ~ 'x'`,
	`email ~ '^[a-z.]+@(mail|post)'`, `regexp_replace(email, '^.*@', 'x@', 'g')`, `email collate "C"`, `lower(email) collate pg_catalog."en_US"`,
	`(select c.email) || 'x'`, `extract(year from born)`, `jsonb_typeof(notes)`, `email || $1`,
}

// TestFailingIsTested: what may fail on some values tests the fields that they are in, in every place of a query.
func TestFailingIsTested(t *testing.T) {
	c := testCatalogue(t)
	for _, e := range failing {
		for _, sql := range []string{"select %s from customers c", "select x from (select %s as x from customers c) q",
			"select 1 from (select %s as x from customers c offset 0) q", "with q as (select %s from customers c) select 1",
			"select case when 1 = 1 then 1 else (select max(1) from (select %s from customers c) q) end"} {
			sql = strings.ReplaceAll(sql, "%s", e)
			b, err := New(Limits{}).Analyze(sql, c, testState())
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			a := b.Statements[0]
			if !slices.ContainsFunc(a.Tested, func(f string) bool {
				return strings.HasSuffix(f, "customers.email") || strings.HasSuffix(f, "customers.notes")
			}) && a.Why == "" {
				t.Errorf("%s tests nothing:\n%s", sql, render(a))
			}
		}
	}
}

// TestTotalIsNotTested: what is refused on masked columns is no more than it must be.
func TestTotalIsNotTested(t *testing.T) {
	c := testCatalogue(t)
	for _, e := range safe {
		for _, sql := range []string{"select " + e + " from customers c", "select x from (select " + e + " from customers c) q(x)"} {
			if a := analyse(t, c, testState(), sql); len(a.Tested) > 0 || a.Why != "" {
				t.Errorf("%s tests:\n%s", sql, render(a))
			}
		}
	}
}

// TestLengthsAddUp: a value that is doubled again and again may get too long, and then tells how long it was.
func TestLengthsAddUp(t *testing.T) {
	c := testCatalogue(t)
	doubled := "with a0 as (select 'x' as x)"
	for i := range 12 {
		doubled += ", a" + itoa(i+1) + " as (select x || x as x from a" + itoa(i) + ")"
	}
	for _, sql := range []string{
		doubled + " select a12.x || email from customers, a12",
		"with recursive a(x) as (select 'x' union all select x || x from a where length(x) < 1000000000) select a.x || email from a, customers",
	} {
		if a := analyse(t, c, testState(), sql); !slices.Contains(a.Tested, "db/public.customers.email") {
			t.Errorf("%s:\n%s", sql, render(a))
		}
	}
}

// TestUnknownFunctionsSteer: what a function may have read must not decide, nor be kept; to show it, hidden, is enough.
func TestUnknownFunctionsSteer(t *testing.T) {
	c := testCatalogue(t)
	for sql, want := range map[string]bool{
		"select id from customers where secret_of(id) = 'x'":                           true,
		"select id from customers order by secret_of(id)":                              true,
		"select s.id from (select id, secret_of(id) x from customers) s where x > 'a'": true,
		"select 1 limit (select length(secret_of(1)))":                                 true,
		"insert into audited values (1, secret_of(1))":                                 true,
		"update audited set note = secret_of(1)":                                       true,
		"execute q(secret_of(1))":                                                      true,
		"alter table audited alter note set default secret_of(1)":                      true,
		"prepare p as select id from customers where secret_of(id) = 'x'":              true,
		"create foreign table f (x text) server s":                                     true,
		"import foreign schema a from server s into public":                            true,
		"select secret_of(1)":                                                          false,
		"select secret_of(id) from customers where id = 1":                             false,
		"select id from customers where lower(name) = 'x' order by now()":              false,
		"insert into audited values (1, upper('x'))":                                   false,
	} {
		if a := analyse(t, c, testState(), sql); a.TestsUnknown != want {
			t.Errorf("%s: %v, want %v\n%s", sql, a.TestsUnknown, want, render(a))
		}
	}
}
