package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/gateway"
)

// recorded returns what the log holds of the sessions of one subject, in order.
func recorded(t *testing.T, gw *gateway.Gateway, subject string) []map[string]any {
	t.Helper()
	list := gw.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	var sessions []map[string]any
	for d := json.NewDecoder(strings.NewReader(list.Out)); d.More(); {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("sessions list: %v: %s%s", err, list.Out, list.Err)
		}
		sessions = append(sessions, objectsWith(v, "principal")...)
	}
	var records []map[string]any
	for _, s := range sessions {
		if principal, _ := s["principal"].(string); !strings.HasSuffix(principal, "#"+subject) {
			continue
		}
		shown := gw.CLI(t.Context(), "", "sessions", "replay", s["id"].(string), "-o", "json")
		for d := json.NewDecoder(strings.NewReader(shown.Out)); d.More(); {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("sessions replay: %v: %s%s", err, shown.Out, shown.Err)
			}
			records = append(records, objectsWith(v, "kind")...)
		}
	}
	return records
}

// objectsWith collects the objects that have a key, anywhere in a JSON value.
func objectsWith(v any, key string) []map[string]any {
	var found []map[string]any
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			found = append(found, objectsWith(x, key)...)
		}
	case map[string]any:
		if _, ok := v[key]; ok {
			return []map[string]any{v}
		}
		for _, x := range v {
			found = append(found, objectsWith(x, key)...)
		}
	}
	return found
}

// record returns the newest record of a kind with a text; nil where there is none.
func record(records []map[string]any, kind, text string) map[string]any {
	var found map[string]any
	for _, r := range records {
		if got, _ := r["text"].(string); r["kind"] == kind && got == text {
			found = r
		}
	}
	return found
}

// TestTheCatalogueIsOnRecord: every action is recorded with the version of the objects that it was understood by, which
// changes when they do, and what was only prepared says so.
func TestTheCatalogueIsOnRecord(t *testing.T) {
	gw := own(t)
	direct(t, "DROP TABLE IF EXISTS versioned")
	c := connect(t, gw, "fn:reader")
	run := func(text string) {
		t.Helper()
		var id int
		if err := c.QueryRow(t.Context(), text, pgx.QueryExecModeDescribeExec).Scan(&id); err != nil {
			t.Fatal(err)
		}
	}
	const before, after = "SELECT id FROM customers WHERE id = 1", "SELECT id FROM customers WHERE id = 2"
	run(before)
	if _, err := c.Exec(t.Context(), "DROP TABLE customers"); err == nil {
		t.Fatal("a table was dropped")
	}
	direct(t, "CREATE TABLE versioned (id int)")
	defer direct(t, "DROP TABLE versioned")
	await(t, "the new catalogue", func() bool {
		run(after)
		rs := recorded(t, gw, "fn:reader")
		was, is := record(rs, "action.intended", before), record(rs, "action.intended", after)
		if was == nil || is == nil {
			return false
		}
		old, _ := was["catalogue"].(string)
		now, _ := is["catalogue"].(string)
		if len(old) != 16 || len(now) != 16 {
			t.Fatalf("versions %q and %q", old, now)
		}
		return old != now
	})
	rs := recorded(t, gw, "fn:reader")
	if r := record(rs, "action.refused", "DROP TABLE customers"); r == nil || len(r["catalogue"].(string)) != 16 {
		t.Errorf("refused: %v", r)
	}
	phases := map[any]bool{}
	for _, r := range rs {
		if r["text"] == before && r["kind"] == "action.intended" {
			phases[r["phase"]] = true
		}
	}
	if len(phases) != 2 || !phases["prepare"] || !phases[nil] {
		t.Errorf("phases on record: %v", phases)
	}
}

// TestRowsOfACopyAreOnRecord: the outcome of a COPY from the client holds how many rows and bytes came, and their digest,
// however they were cut into messages, and also where the copy failed or the client left. Where the rows may hold what must
// not show, the digest is a token: nobody finds a value by trying them all.
func TestRowsOfACopyAreOnRecord(t *testing.T) {
	gw := own(t)
	direct(t, "CREATE TABLE loaded (id int PRIMARY KEY, word text)")
	defer direct(t, "DROP TABLE loaded")
	direct(t, "GRANT ALL ON loaded TO app")
	var rows strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&rows, "%d\tword number %d\n", i, i)
	}
	outcome := func(subject, text string) map[string]any {
		t.Helper()
		var ended map[string]any
		await(t, "the outcome of "+text, func() bool {
			rs := recorded(t, gw, subject)
			intent := record(rs, "action.intended", text)
			for _, r := range rs {
				if intent != nil && r["kind"] == "action.ended" && r["session"] == intent["session"] && r["action"] == intent["action"] {
					ended = r
				}
			}
			return ended != nil
		})
		return ended
	}
	check := func(name string, got map[string]any, status string, count float64, data string) {
		t.Helper()
		if n, _ := got["rows"].(float64); got["status"] != status || n != count || got["bytes"] != float64(len(data)) ||
			got["digest"] != fmt.Sprintf("%x", sha256.Sum256([]byte(data))) {
			t.Errorf("%s: %v", name, got)
		}
	}

	const into = "COPY loaded FROM STDIN"
	c := connect(t, gw, "fn:writer")
	if _, err := c.PgConn().CopyFrom(t.Context(), strings.NewReader(rows.String()), into); err != nil {
		t.Fatal(err)
	}
	check("whole", outcome("fn:writer", into), "ok", 20_000, rows.String())

	const again = "COPY loaded (id, word) FROM STDIN"
	if _, err := c.PgConn().CopyFrom(t.Context(), strings.NewReader("70000\ta\n1\tb\n"), again); err == nil {
		t.Fatal("the same key twice")
	}
	check("failed", outcome("fn:writer", again), "error", 0, "70000\ta\n1\tb\n")

	const left = "COPY loaded (word, id) FROM STDIN"
	a := attack(t, gw, "fn:writer")
	a.send(t, query(left), &pgproto3.CopyData{Data: []byte("x\t8")}, &pgproto3.CopyData{Data: []byte("0000\n")}, &pgproto3.Terminate{})
	check("left", outcome("fn:writer", left), "cancelled", 0, "x\t80000\n")

	const hidden, row = "COPY customers (id, name, email, ssn, card, joined) FROM STDIN", "70000\tmax\tmax@example.org\t078-05-1120\t1\t2026-01-01\n"
	r := connect(t, gw, "fn:reader")
	if _, err := r.PgConn().CopyFrom(t.Context(), strings.NewReader(row), hidden); err != nil {
		t.Fatal(err)
	}
	direct(t, "DELETE FROM customers WHERE id = 70000")
	got := outcome("fn:reader", hidden)
	if d, _ := got["digest"].(string); !strings.HasPrefix(d, "<") || strings.Contains(d, fmt.Sprintf("%x", sha256.Sum256([]byte(row)))) {
		t.Errorf("under a mask: %v", got)
	}
}
