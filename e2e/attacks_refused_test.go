package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// settings are statements of one form, whose literal decides what they do: a judgement of the form is not one of them all.
var settings = []string{
	"set_config('role', 'app', false)",
	"set_config('search_path', 'pg_temp', false)",
	"set_config('standard_conforming_strings', 'off', false)",
	"set_config('session_authorization', 'app', false)",
	"set_config('client_encoding', 'SQL_ASCII', false)",
	"current_setting('data_directory')",
	"current_setting('hba_file')",
	"nextval('no_such_sequence')::text",
	"nextval('pg_catalog.no_such_sequence')::text",
}

// TestAttackOnTemplates: what was worked out for one literal is not taken for another.
func TestAttackOnTemplates(t *testing.T) {
	for _, first := range []string{"'abc'", "set_config('application_name', 'abc', false)", "current_setting('application_name')"} {
		a := attack(t, shared.gw, "fn:writer")
		a.say(t, query("BEGIN"), query("UPDATE orders SET status = "+first+" WHERE id = 101"), query("ROLLBACK"))
		for _, call := range settings {
			text := "UPDATE orders SET status = " + call + " WHERE id = 101 RETURNING status"
			t.Run(first+" then "+call, func(t *testing.T) {
				guarded(t, func() {
					rejected(t, a.say(t, query(text)))
					rejected(t, a.say(t, whole(text)...))
				})
				a.alive(t)
			})
		}
	}
}

// rejected checks that the answer is an error, and of the gateway's own.
func rejected(t *testing.T, heard string) {
	t.Helper()
	if !strings.Contains(heard, "ERROR ") || strings.Contains(heard, "DONE ") {
		t.Errorf("it was not refused: %s", heard)
	}
	if !strings.Contains(heard, "ERROR 42501 permission denied: ") {
		t.Errorf("it was not the gateway that refused it: %s", heard)
	}
}

// oracles fail, or not, by a masked value: %s is a guess of it. That they fail would tell.
var oracles = []string{
	`SELECT jsonb_path_query_first(to_jsonb(email), '$ ? (@ like_regex "^%s").double()') FROM customers WHERE id = 1`,
	`SELECT jsonb_path_query_array(to_jsonb(email), '$ ? (@ starts with "%s").datetime()') FROM customers WHERE id = 1`,
	`SELECT jsonb_set(jsonb_path_query_first(to_jsonb(email), '$ ? (@ like_regex "^%s")'), '{a}', '1') FROM customers WHERE id = 1`,
	`SELECT jsonb_insert(jsonb_path_query_first(to_jsonb(email), '$ ? (@ like_regex "^%s")'), '{a}', '1') FROM customers WHERE id = 1`,
	`SELECT format(replace(email, '%s', '%%z')) FROM customers WHERE id = 1`,
	`SELECT array_agg(string_to_array(email, '%s')) FROM customers WHERE id IN (1, 2)`,
	`SELECT ARRAY[string_to_array(email, 'x'), string_to_array(email, '%s')] FROM customers WHERE id = 1`,
	`SELECT ARRAY[string_to_array(email, '%s'), ARRAY['a','b']] FROM customers WHERE id = 1`,
	`SELECT ARRAY[ARRAY['a','b']] || string_to_array(email, '%s') FROM customers WHERE id = 1`,
	`SELECT string_to_array(email, '%s') || ARRAY[ARRAY['a','b']] FROM customers WHERE id = 1`,
	`SELECT array_cat(string_to_array(email, '%s'), ARRAY[ARRAY['a','b']]) FROM customers WHERE id = 1`,
}

