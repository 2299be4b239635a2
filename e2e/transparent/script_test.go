package transparent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// seed is run by the superuser before the first script.
const seed = `
CREATE SCHEMA tables AUTHORIZATION app;
SET ROLE app;
CREATE TABLE tables.things (id integer PRIMARY KEY, name text NOT NULL, at timestamptz, amount numeric(10,2), tags text[], data jsonb,
  raw bytea, ok boolean, CONSTRAINT amount_is_positive CHECK (amount > 0));
INSERT INTO tables.things VALUES (1, 'one', '2026-01-01 00:00Z', 1.5, '{a,b}', '{"k": 1}', '\x0001', true),
  (2, 'two', NULL, NULL, NULL, NULL, NULL, NULL), (3, 'three', '2026-03-03 03:03Z', 3, '{}', '[]', '', false);
CREATE TABLE tables.rows (id integer, name text, v double precision);
CREATE TABLE tables.nothing ();
INSERT INTO tables.nothing DEFAULT VALUES;
CREATE FUNCTION tables.speak(text) RETURNS text LANGUAGE plpgsql AS $$
  BEGIN RAISE NOTICE 'heard %', $1 USING DETAIL = 'a detail', HINT = 'a hint'; RAISE WARNING 'again'; RETURN $1; END $$;
RESET ROLE;
CREATE SCHEMA hidden;
CREATE TABLE hidden.things (id integer);
`

var (
	syncs = &pgproto3.Sync{}
	flush = &pgproto3.Flush{}
)

