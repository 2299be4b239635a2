package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/gateway"
)

// attacker is a client that sends whatever frames it likes, in whatever order, and writes down all that it hears.
type attacker struct {
	conn   *pgconn.HijackedConn
	heard  strings.Builder
	held   string // the approval that its statement waits for
	copies bool   // it was asked for the rows of a COPY
	ended  bool   // the gateway has closed the session
}

// step is what is sent in one go. A Sync and an empty query follow it, whose answer tells that all of it was answered.
type step []pgproto3.FrontendMessage

// tooLong is when an answer that has not come counts as a hang.
const tooLong = 20 * time.Second

// attack logs in as a client does, and takes the connection out of the driver's hands.
func attack(t *testing.T, gw *gateway.Gateway, subject string) *attacker {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn(gw, token(t, gw, subject)))
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(gw))
	}
	raw, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{conn: raw}
	t.Cleanup(a.leave)
	return a
}

func (a *attacker) leave() { _ = a.conn.Conn.Close() } // the gateway may have closed it

// send sends, and waits for nothing.
func (a *attacker) send(t *testing.T, s ...pgproto3.FrontendMessage) {
	t.Helper()
	for _, m := range s {
		a.conn.Frontend.Send(m)
	}
	if err := a.conn.Conn.SetWriteDeadline(time.Now().Add(tooLong)); err != nil {
		t.Fatal(err)
	}
	if err := a.conn.Frontend.Flush(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the gateway reads no more")
	} else if err != nil {
		a.ended = true
	}
}

// say sends a step, and returns all that was heard until it was answered, held, or the session ended.
func (a *attacker) say(t *testing.T, s ...pgproto3.FrontendMessage) string {
	t.Helper()
	a.send(t, append(append(step{}, s...), &pgproto3.Sync{}, query(""))...)
	return a.hear(t)
}

// hear writes down answers up to the one of the empty query.
func (a *attacker) hear(t *testing.T) string {
	t.Helper()
	return a.until(t, func() bool { return false })
}

// until is hear that may stop before.
func (a *attacker) until(t *testing.T, enough func() bool) string {
	t.Helper()
	from, last := a.heard.Len(), false
	a.held = ""
	for !a.ended && a.held == "" && !enough() {
		if err := a.conn.Conn.SetReadDeadline(time.Now().Add(tooLong)); err != nil {
			t.Fatal(err)
		}
		m, err := a.conn.Frontend.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the gateway hangs; heard so far:\n%s", a.heard.String()[from:])
		}
		if err != nil {
			a.ended = true
			break
		}
		a.write(m)
		if _, ready := m.(*pgproto3.ReadyForQuery); ready && last {
			break
		}
		if _, empty := m.(*pgproto3.EmptyQueryResponse); empty {
			last = true
		}
	}
	return a.heard.String()[from:]
}

// write notes what an answer holds, wherever in it something could be carried out.
func (a *attacker) write(m pgproto3.BackendMessage) {
	switch m := m.(type) {
	case *pgproto3.DataRow:
		fmt.Fprintf(&a.heard, "ROW %q\n", m.Values)
	case *pgproto3.CopyData:
		fmt.Fprintf(&a.heard, "COPY %q\n", m.Data)
	case *pgproto3.ErrorResponse:
		fmt.Fprintf(&a.heard, "ERROR %s %s %s %s %s %s\n", m.Code, m.Message, m.Detail, m.Hint, m.Where, m.InternalQuery)
	case *pgproto3.NoticeResponse:
		fmt.Fprintf(&a.heard, "NOTICE %s %s %s\n", m.Message, m.Detail, m.Hint)
		if id := approvalID.FindStringSubmatch(m.Message + " " + m.Detail + " " + m.Hint); id != nil {
			a.held = id[1] + id[2]
		}
	case *pgproto3.ParameterStatus:
		fmt.Fprintf(&a.heard, "PARAMETER %s %s\n", m.Name, m.Value)
	case *pgproto3.NotificationResponse:
		fmt.Fprintf(&a.heard, "NOTIFIED %s %s\n", m.Channel, m.Payload)
	case *pgproto3.RowDescription:
		for _, f := range m.Fields {
			fmt.Fprintf(&a.heard, "COLUMN %s\n", f.Name)
		}
	case *pgproto3.CopyInResponse:
		a.copies = true
	case *pgproto3.CommandComplete:
		fmt.Fprintf(&a.heard, "DONE %s\n", m.CommandTag)
	}
}

// alive checks that the session still works.
func (a *attacker) alive(t *testing.T) {
	t.Helper()
	if a.ended {
		t.Errorf("the session has ended; heard:\n%s", a.heard.String())
		return
	}
	if got := a.say(t, query("ROLLBACK"), query("SELECT 'still ' || 'there'")); !strings.Contains(got, "still there") {
		t.Errorf("the session does not work any more: %s", got)
	}
}

func query(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }

func parse(name, text string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: text} }

// bind fills a portal from a statement, with parameters as text.
func bind(portal, statement string, params ...string) *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	for _, p := range params {
		b.Parameters = append(b.Parameters, []byte(p))
	}
	return b
}

func execute(portal string) *pgproto3.Execute { return &pgproto3.Execute{Portal: portal} }

// fetch executes a portal for some rows only, so that it stays open.
func fetch(portal string) *pgproto3.Execute { return &pgproto3.Execute{Portal: portal, MaxRows: 3} }

func closeStatement(name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}

func closePortal(name string) *pgproto3.Close { return &pgproto3.Close{ObjectType: 'P', Name: name} }

func describe(statement string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'S', Name: statement}
}

// whole prepares, binds and executes a text without names.
func whole(text string) step { return step{parse("", text), bind("", ""), execute("")} }

// pipeline puts steps together into one.
func pipeline(parts ...step) step {
	var all step
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// simple is one step per text.
func simple(texts ...string) []step {
	var all []step
	for _, text := range texts {
		all = append(all, step{query(text)})
	}
	return all
}
