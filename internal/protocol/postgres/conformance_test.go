package postgres

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"gatehouse/e2e/pgtest"
	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	server "gatehouse/internal/session"
	"gatehouse/internal/sql/pgsql"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/wiretest"
)

// TestConformance runs the suite that every protocol passes, before a real server.
func TestConformance(t *testing.T) {
	s := suite(pgtest.Start(t))
	wiretest.Run(t, s)
}

// TestConformanceByTransaction: the same holds where sessions share backends.
func TestConformanceByTransaction(t *testing.T) {
	s := suite(pgtest.Start(t))
	s.Connection.Pool.Mode = "transaction"
	s.Rendered = renamed
	wiretest.Run(t, s)
}

// renamed measures a message in which the name of a prepared statement stands as a backend knows it, and all else as judged.
func renamed(sent, judged []byte) int {
	_, size, ok, err := peekHead(sent)
	if !ok || err != nil || size > len(sent) || sent[0] != judged[0] {
		return 0
	}
	cut := func(frame []byte) (before, name, rest []byte) {
		body := frame[head:]
		at := 0
		switch frame[0] {
		case msgBind: // the portal's name comes first
			at = bytes.IndexByte(body, 0) + 1
		case msgDescribe, msgClose:
			if body[0] != 'S' {
				return nil, nil, nil
			}
			at = 1
		case msgParse:
		default:
			return nil, nil, nil
		}
		end := at + bytes.IndexByte(body[at:], 0)
		return body[:at], body[at:end], body[end:]
	}
	b1, n1, r1 := cut(sent[:size])
	b2, n2, r2 := cut(judged)
	if !bytes.HasPrefix(n1, []byte(ownPrefix)) || len(n2) == 0 || !bytes.Equal(b1, b2) || !bytes.Equal(r1, r2) {
		return 0
	}
	return size
}

func suite(pg *pgtest.Server) wiretest.Suite {
	own := appendTarget(appendTarget(appendExecute(appendBind(nil, ownName, ownName), ownName), msgClose, 'P', ownName), msgClose, 'S', ownName)
	ask := func(text string, end byte) []byte {
		return appendFrame(append(appendParse(nil, ownName, text), own...), end, nil)
	}
	return wiretest.Suite{
		Protocol: func() wire.Protocol { return New(testDeps()) },
		Serve:    serve,
		Clock:    time.Now,
		Connection: access.Connection{Name: "shop", Type: "postgres", Address: pg.Address(), Database: pgtest.Database,
			TLS: access.BackendTLS{Mode: "disable"}, Credential: access.Credential{User: pgtest.AppUser, Secret: "shop"},
			HoldInTransaction: "hold", MaxHeldTransactions: 100},
		Password:  pgtest.AppPassword,
		Login:     loginBytes,
		Welcome:   readAnswer,
		Answer:    readAnswer,
		Frames:    frames,
		LoginEnds: loginEnds,
		Own: []wiretest.Own{
			{Text: pgsql.StateQuery, Bytes: ask(pgsql.StateQuery, msgSync)},
			{Text: pgsql.StateQuery, Bytes: ask(pgsql.StateQuery, msgFlush)},
			{Text: pgsql.CatalogueQuery, Bytes: ask(pgsql.CatalogueQuery, msgSync)},
			{Text: ownDiscard.Text, Bytes: ask(ownDiscard.Text, msgSync)},
			{Text: ownRollback.Text, Bytes: ask(ownRollback.Text, msgSync)},
			{Text: ownLeftovers.Text, Bytes: ask(ownLeftovers.Text, msgSync)},
			{Text: locksQuery, Bytes: ask(locksQuery, msgSync)},
			{Text: rejectText, Bytes: appendQuery(nil, rejectText)},
			{Text: rejectText, Bytes: appendParse(nil, ownName, rejectText)},
			{Bytes: appendFrame(nil, msgFlush, nil)},
			{Bytes: appendFrame(nil, msgSync, nil)},
		},
		Farewell: appendFrame(nil, msgTerminate, nil),
		Oversize: [][]byte{
			{msgQuery, 0x7f, 0xff, 0xff, 0xff}, {msgQuery, 0xff, 0xff, 0xff, 0xff}, {msgQuery, 0, 0, 0, 0}, {msgQuery, 0, 0, 0, 3},
			{msgCopyData, 0x40, 0, 0, 0}, {msgParse, 0x80, 0, 0, 0}, {msgBind, 0, 1, 0x10, 0}, {'?', 0x7f, 0xff, 0xff, 0xff},
		},
		Flood: func(mark string) []byte {
			return appendQuery(nil, "SELECT repeat('"+mark+"', 100) FROM generate_series(1, 50000)")
		},
		Cancel: func(w wiretest.Answer) []byte {
			for _, f := range frames([]byte(w.Data)) {
				if f[0] == ansKeyData {
					packet := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, codeCancel)
					return append(packet, f[head:]...)
				}
			}
			return nil
		},
		States: states(),
	}
}

