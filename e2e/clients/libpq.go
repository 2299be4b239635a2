package clients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
)

// libpq is lib/pq, by database/sql.
func libpq(ctx context.Context, e *Env, r *Report) {
	db, err := sql.Open("postgres", e.URL(e.Token))
	if err != nil {
		r.Do("login", func() error { return err })
		return
	}
	defer func() { _ = db.Close() }() // its statements said what they had to
	r.Do("login", func() error { return db.PingContext(ctx) })
	one, err := db.Conn(ctx)
	if err != nil {
		return
	}
	g := &viaLibPQ{ctx: ctx, env: e, db: db, conn: one}
	for _, f := range []struct {
		name string
		run  func() error
	}{
		{"simple", func() error {
			return errors.Join(g.want("42", "SELECT 40 + 2"), g.want("3", "SELECT $1::integer + 1", 2))
		}},
		{"prepared", g.prepared}, {"batch", g.batch}, {"copy in", g.copyIn}, {"cancel", g.cancel}, {"notify", g.notify}, {"64 MiB", g.large},
		{"null", g.null}, {"array", g.array}, {"tx errors", g.errors}, {"reset", g.reset}, {"bad token", g.badToken}, {"refusal", g.refusal}, {"pool", g.pool},
	} {
		r.Do(f.name, f.run)
	}
}

type viaLibPQ struct {
	ctx  context.Context
	env  *Env
	db   *sql.DB
	conn *sql.Conn
}

func (g *viaLibPQ) want(want, text string, args ...any) error {
	var got string
	if err := g.conn.QueryRowContext(g.ctx, text, args...).Scan(&got); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s gave %.100q, want %q", text, got, want)
	}
	return nil
}

func (g *viaLibPQ) exec(text string, args ...any) error {
	_, err := g.conn.ExecContext(g.ctx, text, args...)
	return err
}

func (g *viaLibPQ) prepared() error {
	s, err := g.conn.PrepareContext(g.ctx, "SELECT $1::integer * 2")
	if err != nil {
		return err
	}
	for i := range 50 {
		var n int
		if err := s.QueryRowContext(g.ctx, i).Scan(&n); err != nil || n != 2*i {
			return fmt.Errorf("%d: %d, %w", i, n, err)
		}
	}
	return s.Close()
}

func (g *viaLibPQ) batch() error {
	if err := g.exec("INSERT INTO tables.work (id) VALUES (50); INSERT INTO tables.work (id) VALUES (51); UPDATE tables.work SET name = 'x' WHERE id = 50"); err != nil {
		return err
	}
	return errors.Join(g.want("2", "SELECT count(*) FROM tables.work WHERE id IN (50, 51)"), g.exec("DELETE FROM tables.work WHERE id IN (50, 51)"))
}

