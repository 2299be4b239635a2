package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

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
