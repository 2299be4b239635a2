package transparent

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/pair"
	"gatehouse/e2e/pgtest"
)

var shared *pair.Pair

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first build may be cold
	defer cancel()
	code := 1
	var err error
	if shared, err = pair.New(ctx, seed); err == nil {
		code = m.Run()
		err = shared.Stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// direct is the way without the gateway, as the user that the gateway is to the database.
func direct() where {
	return where{shared.PG.Address(), shared.PG.CAFile, pgtest.PlainUser, pgtest.AppPassword, pgtest.Database}
}

func through(t *testing.T, subject string) where {
	t.Helper()
	token, err := shared.Gateway.Token(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := shared.Address()
	if err != nil {
		t.Fatal(err)
	}
	return where{net.JoinHostPort(host, port), shared.Gateway.CAFile(), "anything", token, pair.Connection}
}

// TestSameBytes: the same bytes come back both ways, message by message.
func TestSameBytes(t *testing.T) {
	all := scripts()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			plain, hello := dial(t, direct())
			want := plain.play(t, all[name])
			plain.send(t, &pgproto3.Terminate{})
			gated, welcome := dial(t, through(t, pair.Everything))
			compare(t, "login", hello, welcome)
			got := gated.play(t, all[name])
			for i, s := range all[name] {
				compare(t, s.name, want[i], got[i])
			}
		})
	}
}

func compare(t *testing.T, step string, want, got []message) {
	t.Helper()
	want, got = settled(want), settled(got)
	for i := range min(len(want), len(got)) {
		if got[i].kind == 'E' && !strings.Contains(got[i].body, "\x00R") { // the gateway's own, before the server saw anything
			want[i].body = withoutSource(want[i].body)
		}
	}
	if slices.Equal(want, got) {
		return
	}
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	t.Errorf("%.300s: message %d differs\ndirect:\n%s\nthrough the gateway:\n%s", step, i, show(want[i:]), show(got[i:]))
}

// withoutSource is an error without the file, line and routine of the server's source.
func withoutSource(body string) string {
	var kept []string
	for _, f := range strings.Split(body, "\x00") {
		if f == "" || !strings.Contains("FLR", f[:1]) {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, "\x00")
}

// settled is messages without what no two sessions have in common: the key to cancel by, and ids of processes.
func settled(messages []message) []message {
	var out []message
	for _, m := range messages {
		switch m.kind {
		case 'K':
			m.body = "a key"
		case 'A':
			m.body = "pid:" + m.body[min(4, len(m.body)):]
		}
		out = append(out, m)
	}
	return out
}

func show(messages []message) string {
	const most = 8
	var b strings.Builder
	for i, m := range messages {
		if i == most {
			fmt.Fprintf(&b, "    … and %d more\n", len(messages)-most)
			break
		}
		fmt.Fprintf(&b, "    %v\n", m)
	}
	return b.String()
}
