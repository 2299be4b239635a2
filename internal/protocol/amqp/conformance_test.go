package amqp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
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

// TestConformance runs the suite that every protocol passes, before a real broker.
func TestConformance(t *testing.T) {
	wiretest.Run(t, suite(mqtest.StartRabbit(t)))
}

func suite(r *mqtest.Rabbit) wiretest.Suite {
	s := wiretest.Suite{
		Protocol: func() wire.Protocol { return New(testDeps()) },
		Serve:    serve,
		Clock:    time.Now,
		Connection: access.Connection{Name: "shop", Type: name, Address: r.Address(), TLS: access.BackendTLS{Mode: "disable"},
			Credential: access.Credential{User: mqtest.AppUser, Secret: "shop"}, AMQP: &access.AMQPOptions{VirtualHost: mqtest.VHost}},
		Password:  mqtest.AppPassword,
		Duplex:    true,
		Login:     loginBytes,
		Welcome:   readAnswer,
		Answer:    readAnswer,
		Frames:    rawFrames,
		LoginEnds: loginEnds,
		Farewell:  appendMethod(nil, 0, farewell()),
		Oversize: [][]byte{
			{frameMethod, 0, 1, 0x7f, 0xff, 0xff, 0xff}, {frameMethod, 0, 1, 0xff, 0xff, 0xff, 0xff}, {frameHeader, 0, 1, 0, 2, 0, 0},
			{frameBody, 0, 0, 0, 2, 0, 0}, {4, 0, 1, 0, 0, 0, 0},
		},
		Flood:    flood,
		Withdraw: func(mark string) []byte { return appendMethod(nil, channelOf(mark), &channelClose{Code: codeOK}) },
		States:   states(),
	}
	for n := range uint16(2047) {
		for _, m := range []method{&channelOpen{}, &channelClose{Code: codeOK, Text: "goodbye"}, &channelClose{Code: codeOK}, &confirmSelect{NoWait: true}} {
			s.Own = append(s.Own, wiretest.Own{Bytes: appendMethod(nil, n+1, m)})
		}
	}
	return s
}

func testDeps() wire.Deps {
	return wire.Deps{Mask: mask.NewKey([32]byte{7}), Clock: time.Now, Random: rand.Reader}
}

// serve makes a session.Server of the suite's parts.
func serve(p wiretest.Parts) func(context.Context, net.Conn, wire.Protocol, wire.Hello) {
	return server.NewServer(server.Options{Gate: p.Gate, Identity: p.Identity, Refusal: p.Refusal, NewID: p.NewID, Log: p.Log,
		Sessions: 100, Login: time.Minute, Grace: time.Minute}).Serve
}

// channelOf is a channel of its own for each request: the number in its mark.
func channelOf(mark string) uint16 {
	_, number, _ := strings.Cut(mark, "_")
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "_"), 10, 16)
	if err != nil {
		return 2000
	}
	return uint16(n)
}

// states are what a session can be in, and how to get there. Each request is made on a channel of its own.
func states() []wiretest.State {
	open := func(mark string, ms ...method) []byte {
		n := channelOf(mark)
		b := appendMethod(nil, n, &channelOpen{})
		for _, m := range ms {
			b = appendMethod(b, n, m)
		}
		return b
	}
	declare := func(mark string) []byte { return open(mark, &queueDeclare{Queue: mark, AutoDelete: true}) }
	message := func(b []byte, mark string) []byte { // comes back, since there is no such queue
		b = appendMethod(b, channelOf(mark), &basicPublish{RoutingKey: "no-" + mark, Mandatory: true})
		return appendContent(b, channelOf(mark), appendHeader(nil, uint64(len(mark)), &properties{}), []byte(mark), frameMin)
	}
	publish := func(mark string) []byte { return message(open(mark), mark) }
	confirmed := func(mark string) []byte { return message(open(mark, &confirmSelect{NoWait: true}), mark) }
	other := func(n uint16, ms ...method) []byte {
		b := appendMethod(nil, n, &channelOpen{})
		for _, m := range ms {
			b = appendMethod(b, n, m)
		}
		return b
	}
	leave := func(n uint16) []wiretest.Step {
		return []wiretest.Step{{Send: appendMethod(nil, n, &channelClose{Code: codeOK}), Await: readUntil(idChannelCloseOk)}}
	}
	return []wiretest.State{
		{Name: "idle", Request: declare},
		{Name: "publishing", Request: publish},
		{Name: "publishing, with confirms", Request: confirmed},
		{Name: "in a transaction", Enter: []wiretest.Step{{Send: other(2001, &txSelect{}), Await: readUntil(idTxSelectOk)}}, Request: declare, Leave: leave(2001)},
		{Name: "with a consumer", Enter: []wiretest.Step{{Send: other(2002, &queueDeclare{Exclusive: true}, &basicConsume{ConsumerTag: "c"}), Await: readUntil(idBasicConsumeOk)}},
			Request: publish, Leave: leave(2002)},
	}
}

