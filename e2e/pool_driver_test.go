package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestPreparedAcrossBackends: a statement that was prepared on one backend runs on the other, reads its literals under the
// settings of the session that runs it, and can be closed and deallocated; more of them than one backend keeps work too.
func TestPreparedAcrossBackends(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 2, ""))
	us, eu, block := connect(t, gw, "fn:ann"), connect(t, gw, "fn:ann"), connect(t, gw, "fn:ann")
	runs(t, us, "SET datestyle = 'ISO, MDY'")
	runs(t, eu, "SET datestyle = 'ISO, DMY'")
	const date = "SELECT date '02/01/2024'::text"
	for conn, want := range map[*pgx.Conn]string{us: "2024-02-01", eu: "2024-01-02"} {
		if _, err := conn.Prepare(t.Context(), "day", date); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for range 2 { // on one backend, then on the other
			var got string
			if err := conn.QueryRow(t.Context(), "day").Scan(&got); err != nil || got != want {
				t.Errorf("got %s, want %s: %v", got, want, err)
			}
			seen[pid(t, conn)] = true
			runs(t, block, "BEGIN")
			seen[pid(t, block)] = true
			if err := conn.QueryRow(t.Context(), "day").Scan(&got); err != nil || got != want {
				t.Errorf("got %s, want %s: %v", got, want, err)
			}
			seen[pid(t, conn)] = true
			runs(t, block, "COMMIT")
		}
		if len(seen) != 2 {
			t.Errorf("%d backends took part, want 2", len(seen))
		}
	}
	for i := range 300 {
		if _, err := us.Exec(t.Context(), "SELECT "+strings.Repeat("1+", i)+"1", pgx.QueryExecModeCacheStatement); err != nil {
			t.Fatal(err)
		}
	}
	_, err := us.Prepare(t.Context(), "day", date)
	var pe *pgconn.PgError
	if _, again := us.Exec(t.Context(), "day"); again != nil {
		t.Errorf("after preparing it again (%v): %v", err, again)
	}
	if _, err := us.Prepare(t.Context(), "wrong", "SELECT nothing FROM nowhere"); !errors.As(err, &pe) || pe.Code != "42P01" {
		t.Errorf("want 42P01, got %v", err)
	}
	runs(t, us, "SELECT 1")
}

// TestSettingsMoveWithTheSession: what a session sets in one transaction holds in the next, on whatever backend; a rollback
// takes it back, RESET goes back to what the client asked for when it connected, and the client is told what is true.
func TestSettingsMoveWithTheSession(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 2, ""))
	conn, err := pgx.Connect(t.Context(), dsn(gw, token(t, gw, "fn:ann"))+" timezone=Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	defer leaveNow(t, conn)
	block := connect(t, gw, "fn:ann")
	runs(t, block, "SET timezone = 'Europe/Rome'")
	holds := func(want string) {
		t.Helper()
		for _, other := range []bool{false, true} {
			if other {
				runs(t, block, "BEGIN")
				runs(t, block, "SELECT 1")
			}
			if got := one(t, conn, "SELECT current_setting('TimeZone')"); got != want {
				t.Errorf("the time zone is %s, want %s", got, want)
			}
			if got := conn.PgConn().ParameterStatus("TimeZone"); got != want {
				t.Errorf("the client was told %s, want %s", got, want)
			}
			if other {
				runs(t, block, "COMMIT")
			}
		}
	}
	holds("Asia/Tokyo")
	runs(t, conn, "SET timezone = 'America/Lima'")
	holds("America/Lima")
	runs(t, conn, "BEGIN; SET timezone = 'Asia/Kolkata'; ROLLBACK")
	holds("America/Lima")
	runs(t, conn, "RESET timezone")
	holds("Asia/Tokyo")
	runs(t, conn, "SET timezone = 'America/Lima'")
	runs(t, conn, "DISCARD ALL")
	holds("Asia/Tokyo")
}

// TestPinsAreRefused: where a connection says so, what would keep a backend is refused before it runs, and the session goes on.
func TestPinsAreRefused(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 1, ", pin: refuse"))
	conn := connect(t, gw, "fn:ann")
	for _, sql := range []string{"LISTEN x", "PREPARE p AS SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT pg_advisory_lock(1)",
		"SET transform_null_equals = on", "SELECT set_config('my.own', 'x', false)", "DO 'BEGIN END'", "SELECT setseed(0.1)"} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "53400" {
			t.Errorf("%s: want 53400, got %v", sql, err)
		}
	}
	runs(t, conn, "BEGIN; SELECT set_config('my.own', 'x', true); COMMIT")
}