// TestAttackByErrors: an error is a bit of the value that it depends on.
func TestAttackByErrors(t *testing.T) {
	a := attack(t, shared.gw, "fn:reader")
	for _, form := range oracles {
		t.Run(form, func(t *testing.T) {
			right, wrong := a.say(t, query(fmt.Sprintf(form, "ada"))), a.say(t, query(fmt.Sprintf(form, "bda")))
			if varying.ReplaceAllString(right, "") != varying.ReplaceAllString(wrong, "") {
				t.Errorf("a right guess is answered otherwise than a wrong one: %s and %s", right, wrong)
			}
			lacks(t, right+wrong, canaries()...)
			rejected(t, right)
			rejected(t, wrong)
			rejected(t, a.say(t, whole(fmt.Sprintf(form, "ada"))...))
			a.alive(t)
		})
	}
}

// TestAttackOnOwnNames: the names of the gateway's own statements are not for clients.
func TestAttackOnOwnNames(t *testing.T) {
	const name = "gatehouse_own"
	a := attack(t, shared.gw, "fn:reader")
	for _, s := range [][]pgproto3.FrontendMessage{
		{parse(name, harmless)}, {parse(name+"_x", harmless)}, {parse("s", harmless), bind(name, "s"), execute(name)},
		{query("PREPARE " + name + " AS " + harmless)}, {query("PREPARE " + name + "2 AS " + harmless)}, {query("PREPARE GateHouse_Own AS " + harmless)},
		{query(`PREPARE "` + name + `" AS ` + harmless)}, {query("BEGIN; DECLARE " + name + " CURSOR FOR " + harmless)},
		whole("PREPARE " + name + " AS " + harmless), {query("BEGIN; DECLARE " + name + "3 CURSOR FOR " + harmless)},
	} {
		got := a.say(t, s...)
		if !strings.Contains(got, "ERROR ") || !strings.Contains(got, "begin with gatehouse_ ") {
			t.Errorf("%v: it was not refused: %s", s, got)
		}
		a.alive(t)
	}
	for _, s := range []step{{bind("", name), execute("")}, {query("EXECUTE " + name)}, {query("DEALLOCATE " + name)}, {query("CLOSE " + name)},
		{closeStatement(name)}, {closePortal(name)}, {execute(name)}, {&pgproto3.Describe{ObjectType: 'S', Name: name}}} {
		lacks(t, a.say(t, s...), "ROW ", "COLUMN ")
		a.alive(t)
	}
}