// scripts are the deterministic scripts, each for a session of its own.
func scripts() map[string][]step {
	wide := make([]string, 1600)
	for i := range wide {
		wide[i] = fmt.Sprintf("%d AS c%d", i, i)
	}
	return map[string][]step{
		"simple": slices.Concat(queries("SELECT 1", "SELECT 1; SELECT 'two', NULL; ", "", "  -- nothing\n", ";;", "SELECT", "TABLE tables.nothing",
			"SELECT * FROM tables.things ORDER BY id", "VALUES (1, 'a'), (2, NULL)", "SELECT "+strings.Join(wide, ", "),
			"SELECT repeat('x', 300000), repeat('y', 70000)", "SELECT i, repeat('r', 1000) FROM generate_series(1, 2000) i",
			"SELECT 'Grüße, 世界', E'\\x01', U&'\\0041'", "EXPLAIN (COSTS OFF) SELECT * FROM tables.things WHERE id = 1", "SHOW server_version", "SHOW TimeZone",
			"SELECT * FROM tables.things WHERE name = 'no one'", "SELECT count(*) FROM pg_class WHERE relname = 'things'", "SELECT current_user, session_user, current_database(), current_schema()"),
			queries("INSERT INTO tables.rows VALUES (1, 'a', 0.1), (2, NULL, 'NaN') RETURNING *", "UPDATE tables.rows SET name = 'b' WHERE id = 1",
				"DELETE FROM tables.rows RETURNING id", "TRUNCATE tables.rows")),
		"errors": queries("SELEC 1", "SELECT 1/0", "SELECT * FROM nowhere", "SELECT nothing FROM tables.things", "SELECT nofunction(1)", "SELECT 'x'::integer",
			"SELECT 1; SELECT 1/0; SELECT 2", "INSERT INTO tables.things (id, name) VALUES (1, 'again')", "INSERT INTO tables.things (id) VALUES (9)",
			"INSERT INTO tables.things (id, name, amount) VALUES (9, 'nine', -1)", "SELECT 1 +", "SELECT '", "SELECT $1", "SELECT * FROM tables.things WHERE id = 'one'",
			"SELECT sum(name) FROM tables.things", "SELECT id, count(*) FROM tables.things", "SELECT 1 UNION SELECT 'a'", "CREATE TABLE tables.things (id integer)",
			"DROP TABLE tables.nowhere", "DROP TABLE IF EXISTS tables.nowhere", "ROLLBACK", "COMMIT", "SELECT \"", "SELECT /* ", "SET timezone = 'nowhere'", "SET nonsense = 1",
			"SHOW nonsense", "EXECUTE nothing", "DEALLOCATE nothing", "FETCH nothing", "CLOSE nothing", "SAVEPOINT s", "RELEASE s", "LISTEN \"\"",
			"SELECT pg_sleep('x')", "SELECT tables.speak('hello')", "DO $$ BEGIN RAISE EXCEPTION 'by %', 'hand' USING ERRCODE = 'P0042', DETAIL = 'd', HINT = 'h', SCHEMA = 's', TABLE = 't', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'dt'; END $$",
			"DO $$ BEGIN RAISE NOTICE 'notice'; PERFORM 1/0; END $$", "SELECT * FROM tables.things FOR UPDATE NOWAIT", "SELECT ARRAY[1,2", "SELECT 1 AS \"a", "SELECT 'ä', 'ö' frm x y", "SELECT 1.2.3", "SELECT 'a' 'b'", "GRANT", "CREATE TABLE t (a integer,)", "SELECT $0"),
		"transactions": queries("BEGIN", "SELECT 1", "SELECT 1/0", "SELECT 2", "COMMIT", "BEGIN", "BEGIN", "SAVEPOINT a", "SELECT nope", "SELECT 1", "ROLLBACK TO a", "SELECT 3",
			"RELEASE a", "ROLLBACK TO a", "ROLLBACK", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "INSERT INTO tables.rows VALUES (1)", "END", "START TRANSACTION",
			"SELECT 1; COMMIT; SELECT 2", "BEGIN; SELECT 1; SELECT 1/0; COMMIT", "SELECT 5", "ROLLBACK", "BEGIN; SELECT 1", "COMMIT AND CHAIN", "SELECT 6", "ABORT",
			"BEGIN", "SELEC 1", "SELECT 'still'", "SELEC 2", "", "ROLLBACK; SELECT 7"),
		"settings": slices.Concat(queries("SET application_name = 'me'", "SET TimeZone = 'Europe/Zurich'", "SET DateStyle = 'German'", "SET IntervalStyle = 'iso_8601'",
			"SELECT '2026-01-01 00:00Z'::timestamptz, '1 day 02:03'::interval", "BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo'", "SHOW TimeZone", "ROLLBACK", "SHOW TimeZone",
			"BEGIN", "SET TimeZone = 'Asia/Tokyo'", "SELECT 1/0", "ROLLBACK", "RESET TimeZone", "RESET ALL", "SET search_path = tables", "SELECT id FROM things WHERE id = 1", "RESET search_path",
			"SET statement_timeout = '1min'", "SHOW statement_timeout", "SET client_min_messages = error", "SELECT tables.speak('silent')", "RESET client_min_messages",
			"SET extra_float_digits = 0", "SELECT 0.1::float8 + 0.2", "SET extra_float_digits = 3", "SELECT 0.1::float8 + 0.2", "SET bytea_output = 'escape'", "SELECT raw FROM tables.things WHERE id = 1",
			"PREPARE p AS SELECT $1::integer", "EXECUTE p(7)", "DISCARD PLANS", "DISCARD ALL", "EXECUTE p(7)", "SHOW application_name", "SET ROLE none", "RESET ROLE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
			"RESET default_transaction_read_only", "SET client_encoding = 'UTF8'", "SELECT set_config('application_name', 'again', false)", "SHOW application_name", "RESET application_name")),
		"extended":           extended(),
		"orders":             orders(),
		"copy":               copies(),
		"names":              names(),
		"an unknown message": {upTo("unknown", end, 1, &unknown{})},
		"notify": slices.Concat(queries("LISTEN here", "NOTIFY here, 'payload'", "NOTIFY here", "BEGIN", "NOTIFY here, 'a'", "NOTIFY here, 'b'", "COMMIT", "BEGIN", "NOTIFY here, 'no'", "ROLLBACK",
			"SELECT pg_notify('here', 'by function')", "UNLISTEN here", "NOTIFY here, 'unheard'", "LISTEN here; NOTIFY here, 'at once'; SELECT 1", "UNLISTEN *", "NOTIFY here"),
			[]step{in("notify by the extended protocol", join(whole("LISTEN here"), whole("NOTIFY here, 'x'"), one(syncs))...)}),
		"cursors": queries("BEGIN", "DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i", "FETCH 3 FROM c", "MOVE 2 FROM c", "FETCH NEXT FROM c", "FETCH BACKWARD 1 FROM c",
			"FETCH ALL FROM c", "FETCH c", "CLOSE c", "FETCH c", "ROLLBACK", "DECLARE c CURSOR FOR SELECT 1", "DECLARE h CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 3) i",
			"FETCH 1 FROM h", "FETCH ALL FROM h", "CLOSE h", "BEGIN", "DECLARE s SCROLL CURSOR FOR SELECT id, name FROM tables.things ORDER BY id", "FETCH LAST FROM s", "FETCH ABSOLUTE 2 FROM s", "FETCH PRIOR FROM s",
			"FETCH 0 FROM s", "CLOSE ALL", "COMMIT"),
	}
}

