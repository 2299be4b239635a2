package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
)

// TestHeldActionHoldsNoBackend: while an action waits for a reviewer, outside of a transaction, others work on the only
// backend there is, also with other settings; the action then runs as it was judged, whatever the driver's way to ask.
func TestHeldActionHoldsNoBackend(t *testing.T) {
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) { heldHoldsNoBackend(t, mode) })
	}
}

func heldHoldsNoBackend(t *testing.T, mode string) {
	gw := pooled(t, poolConf(mode, 1, ""))
	a := approving{gw: gw, ann: reviewer(t, gw)}
	for _, how := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec} {
		t.Run(how.String(), func(t *testing.T) {
			putPayment(t)
			w := holdAs(t, gw, "fn:ann", how, removal)
			for _, who := range []string{"fn:bob", "fn:ann"} {
				other := connect(t, gw, who)
				runs(t, other, "SET search_path = pool, public")
				if got := one(t, other, "SELECT count(*)::text FROM work"); got == "" {
					t.Error("no answer")
				}
				runs(t, other, "INSERT INTO work (note) VALUES ('meanwhile')")
				leaveNow(t, other)
			}
			if r := a.answer(t, "approve", w.id, "ticket 4", a.ann); r.Code != 0 {
				t.Fatalf("approve: %s%s", r.Out, r.Err)
			}
			if err := w.ends(t); err != nil || paymentIsThere(t) {
				t.Errorf("%v, still there: %t", err, paymentIsThere(t))
			}
		})
	}
}

// TestWaitForABackend: who waits too long for a backend is told so, in the SQLSTATE that pools know, and works on; whose
// turn it is does not depend on how many sessions somebody has.
func TestWaitForABackend(t *testing.T) {
	gw := pooled(t, "pool: {mode: transaction, max_backends: 1, wait: 300ms}")
	ann, bob := connect(t, gw, "fn:ann"), connect(t, gw, "fn:bob")
	runs(t, ann, "BEGIN")
	runs(t, ann, "SELECT 1")
	for _, how := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		_, err := bob.Exec(t.Context(), "SELECT 1", how)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "53300" || !strings.Contains(pe.Hint, "max_backends") {
			t.Errorf("want 53300 and what to do, got %v", err)
		}
	}
	runs(t, ann, "COMMIT")
	runs(t, bob, "SELECT 1")
}

// TestLostBackends: a backend that ends while it is idle is noticed before the next session gets it; one that ends on lease
// ends its session, and the next one gets another.
func TestLostBackends(t *testing.T) {
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			gw := pooled(t, poolConf(mode, 1, ""))
			for range 5 {
				ann := connect(t, gw, "fn:ann")
				was := pid(t, ann)
				leaveNow(t, ann)
				awaitIdle(t, was)
				terminate(t, was)
				ann = connect(t, gw, "fn:ann")
				if now := pid(t, ann); now == was {
					t.Error("it was not ended")
				}
				leaveNow(t, ann)
			}
			ann := connect(t, gw, "fn:ann")
			runs(t, ann, "BEGIN")
			terminate(t, pid(t, ann))
			if _, err := ann.Exec(t.Context(), "SELECT 1"); err == nil {
				t.Error("a statement ran on a backend that is gone")
			}
			ann = connect(t, gw, "fn:ann")
			runs(t, ann, "SELECT 1")
		})
	}
}

// awaitIdle waits until a backend has been reset and waits for its next session.
func awaitIdle(t *testing.T, pid string) {
	t.Helper()
	await(t, "the backend to be idle", func() bool {
		return direct(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::text::int AND state = 'idle'", pid) == "1"
	})
}

func terminate(t *testing.T, pid string) {
	t.Helper()
	direct(t, "SELECT pg_terminate_backend($1::text::int)", pid)
	await(t, "the backend to end", func() bool {
		return direct(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::text::int", pid) == "0"
	})
}

// TestPoolFollowsTheDocuments: with another password, or another document, what was opened before is not used again.
func TestPoolFollowsTheDocuments(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 2, ""))
	ann := connect(t, gw, "fn:ann")
	was := pid(t, ann)
	if again := pid(t, ann); again != was {
		t.Fatal("the backend was not used again, so that nothing is shown below")
	}
	changed := strings.Replace(shared.documents(), "record_results: 5", poolConf("transaction", 3, ""), 1) + sharing
	if r := gw.CLI(t.Context(), changed, "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	now := ""
	await(t, "the new document to hold", func() bool { now = pid(t, ann); return now != was })
	if r := gw.CLI(t.Context(), "wrong", "secrets", "set", "shop"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	await(t, "the new secret to hold", func() bool { _, err := ann.Exec(t.Context(), "SELECT 1"); return err != nil })
	if got := direct(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::text::int", now); got != "0" {
		t.Error("a backend of the old secret is still open")
	}
}

// TestCancelHitsOnlyItsOwn: a client that cancels all the time hits statements of its own, never those of another session
// to which its backend has gone.
func TestCancelHitsOnlyItsOwn(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 1, ""))
	ann, bob := connect(t, gw, "fn:ann"), connect(t, gw, "fn:bob")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var busy sync.WaitGroup
	const enoughHits, enoughRan = 5, 50
	const slow, slower = "SELECT count(*) FROM generate_series(1, 20000)", "SELECT count(*) FROM generate_series(1, 200000)"
	var hits atomic.Int64
	for range 2 {
		busy.Go(func() {
			for ctx.Err() == nil {
				_ = ann.PgConn().CancelRequest(ctx)
			}
		})
	}
	busy.Go(func() {
		for ctx.Err() == nil {
			if _, err := ann.Exec(t.Context(), slower, pgx.QueryExecModeSimpleProtocol); err != nil {
				hits.Add(1)
			}
		}
	})
	ran := 0
	for ctx.Err() == nil && (hits.Load() < enoughHits || ran < enoughRan) {
		if _, err := bob.Exec(t.Context(), slow, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("a statement of another session: %v", err)
			break
		}
		ran++
	}
	stop()
	busy.Wait()
	if hits.Load() == 0 || ran == 0 {
		t.Errorf("%d cancels hit, %d statements ran: nothing is shown", hits.Load(), ran)
	}
}

