package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestMaskedRowsAreBounded: a row that must be held to be masked, and is larger than the gateway holds, ends its result with an
// error, in step with what a server would say, or ends the session where an error would let the client believe what is not
// so. Rows that need no look inside pass, however large, also where some are recorded.
func TestMaskedRowsAreBounded(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := "listeners:\n  - protocol: postgres\n    address: 127.0.0.1:0\nlimits: {max_masked_row: 64KiB, max_message: 1MiB}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gw := own(t, "--config", conf)
	sync := &pgproto3.Sync{}
	const (
		large = "SELECT email, repeat('x', 100000) FROM customers WHERE id = 1"
		later = "SELECT email, repeat('x', CASE WHEN id > 2 THEN 100000 ELSE 1 END) FROM customers ORDER BY id"
		fits  = "SELECT email, repeat('x', 60000) FROM customers WHERE id < 3"
		plain = "SELECT repeat('x', 3000000) FROM customers WHERE id < 3"
	)
	for name, c := range map[string]struct {
		subject string
		frames  []pgproto3.FrontendMessage
		want    string
	}{
		"simple":            {"fn:reader", step{query(large)}, "E54000ZI"},
		"simple, later":     {"fn:reader", step{query(later)}, "DDE54000ZI"},
		"extended":          {"fn:reader", append(whole(large), sync), "E54000ZI"},
		"extended, later":   {"fn:reader", append(whole(later), sync), "DDE54000ZI"},
		"copied":            {"fn:reader", step{query("COPY (" + large + ") TO STDOUT")}, "E54000ZI"},
		"it fits":           {"fn:reader", step{query(fits)}, "DDCZI"},
		"nothing is masked": {"fn:writer", step{query(plain)}, "DDCZI"},
		"parsed":            {"fn:writer", append(whole(plain), sync), "DDCZI"},
		"no column is":      {"fn:reader", step{query("SELECT name, repeat('x', 3000000) FROM customers WHERE id < 3")}, "DDCZI"},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, gw, c.subject)
			got := answersTo(t, a, 'Z', 1, c.frames...) + answersTo(t, a, 'Z', 1, query("SELECT 1")) + answersTo(t, a, 'Z', 1, append(whole("SELECT 1"), sync)...)
			if got != c.want+"DCZIDCZI" {
				t.Errorf("%s, want %s and what comes after", got, c.want)
			}
		})
	}
	t.Run("in a transaction the session ends", func(t *testing.T) {
		a := attack(t, gw, "fn:reader")
		if got := answersTo(t, a, 'Z', 1, query("BEGIN")) + answersTo(t, a, 'E', 1, query(later)); got != "CZTDDE54000" {
			t.Error(got)
		}
		if m, err := a.conn.Frontend.Receive(); err == nil {
			t.Errorf("it goes on with %T", m)
		}
	})
	out, _ := psql(t, gw, token(t, gw, "fn:reader"), "-c", large)
	contains(t, out, "something may be masked", "limits.max_masked_row")
	if strings.Contains(out, "100") {
		t.Errorf("the size is told: %s", out)
	}
}
