package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/gateway"
)

// What the attacks try to get past the judgement: a masked column, and a removal that must be held.
const (
	harmless = "SELECT 'x'::text"
	secret   = "SELECT email FROM customers UNION ALL SELECT ssn FROM customers"
	wipe     = "DELETE FROM payments WHERE id = 9201"
)

// attackCase is what one client does. Whatever of it is refused: it hears no masked value, and nothing changes.
type attackCase struct {
	name  string
	role  string
	steps []step
}

// longName is as long as a name may be; the server takes no notice of what follows.
var longName = strings.Repeat("n", 63)

// swaps are attacks on what a name stands for: what was judged must be what runs.
var swaps = slices.Concat(preparedSwaps, nestedSwaps, cursorSwaps)

var preparedSwaps = []attackCase{
	{"prepare in a pipeline, then parse the name anew, masked", "fn:reader", []step{
		pipeline(whole("PREPARE p AS "+harmless), step{closeStatement("p"), parse("p", secret)}),
		{bind("", "p"), execute("")}}},
	{"prepare in a pipeline, then parse the name anew, held", "fn:writer", []step{
		pipeline(whole("PREPARE p AS SELECT 1"), step{closeStatement("p"), parse("p", wipe)}),
		{bind("", "p"), execute("")}}},
	{"deallocate, prepare and execute in a pipeline, masked", "fn:reader", append(simple("PREPARE p AS "+harmless),
		pipeline(whole("DEALLOCATE p"), whole("PREPARE p AS "+secret), whole("EXECUTE p")))},
	{"deallocate, prepare and execute in a pipeline, held", "fn:writer", append(simple("PREPARE p AS SELECT 1"),
		pipeline(whole("DEALLOCATE p"), whole("PREPARE p AS "+wipe), whole("EXECUTE p")))},
	{"deallocate all in a pipeline", "fn:reader", append(simple("PREPARE p AS "+harmless),
		pipeline(whole("DEALLOCATE ALL"), step{parse("p", secret), bind("", "p"), execute("")}, whole("EXECUTE p")))},
	{"discard all, then the name anew", "fn:reader", append(simple("PREPARE p AS "+harmless, "DISCARD ALL", "PREPARE p AS "+secret),
		step{bind("", "p"), execute("")}, step{query("EXECUTE p")})},
	{"deallocate, prepare and execute in one query, masked", "fn:reader",
		simple("PREPARE p AS "+harmless, "DEALLOCATE p; PREPARE p AS "+secret+"; EXECUTE p", "EXECUTE p")},
	{"deallocate, prepare and execute in one query, held", "fn:writer",
		simple("PREPARE p AS SELECT 1", "DEALLOCATE p; PREPARE p AS "+wipe+"; EXECUTE p", "EXECUTE p")},
	{"a failed prepare keeps the old meaning", "fn:reader", append(simple("PREPARE p AS "+secret),
		step{parse("p", harmless)}, step{bind("", "p"), execute("")}, step{query("PREPARE p AS " + harmless)}, step{query("EXECUTE p")})},
	{"a statement name that the server cuts, masked", "fn:reader", []step{
		{parse(longName+"1", harmless)}, {closeStatement(longName + "2"), parse(longName+"2", secret)},
		{bind("", longName+"1"), execute("")}}},
	{"a statement name that the server cuts, held", "fn:writer", []step{
		{parse(longName+"1", "SELECT 1")}, {closeStatement(longName + "2"), parse(longName+"2", wipe)},
		{bind("", longName+"1"), execute("")}}},
	{"a name in a statement that the server cuts", "fn:reader", simple("PREPARE "+longName+"1 AS "+harmless,
		"DEALLOCATE "+longName+"2", "PREPARE "+longName+"3 AS "+secret, "EXECUTE "+longName+"1")},
	{"a portal name that the server cuts", "fn:reader", append(simple("BEGIN"),
		step{parse("a", harmless), parse("b", secret), bind(longName+"1", "a"), closePortal(longName + "2"),
			bind(longName+"2", "b"), fetch(longName + "1")}, step{fetch(longName + "1")})},
	{"names that differ in their case only", "fn:reader", append(simple("PREPARE P AS "+secret, `PREPARE "P" AS `+harmless),
		step{bind("", "p"), execute("")}, step{bind("", "P"), execute("")}, step{query("EXECUTE P")}, step{query(`EXECUTE "P"`)})},
}

