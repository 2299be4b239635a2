package nats

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/e2e/mqtest"
	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	server "gatehouse/internal/session"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/wiretest"
)

func testDeps() wire.Deps {
	return wire.Deps{Mask: mask.NewKey([32]byte{1}), Clock: time.Now, Random: rand.Reader}
}

// TestConformance runs the suite that every protocol passes, before a real server.
func TestConformance(t *testing.T) {
	wiretest.Run(t, suite(mqtest.StartNATS(t, mqtest.NATSOptions{Plain: true})))
}

// serve makes a session.Server of the suite's parts.
func serve(p wiretest.Parts) func(context.Context, net.Conn, wire.Protocol, wire.Hello) {
	return server.NewServer(server.Options{Gate: p.Gate, Identity: p.Identity, Refusal: p.Refusal, NewID: p.NewID, Log: p.Log,
		Sessions: 100, Login: time.Minute, Grace: time.Minute}).Serve
}

func suite(s *mqtest.NATS) wiretest.Suite {
	// Each request subscribes to an inbox under the number that its mark ends in, and asks there for what nobody answers.
	listen := func(n string) []byte {
		return fmt.Appendf(nil, "SUB _INBOX.%022s.* %s\r\n", n, n)
	}
	ask := func(mark string) []byte {
		n := digits(mark)
		return fmt.Appendf(listen(n), "PUB nobody.%s _INBOX.%022s.%s 2\r\nhi\r\n", mark, n, mark)
	}
	own := []wiretest.Own{}
	for n := range 100 { // of requests that were refused
		own = append(own, wiretest.Own{Bytes: listen("0" + strconv.Itoa(n))})
	}
	return wiretest.Suite{
		Protocol: func() wire.Protocol { return New(testDeps()) },
		Serve:    serve,
		Clock:    time.Now,
		Connection: access.Connection{Name: "events", Type: "nats", Address: s.Address(), TLS: access.BackendTLS{Mode: "disable"},
			Credential: access.Credential{User: mqtest.AppUser, Secret: "events"}},
		Password: mqtest.AppPassword,
		Login: func(connection, token string) []byte {
			return fmt.Appendf(nil, "CONNECT {\"user\":%q,\"pass\":%q,\"verbose\":true,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\n", connection, token)
		},
		Welcome:   readWelcome,
		Answer:    readAnswer,
		Frames:    frames,
		LoginEnds: func(sent []byte) int { return bytes.Index(sent, []byte("PING\r\n")) + len("PING\r\n") },
		Own:       own,
		Duplex:    true,
		Oversize: [][]byte{
			[]byte("PUB a 999999999\r\n"), []byte("PUB a 65537\r\n"), []byte("HPUB a 20 99999999\r\n"), []byte("PUB a 9999999999\r\n"),
			[]byte("PUB " + strings.Repeat("a", maxLine)), []byte("SUB " + strings.Repeat("a", maxLine)), []byte("RMSG $G a 1\r\n"),
		},
		Flood: func(mark string) []byte {
			n := digits(mark)
			one := appendPub(nil, "echo."+mark+"."+n, "", nil, bytes.Repeat([]byte("x"), 50<<10))
			return append(fmt.Appendf(nil, "SUB echo.*.%s %s\r\n", n, n), bytes.Repeat(one, 400)...)
		},
		States: []wiretest.State{
			{Name: "idle", Request: ask},
		},
	}
}

// frames cuts what a client sends into operations.
func frames(stream []byte) [][]byte {
	var out [][]byte
	for len(stream) > 0 {
		f, ok, err := parse(stream, fromClient)
		if err != nil || !ok || !f.whole(stream) {
			return append(out, stream)
		}
		out, stream = append(out, stream[:f.length]), stream[f.length:]
	}
	return out
}

// digits returns the number in a mark.
func digits(mark string) string { return "0" + strings.Trim(mark, "abcdefghijklmnopqrstuvwxyz_") }

// readWelcome reads what acknowledges CONNECT.
func readWelcome(r *bufio.Reader) (wiretest.Answer, error) {
	return readUntil(r, opOK)
}

// readAnswer reads up to the message that comes back, or to an error.
func readAnswer(r *bufio.Reader) (wiretest.Answer, error) {
	a, err := readUntil(r, opMsg, opHMsg)
	if a.Refused != "" && err == nil {
		// Behind a last word the connection is closed, and nothing else is under way; a refusal of one operation is followed by nothing.
		a.Over = lastWord(a.State)
	}
	a.State = ""
	return a, err
}

// readUntil reads operations up to one of a kind.
func readUntil(r *bufio.Reader, until ...op) (wiretest.Answer, error) {
	for {
		f, raw, err := readFrame(r)
		switch {
		case err != nil:
			return wiretest.Answer{Over: true}, err
		case f.op == opErr:
			words := strings.Trim(string(f.text), "'")
			if strings.HasPrefix(words, "Permissions Violation for Subscription") {
				continue // the message that follows is refused as well
			}
			_, said, ok := strings.Cut(words, ": ")
			if !ok {
				said = words
			}
			return wiretest.Answer{Refused: said, State: words}, nil
		case slices.Contains(until, f.op):
			return wiretest.Answer{Data: string(raw)}, nil
		}
	}
}

// lastWord reports whether a server closes the connection behind an error.
func lastWord(words string) bool { return !strings.HasPrefix(words, "Permissions Violation") }

func readFrame(r *bufio.Reader) (frame, []byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return frame{}, line, err
	}
	f, _, err := parse(line, fromServer)
	if err != nil {
		return f, line, err
	}
	rest := make([]byte, f.length-len(line))
	_, err = io.ReadFull(r, rest)
	return f, append(line, rest...), err
}