func extended() []step {
	binary := func(b *pgproto3.Bind, results ...int16) *pgproto3.Bind {
		b.ResultFormatCodes = results
		return b
	}
	return []step{
		in("one statement", append(whole("SELECT 1, 'a'"), syncs)...),
		in("with parameters", append(whole("SELECT $1::integer + 1, $2::text, $3::text", "41", "x", "NULL"), syncs)...),
		in("binary results", parse("", "SELECT * FROM tables.things ORDER BY id"), binary(bind("", ""), 1), describe('P', ""), execute("", 0), syncs),
		in("mixed formats", parse("", "SELECT id, name, amount FROM tables.things ORDER BY id"), binary(bind("", ""), 1, 0, 1), execute("", 0), syncs),
		in("binary parameter", parse("", "SELECT $1 + 1", 23), &pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{0, 0, 0, 41}}}, execute("", 0), syncs),
		in("described statement", parse("", "SELECT name FROM tables.things WHERE id = $1 AND amount > $2"), describe('S', ""), syncs),
		in("described insert", parse("", "INSERT INTO tables.rows VALUES ($1, $2, $3)"), describe('S', ""), bind("", "", "1", "b", "2.5"), describe('P', ""), execute("", 0), syncs),
		in("empty statement", append(whole(""), describe('S', ""), syncs)...),
		in("comment only", append(whole("-- nothing"), syncs)...),
		in("no columns", append(whole("SELECT"), syncs)...),
		in("sync alone", syncs), in("two syncs", syncs, syncs),
		in("a named statement", parse("s", "SELECT $1::text"), syncs),
		in("many times", bind("", "s", "a"), execute("", 0), bind("", "s", "b"), execute("", 0), syncs, bind("", "s", "NULL"), execute("", 0), syncs),
		in("described again", describe('S', "s"), bind("p", "s", "c"), describe('P', "p"), execute("p", 0), closing('P', "p"), syncs),
		in("suspended", parse("", "SELECT i FROM generate_series(1, 10) i"), bind("", ""), execute("", 3), execute("", 3), execute("", 100), execute("", 1), syncs),
		in("suspended and left", parse("", "SELECT i FROM generate_series(1, 10) i"), bind("", ""), execute("", 3), syncs),
		in("two portals", parse("q", "SELECT i FROM generate_series(1, 6) i"), bind("a", "q"), bind("b", "q"), execute("a", 2), execute("b", 3), execute("a", 0), execute("b", 0), syncs),
		in("a portal is gone after Sync", execute("a", 0), syncs),
		in("begin", query("BEGIN")), in("portal in a transaction", bind("t", "q"), execute("t", 2), syncs), in("goes on", execute("t", 2), syncs),
		in("closed", closing('P', "t"), execute("t", 1), syncs), in("rollback", query("ROLLBACK")),
		in("an error, then skip to Sync", join(whole("SELECT 1"), whole("SELECT 1/0"), whole("SELECT 2"), one(syncs), whole("SELECT 3"), one(syncs))...),
		in("a wrong parameter", append(whole("SELECT $1::integer", "x"), syncs)...),
		in("too few parameters", append(whole("SELECT $1::integer"), syncs)...),
		in("too many parameters", append(whole("SELECT 1", "x"), syncs)...),
		in("an unknown type", parse("", "SELECT $1"), describe('S', ""), syncs),
		in("no type at all", parse("", "SELECT $1 = $2"), describe('S', ""), syncs),
		in("insert, error: all undone", join(whole("INSERT INTO tables.rows VALUES (77)"), whole("SELECT 1/0"), one(syncs), whole("SELECT count(*) FROM tables.rows WHERE id = 77"), one(syncs))...),
		in("begin within a pipeline", join(whole("BEGIN"), whole("SELECT 1"), one(syncs))...),
		in("fails in the transaction", join(whole("SELECT 1/0"), one(syncs))...),
		in("is failed", join(whole("SELECT 1"), one(syncs))...),
		in("bound in a failed transaction", bind("", "s", "x"), execute("", 0), syncs),
		in("described in a failed transaction", describe('S', "s"), syncs),
		in("an empty statement in a failed transaction", append(whole(""), syncs)...),
		in("rollback and on", join(whole("ROLLBACK"), whole("SELECT 'on'"), one(syncs))...),
		in("commit in a pipeline", join(whole("BEGIN"), whole("SELECT 1"), whole("COMMIT"), whole("SELECT 1/0"), one(syncs))...),
		in("a query behind a pipeline", join(whole("SELECT 'a'"), one(query("SELECT 'b'")))...),
		in("notices", append(whole("SELECT tables.speak($1)", "x"), syncs)...),
		in("set", append(whole("SET application_name = 'ext'"), syncs)...),
		in("two settings and a read", join(whole("SET TimeZone = 'Asia/Tokyo'"), whole("SHOW TimeZone"), one(syncs))...),
		in("clean up", append(whole("TRUNCATE tables.rows"), syncs)...),
	}
}