var nestedSwaps = []attackCase{
	{"execute of execute, held", "fn:writer", []step{{parse("q", wipe)}, {parse("p", "EXECUTE q")}, {query("EXECUTE p")}}},
	{"execute of execute, held, bound", "fn:writer", []step{{parse("q", wipe)}, {parse("p", "EXECUTE q")}, {bind("", "p"), execute("")}}},
	{"execute of execute of execute", "fn:writer", []step{{parse("q", wipe)}, {parse("p", "EXECUTE q")}, {parse("r", "EXECUTE p")}, {query("EXECUTE r")}}},
	{"execute of execute, masked", "fn:reader", []step{{parse("q", secret)}, {parse("p", "EXECUTE q")}, {query("EXECUTE p")}, {bind("", "p"), execute("")}}},
	{"explain that runs a prepared removal", "fn:writer", []step{{parse("q", wipe)}, {query("EXPLAIN (ANALYZE) EXECUTE q")}}},
	{"explain, prepared, that runs a prepared removal", "fn:writer", []step{{parse("q", wipe)}, {parse("p", "EXPLAIN ANALYZE EXECUTE q")}, {bind("", "p"), execute("")}, {query("EXECUTE p")}}},
	{"explain of a table made by execute", "fn:writer", []step{{parse("q", wipe+" RETURNING id")}, {query("EXPLAIN ANALYZE CREATE TABLE loot AS EXECUTE q")}}},
	{"explain of a cursor over what is masked", "fn:reader", []step{{parse("q", secret+" ORDER BY 1")}, {query("EXPLAIN (ANALYZE, VERBOSE) EXECUTE q")}}},
	{"a table made by execute, masked", "fn:reader", []step{{parse("q", secret)}, {query("CREATE TABLE loot AS EXECUTE q")}, {query("TABLE loot")}}},
	{"a table made by execute, held", "fn:writer", []step{{parse("q", wipe+" RETURNING id")}, {query("CREATE TABLE loot AS EXECUTE q")}}},
	{"execute of a prepared deallocate", "fn:reader", append(simple("PREPARE p AS "+harmless),
		step{parse("d", "DEALLOCATE p")}, step{query("EXECUTE d")}, step{parse("p", secret)}, step{query("PREPARE p AS " + secret)},
		step{query("EXECUTE p")}, step{bind("", "p"), execute("")})},
	{"execute of a prepared close", "fn:reader", append(simple("BEGIN", "DECLARE c CURSOR FOR "+harmless),
		step{parse("d", "CLOSE c")}, step{query("EXECUTE d")}, step{query("DECLARE c CURSOR FOR " + secret)}, step{query("FETCH ALL FROM c")})},
	{"execute of a prepared copy", "fn:reader", []step{{parse("c", "COPY ("+secret+") TO STDOUT")}, {query("EXECUTE c")}, {bind("", "c"), execute("")}}},
	{"a portal of execute, then the name anew", "fn:reader", append(simple("PREPARE q AS "+harmless, "BEGIN"),
		step{parse("e", "EXECUTE q"), bind("x", "e")}, step{query("DEALLOCATE q")}, step{query("PREPARE q AS " + secret)}, step{execute("x")})},
	{"a portal of execute, then the name anew, in a pipeline", "fn:writer", append(simple("PREPARE q AS SELECT 1", "BEGIN"),
		step{parse("e", "EXECUTE q"), bind("x", "e"), closeStatement("q"), parse("q", wipe), execute("x")}, step{query("COMMIT")})},
}

