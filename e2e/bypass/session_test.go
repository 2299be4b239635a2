package bypass

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// direct is the role of who goes around the gateway.
const direct = "direct"

// tooLong is when an answer that has not come counts as a hang.
const tooLong = 20 * time.Second

// session is a client that sends whatever frames it likes, in whatever order, and keeps every byte that it receives.
type session struct {
	t     *testing.T
	role  string
	where values
	conn  *pgconn.HijackedConn
	raw   *bytes.Buffer   // every byte received, with those of the login, after TLS
	sent  *bytes.Buffer   // every byte sent
	heard strings.Builder // the same as words, from after the login
	ended bool            // the other side has closed it
}

// open logs in as a client does, and takes the connection out of the driver's hands.
func open(t *testing.T, role string, where values) *session {
	t.Helper()
	s := &session{t: t, role: role, where: where, raw: &bytes.Buffer{}, sent: &bytes.Buffer{}}
	s.login()
	return s
}

func (s *session) login() {
	s.t.Helper()
	config, err := pgconn.ParseConfig(shared.dsn(s.t, s.role, s.where))
	if err != nil {
		s.t.Fatal(err)
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(io.TeeReader(r, s.raw), io.MultiWriter(w, s.sent))
	}
	conn, err := pgconn.ConnectConfig(s.t.Context(), config)
	if err != nil {
		log, _ := shared.gw.Log()
		s.t.Fatalf("%v\n…%s", err, log[max(0, len(log)-2000):])
	}
	if s.conn, err = conn.Hijack(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = false
}

func (s *session) leave() { _ = s.conn.Conn.Close() } // the other side may have closed it

// again leaves, and logs in anew as the same principal.
func (s *session) again() {
	s.leave()
	s.login()
}

// say sends messages, a Sync and an empty query, whose answer tells that all of it was answered. It returns what it heard.
func (s *session) say(messages ...pgproto3.FrontendMessage) string {
	s.t.Helper()
	from := s.heard.Len()
	if s.ended {
		return ""
	}
	due := 0 // answers that the other side is ready
	for _, m := range append(messages, &pgproto3.Sync{}, query("")) {
		s.conn.Frontend.Send(m)
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync, *pgproto3.FunctionCall:
			due++
		}
	}
	if err := s.conn.Conn.SetDeadline(time.Now().Add(tooLong)); err != nil {
		s.t.Fatal(err)
	}
	if err := s.conn.Frontend.Flush(); errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatal("the gateway reads no more")
	} else if err != nil {
		s.ended = true
	}
	s.hear(due)
	return s.heard.String()[from:]
}

// hear notes what is said until all is answered: as often ready as it must be, or after the empty query, since a COPY that waits
// for rows answers less.
func (s *session) hear(due int) {
	s.t.Helper()
	for last := false; !s.ended; {
		m, err := s.conn.Frontend.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Fatalf("no answer; heard so far:\n%s", s.heard.String())
		}
		if err != nil {
			s.ended = true
			s.heard.WriteString("END OF SESSION\n")
			return
		}
		s.write(m)
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			if due--; due == 0 || last {
				return
			}
		}
		if _, empty := m.(*pgproto3.EmptyQueryResponse); empty {
			last = true
		}
	}
}

// varying is what the same answer of the same server may differ in: references of refusals, process ids, and which of the two
// databases it is.
var varying = regexp.MustCompile(`ref [0-9a-z]+|pid \d+|PID \d+|process \d+|shop-[ab]|orders(_b)?\b`)

func (s *session) write(m pgproto3.BackendMessage) {
	var line string
	switch m := m.(type) {
	case *pgproto3.DataRow:
		line = fmt.Sprintf("ROW %q", m.Values)
		for i, v := range m.Values {
			if v == nil {
				line += fmt.Sprintf(" null:%d", i)
			}
		}
	case *pgproto3.CopyData:
		line = fmt.Sprintf("COPY %q", m.Data)
	case *pgproto3.ErrorResponse:
		line = fmt.Sprintf("ERROR %s %s detail=%q hint=%q where=%q query=%q at=%d/%d on=%q.%q.%q type=%q constraint=%q unknown=%q", m.Code, m.Message,
			m.Detail, m.Hint, m.Where, m.InternalQuery, m.Position, m.InternalPosition, m.SchemaName, m.TableName, m.ColumnName, m.DataTypeName,
			m.ConstraintName, m.UnknownFields)
	case *pgproto3.NoticeResponse:
		line = fmt.Sprintf("NOTICE %s %s detail=%q hint=%q where=%q unknown=%q", m.Code, m.Message, m.Detail, m.Hint, m.Where, m.UnknownFields)
	case *pgproto3.NotificationResponse:
		line = fmt.Sprintf("NOTIFIED %s %q", m.Channel, m.Payload)
	case *pgproto3.RowDescription:
		line = "COLUMNS"
		for _, f := range m.Fields {
			if f.TableOID > shared.newest { // made by the case itself: the two databases count on
				f.TableOID = 0
			}
			line += fmt.Sprintf(" %q type=%d size=%d mod=%d format=%d table=%d.%d", f.Name, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format,
				f.TableOID, f.TableAttributeNumber)
		}
	case *pgproto3.CommandComplete:
		line = fmt.Sprintf("DONE %s", m.CommandTag)
	case *pgproto3.ReadyForQuery:
		line = fmt.Sprintf("READY %c", m.TxStatus)
	default:
		line = fmt.Sprintf("%T %+v", m, m)
	}
	s.heard.WriteString(varying.ReplaceAllString(line, "…") + "\n")
}

// alive checks that the session still works, and is in step.
func (s *session) alive() bool {
	return strings.Contains(s.say(query("ROLLBACK"), query("SELECT 'still ' || 'there'")), "still there")
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

// asBinary asks for the answer in binary.
func asBinary(b *pgproto3.Bind) *pgproto3.Bind {
	b.ResultFormatCodes = []int16{1}
	return b
}

func execute(portal string, rows ...uint32) *pgproto3.Execute {
	e := &pgproto3.Execute{Portal: portal}
	if len(rows) > 0 {
		e.MaxRows = rows[0]
	}
	return e
}

func describe(statement string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'S', Name: statement}
}

func describePortal(portal string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'P', Name: portal}
}

func closeStatement(name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}
