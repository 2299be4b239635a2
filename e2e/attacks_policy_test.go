package e2e

import (
	"net"
	"strings"
	"testing"
)

// What the policies of these tests hide with, and what stands in its place.
const masking = "  - effect: mask\n    resources: [shop/public.customers.email, \"*.ssn\", \"*.notes\"]\n    with: redact\n"

func unmasked(docs string) string { return strings.Replace(docs, masking, "", 1) }

func forbidden(docs string) string {
	const none = "  - effect: deny\n    actions: [\"postgres:*\"]\n    resources: [\"shop/public.*\"]\n"
	docs = strings.Replace(docs, masking, none, 1)
	return strings.Replace(docs, "kind: Policy\nname: writer\nstatements:\n", "kind: Policy\nname: writer\nstatements:\n"+none, 1)
}

func unchanged(docs string) string { return docs }

// TestAttackByWaiting: a client that leaves a pipeline open gets what the policies say when it ends, not when it began.
func TestAttackByWaiting(t *testing.T) {
	const update = "UPDATE orders SET status = 'late' WHERE id = 101"
	for _, c := range []struct {
		name, role, text string
		before, after    func(string) string
	}{
		{"masked since", "fn:reader", "SELECT email FROM customers", unmasked, unchanged},
		{"masked since, copied", "fn:reader", "COPY (SELECT email FROM customers) TO STDOUT", unmasked, unchanged},
		{"denied since", "fn:reader", "SELECT email FROM customers", unmasked, forbidden},
		{"denied since, a change", "fn:writer", update, unchanged, forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			gw := own(t)
			apply(t, gw, c.before)
			a := attack(t, gw, c.role)
			if got := a.say(t, query("BEGIN"), query(c.text), query("ROLLBACK")); strings.Contains(got, "ERROR") {
				t.Fatalf("it is not allowed at first: %s", got)
			}
			a.heard.Reset()
			guarded(t, func() {
				a.send(t, whole(c.text)...)
				apply(t, gw, c.after)
				a.say(t)
			})
			lacks(t, a.heard.String(), append(canaries(), "DONE UPDATE")...)
			if got := attack(t, gw, "fn:reader").say(t, query(harmless)); !strings.Contains(got, "ROW") {
				t.Errorf("others do not get in: %s", got)
			}
		})
	}
}

// TestAttackOnMasksUnderWay: that a mask is gone when the answer comes costs at most the session that waited for it.
func TestAttackOnMasksUnderWay(t *testing.T) {
	for _, text := range []string{"SELECT id, email FROM customers", "COPY (SELECT id, email FROM customers) TO STDOUT"} {
		t.Run(text, func(t *testing.T) {
			gw := own(t)
			bystander, a := attack(t, gw, "fn:writer"), attack(t, gw, "fn:reader")
			a.say(t, parse("m", text), describe("m"))
			a.send(t, bind("", "m"), execute(""))
			apply(t, gw, unmasked)
			a.say(t, parse("", "SELECT 1"))
			select {
			case <-gw.Done():
				t.Fatalf("the gateway has died\n%s", tail(gw))
			default:
			}
			bystander.alive(t)
			attack(t, gw, "fn:reader").alive(t)
			if log, err := gw.Log(); err != nil || strings.Contains(log, "panic") {
				t.Errorf("%v\n%s", err, tail(gw))
			}
		})
	}
}

// TestAttackOnPath: a portal means what its names meant when it was bound.
func TestAttackOnPath(t *testing.T) {
	direct(t, "CREATE SCHEMA twin")
	defer direct(t, "DROP SCHEMA twin CASCADE")
	direct(t, "CREATE TABLE twin.customers AS SELECT id, 'nothing'::text AS email, 'to see'::text AS ssn FROM customers")
	direct(t, "CREATE TABLE twin.payments AS SELECT * FROM payments")
	direct(t, "GRANT ALL ON SCHEMA twin TO app")
	direct(t, "GRANT ALL ON ALL TABLES IN SCHEMA twin TO app")
	gw := generous(t)
	for _, c := range []attackCase{
		{"a portal, then another path", "fn:reader", append(simple("BEGIN"),
			step{parse("s", secret), describe("s"), bind("p", "s")}, step{query("SET LOCAL search_path = twin")}, step{execute("p")})},
		{"a portal half read, then another path", "fn:reader", append(simple("BEGIN"),
			step{parse("s", secret), bind("p", "s"), fetch("p")}, step{query("SET LOCAL search_path = twin")}, step{execute("p")})},
		{"a statement of another path", "fn:reader", append(simple("SET search_path = twin"),
			step{parse("s", secret)}, step{query("SET search_path = public")}, step{bind("", "s"), execute("")}, step{bind("p", "s"), execute("p")})},
		{"a path in a pipeline", "fn:reader", append(simple("SET search_path = twin", "PREPARE s AS "+secret),
			pipeline(whole("SET search_path = public"), step{bind("", "s"), execute("")}, whole("EXECUTE s")))},
		{"a path that is rolled back", "fn:reader", append(simple("BEGIN", "SET search_path = twin"),
			step{parse("s", secret)}, step{query("ROLLBACK")}, step{bind("", "s"), execute("")})},
		{"a path in one query", "fn:reader", simple("SET search_path = twin; "+secret, "SET search_path = public; "+secret)},
		{"a cursor, then another path", "fn:reader", simple("BEGIN", "DECLARE c CURSOR FOR "+secret, "SET LOCAL search_path = twin", "FETCH ALL FROM c")},
		{"a removal, then another path", "fn:writer", append(simple("BEGIN"),
			step{parse("s", wipe), bind("p", "s")}, step{query("SET LOCAL search_path = twin")}, step{execute("p")}, step{query("COMMIT")})},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, gw) })
	}
}

