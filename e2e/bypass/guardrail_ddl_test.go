package bypass

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// guard is a case against a guardrail that ships.
func guard(guardrail, technique, channel string, steps ...[]step) attack {
	return attack{Technique: guardrail + ": " + technique, Channel: channel, Guardrail: guardrail, Steps: slices.Concat(steps...)}
}

// quoted is a text as a literal.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// split sends Parse, Bind and Execute by themselves, under names.
func split(text string, params ...string) []step {
	return []step{func(s *session) { s.say(parse("st", left.fill(text))) }, send(bind("", "st", params...), execute(""))}
}

// pipelined puts a text between two others, with one Sync behind them.
func pipelined(text string) []step {
	return []step{func(s *session) {
		s.say(parse("", "SELECT 1"), bind("", ""), execute(""), parse("", left.fill(text)), bind("", ""), execute(""),
			parse("", "SELECT 2"), bind("", ""), execute(""))
	}}
}

// among puts a text between others in one simple query.
func among(text string) []step { return simple("SELECT 1; " + text + "; SELECT 2") }

// inside puts a text into a transaction.
func inside(text string) []step { return simple("BEGIN", "SELECT 1", text, "COMMIT") }

// wide is as many bytes of white space or comments.
func wide(n int, with string) string { return strings.Repeat(with, n/len(with)) }

const (
	dropIt = "DROP TABLE ledger CASCADE"
	ddl    = "no-destructive-ddl"
	mib    = 1 << 20
)

// ddlAttacks drop, empty or replace what is there, by what the statement itself says.
var ddlAttacks = []attack{
	guard(ddl, "plain", "simple", simple(dropIt)),
	guard(ddl, "plain", "text", extended(dropIt, false)),
	guard(ddl, "plain", "parse, bind and execute apart", split(dropIt)),
	guard(ddl, "plain", "pipeline", pipelined(dropIt)),
	guard(ddl, "plain", "among others in one query", among(dropIt)),
	guard(ddl, "plain", "transaction", inside(dropIt)),
	guard(ddl, "nested comments", "simple", simple("/* a /* DROP */ ; */ DROP/**/TABLE--;\n/*/**/*/ledger CASCADE")),
	guard(ddl, "nested comments", "text", extended("/* a /* DROP */ ; */ DROP/**/TABLE--;\n/*/**/*/ledger CASCADE", false)),
	guard(ddl, "unicode escapes in a name", "simple", simple(`DROP TABLE U&"l\0065dg\+000065r" CASCADE`)),
	guard(ddl, "unicode escapes in a name", "pipeline", pipelined(`DROP TABLE U&"l!0065dger" UESCAPE '!' CASCADE`)),
	guard(ddl, "odd letters and spaces", "simple", simple("\f\tdRoP\r\ntAbLe\fIF\tEXISTS\tpublic . \"ledger\"\ncascade;;;")),
	guard(ddl, "1 MiB of white space before, just below the limit", "simple", simple(wide(mib-64, " \n\t\r")+dropIt)),
	guard(ddl, "1 MiB of white space before, just below the limit", "text", extended(wide(mib-64, " \n\t\r")+dropIt, false)),
	guard(ddl, "1 MiB of white space before, over the limit", "simple", simple(wide(mib+64, " ")+dropIt)),
	guard(ddl, "1 MiB of white space before, over the limit", "text", extended(wide(mib+64, " ")+dropIt, false)),
	guard(ddl, "1 MiB of comments before", "simple", simple(wide(mib/2, "/* SELECT 1 */ ")+dropIt)),
	guard(ddl, "1 MiB of comments before, over the limit", "among others in one query", among(wide(mib+64, "-- SELECT 1\n")+dropIt)),
	guard(ddl, "a literal that ends elsewhere than it seems", "simple", simple("SELECT '\\'; "+dropIt+"; --'")),
	guard(ddl, "a dollar quote that ends elsewhere than it seems", "simple", simple("SELECT $a$ $b$ $a$; "+dropIt+"; SELECT $b$ $a$ $b$")),
	guard(ddl, "TRUNCATE", "simple", simple("TRUNCATE ledger")),
	guard(ddl, "TRUNCATE", "text", extended("TRUNCATE TABLE ONLY public.ledger RESTART IDENTITY CASCADE", false)),
	guard(ddl, "TRUNCATE, several", "simple", simple("TRUNCATE parted, ledger * CONTINUE IDENTITY RESTRICT")),
	guard(ddl, "TRUNCATE of a partition", "parse, bind and execute apart", split("TRUNCATE parted_1")),
	guard(ddl, "a column is dropped", "simple", simple("ALTER TABLE ledger ADD COLUMN fresh int, DROP COLUMN other")),
	guard(ddl, "a constraint is dropped", "simple", simple("ALTER TABLE ledger DROP CONSTRAINT short")),
	guard(ddl, "a column's type loses its values", "simple", simple("ALTER TABLE ledger ALTER COLUMN note TYPE integer USING 0")),
	guard(ddl, "a column's type loses its values", "text", extended("ALTER TABLE ledger ALTER note SET DATA TYPE varchar USING 'gone'", false)),
	guard(ddl, "a partition is detached", "simple", simple("ALTER TABLE parted DETACH PARTITION parted_1")),
	guard(ddl, "a domain's constraint is dropped", "simple", simple("ALTER DOMAIN little DROP CONSTRAINT few")),
	guard(ddl, "a schema with all in it", "simple", simple("DROP SCHEMA public CASCADE")),
	guard(ddl, "all that someone owns", "simple", simple("DROP OWNED BY eve CASCADE")),
	guard(ddl, "a function is dropped", "simple", simple("DROP FUNCTION act_stable(text)")),
	guard(ddl, "a routine is dropped by another word", "simple", simple("DROP ROUTINE act_stable")),
	guard(ddl, "a view is replaced", "simple", simple("CREATE OR REPLACE VIEW ledger_view AS SELECT 0 AS id, ''::text AS entry, 1 AS one")),
	guard(ddl, "a function is replaced", "simple", simple("CREATE OR REPLACE FUNCTION act_stable(text) RETURNS integer LANGUAGE sql AS 'SELECT 0'")),
	guard(ddl, "a materialized view is emptied", "simple",
		simple("REFRESH MATERIALIZED VIEW made WITH NO DATA")),
	guard(ddl, "the server's own tables", "simple", simple("DELETE FROM pg_catalog.pg_description WHERE objoid = 'int4pl'::regproc")),
	guard(ddl, "EXECUTE of a parsed statement", "simple", []step{send(parse("p", dropIt))}, simple("EXECUTE p")).
		unproven("the server runs it only where Parse was taken"),
	guard(ddl, "the fast path", "function call", []step{func(s *session) {
		s.say(&pgproto3.FunctionCall{Function: 16384, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte(dropIt)}})
	}}).unproven("the function's number is not known"),
}