var cursorSwaps = []attackCase{
	{"a portal takes a cursor's name", "fn:reader", append(simple("BEGIN", "DECLARE c CURSOR FOR "+harmless),
		step{closePortal("c"), parse("s", secret), bind("c", "s"), &pgproto3.Flush{}, query("FETCH 3 FROM c")}, step{query("FETCH 3 FROM c")})},
	{"a portal takes a cursor's name, unclosed", "fn:reader", append(simple("BEGIN", "DECLARE c CURSOR FOR "+harmless),
		step{parse("s", secret), bind("c", "s"), query("FETCH 3 FROM c")})},
	{"a cursor takes a portal's name", "fn:reader", append(simple("BEGIN"),
		step{parse("", harmless), bind("p", "")}, step{query("CLOSE p")}, step{query("DECLARE p CURSOR FOR " + secret)}, step{fetch("p")})},
	{"a cursor takes a portal's name, in one query", "fn:reader", append(simple("BEGIN"),
		step{parse("", harmless), bind("p", "")}, step{query("CLOSE p; DECLARE p CURSOR FOR " + secret)}, step{fetch("p")})},
	{"a held cursor of a transaction that was rolled back", "fn:reader", append(
		simple("BEGIN", "DECLARE c CURSOR WITH HOLD FOR "+harmless, "ROLLBACK", "BEGIN"),
		step{parse("s", secret), bind("c", "s"), &pgproto3.Flush{}, query("FETCH 2 FROM c")}, step{query("FETCH 2 FROM c")})},
	{"a portal that a savepoint took along", "fn:reader", append(simple("BEGIN", "SAVEPOINT a"),
		step{parse("", harmless), bind("k", "")}, step{query("ROLLBACK TO a")}, step{query("DECLARE k CURSOR FOR " + secret)}, step{fetch("k")})},
	{"a cursor that a savepoint took along", "fn:reader", simple("BEGIN", "SAVEPOINT a", "DECLARE k CURSOR FOR "+harmless,
		"ROLLBACK TO a", "DECLARE k CURSOR FOR "+secret, "FETCH ALL FROM k")},
	{"close, bind and fetch in a pipeline", "fn:reader", append(simple("BEGIN", "DECLARE z CURSOR FOR "+harmless),
		pipeline(whole("CLOSE z"), step{parse("s", secret), bind("z", "s")}, whole("FETCH 2 FROM z")))},
	{"close, declare and fetch in one query", "fn:reader", simple("BEGIN", "DECLARE c CURSOR FOR "+harmless,
		"CLOSE c; DECLARE c CURSOR FOR "+secret+"; FETCH 2 FROM c", "FETCH 2 FROM c")},
	{"close all, then the name anew", "fn:reader", simple("BEGIN", "DECLARE c CURSOR FOR "+harmless, "CLOSE ALL",
		"DECLARE c CURSOR FOR "+secret, "MOVE 1 IN c", "FETCH BACKWARD 1 FROM c", "FETCH ALL FROM c")},
	{"a cursor name that the server cuts", "fn:reader", simple("BEGIN", "DECLARE "+longName+"1 CURSOR FOR "+harmless,
		"CLOSE "+longName+"2", "DECLARE "+longName+"3 CURSOR FOR "+secret, "FETCH ALL FROM "+longName+"1")},
	{"a portal outlives a failed statement", "fn:reader", append(simple("BEGIN"),
		step{parse("s", secret), parse("h", harmless), bind("p", "h")}, step{query("SELECT 1/0")}, step{query("ROLLBACK")}, step{query("BEGIN")},
		step{bind("p", "s"), fetch("p")}, step{query("FETCH ALL FROM p")})},
}

// copies and reserved names are attacks of one message each.
var plainAttacks = []attackCase{
	{"csv without a header", "fn:reader", simple(
		"COPY (SELECT string_agg(email || ssn, ';') FROM customers) TO STDOUT (FORMAT csv, HEADER off)",
		"COPY (SELECT string_agg(email, ';') FROM customers) TO STDOUT (FORMAT csv, HEADER 0)",
		"COPY (SELECT string_agg(email, ';') FROM customers) TO STDOUT (FORMAT csv, HEADER 'OFF')",
		"COPY (SELECT string_agg(email, ';') FROM customers) TO STDOUT (FORMAT 'CSV', HEADER 'False')",
		"COPY (SELECT string_agg(email, ';') FROM customers) TO STDOUT (FORMAT csv, HEADER no)",
		"COPY (SELECT string_agg(email, ';') AS \"a,\nb\" FROM customers) TO STDOUT WITH CSV HEADER",
		"COPY (SELECT email FROM customers) TO STDOUT (FORMAT text, HEADER)",
		"COPY (SELECT notes FROM customers) TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
		"COPY customers (email) TO STDOUT CSV",
		"SELECT 1; COPY (SELECT email FROM customers) TO STDOUT; SELECT email FROM customers")},
}

