-- The schema that the tests of this package analyse against. testdata/catalogue.json is CatalogueQuery's answer for it.
create type mood as enum ('sad', 'ok', 'happy');
create domain positive as integer check (value > 0);
create table customers (
  id bigint primary key, email text not null, ssn text, card text, phone text, name text,
  notes jsonb, born date, feeling mood, created_at timestamptz default now());
create table orders (
  id bigint primary key, customer_id bigint references customers, total numeric not null, status text, placed_at timestamptz);
create table payments (
  id bigint primary key, order_id bigint references orders, card text, amount numeric, ok boolean);
create view contacts as select id, email, upper(name) as name from customers;
create view recent_contacts as select c.id, c.email as address, o.total
  from contacts c join orders o on o.customer_id = c.id where o.placed_at > now() - interval '1 day';
create materialized view spending as select customer_id, sum(total) as total, max(card) as card
  from orders o join payments p on p.order_id = o.id group by customer_id;
create table events (at timestamptz not null, who bigint, detail text) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create function secret_of(bigint) returns text language sql stable as 'select ssn from public.customers where id = $1';
create function noted() returns trigger language plpgsql as 'begin return new; end';
create procedure tidy() language sql as 'delete from public.orders where false';
create table audited (id integer, note text);
create trigger audited_noted before insert on audited for each row execute function noted();
create table ruled (id integer);
create rule ruled_insert as on insert to ruled do also insert into audited values (new.id, 'ruled');
create sequence ticket;
create schema other;
create table other.customers (id bigint, email text);
create table other.secrets (id integer, value text);
create schema "odd.schema";
create table "odd.schema"."tab/le%" ("co.l" text, "Ünï" text, "q""q" text);
create schema evil;
create function evil.lower(text) returns text language sql as 'select $1';
create function evil.same(text, text) returns boolean language sql as 'select true';
create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
create type evil.text as (a integer);
create view leaky as select id, secret_of(id) as s from customers;
create view everything as select * from customers;
create view stats as select count(*) as n, c.status from orders c group by c.status;
create policy mine on orders using (customer_id = 1);