// undoing names what a superuser does after a case.
func (a attack) undoing(text string) attack { a.Undo = []string{text}; return a }

// unproven says why a case is not run around the gateway.
func (a attack) unproven(why string) attack { a.Unproven = why; return a }

// calling are ways to have a function run, each as a statement that reads.
func calling(act string) string { return "act(" + quoted(act) + ")" }

// hiddenAttacks drop by what runs on behalf of a statement that looks as if it read.
var hiddenAttacks = []attack{
	guard(ddl, "DO", "simple", simple("DO "+quoted("BEGIN "+dropIt+"; END"))),
	guard(ddl, "DO", "text", extended("DO LANGUAGE plpgsql $x$BEGIN EXECUTE 'DR' || 'OP TABLE ledger CASCADE'; END$x$", false)),
	guard(ddl, "DO, escaped", "pipeline", pipelined(`DO E'BEGIN \x44ROP TABLE ledger CASCADE; END'`)),
	guard(ddl, "a volatile function", "simple", simple("SELECT "+calling(dropIt))),
	guard(ddl, "a volatile function", "text", extended("SELECT act($1)", false, dropIt)),
	guard(ddl, "a volatile function", "binary", extended("SELECT act($1::text)", true, dropIt)),
	guard(ddl, "a volatile function", "cursor", cursor("", "SELECT "+calling(dropIt))),
	guard(ddl, "a volatile function", "COPY", copied("SELECT "+calling(dropIt), "")),
	guard(ddl, "a volatile function", "PREPARE", simple("PREPARE p(text) AS SELECT act($1)", "EXECUTE p("+quoted(dropIt)+")")),
	guard(ddl, "a function that lies: stable", "simple", simple("SELECT act_stable("+quoted(dropIt)+")")),
	guard(ddl, "a function that lies: immutable", "text", extended("SELECT act_immutable("+quoted(dropIt)+")", false)),
	guard(ddl, "a function that lies: immutable, when it is planned", "EXPLAIN", simple("EXPLAIN SELECT act_immutable("+quoted(dropIt)+")")),
	guard(ddl, "a function under EXPLAIN ANALYZE", "simple", simple("EXPLAIN (ANALYZE, COSTS off) SELECT "+calling(dropIt))),
	guard(ddl, "a set from FROM", "simple", simple("SELECT * FROM acts("+quoted(dropIt)+") AS t(a)")),
	guard(ddl, "a set from ROWS FROM", "text", extended("SELECT 1 FROM ROWS FROM (acts("+quoted(dropIt)+"), generate_series(1, 2)) AS t(a, b)", false)),
	guard(ddl, "a lateral call", "simple", simple("SELECT 1 FROM ledger l, LATERAL acts("+quoted(dropIt)+") t")).
		unproven("the table is in use by the statement itself"),
	guard(ddl, "a call in a WITH query", "simple", simple("WITH x AS MATERIALIZED (SELECT "+calling(dropIt)+" AS a) SELECT * FROM x")),
	guard(ddl, "a call in a WITH query", "cursor", cursor("", "WITH x AS NOT MATERIALIZED (SELECT "+calling(dropIt)+" AS a) SELECT * FROM x")),
	guard(ddl, "a call in LIMIT", "simple", simple("SELECT 1 LIMIT "+calling(dropIt))),
	guard(ddl, "a call in ORDER BY and CASE", "simple", simple("SELECT 1 ORDER BY CASE WHEN "+calling(dropIt)+" > 0 THEN 1 END")),
	guard(ddl, "a call in VALUES", "text", extended("VALUES ("+calling(dropIt)+")", false)),
	guard(ddl, "a call in a subquery's WHERE", "simple", simple("SELECT (SELECT count(*) FROM generate_series(1, 1) g WHERE "+calling(dropIt)+" = g)")),
	guard(ddl, "a call by its qualified and escaped name", "simple", simple(`SELECT public.U&"\0061ct"(`+quoted(dropIt)+`)`)),
	guard(ddl, "a call by named notation", "simple", simple("SELECT act(VARIADIC "+quoted(dropIt)+")")).unproven("it is not variadic"),
	guard(ddl, "an operator", "simple", simple("SELECT @@@ "+quoted(dropIt)+"::text")),
	guard(ddl, "an operator", "text", extended("SELECT OPERATOR(public.@@@) $1::text", false, dropIt)),
	guard(ddl, "an aggregate", "simple", simple("SELECT act_all(x) FROM (VALUES ("+quoted(dropIt)+")) t(x)")),
	guard(ddl, "an aggregate", "window", simple("SELECT act_all(x) OVER () FROM (VALUES ("+quoted(dropIt)+")) t(x)")),
	guard(ddl, "a cast", "simple", simple("SELECT "+quoted(dropIt)+"::text::trap")),
	guard(ddl, "a cast", "text", extended("SELECT CAST($1::text AS public.trap)", false, dropIt)),
	guard(ddl, "a domain's check", "simple", simple("SELECT "+quoted(dropIt)+"::acting")),
	guard(ddl, "a domain's check", "text", extended("SELECT acting "+quoted(dropIt), false)),
	guard(ddl, "a procedure", "CALL", simple("CALL do_it("+quoted(dropIt)+")")),
	guard(ddl, "a default", "simple", simple("CREATE TABLE t (a int DEFAULT "+calling(dropIt)+")", "INSERT INTO t DEFAULT VALUES")),
	guard(ddl, "a default that is added", "simple", simple("ALTER TABLE spring ADD COLUMN a int DEFAULT "+calling(dropIt))),
	guard(ddl, "a check", "simple", simple("CREATE TABLE t (a text CHECK (act_immutable(a) = 1))", "INSERT INTO t VALUES ("+quoted(dropIt)+")")),
	guard(ddl, "a generated column", "simple", simple("CREATE TABLE t (a text, b int GENERATED ALWAYS AS (act_immutable(a)) STORED)",
		"INSERT INTO t VALUES ("+quoted(dropIt)+")")),
	guard(ddl, "an index", "simple", simple("CREATE INDEX ON wishes (act_immutable(a))")),
	guard(ddl, "a view", "simple", simple("CREATE VIEW t AS SELECT "+calling(dropIt)+" AS a", "TABLE t")),
	guard(ddl, "a materialized view", "simple", simple("CREATE MATERIALIZED VIEW t AS SELECT "+calling(dropIt)+" AS a")).
		unproven("it is a restricted operation for what a user made"),
	guard(ddl, "a table made from a call", "simple", simple("CREATE TABLE t AS SELECT "+calling(dropIt)+" AS a")),
	guard(ddl, "SELECT INTO from a call", "simple", simple("SELECT "+calling(dropIt)+" AS a INTO t")),
	guard(ddl, "a row security policy", "simple", simple("CREATE POLICY p ON wished USING (act(wish) = 1)")),
	guard(ddl, "a trigger of its own", "simple", simple("CREATE TRIGGER t AFTER INSERT ON spring FOR EACH STATEMENT EXECUTE FUNCTION acted()")),
	guard(ddl, "a rule of its own", "simple", simple("CREATE RULE r AS ON UPDATE TO ledger DO INSTEAD DELETE FROM spring")),
	guard(ddl, "an event trigger", "simple", simple("CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION sees()")),
	guard(ddl, "a function of its own", "simple", simple("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS "+quoted(dropIt+"; SELECT 1"),
		"SELECT pg_temp.f()")),
	guard(ddl, "a cast of its own", "simple", simple("CREATE CAST (text AS mood2) WITH FUNCTION trap_of(text)")).unproven("the type is not there"),
	guard(ddl, "an extension", "simple", simple("CREATE EXTENSION pgstattuple")),
	guard(ddl, "another connection", "simple", simple("SELECT dblink_exec('dbname=' || current_database() || ' host=127.0.0.1 port=${port} user=app "+
		"password=${password} sslmode=require sslcert=none sslkey=none', "+quoted(dropIt)+")")),
	guard(ddl, "text that becomes a query", "simple", simple("SELECT query_to_xml("+quoted("SELECT "+calling(dropIt))+", true, false, '')")),
	guard(ddl, "text that becomes a query", "text", extended("SELECT * FROM ts_stat($1)", false, "SELECT to_tsvector(act("+quoted(dropIt)+")::text)")),
	guard(ddl, "a program that comes back", "simple", simple("COPY (SELECT 1) TO PROGRAM 'cat > ${files}/dropped'")),
}