// TestAttackOnNames: promises 4 and 5 hold however a client makes names change their meaning between judgement and
// execution. The second gateway allows its roles nearly everything, so that no missing permission hides a hole.
func TestAttackOnNames(t *testing.T) {
	wide := generous(t)
	for _, c := range slices.Concat(swaps, plainAttacks) {
		t.Run(c.name, func(t *testing.T) { c.run(t, shared.gw) })
		t.Run(c.name+", generous", func(t *testing.T) { c.run(t, wide) })
	}
}

// TestAttackCanBeSeen: the client of these tests does see a masked value, and a removal, where nothing keeps them.
func TestAttackCanBeSeen(t *testing.T) {
	a := attack(t, shared.gw, "fn:writer")
	for _, s := range append(simple(secret, "COPY customers TO STDOUT"), whole("SELECT notes FROM customers")) {
		if got := a.say(t, s...); !slices.ContainsFunc(canaries(), func(c string) bool { return strings.Contains(got, c) }) {
			t.Errorf("no canary in %s", got)
		}
	}
	before := state(t)
	direct(t, "INSERT INTO payments VALUES (9201, 1, NULL, 1, 'card', 'x', now())")
	between := state(t)
	direct(t, wipe)
	if before == between || state(t) != before {
		t.Error("a payment comes and goes unseen")
	}
}

func (c attackCase) run(t *testing.T, gw *gateway.Gateway) {
	guarded(t, func() {
		a := attack(t, gw, c.role)
		for _, s := range c.steps {
			if a.say(t, s...); a.held != "" {
				break
			}
		}
		if c.role == "fn:reader" {
			lacks(t, a.heard.String(), canaries()...)
		}
		if a.held == "" {
			a.alive(t)
		}
		a.leave()
		if t.Failed() {
			t.Logf("heard:\n%s", a.heard.String())
		}
	})
}

// guarded puts the payment there that wipe is after, and checks that nothing in the database is another after a function.
func guarded(t *testing.T, f func()) {
	t.Helper()
	direct(t, "INSERT INTO payments VALUES (9201, 1, NULL, 1, 'card', 'x', now())")
	defer direct(t, "DELETE FROM payments WHERE id >= 9200")
	defer direct(t, "DROP TABLE IF EXISTS loot")
	before := state(t)
	f()
	if after := state(t); after != before {
		t.Errorf("the database is not what it was: before %s, after %s", before, after)
	}
}

// state is a digest of the rows and tables that attacks are after.
func state(t *testing.T) string {
	t.Helper()
	return direct(t, `SELECT (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM payments p) || ' ' ||
		(SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o) || ' ' ||
		(SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c) || ' ' ||
		(SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)`)
}

// generous starts a gateway whose roles may do everything but what is masked and what must be held; what is approved stays
// approved.
func generous(t *testing.T) *gateway.Gateway {
	t.Helper()
	gw := own(t)
	apply(t, gw, func(docs string) string {
		all := "statements:\n  - effect: allow\n    actions: [\"postgres:*\"]\n    resources: [\"*\"]\n"
		docs = strings.ReplaceAll(docs, "    expires: 2m\n", "    expires: 2m\n    reuse: true\n")
		for _, name := range []string{"reader", "writer"} {
			docs = strings.Replace(docs, "kind: Policy\nname: "+name+"\nstatements:\n", "kind: Policy\nname: "+name+"\n"+all, 1)
		}
		return docs
	})
	return gw
}

// apply gives a gateway the documents with a change.
func apply(t *testing.T, gw *gateway.Gateway, change func(docs string) string) {
	t.Helper()
	docs := change(shared.documents())
	if r := gw.CLI(t.Context(), docs, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s\n%s", r.Out, r.Err, docs)
	}
}