func testDeps() wire.Deps {
	return wire.Deps{Mask: mask.NewKey([32]byte{7}), Clock: time.Now, Random: rand.Reader}
}

// serve makes a session.Server of the suite's parts.
func serve(p wiretest.Parts) func(context.Context, net.Conn, wire.Protocol, wire.Hello) {
	return server.NewServer(server.Options{Gate: p.Gate, Identity: p.Identity, Refusal: p.Refusal, NewID: p.NewID, Log: p.Log,
		Sessions: 100, Login: time.Minute, Grace: time.Minute}).Serve
}

// states are what a session can be in, and how to get there.
func states() []wiretest.State {
	simple := func(mark string) []byte { return appendQuery(nil, "SELECT '"+mark+"'") }
	extended := func(mark string) []byte {
		return appendFrame(unnamed(nil, "SELECT '"+mark+"'"), msgSync, nil)
	}
	begin := wiretest.Step{Send: appendQuery(nil, "BEGIN"), Await: readAnswer}
	rollback := wiretest.Step{Send: appendQuery(nil, "ROLLBACK"), Await: readAnswer}
	fail := wiretest.Step{Send: appendQuery(nil, "SELECT 1/0"), Await: readAnswer}
	half := appendFrame(portalOf(appendParse(nil, "half", "SELECT id FROM orders"), "half", "half", 3), msgFlush, nil)
	return []wiretest.State{
		{Name: "idle", Request: simple, After: "I", Refused: "I"},
		{Name: "idle, extended", Request: extended, After: "I", Refused: "I"},
		{Name: "in a transaction", Enter: []wiretest.Step{begin}, Request: simple, After: "T", Refused: "E", Leave: []wiretest.Step{rollback}},
		{Name: "in a transaction, extended", Enter: []wiretest.Step{begin}, Request: extended, After: "T", Refused: "E", Leave: []wiretest.Step{rollback}},
		{Name: "in a failed transaction", Enter: []wiretest.Step{begin, fail}, Request: simple, After: "E", Refused: "E", Fails: true, Leave: []wiretest.Step{rollback}},
		{Name: "in a failed transaction, extended", Enter: []wiretest.Step{begin, fail}, Request: extended, After: "E", Refused: "E", Fails: true, Leave: []wiretest.Step{rollback}},
		{Name: "within a pipeline", Enter: []wiretest.Step{{Send: unnamed(nil, "SELECT 'before'")}}, Request: extended, After: "I", Refused: "I"},
		{Name: "within a pipeline, flushed", Enter: []wiretest.Step{{Send: appendFrame(unnamed(nil, "SELECT 'before'"), msgFlush, nil), Await: readPart}},
			Request: extended, After: "I", Refused: "I"},
		{Name: "with a portal half read", Enter: []wiretest.Step{begin, {Send: half, Await: readPart}}, Request: extended, After: "T", Refused: "E",
			Leave: []wiretest.Step{rollback, {Send: appendQuery(nil, "DEALLOCATE ALL"), Await: readAnswer}}},
		{Name: "after a setting", Enter: []wiretest.Step{{Send: appendQuery(nil, "SET search_path = public"), Await: readAnswer}},
			Request: simple, After: "I", Refused: "I"},
		{Name: "copying in", Enter: []wiretest.Step{{Send: appendQuery(nil, "COPY orders FROM STDIN"), Await: readPart}},
			Leave: []wiretest.Step{{Send: appendFrame(appendFrame(nil, msgCopyData, []byte("1\t1\t")), msgCopyFail, []byte("enough\x00")), Await: readAnswer}}},
		{Name: "copying in, extended", Enter: []wiretest.Step{{Send: appendFrame(unnamed(nil, "COPY orders FROM STDIN"), msgSync, nil), Await: readPart}},
			Leave: []wiretest.Step{{Send: appendFrame(appendFrame(nil, msgCopyFail, []byte("enough\x00")), msgSync, nil), Await: readAnswer}}},
	}
}

