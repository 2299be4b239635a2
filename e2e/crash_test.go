package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
)

// TestKillUnderLoad is promise 2: the gateway is killed while clients work, again and again on the same state; whatever the
// database's own log shows has an intent in the audit log, and the log verifies. CRASH_ROUNDS says how often.
func TestKillUnderLoad(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	gw, err := shared.start(t.Context(), "crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gw.Kill() })
	for round := range rounds {
		before := len(statements(t))
		load(t, gw, round)
		gw.Kill()
		if gw, err = gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: gw.State}); err != nil {
			t.Fatalf("round %d: the gateway does not start on what the crash left: %v", round, err)
		}
		if r := gw.CLI(t.Context(), "", "audit", "verify", "--dir", gw.AuditDir(), "--key", gw.AuditKey()); r.Code != 0 {
			t.Fatalf("round %d: verify: %s%s", round, r.Out, r.Err)
		}
		recorded := intents(t, gw)
		seen := 0
		for _, s := range statements(t)[before:] {
			if !strings.Contains(s, fmt.Sprintf("round-%d-", round)) {
				continue
			}
			seen++
			if !recorded[s] {
				t.Errorf("round %d: the database saw %q, the audit log has no intent of it", round, s)
			}
		}
		if seen == 0 {
			t.Errorf("round %d: the database saw no statement: there was no load", round)
		}
	}
}

// load runs clients until the gateway has served a good number of statements, then returns while they still run.
func load(t *testing.T, gw *gateway.Gateway, round int) {
	t.Helper()
	const clients, enough = 4, 400
	tok := token(t, gw, "fn:reader")
	var served atomic.Int64
	var running sync.WaitGroup
	reached := make(chan struct{})
	for c := range clients {
		running.Go(func() {
			conn, err := pgx.Connect(t.Context(), dsn(gw, tok))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close(context.Background()) }() // the gateway is dead
			for i := 0; ; i++ {
				if _, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf("SELECT name /* round-%d-%d-%d */ FROM customers WHERE id = 1", round, c, i)).ReadAll(); err != nil {
					return
				}
				if served.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	stopped := make(chan struct{})
	go func() { running.Wait(); close(stopped) }()
	select {
	case <-reached:
	case <-stopped:
		t.Fatalf("the clients stopped after %d statements\n%s", served.Load(), tail(gw))
	}
}

// statements are the texts that the database logged.
func statements(t *testing.T) []string {
	t.Helper()
	all, err := shared.pg.Statements()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range all {
		texts = append(texts, s.Text)
	}
	return texts
}

// intents are the texts of all actions that the audit log holds, by way of the sessions that the gateway lists.
func intents(t *testing.T, gw *gateway.Gateway) map[string]bool {
	t.Helper()
	list := gw.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	var listed any
	if err := json.Unmarshal([]byte(list.Out), &listed); err != nil {
		t.Fatalf("sessions list: %v: %s%s", err, list.Out, list.Err)
	}
	texts := map[string]bool{}
	for _, id := range stringsUnder(listed, "id", "session") {
		r := gw.CLI(t.Context(), "", "sessions", "show", id, "-o", "json")
		for events := json.NewDecoder(strings.NewReader(r.Out)); events.More(); { // one JSON value a line
			var event any
			if err := events.Decode(&event); err != nil {
				t.Fatalf("sessions show %s: %v: %s%s", id, err, r.Out, r.Err)
			}
			for _, text := range stringsUnder(event, "text") {
				texts[text] = true
			}
		}
	}
	return texts
}

// stringsUnder collects the strings that stand under one of some keys, anywhere in a JSON value.
func stringsUnder(v any, keys ...string) []string {
	var found []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			found = append(found, stringsUnder(x, keys...)...)
		}
	case map[string]any:
		for _, k := range keys {
			if s, ok := v[k].(string); ok {
				found = append(found, s)
			}
		}
		for _, x := range v {
			found = append(found, stringsUnder(x, keys...)...)
		}
	}
	return found
}
