package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
)

// leftover is something that a session can leave on a backend, and how the next one would find it.
type leftover struct {
	make   []string
	find   string
	clean  string // what find says where there is nothing
	named  bool   // its name stays, so that no other principal may have the backend
	closed bool   // no reset takes it away: the backend must not be used again
}

var leftovers = map[string]leftover{
	"a temporary table":              {make: []string{"CREATE TEMP TABLE t AS SELECT 'secret' AS x"}, find: tempObjects, clean: "0"},
	"a temporary table, hidden":      {make: []string{"SELECT pool.run('CREATE TEMP TABLE t AS SELECT 1 AS x')"}, find: tempObjects, clean: "0"},
	"a temporary view":               {make: []string{"CREATE TEMP VIEW customers AS SELECT 'secret' AS x"}, find: tempObjects, clean: "0"},
	"a temporary function, hidden":   {make: []string{"SELECT pool.run('CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS ''SELECT 1''')"}, find: tempObjects, clean: "0"},
	"a temporary type, hidden":       {make: []string{"SELECT pool.run('CREATE DOMAIN pg_temp.money AS text')"}, find: tempObjects, clean: "0"},
	"a setting":                      {make: []string{"SET work_mem = '77MB'"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a setting, by a call":           {make: []string{"SELECT set_config('work_mem', '77MB', false)"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a setting, hidden":              {make: []string{"SELECT pool.run('SET work_mem = ''77MB''')"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a setting, by an update":        {make: []string{"UPDATE pg_settings SET setting = '77000' WHERE name = 'work_mem'"}, find: "SELECT current_setting('work_mem')", clean: "4MB", closed: true},
	"a setting that changes much":    {make: []string{"SET session_replication_role = DEFAULT", "SET transform_null_equals = on"}, find: "SELECT current_setting('transform_null_equals')", clean: "off"},
	"a local setting":                {make: []string{"BEGIN", "SET LOCAL work_mem = '77MB'", "COMMIT"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a local setting, left open":     {make: []string{"BEGIN", "SET LOCAL work_mem = '77MB'"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a search path":                  {make: []string{"SET search_path = pool"}, find: "SELECT current_setting('search_path')", clean: `"$user", public`},
	"a search path, hidden":          {make: []string{"SELECT pool.run('SET search_path = pool')"}, find: "SELECT current_setting('search_path')", clean: `"$user", public`},
	"a time zone":                    {make: []string{"SET TIME ZONE 'Pacific/Chatham'"}, find: "SELECT (current_setting('TimeZone') = 'Pacific/Chatham')::text", clean: "false"},
	"an application name":            {make: []string{"SET application_name = 'secret'"}, find: "SELECT current_setting('application_name')", clean: ""},
	"session characteristics":        {make: []string{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE, DEFERRABLE"}, find: "SELECT concat(current_setting('default_transaction_read_only'), current_setting('default_transaction_isolation'), current_setting('default_transaction_deferrable'))", clean: "offread committedoff"},
	"a prepared statement":           {make: []string{"PREPARE p AS SELECT 'secret'"}, find: preparedBySQL, clean: "0"},
	"a prepared statement, hidden":   {make: []string{"SELECT pool.run('PREPARE p AS SELECT 1')"}, find: preparedBySQL, clean: "0"},
	"one under the gateway's name":   {make: []string{"SELECT pool.run('PREPARE gatehouse_p AS SELECT 1')"}, find: preparedBySQL, clean: "0"},
	"a cursor":                       {make: []string{"DECLARE c CURSOR WITH HOLD FOR SELECT 'secret'"}, find: openCursors, clean: "0"},
	"a cursor, hidden":               {make: []string{"SELECT pool.run('DECLARE c CURSOR WITH HOLD FOR SELECT 1')"}, find: openCursors, clean: "0"},
	"a cursor, the gateway's name":   {make: []string{"SELECT pool.run('DECLARE gatehouse_c CURSOR WITH HOLD FOR SELECT 1')"}, find: openCursors, clean: "0"},
	"an advisory lock":               {make: []string{"SELECT pg_advisory_lock(4711)"}, find: advisoryLocks, clean: "0"},
	"an advisory lock, hidden":       {make: []string{"SELECT pool.run('SELECT pg_advisory_lock(4711)')"}, find: advisoryLocks, clean: "0"},
	"a channel":                      {make: []string{"LISTEN secret", "NOTIFY secret"}, find: channels, clean: "0"},
	"a channel, hidden":              {make: []string{"SELECT pool.run('LISTEN secret')"}, find: channels, clean: "0"},
	"a sequence's value":             {make: []string{"SELECT nextval('pool.numbers')"}, find: "SELECT currval('pool.numbers')::text", clean: "55000"},
	"a serial column's value":        {make: []string{"INSERT INTO pool.work (note) VALUES ('x')"}, find: "SELECT lastval()::text", clean: "55000"},
	"a role":                         {make: []string{"SET ROLE app"}, find: "SELECT current_setting('role')", clean: "none"},
	"a role, hidden":                 {make: []string{"SELECT pool.run('SET ROLE app')"}, find: "SELECT current_setting('role')", clean: "none"},
	"a session authorization":        {make: []string{"SET SESSION AUTHORIZATION app"}, find: "SELECT concat(session_user, current_user)", clean: "appapp"},
	"a failed transaction":           {make: []string{"BEGIN", "SET work_mem = '77MB'", "SELECT 1/0"}, find: "SELECT current_setting('work_mem')", clean: "4MB"},
	"a setting of its own":           {make: []string{"SET my.tenant = 'secret'"}, find: tenant, clean: "null", named: true},
	"a setting of its own, by call":  {make: []string{"SELECT set_config('my.tenant', 'secret', false)"}, find: tenant, clean: "null", named: true},
	"a setting of its own, computed": {make: []string{"SELECT set_config('my.' || 'tenant', 'secret', false)"}, find: tenant, clean: "null", named: true},
	"a setting of its own, hidden":   {make: []string{"SELECT pool.run('SET my.hidden = ''secret''')"}, find: "SELECT coalesce(current_setting('my.hidden', true), '')", clean: ""},
	"a seed":                         {make: []string{"SELECT setseed(0.5)"}, find: seeded, clean: "false", closed: true},
	"a seed, hidden":                 {make: []string{"SELECT pool.run('SELECT setseed(0.5)')"}, find: seeded, clean: "false"},
	"code that is not understood":    {make: []string{"DO 'BEGIN PERFORM setseed(0.5); END'"}, find: seeded, clean: "false", closed: true},
}

const (
	tempObjects   = "SELECT count(*)::text FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()"
	preparedBySQL = "SELECT count(*)::text FROM pg_prepared_statements WHERE from_sql"
	openCursors   = "SELECT count(*)::text FROM pg_cursors WHERE is_holdable"
	advisoryLocks = "SELECT count(*)::text FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
	channels      = "SELECT count(*)::text FROM pg_listening_channels()"
	tenant        = "SELECT current_setting('my.tenant', true)"
	seeded        = "SELECT (abs(random() - 0.985167717534800) < 1e-9)::text"
)

// TestLeftovers: whatever a session leaves on its backend, the next session there finds nothing of it, be it of another
// principal or of the same; and a backend that cannot be made clean is not used again.
func TestLeftovers(t *testing.T) {
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			gw := pooled(t, poolConf(mode, 1, ", max_pinned: 1"))
			for name, l := range leftovers {
				for _, next := range []string{"fn:bob", "fn:ann"} {
					t.Run(name+", then "+next, func(t *testing.T) { l.attack(t, gw, next) })
				}
			}
		})
	}
}

func (l leftover) attack(t *testing.T, gw *gateway.Gateway, next string) {
	ann := connect(t, gw, "fn:ann")
	was := pid(t, ann)
	for _, sql := range l.make {
		_, _ = ann.Exec(t.Context(), sql) // some are meant to fail
	}
	leaveNow(t, ann)
	bob := connect(t, gw, next)
	if got := one(t, bob, l.find); got != l.clean && (got != "" || !l.named || next != "fn:ann") {
		t.Errorf("it is found: %q, want %q", got, l.clean)
	}
	if now := pid(t, bob); l.closed && now == was {
		t.Error("the backend was used again")
	} else if !l.closed && !(l.named && next != "fn:ann") && now != was {
		t.Error("the backend was not used again: nothing is shown")
	}
	leaveNow(t, bob)
	if l.named { // somebody else gets another one
		cyd := connect(t, gw, "fn:cyd")
		runs(t, cyd, "SELECT 1")
		leaveNow(t, cyd)
	}
}

// TestTextsStayWithTheirOwner: the statements that the gateway keeps on a backend for one principal are gone when another
// gets it.
func TestTextsStayWithTheirOwner(t *testing.T) {
	gw := pooled(t, poolConf("transaction", 1, ""))
	ann, bob := connect(t, gw, "fn:ann"), connect(t, gw, "fn:bob")
	if _, err := ann.Prepare(t.Context(), "mine", "SELECT 'canary' || 'of ann'"); err != nil {
		t.Fatal(err)
	}
	const find = "SELECT count(*)::text FROM pg_prepared_statements WHERE statement LIKE '%canary' || chr(39) || ' ||%'"
	if got := one(t, ann, find); got != "1" {
		t.Fatalf("%s are there, so that nothing is shown", got)
	}
	if got := one(t, bob, find); got != "0" {
		t.Error("another principal reads what was prepared")
	}
	if was, now := pid(t, bob), pid(t, ann); was != now {
		t.Error("they did not share a backend: nothing is shown")
	}
}

// TestResetThatChangesTheRole: where a login sets a role, the server's own reset takes it away, and with it what the role may
// not do: such a backend is not used again.
func TestResetThatChangesTheRole(t *testing.T) {
	direct(t, "CREATE ROLE narrow")
	direct(t, "GRANT narrow TO app")
	direct(t, "ALTER ROLE app SET role = narrow")
	t.Cleanup(func() { // as the superuser, who is not the role's member
		conn, err := pgx.Connect(context.Background(), shared.pg.AdminDSN)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(context.Background(), "ALTER ROLE app RESET role; DROP ROLE narrow"); err != nil {
			t.Error(err)
		}
		_ = conn.Close(context.Background()) // its work is done
	})
	gw := with(t, strings.Replace(shared.documents(), "record_results: 5", poolConf("session", 1, ""), 1)+sharing)
	for range 2 {
		conn := connect(t, gw, "fn:ann")
		if got := one(t, conn, "SELECT current_user::text"); got != "narrow" {
			t.Errorf("the session runs as %s, want narrow", got)
		}
		leaveNow(t, conn)
	}
}
