package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// large is the size of the large value.
const large = 64 << 20

// viaPgx is pgx in one of its query modes.
func viaPgx(mode pgx.QueryExecMode) func(context.Context, *Env, *Report) {
	return func(ctx context.Context, e *Env, r *Report) {
		c, err := pgx.ParseConfig(e.URL(e.Token))
		if err != nil {
			r.Do("login", func() error { return err })
			return
		}
		c.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(ctx, c)
		r.Do("login", func() error { return err })
		if err != nil {
			return
		}
		defer func() { _ = conn.Close(ctx) }() // its statements said what they had to
		g := &viaPgxConn{ctx: ctx, env: e, conn: conn, mode: mode}
		for _, f := range []struct {
			name string
			run  func() error
		}{
			{"simple", g.simple}, {"prepared", g.prepared}, {"pipeline", g.pipeline}, {"batch", g.batch}, {"copy in", g.copyIn}, {"copy out", g.copyOut},
			{"cancel", g.cancel}, {"notify", g.notify}, {"64 MiB", g.large}, {"null", g.null}, {"array", g.array}, {"tx errors", g.errors},
			{"reset", g.reset}, {"bad token", g.badToken}, {"refusal", g.refusal}, {"pool", g.pool},
		} {
			r.Do(f.name, f.run)
		}
	}
}

type viaPgxConn struct {
	ctx  context.Context
	env  *Env
	conn *pgx.Conn
	mode pgx.QueryExecMode
}

// want scans one row into values and compares.
func (g *viaPgxConn) want(want string, sql string, args ...any) error {
	rows, err := g.conn.Query(g.ctx, sql, args...)
	if err != nil {
		return err
	}
	values, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		v, err := r.Values()
		return fmt.Sprint(v...), err
	})
	if got := strings.Join(values, "|"); err == nil && got != want {
		return fmt.Errorf("%s gave %.100q, want %q", sql, got, want)
	}
	return err
}

func (g *viaPgxConn) exec(sql string, args ...any) error {
	_, err := g.conn.Exec(g.ctx, sql, args...)
	return err
}

func (g *viaPgxConn) simple() error {
	return errors.Join(g.want("42", "SELECT 40 + 2"), g.want("3", "SELECT $1::integer + 1", 2), g.want("3", "SELECT $1::integer + 1", 2))
}

func (g *viaPgxConn) prepared() error {
	if _, err := g.conn.Prepare(g.ctx, "twice", "SELECT $1::integer * 2"); err != nil {
		return err
	}
	for i := range 50 {
		if err := g.want(fmt.Sprint(2*i), "twice", i); err != nil {
			return err
		}
	}
	return g.conn.Deallocate(g.ctx, "twice")
}