// TestAttackBySize: what is large is answered or refused, and never waited for in vain.
func TestAttackBySize(t *testing.T) {
	const size = 300 << 10
	large := strings.Repeat("v", size)
	row := []byte("9301\t1\t\\N\t1\tcard\t" + large + "\t2026-01-01\n")
	into := "COPY payments FROM STDIN"
	done := fmt.Sprintf("%q", fmt.Sprint(size))
	for _, c := range []struct {
		name, role, says string
		send             step
	}{
		{"a query", "fn:reader", done, step{query("SELECT length('" + large + "')")}},
		{"a query with a comment", "fn:reader", `"7"`, step{query("SELECT 7 /*" + large + "*/")}},
		{"a parse", "fn:reader", done, whole("SELECT length('" + large + "')")},
		{"a parameter", "fn:reader", done, step{parse("", "SELECT length($1::text)"), bind("", "", large), execute("")}},
		{"an answer", "fn:reader", large, step{query("SELECT repeat('v', " + fmt.Sprint(size) + ")")}},
		{"two in a row", "fn:reader", done, step{query("SELECT length('" + large + "')"), query("SELECT length('" + large + "')")}},
		{"rows of a copy", "fn:writer", "COPY 1", step{query(into), &pgproto3.CopyData{Data: row}, &pgproto3.CopyDone{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer direct(t, "DELETE FROM payments WHERE id >= 9300")
			a := attack(t, shared.gw, c.role)
			if got := a.say(t, c.send...); !strings.Contains(got, c.says) {
				t.Errorf("%.60q is missing in %.2000s", c.says, got)
			}
			a.alive(t)
			if c.says != "COPY 1" {
				return
			}
			if got := direct(t, "SELECT count(*) FROM payments WHERE id >= 9300"); got != "1" {
				t.Errorf("%s rows have arrived", got)
			}
		})
	}
}

// TestAttackByCopyEarlySync: a client may say Sync before the rows of a COPY, where the server takes no notice of it. One that
// waits to be asked for its rows, and one that does not, have them stored.
func TestAttackByCopyEarlySync(t *testing.T) {
	early := append(whole("COPY payments FROM STDIN"), &pgproto3.Sync{})
	for name, size := range map[string]int{"few rows": 1, "much": 300 << 10} {
		rows := step{&pgproto3.CopyData{Data: []byte("9301\t1\t\\N\t1\tcard\t" + strings.Repeat("v", size) + "\t2026-01-01\n")}, &pgproto3.CopyDone{}}
		t.Run(name+", asked for", func(t *testing.T) { copied(t, early, rows) })
		t.Run(name+", unasked", func(t *testing.T) { copied(t, nil, pipeline(early, rows)) })
	}
}

// TestAttackByCopyExtended: the same with a Flush instead, and with neither.
func TestAttackByCopyExtended(t *testing.T) {
	rows := step{&pgproto3.CopyData{Data: []byte("9301\t1\t\\N\t1\tcard\tx\t2026-01-01\n")}, &pgproto3.CopyDone{}}
	begin := whole("COPY payments FROM STDIN")
	t.Run("asked for", func(t *testing.T) { copied(t, append(begin[:3:3], &pgproto3.Flush{}), rows) })
	t.Run("unasked", func(t *testing.T) { copied(t, nil, pipeline(begin, rows)) })
}

// copied sends first, waits until the rows are asked for, sends the rest, and counts what has arrived.
func copied(t *testing.T, first, rest step) {
	t.Helper()
	defer direct(t, "DELETE FROM payments WHERE id >= 9300")
	a := attack(t, shared.gw, "fn:writer")
	if first != nil {
		a.send(t, first...)
		a.until(t, func() bool { return a.copies })
	}
	if got := a.say(t, rest...); !strings.Contains(got, "DONE COPY 1") {
		t.Errorf("the COPY has not ended: %.2000s", got)
	}
	a.alive(t)
	if got := direct(t, "SELECT count(*) FROM payments WHERE id >= 9300"); got != "1" {
		t.Errorf("%s rows have arrived", got)
	}
}

// TestAttackByHoarding: a session may hold only so much under names, and says so when it is enough.
func TestAttackByHoarding(t *testing.T) {
	pad := strings.Repeat("h", 60_000)
	for name, form := range map[string]func(n int) step{
		"parsed":       func(n int) step { return step{parse(fmt.Sprint("m", n), fmt.Sprintf("SELECT %d /*%s*/", n, pad))} },
		"by statement": func(n int) step { return step{query(fmt.Sprintf("PREPARE m%d AS SELECT '%s'", n, pad))} },
		"in a pipeline": func(n int) step {
			return step{parse(fmt.Sprint("a", n), fmt.Sprintf("SELECT '%s'", pad)), parse(fmt.Sprint("b", n), "SELECT '"+pad+"'")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, shared.gw, "fn:reader")
			for n := range 1500 {
				if got := a.say(t, form(n)...); strings.Contains(got, "ERROR ") {
					contains(t, got, "too many prepared statements")
					a.alive(t)
					return
				}
			}
			t.Error("1500 statements of 60 KB are held")
		})
	}
}

// TestAttackAtStartup: what a SET may not do, a startup message may not do either.
func TestAttackAtStartup(t *testing.T) {
	for _, more := range []string{"search_path=twin", "options='-c search_path=twin'", "role=app", "session_authorization=app", "standard_conforming_strings=off"} {
		conn, err := pgx.Connect(t.Context(), dsn(shared.gw, token(t, shared.gw, "fn:reader"))+" "+more)
		if err == nil {
			t.Errorf("%s was taken", more)
			_ = conn.Close(t.Context()) // it should not be there
		}
	}
}