// unnamed is Parse, Bind and Execute of a text under no name.
func unnamed(dst []byte, text string) []byte { return portalOf(appendParse(dst, "", text), "", "", 0) }

func portalOf(dst []byte, name, portal string, rows int32) []byte {
	dst = appendBind(dst, portal, name)
	dst, at := openFrame(dst, msgExecute)
	dst = append(append(dst, portal...), 0)
	return closeFrame(binary.BigEndian.AppendUint32(dst, uint32(rows)), at)
}

func loginBytes(connection, token string) []byte {
	return append(startupBytes(0x30000, "user", "fn", "database", connection), appendFrame(nil, msgPassword, append([]byte(token), 0))...)
}

func startupBytes(version uint32, params ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0}, version)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// frames cuts a stream into its messages.
func frames(b []byte) [][]byte {
	var out [][]byte
	for len(b) >= head {
		_, size, _, err := peekHead(b)
		if err != nil || size > len(b) {
			break
		}
		out, b = append(out, b[:size]), b[size:]
	}
	return out
}

// loginEnds skips the StartupMessage and what was said for the password.
func loginEnds(sent []byte) int {
	if len(sent) < 4 {
		return 0
	}
	n := int(binary.BigEndian.Uint32(sent))
	for _, f := range frames(sent[n:]) {
		if f[0] != msgPassword && !bytes.Equal(f, appendQuery(nil, "-- ping")) {
			break
		}
		n += len(f)
	}
	return n
}

// readAnswer reads up to ReadyForQuery, or the end of the session.
func readAnswer(r *bufio.Reader) (wiretest.Answer, error) {
	return readUntil(r, ansReady)
}

// readPart reads up to where a statement within a pipeline ends, or the server asks for rows.
func readPart(r *bufio.Reader) (wiretest.Answer, error) {
	return readUntil(r, ansCommandComplete, ansPortalSuspended, ansCopyIn)
}

func readUntil(r *bufio.Reader, ends ...byte) (wiretest.Answer, error) {
	var a wiretest.Answer
	for {
		f, err := readFrame(r)
		if err != nil {
			a.Over = true
			if a.Refused == "" {
				return a, fmt.Errorf("after %q: %w", a.Data, err)
			}
			return a, nil
		}
		a.Data += string(f)
		if f[0] == ansError && a.Refused == "" {
			a.Refused = errorField(f[head:], 'M')
		}
		if f[0] == ansError && errorField(f[head:], 'S') == "FATAL" {
			a.Refused = errorField(f[head:], 'M')
		}
		for _, e := range ends {
			if f[0] == e {
				if e == ansReady {
					a.State = string(f[head:])
				}
				return a, nil
			}
		}
	}
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	h, err := r.Peek(head)
	if err != nil {
		return nil, err
	}
	_, size, _, err := peekHead(h)
	if err != nil {
		return nil, err
	}
	f := make([]byte, size)
	_, err = io.ReadFull(r, f)
	return f, err
}

// errorField returns one field of an ErrorResponse or NoticeResponse.
func errorField(body []byte, code byte) string {
	s := scan{b: body}
	for !s.bad {
		k := s.byte()
		v := s.text()
		if k == code {
			return string(v)
		}
	}
	return ""
}
