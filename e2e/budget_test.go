package e2e

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// budgetDocuments let whoever is called fn:few-... have five rows an hour, fn:thin-... 1,000 bytes, and hide some of what
// fn:few-masked... sees.
const budgetDocuments = `
kind: Policy
name: works
statements:
  - effect: allow
    actions: [postgres:Select, postgres:Insert, postgres:Update, postgres:Delete]
    resources: ["shop/public.*"]
---
kind: Policy
name: five-rows
statements:
  - effect: deny
    actions: [postgres:Select]
    resources: ["shop/public.*"]
    beyond: {rows: 5, per: 1h}
    message: Five rows must do.
---
kind: Policy
name: few-bytes
statements:
  - effect: deny
    actions: [postgres:Select]
    resources: ["shop/public.*"]
    beyond: {bytes: 1000, per: 1h}
---
kind: Policy
name: hidden
statements:
  - effect: mask
    resources: ["*.email"]
---
kind: Role
name: few
bind:
  - issuer: dev
    condition: claims.sub.startsWith("fn:few-")
policies: [works, five-rows]
---
kind: Role
name: masked-few
bind:
  - issuer: dev
    condition: claims.sub.startsWith("fn:few-masked")
policies: [hidden]
---
kind: Role
name: thin
bind:
  - issuer: dev
    condition: claims.sub.startsWith("fn:thin-")
policies: [works, few-bytes]
`

const (
	many    = "SELECT id, email FROM customers"
	another = "SELECT id FROM customers LIMIT 1"
	endless = "SELECT a.id FROM customers a, customers b, customers c, customers d, customers e, customers f, customers g"
)