// TestAttackOnApprovals: an approval that may be used again covers the text that the reviewer saw, whatever it is called.
func TestAttackOnApprovals(t *testing.T) {
	gw := generous(t)
	ann := approving{gw: gw, ann: reviewer(t, gw)}
	const other = "DELETE FROM payments WHERE id = 9202"
	for name, c := range map[string]struct{ good, bad []step }{
		"parsed": {
			good: []step{{parse("p", wipe)}, {query("EXECUTE p")}},
			bad:  []step{{parse("p", other)}, {query("EXECUTE p")}}},
		"by statement": {
			good: simple("PREPARE p AS "+wipe, "EXECUTE p"),
			bad:  simple("PREPARE p AS "+other, "EXECUTE p")},
		"by statement, then parsed": {
			good: simple("PREPARE p AS "+wipe, "EXECUTE p"),
			bad:  []step{{parse("p", other)}, {query("EXECUTE p")}}},
		"with a parameter": {
			good: []step{{parse("p", "DELETE FROM payments WHERE id = $1"), bind("", "p", "9201"), execute("")}},
			bad:  []step{{parse("p", "DELETE FROM payments WHERE id = $1"), bind("", "p", "9202"), execute("")}}},
		"with a parameter by statement": {
			good: simple("PREPARE p (int) AS DELETE FROM payments WHERE id = $1", "EXECUTE p (9201)"),
			bad:  simple("PREPARE p (int) AS DELETE FROM payments WHERE id = $1", "EXECUTE p (9202)")},
	} {
		t.Run(name, func(t *testing.T) {
			direct(t, "INSERT INTO payments VALUES (9201, 1, NULL, 1, 'card', 'x', now()), (9202, 1, NULL, 1, 'card', 'x', now())")
			defer direct(t, "DELETE FROM payments WHERE id >= 9200")
			ann.approves(t, c.good)
			if got := direct(t, "SELECT count(*) FROM payments WHERE id = 9201"); got != "0" {
				t.Error("what was approved did not run")
			}
			a := attack(t, gw, "fn:writer")
			for _, s := range c.bad {
				if a.say(t, s...); a.held != "" {
					break
				}
			}
			if a.held == "" {
				t.Errorf("another removal was not held: %s", a.heard.String())
			}
			a.leave()
			if got := direct(t, "SELECT count(*) FROM payments WHERE id = 9202"); got != "1" {
				t.Error("another removal ran under the approval")
			}
		})
	}
}

// approves takes steps, looks at what the reviewer is shown of those that are held, and approves them.
func (a approving) approves(t *testing.T, steps []step) {
	t.Helper()
	client := attack(t, a.gw, "fn:writer")
	held := 0
	for _, s := range steps {
		client.say(t, s...)
		for ; client.held != ""; held++ {
			shown := a.gw.CLI(t.Context(), "", "approvals", "show", client.held)
			contains(t, shown.Out, "DELETE FROM payments WHERE id =")
			if !strings.Contains(shown.Out, "9201") && !strings.Contains(shown.Out, "$1") {
				t.Errorf("the reviewer sees no parameter: %s", shown.Out)
			}
			if r := a.answer(t, "approve", client.held, "ticket 2", a.ann); r.Code != 0 {
				t.Fatalf("approve: %s%s", r.Out, r.Err)
			}
			client.hear(t)
		}
	}
	if held == 0 || strings.Contains(client.heard.String(), "ERROR") {
		t.Errorf("held %d times, heard %s", held, client.heard.String())
	}
}

// TestAttackByStrangers: connections that never log in keep nobody out who comes from elsewhere.
func TestAttackByStrangers(t *testing.T) {
	gw := own(t)
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 1100 { // the gateway's limit is 1000 sessions
		c, err := from.DialContext(t.Context(), "tcp", gw.Listener["postgres"])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // the gateway may have closed it
	}
	attack(t, gw, "fn:reader").alive(t)
}
