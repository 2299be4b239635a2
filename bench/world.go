package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/e2e/pgtest"
)

// way is one way to the database.
type way struct {
	pid      int // of the proxy; 0 for none
	host     string
	port     string
	user     string
	password string
	database string
	ca       string // root of the certificate; empty: in clear
}

// env is the way in libpq's words. No channel binding, since it is there to notice a relay that ends TLS.
func (y way) env() []string {
	mode := "PGSSLMODE=disable"
	if y.ca != "" {
		mode = "PGSSLMODE=verify-full"
	}
	return []string{"PGHOST=" + y.host, "PGPORT=" + y.port, "PGUSER=" + y.user, "PGPASSWORD=" + y.password, "PGDATABASE=" + y.database,
		mode, "PGSSLROOTCERT=" + y.ca, "PGCHANNELBINDING=disable", "PGGSSENCMODE=disable"}
}

// dsn is the way in pgx's words.
func (y way) dsn() string {
	mode := "sslmode=disable"
	if y.ca != "" {
		mode = "sslmode=verify-full sslrootcert=" + y.ca
	}
	return fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s channel_binding=disable %s", y.host, y.port, y.user, y.password, y.database, mode)
}

// world is the server and everything that stands before it. Proxies that end TLS and those that speak in clear are
// processes of their own, but for the gateway, which serves both.
type world struct {
	o      options
	dir    string
	server *pgtest.Server
	gate   *gate
	peers  map[string]way // by "name" for clear and "name tls"
	stops  []func() error
	gates  []*gate // all that were started, for verify
	bar    bool    // standard error is a terminal
}

// newWorld starts what stands before a database, and the database, where a scenario needs it.
func newWorld(ctx context.Context, o options, database bool) (_ *world, err error) {
	w := &world{o: o, peers: map[string]way{}}
	if info, err := os.Stderr.Stat(); err == nil {
		w.bar = info.Mode()&os.ModeCharDevice != 0
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if err := moreFiles(); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return nil, err
	}
	w.stops = append(w.stops, func() error { return os.RemoveAll(w.dir) })
	if !database {
		return w, nil
	}
	w.progress("the server and its tables")
	if w.server, err = pgtest.New(ctx); err != nil {
		return nil, err
	}
	w.stops = append(w.stops, w.server.Stop)
	if err := w.fill(ctx); err != nil {
		return nil, err
	}
	w.progress("the proxies")
	for _, tls := range []bool{false, true} {
		if err := w.startPeers(ctx, tls); err != nil {
			return nil, err
		}
	}
	w.gate, err = w.startGatehouse(ctx, "state")
	return w, err
}

// moreFiles raises the number of files that this process and its children may hold, as far as it may: each idle client
// takes one here, and two in a proxy.
func moreFiles() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}

func (w *world) startPeers(ctx context.Context, tls bool) error {
	ca, suffix := "", ""
	if tls {
		ca, suffix = w.server.CAFile, " tls"
	}
	here := w.direct()
	here.ca = ca
	w.peers[direct+suffix] = here
	w.peers[control+suffix] = here
	port, pid, err := w.startBouncer(ctx, tls)
	if err != nil {
		return err
	}
	there := here
	there.host, there.port, there.pid = "127.0.0.1", port, pid
	w.peers[pooler+suffix] = there
	if port, pid, err = w.startRelay(w.relayArgs(tls)...); err != nil {
		return err
	}
	there.port, there.pid = port, pid
	w.peers[relayed+suffix] = there
	return nil
}

// way returns the way through one of the peers.
func (w *world) way(name string, tls bool) way {
	if tls {
		name += " tls"
	}
	return w.peers[name]
}

// direct is the server itself, in clear.
func (w *world) direct() way {
	return way{host: w.server.Host, port: strconv.Itoa(w.server.Port), user: pgtest.AppUser, password: pgtest.AppPassword, database: pgtest.Database}
}

// stop ends everything, last first.
func (w *world) stop() error {
	var err error
	for i := len(w.stops) - 1; i >= 0; i-- {
		err = errors.Join(err, w.stops[i]())
	}
	return err
}

// progress shows what is under way, on a terminal only; nothing clears the line.
func (w *world) progress(format string, args ...any) {
	if w.bar {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}

// wideRows is how many rows the large result has.
func (w *world) wideRows() int {
	if w.o.short {
		return 10_000
	}
	return 1_000_000
}

// wide are statements that make a table of eight text columns as a shop may have them: each row has an e-mail address, one
// in fifty a card number within a note; much of the rest looks like what detectors look for, and is not. $rows is how many.
const wide = `
CREATE TABLE wide (reference text, name text, email text, city text, placed text, amount text, note text, state text);
INSERT INTO wide SELECT
  md5(i::text)::uuid::text,
  (ARRAY['Ada','Bela','Chen','Dina','Emre','Faye','Goran','Hana'])[1 + i % 8] || ' ' || initcap(translate(left(md5('n' || i), 7), '0123456789', 'ghijklmnop')),
  translate(left(md5('m' || i), 9), '0123456789', 'ghijklmnop') || '@example.org',
  (ARRAY['Oslo','Porto','Quito','Riga','Sofia','Turin','Utrecht'])[1 + i % 7],
  (timestamp '2026-01-01' + i * interval '13 seconds')::text,
  (i % 100000 / 100.0)::numeric(10,2)::text,
  CASE WHEN i % 50 = 0 THEN 'paid by phone with 4111 1111 1111 1111, call back' ELSE 'left with a neighbour, ring twice at number ' || i % 300 END,
  (ARRAY['open','paid','sent','back'])[1 + i % 4]
FROM generate_series(1, $rows) i;
`

// fill makes the tables. The server's log of statements would measure the disk.
func (w *world) fill(ctx context.Context) error {
	err := psql(ctx, w.server.AdminDSN, "ALTER SYSTEM SET log_statement = 'none'", "ALTER SYSTEM SET log_connections = off",
		"ALTER SYSTEM SET max_parallel_workers_per_gather = 0", "SELECT pg_reload_conf()")
	if err != nil {
		return err
	}
	app := w.server.DSN(pgtest.AppUser, pgtest.AppPassword, pgtest.Database)
	if err := psql(ctx, app, strings.ReplaceAll(wide, "$rows", strconv.Itoa(w.wideRows())), "VACUUM (FREEZE, ANALYZE) wide"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.server.BinDir, "pgbench"), "-i", "-q", "-s", w.scale())
	cmd.Env = append(os.Environ(), w.direct().env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	return nil
}

// scale is pgbench's: so many times 100,000 rows.
func (w *world) scale() string {
	if w.o.short {
		return "1"
	}
	return "10"
}

func psql(ctx context.Context, dsn string, lines ...string) error {
	args := []string{"-X", "-q", "-v", "ON_ERROR_STOP=1"}
	for _, l := range lines {
		args = append(args, "-c", l)
	}
	if out, err := exec.CommandContext(ctx, "psql", append(args, dsn)...).CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, out)
	}
	return nil
}