func (g *viaPgxConn) pipeline() error {
	p := g.conn.PgConn().StartPipeline(g.ctx)
	for i := range 20 {
		p.SendQueryParams("SELECT $1::integer", [][]byte{fmt.Append(nil, i)}, nil, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return err
	}
	for i := range 20 {
		res, err := p.GetResults()
		if err != nil {
			return err
		}
		r, ok := res.(*pgconn.ResultReader)
		if !ok {
			return fmt.Errorf("result %d is %T", i, res)
		}
		if got := r.Read(); got.Err != nil || string(got.Rows[0][0]) != fmt.Sprint(i) {
			return fmt.Errorf("result %d: %v, %w", i, got.Rows, got.Err)
		}
	}
	return p.Close()
}

func (g *viaPgxConn) batch() error {
	var b pgx.Batch
	for i := range 20 {
		b.Queue("INSERT INTO tables.work (id, name) VALUES ($1, $2)", 1000+i, "batch")
	}
	b.Queue("SELECT count(*) FROM tables.work WHERE name = $1", "batch")
	b.Queue("DELETE FROM tables.work WHERE name = 'batch'")
	r := g.conn.SendBatch(g.ctx, &b)
	for range 20 {
		if _, err := r.Exec(); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	var n int
	err := r.QueryRow().Scan(&n)
	if err == nil && n != 20 {
		err = fmt.Errorf("%d rows", n)
	}
	return errors.Join(err, r.Close())
}

func (g *viaPgxConn) copyIn() error {
	if g.mode == pgx.QueryExecModeSimpleProtocol || g.mode == pgx.QueryExecModeExec { // pgx cannot do the binary form without descriptions
		_, err := g.conn.PgConn().CopyFrom(g.ctx, strings.NewReader("1\tcopied\t{a,b}\n2\tcopied\t\\N\n"), "COPY tables.work FROM STDIN")
		if err != nil {
			return err
		}
	} else if n, err := g.conn.CopyFrom(g.ctx, pgx.Identifier{"tables", "work"}, []string{"id", "name", "tags"},
		pgx.CopyFromRows([][]any{{1, "copied", []string{"a", "b"}}, {2, "copied", nil}})); err != nil || n != 2 {
		return fmt.Errorf("%d rows: %w", n, err)
	}
	return g.want("2", "SELECT count(*) FROM tables.work WHERE name = 'copied'")
}

func (g *viaPgxConn) copyOut() error {
	var out bytes.Buffer
	_, err := g.conn.PgConn().CopyTo(g.ctx, &out, "COPY (SELECT id, tags FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT")
	if err == nil && out.String() != "1\t{a,b}\n2\t\\N\n" {
		err = fmt.Errorf("it gave %q", out.String())
	}
	return errors.Join(err, g.exec("DELETE FROM tables.work WHERE name = 'copied'"))
}

// cancel asks the server to end a statement, and goes on.
func (g *viaPgxConn) cancel() error {
	began := time.Now()
	time.AfterFunc(200*time.Millisecond, func() { _ = g.conn.PgConn().CancelRequest(g.ctx) }) // seen by the statement's end
	err := g.exec("SELECT pg_sleep(60)")
	if code(err) != "57014" || time.Since(began) > 30*time.Second {
		return fmt.Errorf("after %s: %w", time.Since(began), err)
	}
	return g.want("1", "SELECT 1")
}

func (g *viaPgxConn) notify() error {
	if err := errors.Join(g.exec("LISTEN matrix"), g.exec("NOTIFY matrix, 'hello'")); err != nil {
		return err
	}
	n, err := g.conn.WaitForNotification(g.ctx)
	if err == nil && (n.Channel != "matrix" || n.Payload != "hello") {
		err = fmt.Errorf("heard %+v", n)
	}
	if err != nil {
		return err
	}
	other, err := pgx.Connect(g.ctx, g.env.URL(g.env.Token))
	if err != nil {
		return err
	}
	defer func() { _ = other.Close(g.ctx) }() // it said what it had to
	if _, err := other.Exec(g.ctx, "NOTIFY matrix, 'from outside'"); err != nil {
		return err
	}
	if n, err = g.conn.WaitForNotification(g.ctx); err == nil && n.Payload != "from outside" {
		err = fmt.Errorf("heard %+v", n)
	}
	return errors.Join(err, g.exec("UNLISTEN *"))
}

func (g *viaPgxConn) large() error {
	var s string
	if err := g.conn.QueryRow(g.ctx, "SELECT repeat('x', 67108864)").Scan(&s); err != nil || len(s) != large {
		return fmt.Errorf("received %d bytes: %w", len(s), err)
	}
	if g.mode == pgx.QueryExecModeSimpleProtocol { // a parameter would stand in the text
		_, err := g.conn.PgConn().CopyFrom(g.ctx, strings.NewReader("3\t"+s+"\t\\N\n"), "COPY tables.work FROM STDIN")
		return errors.Join(err, g.want("67108864", "SELECT length(name) FROM tables.work WHERE id = 3"), g.exec("DELETE FROM tables.work WHERE id = 3"))
	}
	return g.want("67108864", "SELECT length($1::text)", s)
}

func (g *viaPgxConn) null() error {
	var a *string
	var b *int
	if err := g.conn.QueryRow(g.ctx, "SELECT $1::text, NULL::integer", nil).Scan(&a, &b); err != nil || a != nil || b != nil {
		return fmt.Errorf("%v, %v: %w", a, b, err)
	}
	return nil
}

func (g *viaPgxConn) array() error {
	var texts []string
	var numbers []int
	err := g.conn.QueryRow(g.ctx, "SELECT $1::text[], $2::integer[]", []string{"a", "b,\"c"}, []int{1, 2}).Scan(&texts, &numbers)
	if err == nil && (!slices.Equal(texts, []string{"a", "b,\"c"}) || !slices.Equal(numbers, []int{1, 2})) {
		err = fmt.Errorf("%q, %v", texts, numbers)
	}
	return err
}

func (g *viaPgxConn) errors() error {
	tx, err := g.conn.Begin(g.ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(g.ctx, "INSERT INTO tables.work (id, name) VALUES (7, 'tx')"); err != nil {
		return err
	}
	inner, err := tx.Begin(g.ctx) // a savepoint
	if err != nil {
		return err
	}
	if _, err := inner.Exec(g.ctx, "SELECT 1/0"); code(err) != "22012" {
		return fmt.Errorf("want 22012: %w", err)
	}
	if _, err := inner.Exec(g.ctx, "SELECT 1"); code(err) != "25P02" {
		return fmt.Errorf("want 25P02: %w", err)
	}
	if err := inner.Rollback(g.ctx); err != nil {
		return err
	}
	if err := g.want("1", "SELECT count(*) FROM tables.work WHERE name = 'tx'"); err != nil {
		return err
	}
	return errors.Join(tx.Rollback(g.ctx), g.want("0", "SELECT count(*) FROM tables.work WHERE name = 'tx'"))
}

func (g *viaPgxConn) reset() error {
	if err := errors.Join(g.exec("SET statement_timeout = '1h'"), g.exec("RESET statement_timeout"), g.exec("SET application_name = 'changed'"), g.exec("RESET ALL")); err != nil {
		return err
	}
	if err := g.conn.DeallocateAll(g.ctx); err != nil {
		return err
	}
	_, err := g.conn.PgConn().Exec(g.ctx, "DISCARD ALL").ReadAll()
	return errors.Join(err, g.want("0", "SHOW statement_timeout"))
}

func (g *viaPgxConn) badToken() error {
	conn, err := pgx.Connect(g.ctx, g.env.URL("no-token-at-all"))
	if err == nil {
		return errors.Join(errors.New("a wrong token was taken"), conn.Close(g.ctx))
	}
	return clear28P01(code(err), err.Error())
}

func (g *viaPgxConn) refusal() error {
	c, err := pgx.ParseConfig(g.env.URL(g.env.Limited))
	if err != nil {
		return err
	}
	c.DefaultQueryExecMode = g.mode
	conn, err := pgx.ConnectConfig(g.ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(g.ctx) }() // it said what it had to
	_, err = conn.Exec(g.ctx, "SELECT * FROM hidden.things")
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return fmt.Errorf("want a refusal: %w", err)
	}
	if err := clearRefusal(pe.Code, pe.Message, pe.Hint); err != nil {
		return err
	}
	_, err = conn.Exec(g.ctx, "SELECT 1")
	return err
}

func (g *viaPgxConn) pool() error {
	c, err := pgxpool.ParseConfig(g.env.URL(g.env.Token))
	if err != nil {
		return err
	}
	c.MaxConns, c.ConnConfig.DefaultQueryExecMode = 4, g.mode
	c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) { return conn.Ping(ctx) == nil, nil }
	pool, err := pgxpool.NewWithConfig(g.ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	return together(func(i int, n *int) error { return pool.QueryRow(g.ctx, "SELECT $1::integer", i).Scan(n) })
}

// together asks a pool for 40 numbers at once, each of which has to be the one that was asked for.
func together(ask func(i int, n *int) error) error {
	done := make(chan error)
	for i := range 40 {
		go func() {
			var n int
			err := ask(i, &n)
			if err == nil && n != i {
				err = fmt.Errorf("got %d for %d", n, i)
			}
			done <- err
		}()
	}
	var all error
	for range 40 {
		all = errors.Join(all, <-done)
	}
	return all
}

// code is the SQLSTATE of an error of pgx.
func code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// clear28P01 checks the answer to a wrong token: one that says what is wrong.
func clear28P01(code, text string) error {
	if code != "28P01" || !strings.Contains(text, "authentication failed") || !strings.Contains(text, "gatehouse whoami") {
		return fmt.Errorf("a wrong token gave %s: %s", code, text)
	}
	return nil
}

// clearRefusal checks that a refusal says who refused, and what to do.
func clearRefusal(code, message, hint string) error {
	if code != "42501" || !strings.Contains(message+hint, "not-the-hidden") || hint == "" {
		return fmt.Errorf("a refusal is %s: %s (%s)", code, message, hint)
	}
	return nil
}