// TestWhoCallsIsTheGateways: with propagate the database knows who calls, and no client can say otherwise.
func TestWhoCallsIsTheGateways(t *testing.T) {
	for _, mode := range []string{"session", "transaction"} {
		for _, own := range []string{"app.principal", "application_name"} {
			t.Run(mode+" "+own, func(t *testing.T) {
				gw := pooled(t, poolConf(mode, 1, ", pin: refuse")+"\npropagate: "+own)
				for _, who := range []string{"ann", "bob", "ann"} {
					conn := connect(t, gw, "fn:"+who)
					for _, sql := range forgeries(own) {
						_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
						if got := one(t, conn, "SELECT current_setting('"+own+"')"); !strings.HasSuffix(got, "#fn:"+who) {
							t.Errorf("after %s (%v) the database takes %s for %s", sql, err, who, got)
						}
						if own == "app.principal" {
							if got := one(t, conn, "SELECT string_agg(secret, ' ') FROM pool.tenants"); got != "of "+who && got != "null" {
								t.Errorf("after %s %s sees the rows %s", sql, who, got)
							}
						}
					}
					leaveNow(t, conn)
				}
			})
		}
	}
}

func forgeries(own string) []string {
	upper := strings.ToUpper(own)
	f := func(s string) string { return strings.NewReplacer("$OWN", own, "$UPPER", upper).Replace(s) }
	return []string{"SELECT 1", f("SET $OWN = 'x#fn:cyd'"), f("SET LOCAL $OWN = 'x#fn:cyd'"), f("RESET $OWN"), "RESET ALL", "DISCARD ALL",
		f("BEGIN; SET LOCAL $OWN = 'x#fn:cyd'; SELECT * FROM pool.tenants; COMMIT"), f("SET $UPPER = 'x#fn:cyd'"), f("SET $OWN TO DEFAULT"),
		f("SELECT set_config('$OWN', 'x#fn:cyd', false)"), f("SELECT set_config('$UPPER', 'x#fn:cyd', false)"),
		f("SELECT set_config(x, 'x#fn:cyd', false) FROM (VALUES ('$OWN')) v(x)"), f("SELECT pg_catalog.set_config(lower('$UPPER'), 'x#fn:cyd', true)"),
		f("UPDATE pg_settings SET setting = 'x#fn:cyd' WHERE name = '$OWN'"),
		f("PREPARE forge AS SELECT set_config('$OWN', 'x#fn:cyd', false)"), "EXECUTE forge",
		f("DECLARE c CURSOR WITH HOLD FOR SELECT set_config('$OWN', 'x#fn:cyd', false)"), "FETCH c",
		f("COPY (SELECT set_config('$OWN', 'x#fn:cyd', false)) TO STDOUT"), f("EXPLAIN ANALYZE SELECT set_config('$OWN', 'x#fn:cyd', false)"),
		f("SELECT pool.run('SET $OWN = ''x#fn:cyd''')"), "SELECT pool.run('RESET ALL')",
		f("BEGIN; SELECT pool.run('SET $OWN = ''x#fn:cyd'''); SAVEPOINT s; COMMIT"),
		f("BEGIN; SELECT pool.run('SET $OWN = ''x#fn:cyd'''); SAVEPOINT s; ROLLBACK TO s; COMMIT"), "COMMIT",
		f("ALTER ROLE app SET $OWN = 'x#fn:cyd'"), f("ALTER ROLE app RESET $OWN"),
	}
}

// TestManyClientsFewBackends: pgbench in each of its modes, sixteen clients on two backends, without an error.
// Each client has a thread of its own: pgbench prepares statements without looking after the others of its thread, which may
// hold the backends that it waits for.
func TestManyClientsFewBackends(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 2, ""))
	began := direct(t, "SELECT now()::text") // before it, other gateways opened theirs
	for _, how := range []string{"simple", "extended", "prepared"} {
		out := bench(t, gw, "-n", "-M", how, "-c", "16", "-j", "16", "-t", "60", "-f", "testdata/shared.pgbench")
		contains(t, out, "number of transactions actually processed: 960/960")
		lacks(t, out, "error:", "aborted")
	}
	if n := direct(t, "SELECT count(*) <= 3 FROM pg_stat_activity WHERE usename = 'app' AND backend_start > $1::timestamptz", began); n != "true" { // one is the catalogue's
		t.Error("more backends than max_backends")
	}
}

// bench runs pgbench through a gateway.
func bench(t *testing.T, gw *gateway.Gateway, args ...string) string {
	t.Helper()
	host, port := address(gw)
	cmd := exec.CommandContext(t.Context(), filepath.Join(shared.pg.BinDir, "pgbench"), args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=fn", "PGDATABASE=shop", "PGPASSWORD="+token(t, gw, "fn:ann"),
		"PGSSLMODE=verify-full", "PGSSLROOTCERT="+gw.CAFile())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("pgbench: %v", err)
	}
	return string(out)
}