func orders() []step {
	return []step{
		upTo("Flush after Parse", '1', 1, parse("a", "SELECT $1::integer"), flush),
		upTo("Flush after Describe", 'T', 1, describe('S', "a"), flush),
		upTo("Flush after Bind", '2', 1, bind("", "a", "5"), flush),
		upTo("Flush after Execute", 'C', 1, execute("", 0), flush),
		in("then Sync", syncs),
		upTo("an error before Sync", 'E', 1, parse("", "SELECT 1/0"), bind("", ""), execute("", 0), flush),
		in("then all is skipped", parse("", "SELECT 1"), flush, bind("", ""), syncs),
		upTo("a syntax error needs no Flush", 'E', 1, parse("", "SELEC 1")), in("then Sync", syncs),
		in("Describe before Bind, twice", parse("", "SELECT 1"), describe('S', ""), describe('S', ""), bind("", ""), describe('P', ""), describe('P', ""), execute("", 0), syncs),
		in("Execute without Bind", parse("", "SELECT 1"), execute("", 0), syncs),
		in("Bind without Parse", closing('S', ""), bind("", ""), syncs),
		in("Bind an unknown name", bind("", "nothing"), execute("", 0), syncs),
		in("Describe unknown names", describe('S', "nothing"), syncs, describe('P', "nothing"), syncs),
		in("Describe the unnamed, of which there is none", closing('S', ""), describe('S', ""), syncs, closing('P', ""), describe('P', ""), syncs),
		in("Execute an unknown name", execute("nothing", 0), syncs),
		in("Close unknown names", closing('S', "nothing"), closing('P', "nothing"), syncs),
		in("in the middle of a pipeline", join(whole("SELECT 1"), one(bind("", "nothing")), whole("SELECT 2"), one(syncs))...),
		in("in a transaction", query("BEGIN"), bind("", "nothing"), syncs, query("SELECT 1"), query("ROLLBACK")),
		in("a failed transaction, an unknown name", query("BEGIN"), query("SELECT 1/0"), bind("", "nothing"), syncs, query("ROLLBACK")),
		in("several commands", append(whole("SELECT 1; SELECT 2"), syncs)...),
		in("syntax error in a pipeline", join(whole("SELECT 1"), one(parse("", "SELEC 1")), whole("SELECT 2"), one(syncs))...),
		in("copy leftovers", rows("1\n"), &pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "no"}, query("SELECT 1")),
		in("a null byte in a parameter", parse("", "SELECT $1::text"), bind("", "", "a\x00b"), execute("", 0), syncs),
		in("invalid UTF-8 in a parameter", parse("", "SELECT $1::text"), bind("", "", "a\xffb"), execute("", 0), syncs),
		in("invalid UTF-8 in a query", query("SELECT '\xff'")),
		in("bad formats", parse("", "SELECT 1, 2"), &pgproto3.Bind{ResultFormatCodes: []int16{0, 0, 0}}, syncs),
		in("an unknown format", parse("", "SELECT 1"), &pgproto3.Bind{ResultFormatCodes: []int16{7}}, describe('P', ""), execute("", 0), syncs),
	}
}

