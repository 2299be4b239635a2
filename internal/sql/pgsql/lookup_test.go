package pgsql

import (
	"slices"
	"testing"
)

const lookedEmail = "db/public.customers.email"

// TestLookups: one constant against a whole column, among conditions that must all hold, is a lookup.
func TestLookups(t *testing.T) {
	c := testCatalogue(t)
	for _, sql := range []string{
		`select id from customers where email = $1`, `select id from customers where email = 'a'`, `select id from customers where 'a' = email`,
		`select c.name, c.email from public.customers c where c.email = $1 and c.id > 3 and not c.name = 'x'`,
		`select id from customers where (id = 3 and (email = $1)) limit 1`, `select id from customers where email = $1::text`,
		`select id from customers where email = $1::varchar and created_at > now() - interval '1 day'`,
		`select a from customers as q(a, b) where b = $1`, `select count(*) from customers where email = $1`,
		`update customers set name = $2 where email = $1 returning id`, `delete from customers where email = $1`,
		`select id from customers where email = $1 for update`, `prepare p as select id from customers where email = $1`,
		`select id from only customers where email = $1 and ssn = $2`,
	} {
		if a := analyse(t, c, testState(), sql); !slices.Contains(a.Looked, lookedEmail) || slices.Contains(a.Tested, lookedEmail) || a.Why != "" {
			t.Errorf("%s is no lookup:\n%s", sql, render(a))
		}
	}
	a := analyse(t, c, testState(), `select who from events where detail = $1`)
	for _, f := range []string{"db/public.events.detail", "db/public.events_2024.detail", "db/public.events_2025.detail"} {
		if !slices.Contains(a.Looked, f) {
			t.Errorf("a lookup in a partitioned table does not look %s up", f)
		}
	}
}

// attacksOnLookups ask for more than whether one value is there, or where it tells more.
var attacksOnLookups = []string{
	`select id from customers where email = 'a' or id = 1`, `select id from customers where (email = 'a' or email = 'b') and id = 1`,
	`select id from customers where email in ('a')`, `select id from customers where email in ('a', 'b')`, `select id from customers where not email = 'a'`,
	`select id from customers where email <> 'a'`, `select id from customers where email > 'a'`, `select id from customers where email like 'a'`,
	`select id from customers where email between 'a' and 'a'`, `select id from customers where email is not distinct from 'a'`,
	`select id from customers where lower(email) = 'a'`, `select id from customers where email::bytea = 'a'`, `select id from customers where email::text = 'a'`,
	`select id from customers where left(email, 1) = 'a'`, `select id from customers where email || '' = 'a'`, `select id from customers where (email) collate "C" = 'a'`,
	`select id from customers where email = lower('a')`, `select id from customers where email = 'a' || $1`, `select id from customers where email = $1::varchar(3)`,
	`select id from customers where email = $1::bpchar`, `select id from customers where email = any ($1)`, `select id from customers where email = any (array['a'])`,
	`select id from customers where email = all (array['a'])`, `select id from customers where email = (select 'a')`,
	`select id from customers where email = (select max(name) from customers)`, `select id from customers where email = email`,
	`select id from customers where email = name`, `select id from customers where (email, id) = ('a', 1)`, `select id from customers where row(email) = row('a')`,
	`select id from customers where email = case when id = 1 then 'a' end`, `select id from customers where case when email = 'a' then true end`,
	`select id from customers where coalesce(email = 'a', true)`, `select id from customers where (email = 'a') is true`, `select id from customers where (email = 'a') = true`,
	`select id from customers where email = 'a' and email = 'b'`, `select id from customers where email = $1 and email = $1`,
	`select id from customers where email = $1 and ssn > email`, `select id from customers where email = $1 order by email`,
	`select id from customers where email = $1 group by id, email`, `select count(*) from customers group by id having min(email) = 'a'`,
	`select id from customers where email = $1 group by id having max(email) = 'a'`, `select email = $1 and random(1, ascii(email)) = 1 from customers`,
	`select c.id from customers c join orders o on c.email = $1`, `select c.id from customers c, orders o where c.email = $1`,
	`select c.id from customers c join orders o on o.customer_id = c.id where c.email = $1`, `select id from (select * from customers) c where email = $1`,
	`select id from customers tablesample system (10) where email = $1`, `select (select id from customers where email = $1)`,
	`select 1 where exists (select 1 from customers where email = $1)`, `select 1 from orders where customer_id in (select id from customers where email = $1)`,
	`with q as (select id from customers where email = $1) select * from q`, `with q as (select 1) select id from customers where email = $1`,
	`select id from customers where email = 'a' union all select id from customers where email = 'b'`,
	`select id from contacts where email = $1`, `select id from everything where email = $1`, `select id from recent_contacts where address = $1`,
	`select id into loot from customers where email = $1`, `create table loot as select id from customers where email = $1`,
	`copy (select id from customers where email = $1) to stdout`, `explain select id from customers where email = $1`,
	`explain analyze select id from customers where email = $1`, `declare c cursor for select id from customers where email = 'a'`,
	`update customers c set name = 'x' from orders o where c.email = $1`, `delete from customers using orders where email = $1`,
	`insert into orders select id, id, 1 from customers where email = $1`, `merge into orders o using customers c on c.email = $1 when matched then delete`,
	`select id from customers where email operator(evil.=) 'a'`, `select id, count(*) filter (where email = $1) from customers group by id`,
	`select count(*) over (partition by email = $1) from customers`, `select distinct on (email = $1) id from customers`,
}

// TestAttacksOnLookups: what is not a lookup, in every form that looks like one, tests the field.
func TestAttacksOnLookups(t *testing.T) {
	c := testCatalogue(t)
	for _, sql := range attacksOnLookups {
		if a := analyse(t, c, testState(), sql); !slices.Contains(a.Tested, lookedEmail) && a.Why == "" {
			t.Errorf("%s tests nothing:\n%s", sql, render(a))
		}
	}
	evil := testState()
	evil.Path = []string{"evil", "pg_catalog", "public"}
	if a := analyse(t, c, evil, `select id from customers where email = 'a'`); !slices.Contains(a.Tested, lookedEmail) {
		t.Errorf("an operator of a user's passes for =:\n%s", render(a))
	}
	if a := analyse(t, c, testState(), `select id from customers where notes = '{}'`); !slices.Contains(a.Tested, "db/public.customers.notes") {
		t.Errorf("a document can be looked up by:\n%s", render(a))
	}
}
