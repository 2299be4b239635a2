package bypass

import (
	"github.com/jackc/pgx/v5/pgproto3"
)

const secret = "SELECT email, ssn FROM customers ORDER BY id"

// maskingChannels are ways through the protocol, the session and COPY.
func maskingChannels() []attack {
	return []attack{
		{Technique: "copy a table", Channel: "copy", Steps: simple("COPY customers TO STDOUT")},
		{Technique: "copy a table", Channel: "csv", Steps: simple("COPY customers TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)")},
		{Technique: "copy a table", Channel: "copy-binary", Steps: simple("COPY customers TO STDOUT (FORMAT binary)")},
		{Technique: "copy a table", Channel: "extended", Steps: extended("COPY customers TO STDOUT", false)},
		{Technique: "copy some columns", Channel: "copy", Steps: simple("COPY customers (ssn, id, email) TO STDOUT")},
		{Technique: "copy some columns", Channel: "copy-binary", Steps: simple("COPY customers (notes, born) TO STDOUT (FORMAT binary)")},
		{Technique: "copy a partition", Channel: "copy", Steps: simple("COPY people_south TO STDOUT")},
		{Technique: "copy with a delimiter that shifts columns", Channel: "copy", Steps: simple("COPY customers (id, email) TO STDOUT (DELIMITER '@')")},
		{Technique: "copy with a null that is a value", Channel: "copy", Steps: simple("COPY (SELECT id, nullif(email, '${first}') FROM customers ORDER BY id) TO STDOUT (NULL 'none')")},
		{Technique: "copy in another encoding", Channel: "copy", Steps: simple("COPY (SELECT email FROM customers ORDER BY id) TO STDOUT (ENCODING 'LATIN1')")},
		{Technique: "copy with odd quotes", Channel: "csv", Steps: simple("COPY (" + secret + ") TO STDOUT (FORMAT csv, QUOTE '@', ESCAPE '.')")},
		{Technique: "copy in its oldest syntax", Channel: "copy", Steps: simple("COPY customers TO STDOUT DELIMITERS '|' WITH NULL AS 'x'")},
		{Technique: "copy of a returning", Channel: "copy", Steps: simple("BEGIN", "COPY (UPDATE customers SET region = region RETURNING email, ssn) TO STDOUT", "ROLLBACK"), Undo: undoNothing},
		{Technique: "copy to a file, and read it", Channel: "file", Steps: simple("COPY (SELECT string_agg(email, ';') FROM customers) TO '${files}/loot'", "SELECT pg_read_file('${files}/loot')"), Undo: []string{removeLoot}},
		{Technique: "copy to a program, and read its file", Channel: "file", Steps: simple("COPY (SELECT string_agg(email, ';') FROM customers) TO PROGRAM 'cat > ${files}/loot'", "SELECT pg_read_file('${files}/loot')"), Undo: []string{removeLoot}},
		{Technique: "file into a table, by copy", Channel: "file", Steps: simple("BEGIN", "COPY customers (email) TO '${files}/loot'", "CREATE TEMP TABLE l (x text)", "COPY l FROM '${files}/loot'", "TABLE l", "ROLLBACK"), Undo: []string{removeLoot}},

		{Technique: "returning of an insert", Channel: "simple", Steps: simple("BEGIN", "INSERT INTO customers (id, name, email, ssn, card, joined) SELECT id + 900, name, email || 'x', ssn, card, joined FROM customers RETURNING *", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of an update", Channel: "simple", Steps: simple("BEGIN", "UPDATE customers SET region = region WHERE id = 1 RETURNING email, ssn, customers", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of an update", Channel: "binary", Steps: concat(simple("BEGIN"), extended("UPDATE customers SET region = region RETURNING upper(email)", true), simple("ROLLBACK")), Undo: undoNothing},
		{Technique: "returning of a delete", Channel: "simple", Steps: simple("BEGIN", "DELETE FROM strict_customers RETURNING *", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of a writing common table expression", Channel: "simple", Steps: simple("BEGIN", "WITH u AS (UPDATE customers SET region = region RETURNING email AS e) SELECT e FROM u ORDER BY 1", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of another table, joined", Channel: "simple", Steps: simple("BEGIN", "UPDATE items SET n = n FROM customers c WHERE c.id = items.id RETURNING c.email", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of a delete, joined", Channel: "simple", Steps: simple("BEGIN", "DELETE FROM items USING customers c WHERE c.id = items.id RETURNING c", "ROLLBACK"), Undo: undoNothing},
		{Technique: "returning of a row that is there", Channel: "simple", Steps: simple("BEGIN", "INSERT INTO strict_customers VALUES (1, 'n', '078', 1) ON CONFLICT (id) DO UPDATE SET quota = 5 RETURNING *", "ROLLBACK"), Undo: undoNothing},

		{Technique: "two portals of one statement, one described", Channel: "binary", Steps: []step{
			send(parse("s", secret), bind("a", "s"), asBinary(bind("b", "s")), describePortal("a"), execute("a"), execute("b"))}},
		{Technique: "formats per column", Channel: "binary", Steps: []step{send(parse("", secret),
			&pgproto3.Bind{ResultFormatCodes: []int16{0, 1}}, describePortal(""), execute(""))}},
		{Technique: "described as something else", Channel: "text", Steps: []step{
			send(parse("s", "SELECT name, region FROM customers"), describe("s"), closeStatement("s"), parse("s", secret), bind("", "s"), execute(""))}},
		{Technique: "described in another session state", Channel: "text", Steps: concat(
			[]step{send(parse("s", "SELECT email FROM customers ORDER BY 1"), describe("s"))},
			simple("CREATE TEMP TABLE customers AS SELECT 'x'::text AS email", "DISCARD TEMP"), []step{send(bind("", "s"), execute(""))}), Undo: undoNothing},
		{Technique: "executed after a failed statement", Channel: "text", Steps: []step{
			send(parse("s", secret)), send(query("SELECT 1/0")), send(bind("", "s"), execute(""), execute(""))}},
		{Technique: "portal kept across statements", Channel: "binary", Steps: []step{send(query("BEGIN")),
			send(parse("s", secret), asBinary(bind("p", "s")), execute("p", 1)), send(query("SELECT 1")), send(closeStatement("s"), execute("p", 3)),
			send(query("FETCH ALL FROM p")), send(query("COMMIT"))}},
		{Technique: "portal read by fetch", Channel: "cursor", Steps: []step{send(query("BEGIN")),
			send(parse("", secret), bind("p", "")), send(query("FETCH 2 FROM p")), send(query("COMMIT"))}},
		{Technique: "cursor read by its bound portal", Channel: "binary", Steps: concat(simple("BEGIN", "DECLARE c BINARY SCROLL CURSOR FOR "+secret),
			[]step{send(describePortal("c"), execute("c", 2)), send(execute("c"))}, simple("FETCH ABSOLUTE 1 FROM c", "FETCH RELATIVE 0 FROM c", "COMMIT"))},
		{Technique: "cursor read as xml", Channel: "cursor", Steps: simple("BEGIN", "DECLARE c CURSOR FOR "+secret, "SELECT cursor_to_xml('c', 5, true, true, '')", "COMMIT")},
		{Technique: "cursor returned by a function", Channel: "cursor", Steps: simple("BEGIN", "CREATE FUNCTION pg_temp.f() RETURNS refcursor LANGUAGE plpgsql AS 'DECLARE c refcursor := ''cc''; BEGIN OPEN c FOR SELECT email FROM customers; RETURN c; END'", "SELECT pg_temp.f()", "FETCH ALL FROM cc", "ROLLBACK"), Undo: undoNothing},
		{Technique: "cursor that moves by a value", Channel: "cursor", Steps: simple("BEGIN", "DECLARE c CURSOR FOR SELECT id FROM customers WHERE email LIKE 'a%'", "MOVE ALL FROM c", "COMMIT")},
		{Technique: "execute with an explained plan", Channel: "prepare", Steps: simple("PREPARE q(text) AS SELECT id FROM customers WHERE email = $1", "EXECUTE q('${first}')", "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE q('${first}')")},
		{Technique: "parameter as a guess", Channel: "text", Steps: extended("SELECT count(*) FROM customers WHERE email = $1", false, left.first)},
		{Technique: "parameter as a guess", Channel: "binary", Steps: extended("SELECT id, email = $1 FROM customers ORDER BY id", true, left.first)},
		{Technique: "parameter as a guess", Channel: "prepare", Steps: simple("PREPARE q AS SELECT count(*) FROM customers WHERE ssn = $1", "EXECUTE q('${firstssn}')")},
		{Technique: "execute's argument from a value", Channel: "prepare", Steps: simple("PREPARE q(text) AS SELECT $1", "EXECUTE q((SELECT email FROM customers LIMIT 1))", "EXECUTE q(email_of(1))")},
		{Technique: "several statements in one query", Channel: "simple", Steps: simple("SELECT 1; SELECT name FROM customers ORDER BY id; " + secret + "; SELECT 2")},
		{Technique: "pipeline without a sync", Channel: "binary", Steps: []step{send(
			parse("", "SELECT name FROM customers"), asBinary(bind("", "")), execute(""), parse("", secret), asBinary(bind("", "")), execute(""), &pgproto3.Flush{})}},

		{Technique: "search path to a shadow", Channel: "simple", Steps: simple("SET search_path = pg_temp, public", "CREATE TEMP VIEW names AS SELECT email AS name FROM public.customers", "SELECT name FROM names ORDER BY 1"), Undo: undoNothing},
		{Technique: "temporary view over the table", Channel: "simple", Steps: simple("CREATE TEMP VIEW v(a) AS SELECT email FROM customers", "SELECT a FROM v ORDER BY a"), Undo: undoNothing},
		{Technique: "temporary table of values", Channel: "simple", Steps: simple("CREATE TEMP TABLE l AS SELECT email AS x FROM customers", "SELECT x FROM l ORDER BY x"), Undo: undoNothing},
		{Technique: "temporary table of values", Channel: "one query", Steps: simple("CREATE TEMP TABLE l AS SELECT email AS x FROM customers; SELECT x FROM l ORDER BY x"), Undo: undoNothing},
		{Technique: "select into", Channel: "simple", Steps: simple("SELECT ssn AS x INTO TEMP l FROM customers", "SELECT x FROM l ORDER BY x"), Undo: undoNothing},
		{Technique: "temporary table of a prepared query", Channel: "prepare", Steps: simple("PREPARE q AS "+secret, "CREATE TEMP TABLE l AS EXECUTE q", "SELECT * FROM l ORDER BY 1"), Undo: undoNothing},
		{Technique: "temporary table filled by insert", Channel: "simple", Steps: simple("CREATE TEMP TABLE l (x text)", "INSERT INTO l SELECT email FROM customers", "SELECT x FROM l ORDER BY x"), Undo: undoNothing},
		{Technique: "temporary function", Channel: "simple", Steps: simple("CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS 'SELECT string_agg(email, '';'') FROM customers'", "SELECT pg_temp.f()"), Undo: undoNothing},
		{Technique: "temporary table with a default from a value", Channel: "simple", Steps: simple("CREATE TEMP TABLE l (i int, x text DEFAULT email_of(1))", "INSERT INTO l (i) VALUES (1)", "SELECT x FROM l"), Undo: undoNothing},
		{Technique: "temporary table that shadows the masked one", Channel: "simple", Steps: simple("CREATE TEMP TABLE customers (email text)", "INSERT INTO pg_temp.customers SELECT email FROM public.customers", "SELECT email FROM customers ORDER BY 1"), Undo: undoNothing},
		{Technique: "set role", Channel: "simple", Steps: simple("SET ROLE postgres", secret, "RESET ROLE", secret)},
		{Technique: "set session authorization", Channel: "simple", Steps: simple("SET SESSION AUTHORIZATION postgres", "SELECT email AS x FROM customers ORDER BY id")},
		{Technique: "row security switched", Channel: "simple", Steps: simple("SET row_security = off", secret)},
		{Technique: "quoting rules switched", Channel: "simple", Steps: simple("SET standard_conforming_strings = off", "SELECT '\\' AS x, ' || (SELECT max(email) FROM customers) || ' --'")},
		{Technique: "plan and parse trees to the client", Channel: "notice", Steps: simple("SET client_min_messages = debug1", "SET debug_print_plan = on", "SET debug_print_parse = on", "SELECT id FROM customers WHERE email > 'b' ORDER BY id")},
		{Technique: "statements to the client", Channel: "notice", Steps: simple("SET client_min_messages = log", "SET log_statement = 'all'", "SET log_min_duration_statement = 0", "SELECT run('SELECT max(email) FROM customers')")},
		{Technique: "setting as a store", Channel: "parameter", Steps: simple("SELECT set_config('application_name', (SELECT min(email) FROM customers), false)", "SHOW application_name")},
		{Technique: "setting as a store", Channel: "simple", Steps: simple("SELECT set_config('my.x', (SELECT max(ssn) FROM customers), false)", "SELECT current_setting('my.x')")},
		{Technique: "setting by a function's clause", Channel: "parameter", Steps: simple("CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''application_name'', (SELECT max(email) FROM customers), false); RETURN 1; END'", "SELECT pg_temp.f()"), Undo: undoNothing},
		{Technique: "setting by a function's clause", Channel: "time zone", Steps: simple("CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''TimeZone'', ''<'' || (SELECT left(max(email), 6) FROM customers) || ''>3'', false); RETURN 1; END'", "SELECT pg_temp.f()"), Undo: undoNothing},
		{Technique: "time zone as a store", Channel: "parameter", Steps: simple("SELECT set_config('TimeZone', CASE WHEN email LIKE 'a%' THEN 'UTC' ELSE 'CET' END, false) FROM customers WHERE id = 1", "SHOW timezone")},
	}
}

// undoNothing is for what changes row versions or temporary objects, and ends as it was.
var undoNothing = []string{}

// removeLoot removes what a copy to a file leaves.
const removeLoot = "COPY (SELECT 1) TO PROGRAM 'rm -f ${files}/loot'"

func concat(parts ...[]step) []step {
	var all []step
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