// flood is a request whose answers are more than what any buffer on the way holds.
func flood(mark string) []byte {
	n := channelOf(mark)
	b := appendMethod(nil, n, &channelOpen{})
	b = appendMethod(b, n, &queueDeclare{Queue: mark, AutoDelete: true, NoWait: true})
	body := bytes.Repeat([]byte("x"), wiretest.MaxMessage-100)
	for range 300 {
		b = appendMethod(b, n, &basicPublish{RoutingKey: mark})
		b = appendContent(b, n, appendHeader(nil, uint64(len(body)), &properties{}), body, wiretest.MaxMessage)
	}
	return appendMethod(b, n, &basicConsume{Queue: mark, ConsumerTag: "c", NoWait: true})
}

func loginBytes(connection, token string) []byte {
	b := appendMethod([]byte(version), 0, &connectionStartOk{ClientProperties: table{{"capabilities", table{{"authentication_failure_close", true}}}},
		Mechanism: "PLAIN", Response: []byte("\x00fn\x00" + token), Locale: "en_US"})
	b = appendMethod(b, 0, &connectionTuneOk{ChannelMax: channelMost, FrameMax: wiretest.MaxMessage})
	return appendMethod(b, 0, &connectionOpen{VirtualHost: connection})
}

// rawFrames cuts a stream into its frames.
func rawFrames(b []byte) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		f, n, err := peekFrame(b, 1<<20)
		if err != nil || f.raw == nil {
			break
		}
		out, b = append(out, f.raw), b[n:]
	}
	return out
}

// loginEnds skips the protocol header and what opens a connection.
func loginEnds(sent []byte) int {
	if len(sent) < protoHead {
		return len(sent)
	}
	n := protoHead
	for _, f := range rawFrames(sent[protoHead:]) {
		switch methodID(binary.BigEndian.Uint32(f[frameHead:])) {
		case idConnectionStartOk, idConnectionTuneOk, idConnectionOpen:
			n += len(f)
		default:
			return n
		}
	}
	return n
}

// readAnswer reads up to the answer to a request or a login, or the end of a channel or of the session.
func readAnswer(r *bufio.Reader) (wiretest.Answer, error) {
	return readUntil(idConnectionOpenOk, idQueueDeclareOk, idBasicReturn, idChannelCloseOk)(r)
}

// nacked are the channels of the last messages that were not confirmed.
var nacked = map[*bufio.Reader]uint16{}

func readUntil(ends ...methodID) func(r *bufio.Reader) (wiretest.Answer, error) {
	return func(r *bufio.Reader) (wiretest.Answer, error) {
		var a wiretest.Answer
		for {
			f, err := readFrame(r)
			if err != nil {
				a.Over = true
				return a, fmt.Errorf("after %q: %w", a.Data, err)
			}
			a.Data += string(f.raw)
			if f.kind != frameMethod {
				continue
			}
			m, err := decodeMethod(f.payload)
			if err != nil {
				return a, err
			}
			switch m := m.(type) {
			case *channelClose:
				_, a.Refused, _ = strings.Cut(m.Text, " - ")
				return a, nil
			case *connectionClose:
				_, a.Refused, _ = strings.Cut(m.Text, " - ")
				a.Over = true
				return a, nil
			case *basicNack:
				a.Refused = "the message was not confirmed"
				nacked[r] = f.channel
				return a, nil
			case *channelCloseOk:
				if nacked[r] == f.channel { // the channel of what was answered already
					delete(nacked, r)
					continue
				}
				a.Refused = "the channel was closed"
			}
			for _, end := range ends {
				if m.id() == end {
					return a, nil
				}
			}
		}
	}
}

func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(frameHead)
	if err != nil {
		return frame{}, err
	}
	b := make([]byte, int(binary.BigEndian.Uint32(head[3:]))+frameOver)
	if _, err := io.ReadFull(r, b); err != nil {
		return frame{}, err
	}
	f, _, err := peekFrame(b, len(b))
	return f, err
}