// TestRowBudget: where a budget is used up the client has the rows up to there and then an error, in step with what a server
// would say; what returns rows is refused from then on, and nothing else is.
func TestRowBudget(t *testing.T) {
	gw := with(t, budgetDocuments)
	sync, flush := &pgproto3.Sync{}, &pgproto3.Flush{}
	extended := func(text string) []pgproto3.FrontendMessage { return append(whole(text), sync) }
	const stops, refuses = "DDDDDE53400ZI", "DCZIE53400ZI" // and what reads no table goes on
	after := []pgproto3.FrontendMessage{query("SELECT 1"), query(another)}
	for name, c := range map[string]struct {
		frames []pgproto3.FrontendMessage
		want   string
	}{
		"few-simple":          {[]pgproto3.FrontendMessage{query(many)}, stops},
		"few-extended":        {extended(many), stops},
		"few-endless":         {[]pgproto3.FrontendMessage{query(endless)}, stops},
		"few-endless-parsed":  {extended(endless), stops},
		"few-masked":          {[]pgproto3.FrontendMessage{query(many)}, stops},
		"few-masked-extended": {extended(many), stops},
		"few-copied":          {[]pgproto3.FrontendMessage{query("COPY customers (id) TO STDOUT")}, "E53400ZI"},
		"few-masked-copied":   {[]pgproto3.FrontendMessage{query("COPY customers (id, email) TO STDOUT")}, "E53400ZI"},
		"few-prepared":        {append(step{query("PREPARE p AS " + many)}, query("EXECUTE p")), "CZI" + stops},
		"few-explained":       {[]pgproto3.FrontendMessage{query("SELECT id FROM customers LIMIT 5"), query(another)}, "DDDDDCZIE53400ZI"},
		"thin-simple":         {[]pgproto3.FrontendMessage{query("SELECT repeat('x', 400) FROM customers")}, "DDE53400ZI"},
		"thin-error":          {[]pgproto3.FrontendMessage{query("SELECT string_agg(repeat(name, 50), ' ')::int FROM customers")}, "E53400ZI"},
		"thin-error-parsed":   {extended("SELECT string_agg(repeat(name, 50), ' ')::int FROM customers"), "E53400ZI"},
		"thin-large":          {[]pgproto3.FrontendMessage{query("SELECT repeat('x', 5000000) FROM customers LIMIT 3")}, "E53400ZI"},
		"thin-large-parsed":   {extended("SELECT repeat('x', 5000000) FROM customers LIMIT 3"), "E53400ZI"},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, gw, "fn:"+name)
			got := ""
			for _, f := range c.frames {
				if q, simple := f.(*pgproto3.Query); simple {
					got += answersTo(t, a, 'Z', 1, q)
				}
			}
			if got == "" {
				got = answersTo(t, a, 'Z', 1, c.frames...)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			got = ""
			for _, f := range after {
				got += answersTo(t, a, 'Z', 1, f)
			}
			if got += answersTo(t, a, 'Z', 1, extended(another)...); got != refuses+"E53400ZI" {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
	t.Run("without a Sync", func(t *testing.T) {
		a := attack(t, gw, "fn:few-flush")
		got := answersTo(t, a, 'E', 1, append(whole(many), flush)...) + answersTo(t, a, 'Z', 1, sync) + answersTo(t, a, 'Z', 1, query("SELECT 1"))
		if got != "DDDDDE53400ZIDCZI" {
			t.Error(got)
		}
	})
	t.Run("in a pipeline of its own", func(t *testing.T) {
		a := attack(t, gw, "fn:few-segments")
		if got := answersTo(t, a, 'Z', 2, append(append(append(whole(many), sync), whole("SELECT 1")...), sync)...); got != "DDDDDE53400ZIDCZI" {
			t.Error(got)
		}
	})
	t.Run("over several sessions", func(t *testing.T) {
		first := answersTo(t, attack(t, gw, "fn:few-several"), 'Z', 1, query("SELECT id FROM customers LIMIT 3"))
		second := answersTo(t, attack(t, gw, "fn:few-several"), 'Z', 1, query("SELECT id FROM customers LIMIT 3"))
		other := answersTo(t, attack(t, gw, "fn:few-other"), 'Z', 1, query("SELECT id FROM customers LIMIT 3"))
		if first != "DDDCZI" || second != "DDE53400ZI" || other != first {
			t.Error(first, second, other)
		}
	})
	out, _ := psql(t, gw, token(t, gw, "fn:few-psql"), "-c", many)
	contains(t, out, "five-rows", "used up until 20", "Five rows must do.")
}

// TestRowBudgetEndsWhatItCannotCut: where an error in the middle would let the client believe what is not so, the session
// ends, and a transaction that it began is rolled back.
func TestRowBudgetEndsWhatItCannotCut(t *testing.T) {
	gw := with(t, budgetDocuments)
	sync := &pgproto3.Sync{}
	const change = "UPDATE orders SET status = 'over' WHERE id = 103"
	defer direct(t, "UPDATE orders SET status = 'open' WHERE id = 103")
	for name, c := range map[string]struct {
		steps []step
		want  string
	}{
		"a transaction":        {[]step{{query("BEGIN")}, {query(change)}, {query(many)}}, "CZTCZTDDDDDE53400"},
		"a cursor":             {[]step{{query("BEGIN")}, {query(change)}, {query("DECLARE c CURSOR FOR " + many)}, {query("FETCH 4 FROM c")}, {query("FETCH 4 FROM c")}}, "CZTCZTCZTDDDDCZTDE53400"},
		"one query of several": {[]step{{query(change + "; " + many)}}, "CDDDDDE53400"},
		"a pipeline, behind":   {[]step{append(append(whole(change), whole(many)...), sync)}, "CDDDDDE53400"},
		"a pipeline, before":   {[]step{append(append(whole(many), whole(change)...), sync)}, "DDDDDE53400"},
		"in a transaction, parsed": {[]step{append(whole("BEGIN"), sync), append(whole(change), sync), append(whole(many), sync)},
			"CZTCZTDDDDDE53400"},
	} {
		t.Run(name, func(t *testing.T) {
			direct(t, "UPDATE orders SET status = 'open' WHERE id = 103")
			a := attack(t, gw, "fn:few-"+strings.NewReplacer(" ", "", ",", "").Replace(name))
			got := ""
			for i, s := range c.steps {
				last := byte('Z')
				if i == len(c.steps)-1 {
					last = 'E'
				}
				got += answersTo(t, a, last, 1, s...)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if err := a.conn.Conn.SetReadDeadline(time.Now().Add(tooLong)); err != nil {
				t.Fatal(err)
			}
			if m, err := a.conn.Frontend.Receive(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("the session goes on: %v %v", m, err)
			}
			await(t, "the backend to leave", func() bool {
				return direct(t, "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'RowExclusiveLock'") == "0"
			})
			if strings.HasPrefix(c.want, "CZT") && direct(t, "SELECT status FROM orders WHERE id = 103") != "open" {
				t.Error("it took effect")
			}
		})
	}
	a := attack(t, gw, "fn:few-returning")
	if got := answersTo(t, a, 'E', 1, query("UPDATE customers SET name = name RETURNING id")); got != "DDDDDE53400" {
		t.Errorf("RETURNING: %s", got)
	}
}
