package http

import (
	"bufio"
	"context"
	"net/http"
	"net/textproto"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// explain understands a request that is written as text: a method and a target, then headers on lines of their own, then an empty
// line and a body. A first line with a version (HTTP/1.1) is taken too.
func (p *protocol) explain(_ context.Context, aside *gate.Gate, text string) ([]wire.Understood, error) {
	conn := aside.Connection()
	e, err := p.endpoints.of(conn)
	if err != nil {
		return nil, err
	}
	a, err := written(text, e.ignoreCase)
	if err != nil {
		return nil, err
	}
	j, err := e.understand(a)
	if err != nil {
		return nil, err
	}
	return []wire.Understood{{Statement: *j.statement, Sent: j.sent}}, nil
}

// written reads a request from text.
func written(text string, ignoreCase bool) (asked, error) {
	head, body, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	first, rest, _ := strings.Cut(strings.TrimSpace(head), "\n")
	words := strings.Fields(first)
	if len(words) < 2 || len(words) > 3 || len(words) == 3 && !strings.HasPrefix(words[2], "HTTP/") {
		return asked{}, errWritten("the first line is no method and target")
	}
	t, err := normalise(words[1], ignoreCase)
	if err != nil {
		return asked{}, err
	}
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		return asked{}, errWritten("a header is not of the form Name: value")
	}
	header := http.Header(h)
	return asked{method: words[0], target: t, header: header, upgrade: header.Get("Upgrade") != "", held: true, body: []byte(body), size: int64(len(body))}, nil
}

func errWritten(say string) error {
	e := fault.New(fault.Malformed, "http.explain", "%s", say)
	e.Hint = "Write a request: GET /v1/invoices/42, then headers, an empty line and a body where there are any."
	return e
}
