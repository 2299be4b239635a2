-- What the attacks are after, on top of the story's tables. Values are set per database, by values.sql.
CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw; CREATE EXTENSION tablefunc; CREATE EXTENSION xml2;
CREATE EXTENSION pageinspect; CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION pg_trgm;

ALTER TABLE customers ADD region text NOT NULL DEFAULT 'north', ADD salary bigint, ADD born date, ADD tags text[];
CREATE INDEX customers_lower_email ON customers (lower(email));
CREATE STATISTICS customers_together (mcv) ON email, region FROM customers;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN short AS text CHECK (length(value) < 12);
CREATE TYPE contact AS (id integer, name text, email text);

CREATE VIEW renamed_contacts (who, reach) AS SELECT name, email FROM customers;
CREATE VIEW nested_contacts AS SELECT who, lower(reach) AS way FROM renamed_contacts;
CREATE VIEW grouped_contacts AS SELECT region, max(email) AS top, count(*) AS n FROM customers GROUP BY region;
CREATE VIEW barrier_contacts WITH (security_barrier) AS SELECT id, email FROM customers;
CREATE MATERIALIZED VIEW customer_copy AS SELECT id, name, email, ssn FROM customers;

CREATE TABLE people (id integer, name text, email text, region text) PARTITION BY LIST (region);
CREATE TABLE people_north PARTITION OF people FOR VALUES IN ('north');
CREATE TABLE people_south PARTITION OF people FOR VALUES IN ('south');
CREATE TABLE members (id integer, name text, email text);
CREATE TABLE members_gold (points integer) INHERITS (members);

CREATE TABLE items (id integer PRIMARY KEY, label text NOT NULL, email text, n integer CHECK (n < 1000));
INSERT INTO items SELECT i, 'label ' || i, 'open' || i, i FROM generate_series(1, 5) i;
CREATE SEQUENCE counter;
CREATE TABLE strict_customers (id integer PRIMARY KEY, email text NOT NULL UNIQUE, ssn text CHECK (ssn LIKE '078%'), quota integer NOT NULL,
  EXCLUDE USING btree (ssn WITH =));
CREATE TABLE mentions (customer_email text REFERENCES strict_customers (email));
CREATE TABLE shouts (id integer, word text);

CREATE FUNCTION email_of(integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM customers WHERE id = $1';
CREATE FUNCTION harmless_looking(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
  'SELECT ascii(email) FROM customers WHERE id = $1';
CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers';
CREATE FUNCTION reach(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.email';
CREATE FUNCTION run(text) RETURNS text LANGUAGE plpgsql AS 'DECLARE r text; BEGIN EXECUTE $1 INTO r; RETURN r; END';
CREATE FUNCTION tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
CREATE FUNCTION same_text(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
  'BEGIN RAISE NOTICE ''% %'', $1, $2; RETURN $1 = $2; END';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same_text);
CREATE AGGREGATE longest(text) (SFUNC = pg_catalog.text_larger, STYPE = text);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE NOTICE ''%'', (SELECT string_agg(email || ssn, '';'') FROM customers); RETURN NEW; END';
CREATE TRIGGER shout BEFORE INSERT ON shouts FOR EACH ROW EXECUTE FUNCTION shout();
CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''no %'', NEW.word USING DETAIL = (SELECT min(email) FROM customers), HINT = (SELECT max(ssn) FROM customers); END';
CREATE CONSTRAINT TRIGGER complain AFTER INSERT ON shouts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id > 100)
  EXECUTE FUNCTION complain();
CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_notify(''news'', (SELECT string_agg(email, '';'') FROM customers)); RETURN NEW; END';
CREATE TRIGGER announce AFTER UPDATE ON shouts FOR EACH ROW EXECUTE FUNCTION announce();
INSERT INTO shouts VALUES (1, 'quiet');
CREATE TABLE redirected (id integer, email text);
CREATE RULE elsewhere AS ON INSERT TO redirected DO ALSO SELECT email FROM customers;

CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE customers_far (id integer, name text, email text, ssn text) SERVER loopback OPTIONS (table_name 'customers');
SELECT lo_from_bytea(70001, 'empty');
CREATE SCHEMA other;
CREATE TABLE other.customers (id integer, name text, email text);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION opened(refcursor) RETURNS refcursor LANGUAGE plpgsql AS
  'BEGIN OPEN $1 FOR SELECT email || '''' AS name FROM public.customers ORDER BY id; RETURN $1; END';