func (g *viaLibPQ) copyIn() error {
	tx, err := g.conn.BeginTx(g.ctx, nil)
	if err != nil {
		return err
	}
	s, err := tx.PrepareContext(g.ctx, "COPY tables.work (id, name) FROM STDIN")
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	for i := range 100 {
		if _, err := s.ExecContext(g.ctx, 100+i, "copied"); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if _, err := s.ExecContext(g.ctx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := errors.Join(s.Close(), tx.Commit()); err != nil {
		return err
	}
	return errors.Join(g.want("100", "SELECT count(*) FROM tables.work WHERE name = 'copied'"), g.exec("DELETE FROM tables.work WHERE name = 'copied'"))
}

func (g *viaLibPQ) cancel() error {
	ctx, cancel := context.WithTimeout(g.ctx, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := g.db.ExecContext(ctx, "SELECT pg_sleep(60)")
	if err == nil || time.Since(began) > 30*time.Second {
		return fmt.Errorf("after %s: %w", time.Since(began), err)
	}
	// The driver leaves a cancelled connection; the database must have ended the statement.
	for {
		var n int
		if err := g.conn.QueryRowContext(g.ctx, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)'").Scan(&n); err != nil || n == 0 {
			return err
		}
	}
}

func (g *viaLibPQ) notify() error {
	failed := make(chan error, 1)
	l := pq.NewListener(g.env.URL(g.env.Token), time.Second, time.Minute, func(_ pq.ListenerEventType, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	defer func() { _ = l.Close() }() // it heard what it had to
	if err := l.Listen("matrix"); err != nil {
		return err
	}
	if err := g.exec("SELECT pg_notify('matrix', $1)", "hello"); err != nil {
		return err
	}
	select {
	case n := <-l.Notify:
		if n == nil || n.Extra != "hello" {
			return fmt.Errorf("heard %+v", n)
		}
		return nil
	case err := <-failed:
		return err
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
}

func (g *viaLibPQ) large() error {
	var s string
	if err := g.conn.QueryRowContext(g.ctx, "SELECT repeat('x', 67108864)").Scan(&s); err != nil || len(s) != large {
		return fmt.Errorf("received %d bytes: %w", len(s), err)
	}
	return g.want("67108864", "SELECT length($1::text)", s)
}

func (g *viaLibPQ) null() error {
	var a sql.NullString
	if err := g.conn.QueryRowContext(g.ctx, "SELECT $1::text", nil).Scan(&a); err != nil || a.Valid {
		return fmt.Errorf("%+v: %w", a, err)
	}
	return nil
}

func (g *viaLibPQ) array() error {
	var texts []string
	err := g.conn.QueryRowContext(g.ctx, "SELECT $1::text[]", pq.Array([]string{"a", "b,\"c"})).Scan(pq.Array(&texts))
	if err == nil && !slices.Equal(texts, []string{"a", "b,\"c"}) {
		err = fmt.Errorf("%q", texts)
	}
	return err
}

func (g *viaLibPQ) errors() error {
	for _, s := range []struct{ text, code string }{
		{"BEGIN", ""}, {"INSERT INTO tables.work (id, name) VALUES (7, 'tx')", ""}, {"SAVEPOINT a", ""}, {"SELECT 1/0", "22012"}, {"SELECT 1", "25P02"},
		{"ROLLBACK TO a", ""}, {"SELECT 1", ""}, {"ROLLBACK", ""},
	} {
		if err := g.exec(s.text); pqCode(err) != s.code {
			return fmt.Errorf("%s: want %q: %w", s.text, s.code, err)
		}
	}
	return g.want("0", "SELECT count(*) FROM tables.work WHERE name = 'tx'")
}

func (g *viaLibPQ) reset() error {
	return errors.Join(g.exec("SET statement_timeout = '1h'"), g.exec("RESET statement_timeout"), g.exec("SET statement_timeout = '1h'"), g.exec("RESET ALL"),
		g.exec("SET statement_timeout = '1h'"), g.exec("DISCARD ALL"), g.want("0", "SHOW statement_timeout"))
}

func (g *viaLibPQ) badToken() error {
	db, err := sql.Open("postgres", g.env.URL("no-token-at-all"))
	if err != nil {
		return err
	}
	err = db.PingContext(g.ctx)
	return errors.Join(clear28P01(pqCode(err), fmt.Sprint(err)), db.Close())
}

func (g *viaLibPQ) refusal() error {
	db, err := sql.Open("postgres", g.env.URL(g.env.Limited))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it said what it had to
	conn, err := db.Conn(g.ctx)
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(g.ctx, "SELECT * FROM hidden.things")
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return fmt.Errorf("want a refusal: %w", err)
	}
	if err := clearRefusal(string(pe.Code), pe.Message, pe.Hint); err != nil {
		return err
	}
	_, err = conn.ExecContext(g.ctx, "SELECT 1")
	return err
}

func (g *viaLibPQ) pool() error {
	g.db.SetMaxOpenConns(5)
	return together(func(i int, n *int) error { return g.db.QueryRowContext(g.ctx, "SELECT $1::integer", i).Scan(n) })
}

// pqCode is the SQLSTATE of an error of lib/pq; "" for none.
func pqCode(err error) string {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return string(pe.Code)
	}
	if err != nil {
		return "?" + strings.TrimSpace(err.Error())
	}
	return ""
}
