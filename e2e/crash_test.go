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
	"gatehouse/e2e/pgtest"
)

// TestKillUnderLoad is promise 2: the gateway is killed while clients work, again and again on the same state; whatever the
// database's own log shows of it, its own statements included, has an intent in the audit log, and the log verifies.
// CRASH_ROUNDS says how often.
func TestKillUnderLoad(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	before := len(statements(t))
	gw, err := shared.start(t.Context(), "crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gw.Kill() })
	audited := intents{texts: map[string]bool{}, sessions: map[string]bool{}}
	for round := range rounds {
		load(t, gw, round)
		gw.Kill()
		if gw, err = gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: gw.State}); err != nil {
			t.Fatalf("round %d: the gateway does not start on what the crash left: %v", round, err)
		}
		if r := gw.CLI(t.Context(), "", "audit", "verify", "--dir", gw.AuditDir(), "--key", gw.AuditKey()); r.Code != 0 {
			t.Fatalf("round %d: verify: %s%s", round, r.Out, r.Err)
		}
		audited.read(t, gw)
		all := statements(t)
		clients := 0
		for _, text := range all[before:] {
			if !audited.texts[text] {
				t.Errorf("round %d: the database saw %q, the audit log has no intent of it", round, text)
			}
			if strings.Contains(text, fmt.Sprintf("round-%d-", round)) {
				clients++
			}
		}
		if before = len(all); clients == 0 {
			t.Errorf("round %d: the database saw no statement of a client: there was no load", round)
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

// statements are the texts that the database logged of the gateway's user.
func statements(t *testing.T) []string {
	t.Helper()
	all, err := shared.pg.Statements()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range all {
		if s.User == pgtest.AppUser {
			texts = append(texts, s.Text)
		}
	}
	return texts
}

// intents are the texts of all actions that the audit log holds, by way of the sessions that the gateway lists.
type intents struct {
	texts    map[string]bool
	sessions map[string]bool // read already; those of a killed gateway do not grow
}

func (in intents) read(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	list := gw.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	var listed any
	if err := json.Unmarshal([]byte(list.Out), &listed); err != nil {
		t.Fatalf("sessions list: %v: %s%s", err, list.Out, list.Err)
	}
	for _, id := range stringsUnder(listed, "id", "session") {
		if in.sessions[id] {
			continue
		}
		in.sessions[id] = true
		r := gw.CLI(t.Context(), "", "sessions", "show", id, "-o", "json")
		for events := json.NewDecoder(strings.NewReader(r.Out)); events.More(); { // one JSON value a line
			var event map[string]any
			if err := events.Decode(&event); err != nil {
				t.Fatalf("sessions show %s: %v: %s%s", id, err, r.Out, r.Err)
			}
			if text, ok := event["text"].(string); ok && event["kind"] == "action.intended" {
				in.texts[text] = true
			}
		}
	}
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