func copies() []step {
	done, fail := &pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "the client does not want to"}
	copyIn := func(name, text string, messages ...pgproto3.FrontendMessage) []step {
		return []step{upTo(name, 'G', 1, query(text)), upTo(name+": rows", 'Z', 1, messages...)}
	}
	return slices.Concat(
		queries("COPY tables.things TO STDOUT", "COPY tables.things TO STDOUT (FORMAT csv, HEADER)", "COPY tables.things TO STDOUT (FORMAT binary)",
			"COPY (SELECT 1, NULL, 'a\tb') TO STDOUT", "COPY (SELECT repeat('x', 200000)) TO STDOUT", "COPY tables.nothing TO STDOUT", "COPY tables.nowhere TO STDOUT", "COPY (SELECT 1/0) TO STDOUT"),
		[]step{in("extended", append(whole("COPY tables.things (id, name) TO STDOUT"), syncs)...)},
		copyIn("text", "COPY tables.rows FROM STDIN", rows("1\ta\t0.5\n2\t"), rows("\\N\t1e9\n"), done),
		copyIn("csv", "COPY tables.rows FROM STDIN (FORMAT csv)", rows("3,\"c,\",1\n"), rows("4,,\n"), done),
		copyIn("nothing", "COPY tables.rows FROM STDIN", done),
		copyIn("the client fails it", "COPY tables.rows FROM STDIN", rows("9\ta\t1\n"), fail),
		copyIn("a bad row", "COPY tables.rows FROM STDIN", rows("x\ta\t1\n"), rows("8\ta\t1\n"), done),
		copyIn("too few columns", "COPY tables.rows FROM STDIN", rows("8\n"), done),
		copyIn("end mark", "COPY tables.rows FROM STDIN", rows("5\te\t5\n\\.\n"), done),
		copyIn("with a sync among the rows", "COPY tables.rows FROM STDIN", rows("6\tf\t6\n"), syncs, flush, done),
		queries("BEGIN"), copyIn("in a transaction", "COPY tables.rows FROM STDIN", rows("7\tg\t7\n"), done), copyIn("fails the transaction", "COPY tables.rows FROM STDIN", fail),
		queries("SELECT 1", "ROLLBACK"),
		[]step{
			upTo("extended in", 'G', 1, parse("", "COPY tables.rows FROM STDIN"), bind("", ""), describe('P', ""), execute("", 0), flush),
			in("extended in: rows", rows("10\tx\t1\n"), done, syncs),
			upTo("extended in, failed", 'G', 1, append(whole("COPY tables.rows FROM STDIN"), flush)...),
			in("extended in, failed: rows", rows("x\n"), done, execute("", 0), syncs),
			in("extended in, all at once", join(whole("COPY tables.rows FROM STDIN"), one(rows("11\ty\t1\n"), done, syncs))...),
		},
		queries("SELECT id, name, v FROM tables.rows ORDER BY id", "COPY tables.nowhere FROM STDIN", "SELECT 1; COPY (SELECT 2) TO STDOUT; SELECT 3", "TRUNCATE tables.rows"),
	)
}

func names() []step {
	return []step{
		in("a name", parse("n", "SELECT 1"), syncs), in("the name again", parse("n", "SELECT 2"), syncs),
		in("is still the first", bind("", "n"), execute("", 0), syncs),
		in("closed and made again", closing('S', "n"), parse("n", "SELECT 3"), bind("", "n"), execute("", 0), syncs),
		in("the unnamed is replaced", parse("", "SELECT 1"), parse("", "SELECT 2"), bind("", ""), execute("", 0), syncs),
		in("a portal's name again", parse("", "SELECT 1"), bind("p", ""), bind("p", ""), syncs),
		in("by SQL", query("PREPARE q (integer) AS SELECT $1 + 1"), query("EXECUTE q(1)"), query("EXECUTE q('x')"), query("EXECUTE q")),
		in("by SQL again", query("PREPARE q AS SELECT 2")),
		in("of SQL, by the protocol", bind("", "q", "5"), execute("", 0), syncs),
		in("of the protocol, by SQL", query("EXECUTE n")),
		in("in upper case", parse("N", "SELECT 'upper'"), bind("", "N"), execute("", 0), syncs, query("EXECUTE \"N\""), query("EXECUTE N")),
		in("executed by the extended protocol", append(whole("EXECUTE q(6)"), syncs)...),
		in("deallocated", query("DEALLOCATE q"), query("EXECUTE q(1)"), bind("", "q", "5"), syncs),
		in("all deallocated", query("DEALLOCATE ALL"), bind("", "n"), syncs),
		in("undone with the pipeline", parse("u", "SELECT 1"), parse("", "SELEC"), syncs, bind("", "u"), execute("", 0), syncs),
		in("made in a transaction that fails", query("BEGIN"), parse("v", "SELECT 4"), syncs, query("SELECT 1/0"), query("ROLLBACK"), bind("", "v"), execute("", 0), syncs),
		in("a plan whose result changes", query("CREATE TEMP TABLE shape AS SELECT 1 AS a"), parse("w", "SELECT count(*) FROM shape"), bind("", "w"), execute("", 0), syncs),
		in("discarded", query("DISCARD ALL"), bind("", "w"), execute("", 0), syncs, query("SELECT * FROM shape")),
	}
}
