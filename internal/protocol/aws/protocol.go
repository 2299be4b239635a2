package aws

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/coding"
	"gatehouse/internal/wire/exchange"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// name is the protocol's, as connections name it.
const name = "aws"

// noCredentials is the guardrail that ships.
//
//go:embed guardrails/aws-no-credentials.yaml
var noCredentials []byte

// New returns the protocol. The table of services in the binary is read when it is first needed: commands that have nothing to do
// with calls start without it.
func New(d wire.Deps) wire.Protocol {
	table := sync.OnceValue(func() *models {
		m, err := opened()
		if err != nil {
			panic(err) // the table is part of the binary: a test reads it
		}
		return m
	})
	p := &protocol{key: d.Mask, clock: d.Clock, random: d.Random, buffers: new(exchange.Buffers), models: newShelf(table), signer: v4.NewSigner(), roles: newRoles(),
		compiled: exchange.NewCompiled(d.Mask)}
	return wire.Protocol{Name: name, Address: "127.0.0.1:8445", Verbs: func() []wire.Verb { return verbs(table()) }, Actions: p.actions, Rootless: []string{"arn:"}, Exchange: p,
		Guardrails: []wire.Guardrail{{Name: "aws-no-credentials", Document: noCredentials}},
		Test:       test, Understand: p.explain,
		Formats: []wire.Format{{Name: "aws-iam", Export: exportIAM, Import: func(document []byte, name, connection string) (*access.Policy, []string, error) {
			return table().importIAM(document, name, connection)
		}}}, Folds: wire.Folds{Parent: aboveObject}}
}

// protocol serves calls. It is safe for concurrent use.
type protocol struct {
	key      *mask.Key
	clock    func() time.Time
	random   interface{ Read([]byte) (int, error) }
	buffers  *exchange.Buffers
	models   *shelf
	signer   *v4.Signer
	roles    *roles
	compiled *exchange.Compiled
	echoes   exchange.Echoes
	coder    coding.Coder
}

// verbs is every action of IAM that a call can be, and the gateway's own two.
func verbs(m *models) []wire.Verb {
	names := m.actionNames()
	list := make([]wire.Verb, 0, len(names)+2)
	list = append(list,
		wire.Verb{Name: connectAction, Implied: true, About: "reaching the account"},
		wire.Verb{Name: opaqueAction, About: "a call that is not understood: a service or an operation that the table does not have"})
	for _, n := range names {
		list = append(list, wire.Verb{Name: n, About: "as IAM has it"})
	}
	return list
}

// actions are those of a table that a connection brings along.
func (p *protocol) actions(c *access.Connection) ([]wire.Verb, error) {
	if c.AWS == nil || c.AWS.Models == "" {
		return nil, nil
	}
	m, err := readModels(c.AWS.Models)
	if err != nil {
		return nil, err
	}
	return verbs(m)[2:], nil
}

func readModels(name string) (*models, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("aws.models: %w", err)
	}
	defer func() { _ = f.Close() }()
	return unpack(f)
}

// Claim implements wire.Exchanger: the token stands where a session token goes.
func (*protocol) Claim(r *http.Request, h wire.Hello) (wire.Login, error) {
	connection, _, _, err := where(r, h.Domain)
	if err != nil {
		return wire.Login{}, err
	}
	query, err := strictQuery(r.URL.RawQuery)
	if err != nil {
		return wire.Login{}, err
	}
	sc, err := scopeOf(r.Header, query)
	if err != nil {
		return wire.Login{}, err
	}
	if sc.Token.Empty() {
		return wire.Login{}, &fault.Error{Op: "aws.Claim", Kind: fault.Unauthenticated, Say: "the request carries no token",
			Hint: "Give the SDK credentials whose session token (AWS_SESSION_TOKEN) is your token; the access key and the secret may be any words."}
	}
	r.Header.Del("X-Amz-Security-Token")
	return wire.Login{Connection: connection, Token: sc.Token}, nil
}

// where tells which connection a request is for, the rest of its target, and the bucket that stands before the connection in
// the host: BUCKET.CONNECTION.DOMAIN.
func where(r *http.Request, domain string) (connection, target, bucket string, err error) {
	connection, target, err = exchange.Route(r, domain)
	if i := strings.LastIndexByte(connection, '.'); i > 0 {
		bucket, connection = connection[:i], connection[i+1:]
	}
	return connection, target, bucket, err
}

// test looks whether the gateway has what it signs with. It makes no call: one may cost or do something.
func test(ctx context.Context, l gate.Lease) error {
	if _, err := access.ParseEndpoint(l.Connection().Address); err != nil {
		return fault.Wrap(fault.Malformed, "aws.test", err, "the address of connection %s cannot be read", l.Connection().Name)
	}
	if r := l.Connection().AWS; r != nil && r.AssumeRole != nil && r.AssumeRole.TokenFile != "" {
		if _, err := readToken(r.AssumeRole.TokenFile); err != nil {
			return fault.Wrap(fault.Unavailable, "aws.test", err, "the web identity token of connection %s cannot be read", l.Connection().Name)
		}
		return nil
	}
	return l.Credential(ctx, func(c gate.Credential) error {
		_, err := static(c)
		return err
	})
}

// explain reads calls for `policy test`, one a line: SERVICE METHOD TARGET, then a body in JSON.
func (p *protocol) explain(_ context.Context, aside *gate.Gate, text string) ([]wire.Understood, error) {
	var out []wire.Understood
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		c, err := p.explained(aside.Connection(), line)
		if err != nil {
			return nil, err
		}
		st := c.statement(false)
		out = append(out, wire.Understood{Statement: *st, Sent: c.sent("", nil), Refuses: func(m access.Masks) error { return c.steered(c.masks(m)) }})
	}
	return out, nil
}

// explained reads "dynamodb:GetItem {json}", or "s3 GET /bucket/key?query".
func (p *protocol) explained(conn *access.Connection, line string) (*call, error) {
	at := placeOf(conn)
	m, err := p.models.of(conn)
	if err != nil {
		return nil, err
	}
	head0, rest, _ := strings.Cut(line, " ")
	h := head{Method: http.MethodPost, Path: "/", Header: http.Header{}}
	service, operation, named := strings.Cut(head0, ":")
	body := strings.TrimSpace(rest)
	if named {
		for _, s := range m.bySigning[service] {
			if s.operations[operation] != nil && s.speaks(dialectJSON) {
				h.Header.Set("X-Amz-Target", s.target+"."+operation)
				h.Header.Set("Content-Type", "application/x-amz-json-1.0")
			}
		}
		if len(h.Header) == 0 {
			return nil, malformed("%s is no operation of a service that speaks JSON: write SERVICE METHOD /path?query instead", head0)
		}
	} else {
		method, target, _ := strings.Cut(body, " ")
		if !strings.HasPrefix(target, "/") {
			return nil, &fault.Error{Op: "aws.explained", Kind: fault.Malformed, Say: "the line is no call",
				Hint: `Write calls one a line: dynamodb:GetItem {"TableName": "orders"}, or s3 GET /reports/a.json`}
		}
		target, body, _ = strings.Cut(target, " ")
		h.Method = method
		h.Path, h.Query, _ = strings.Cut(target, "?")
	}
	h.Header.Set("Authorization", sigV4+" Credential=-/20260101/"+at.region+"/"+service+"/aws4_request")
	r, err := m.route(h)
	if err != nil {
		return nil, err
	}
	return understand(r, []byte(body), at)
}
