package bypass

import "strings"

// maskingDefinitions change the database so that a masked value is found elsewhere, or under another name. They are tried by
// a role that may do all that, and each is committed before the last step reads.
func maskingDefinitions() []attack {
	def := func(technique, undo string, texts ...string) attack {
		return attack{Technique: technique, Channel: "simple", Steps: concat(simple(texts[:len(texts)-1]...), []step{again}, simple(texts[len(texts)-1])), Undo: strings.Split(undo, "; ")}
	}
	at := func(technique string, texts ...string) attack {
		return attack{Technique: technique, Channel: "in a transaction", Steps: simple(append(append([]string{"BEGIN"}, texts...), "ROLLBACK")...), Undo: undoNothing}
	}
	return []attack{
		def("table made from a query", "DROP TABLE loot", "CREATE TABLE loot AS SELECT email AS x FROM customers", "SELECT x FROM loot ORDER BY x"),
		def("table made by select into", "DROP TABLE loot", "SELECT ssn AS x INTO loot FROM customers", "SELECT x FROM loot ORDER BY x"),
		def("materialized view made", "DROP MATERIALIZED VIEW loot", "CREATE MATERIALIZED VIEW loot AS SELECT email AS x FROM customers", "SELECT x FROM loot ORDER BY x"),
		def("view made", "DROP VIEW loot", "CREATE VIEW loot(x) AS SELECT email FROM customers", "SELECT x FROM loot ORDER BY x"),
		def("function made", "DROP FUNCTION loot()", "CREATE FUNCTION loot() RETURNS text LANGUAGE sql AS 'SELECT max(email) FROM customers'", "SELECT loot()"),
		def("column renamed", "ALTER TABLE customers RENAME COLUMN x TO email", "ALTER TABLE customers RENAME COLUMN email TO x", "SELECT x FROM customers ORDER BY id"),
		def("table renamed", "ALTER TABLE loot RENAME TO customers", "ALTER TABLE customers RENAME TO loot", "SELECT email FROM loot ORDER BY id"),
		def("table moved to another schema", "ALTER TABLE loot.customers SET SCHEMA public; DROP SCHEMA loot", "CREATE SCHEMA loot", "ALTER TABLE customers SET SCHEMA loot", "SELECT email FROM loot.customers ORDER BY id"),
		def("columns swapped by renaming", "ALTER TABLE customers RENAME y TO email; "+unswap,
			"ALTER TABLE customers RENAME COLUMN name TO y; ALTER TABLE customers RENAME COLUMN email TO name; ALTER TABLE customers RENAME COLUMN y TO email", "SELECT name FROM customers ORDER BY id"),
		def("table made a child of another", "ALTER TABLE customers NO INHERIT loot; DROP TABLE loot", "CREATE TABLE loot (email text, ssn text)", "ALTER TABLE loot ALTER email SET NOT NULL; ALTER TABLE loot ALTER ssn SET NOT NULL; ALTER TABLE customers INHERIT loot", "SELECT email, ssn FROM loot ORDER BY 1"),
		def("partition taken out", "ALTER TABLE people ATTACH PARTITION people_north FOR VALUES IN ('north')", "ALTER TABLE people DETACH PARTITION people_north", "SELECT email FROM people_north ORDER BY id"),
		def("inheritance ended", "ALTER TABLE members_gold INHERIT members", "ALTER TABLE members_gold NO INHERIT members", "SELECT email FROM members_gold ORDER BY id"),
		def("generated column", "ALTER TABLE customers DROP COLUMN copy", "ALTER TABLE customers ADD copy text GENERATED ALWAYS AS (email) STORED", "SELECT copy FROM customers ORDER BY id"),
		def("foreign table made over the table", "DROP FOREIGN TABLE loot", "CREATE FOREIGN TABLE loot (x text OPTIONS (column_name 'email')) SERVER loopback OPTIONS (table_name 'customers')", "SELECT x FROM loot ORDER BY x"),
		def("foreign schema imported", "DROP SCHEMA loot CASCADE", "CREATE SCHEMA loot; IMPORT FOREIGN SCHEMA public LIMIT TO (strict_customers) FROM SERVER loopback INTO loot", "SELECT email FROM loot.strict_customers"),
		def("comment with a value", "COMMENT ON TABLE items IS NULL", "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE items IS %L', (SELECT max(email) FROM customers)); END $$", "SELECT obj_description('items'::regclass)"),
		def("rule made", "DROP RULE loot ON items", "CREATE RULE loot AS ON UPDATE TO items DO INSTEAD SELECT email FROM customers", "UPDATE items SET n = n"),
		def("trigger made", "DROP TRIGGER loot ON items; DROP FUNCTION loot(); DELETE FROM items WHERE id = 88", "CREATE FUNCTION loot() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.label := (SELECT max(email) FROM customers); RETURN NEW; END'; CREATE TRIGGER loot BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION loot()", "INSERT INTO items (id, label) VALUES (88, 'x') RETURNING label"),
		at("column's type by another column", "ALTER TABLE members ALTER name TYPE text USING email", "SELECT name FROM members ORDER BY id"),
		at("column renamed", "ALTER TABLE customers RENAME COLUMN email TO x", "SELECT x FROM customers ORDER BY id"),
		at("view replaced", "CREATE OR REPLACE VIEW customer_contacts AS SELECT id, email AS name, name AS email, phone FROM customers", "SELECT name FROM customer_contacts ORDER BY id"),
		at("check that holds only if", "ALTER TABLE customers ADD CONSTRAINT k CHECK (email <> '${first}')"),
		at("unique index that holds only if", "CREATE UNIQUE INDEX k ON customers ((phone IS NULL))", "CREATE UNIQUE INDEX k2 ON strict_customers ((1 / (CASE WHEN email = '${first}' THEN 0 ELSE 1 END)))"),
		at("foreign key that holds only if", "CREATE TABLE keys (e text PRIMARY KEY)", "INSERT INTO keys VALUES ('${first}')", "ALTER TABLE strict_customers ADD FOREIGN KEY (email) REFERENCES keys"),
		at("column's type that fits only if", "CREATE DOMAIN low AS text CHECK (value < 'b')", "ALTER TABLE strict_customers ALTER email TYPE low"),
		at("column's type, and its error", "ALTER TABLE members ALTER email TYPE date USING email::date"),
		at("partition that fits only if", "CREATE TABLE parts (LIKE strict_customers) PARTITION BY LIST (email)", "ALTER TABLE parts ATTACH PARTITION strict_customers FOR VALUES IN ('${first}')"),
		at("prepared function that is inlined", "CREATE FUNCTION f(c customers) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT c.email'", "SELECT f(c) FROM customers c ORDER BY id"),
		at("operator made", "CREATE OPERATOR <~> (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.text_lt)", "SELECT id FROM customers WHERE email <~> 'b' ORDER BY id"),
		at("cast made", "CREATE TYPE box2 AS (e text)", "CREATE FUNCTION b(customers) RETURNS box2 LANGUAGE sql AS 'SELECT ROW($1.email)::box2'", "CREATE CAST (customers AS box2) WITH FUNCTION b(customers)", "SELECT c::box2 FROM customers c ORDER BY id"),
		at("statistics computed anew", "ANALYZE VERBOSE customers", "SELECT n_distinct, avg_width FROM pg_stats WHERE tablename = 'customers' AND attname = 'email'"),
		at("clustered by a column", "CLUSTER customers USING customers_lower_email", "SELECT id FROM customers"),
	}
}

// unswap renames a pair of columns back where they have each other's name. It is one statement, without the separator.
const unswap = `DO $$ BEGIN
IF (SELECT attname = 'name' FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum = 3) THEN
  ALTER TABLE customers RENAME name TO y;
  ALTER TABLE customers RENAME email TO name;
  ALTER TABLE customers RENAME y TO email;
END IF;
END $$`
