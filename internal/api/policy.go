package api

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

type questionInput struct{ Body message.PolicyQuestion }

type exportInput struct {
	Role       string    `query:"role" required:"true" minLength:"1" maxLength:"256" doc:"The role whose sessions are read"`
	Connection string    `query:"connection" maxLength:"256" doc:"Only sessions on this connection"`
	Since      time.Time `query:"since" doc:"Only what happened at or after this time"`
	Format     string    `query:"format" default:"gatehouse" maxLength:"64" doc:"gatehouse, or a policy language of others that a protocol knows"`
	Name       string    `query:"name" maxLength:"256" doc:"The policy's name; default the role's, with -observed behind it"`
	Exact      bool      `query:"exact" doc:"Name every resource, however many they are"`
}

type exportOutput struct{ Body message.PolicyExport }

type explanationOutput struct{ Body message.Explanation }

type whoamiOutput struct{ Body message.Whoami }

func (s *Server) policyRoutes() {
	route(s, operators, huma.Operation{OperationID: "explain-policy", Method: http.MethodPost, Path: "/v1/policy/explain",
		Summary: "Say what would be decided, and why", Tags: []string{"policy"}, MaxBodyBytes: 2 << 20}, s.explain)
	route(s, operators, huma.Operation{OperationID: "export-policy", Method: http.MethodGet, Path: "/v1/policy/export",
		Summary: "What a role did, as the least policy that allows it", Tags: []string{"policy"}, Middlewares: huma.Middlewares{patient}}, s.export)
	route(s, anyone, huma.Operation{OperationID: "whoami", Method: http.MethodGet, Path: "/v1/whoami",
		Summary: "What the gateway makes of this token", Tags: []string{"policy"}}, s.whoami)
}

// patient takes the deadlines off an answer that a long log makes late. They would otherwise end the request's context, too.
func patient(hc huma.Context, next func(huma.Context)) {
	_, w := humago.Unwrap(hc)
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{}) // one that stays costs a late answer, and nothing else
	_ = c.SetReadDeadline(time.Time{})
	next(hc)
}

func (s *Server) export(ctx context.Context, in *exportInput) (*exportOutput, error) {
	out, err := s.o.Adviser.Export(ctx, ExportQuestion{Role: in.Role, Connection: in.Connection, Since: in.Since, Format: in.Format,
		Name: cmp.Or(in.Name, in.Role+"-observed"), Exact: in.Exact})
	if err != nil {
		return nil, err
	}
	out.Notes = append([]string{}, out.Notes...)
	return &exportOutput{Body: *out}, nil
}

func (s *Server) explain(ctx context.Context, in *questionInput) (*explanationOutput, error) {
	q := &in.Body
	p, err := s.questioned(ctx, q)
	if err != nil {
		return nil, err
	}
	params := make([]any, len(q.Params))
	for i, v := range q.Params {
		params[i] = v
	}
	e, err := s.o.Checker.Explain(ctx, Inquiry{Principal: p, Connection: q.Connection, Statement: q.Statement, Params: params, Estimated: q.EstimatedRows})
	if fault.KindOf(err) == fault.Denied {
		return s.deniedWhole(ctx, p, q, err)
	}
	if err != nil {
		return nil, err
	}
	return &explanationOutput{Body: *e}, nil
}

// deniedWhole is the verdict where no role of the principal reaches the connection: no statement is even looked at. The
// caller's own request was fine, so it is an answer and not a problem.
func (s *Server) deniedWhole(ctx context.Context, p *access.Principal, q *message.PolicyQuestion, denied error) (*explanationOutput, error) {
	roles, err := s.o.Identity.Roles(ctx, p)
	if err != nil {
		return nil, err
	}
	say, _ := fault.Say(denied)
	return &explanationOutput{Body: message.Explanation{Effect: access.Deny.String(), Principal: p.ID(), Roles: append([]string{}, roles...),
		Connection: q.Connection, Judgements: []message.Judgement{{Text: q.Statement, Effect: access.Deny.String(), Message: say,
			Actions: []message.ExplainedAction{}}}}}, nil
}

// questioned is the principal that a question is about: a real token's, or one put together for the question.
func (s *Server) questioned(ctx context.Context, q *message.PolicyQuestion) (*access.Principal, error) {
	if q.Token != "" {
		if q.Issuer != "" || q.Subject != "" || len(q.Claims) > 0 {
			return nil, fault.New(fault.Malformed, "api.questioned", "give a token, or issuer, subject and claims, not both")
		}
		p, err := s.o.Identity.Verify(ctx, access.NewSecret([]byte(q.Token)))
		if err != nil {
			// The administrator may know exactly why; the caller's own login was fine, so this is not a 401.
			return nil, &fault.Error{Op: "api.questioned", Kind: fault.Malformed, Say: "the token of the question is refused: " + err.Error()}
		}
		return p, nil
	}
	docs, _, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	issuer, err := chooseIssuer(docs, q.Issuer)
	if err != nil {
		return nil, err
	}
	p := &access.Principal{Issuer: issuer.URL, Subject: q.Subject, Kind: access.Workload, Claims: map[string]any{}}
	if issuer.Kind == string(access.Person) {
		p.Kind = access.Person
	}
	for k, v := range q.Claims {
		p.Claims[k] = integers(v)
	}
	p.Claims["iss"], p.Claims["sub"] = p.Issuer, p.Subject
	return p, nil
}

// chooseIssuer finds an Issuer by its document's name or its URL; without either, the only one there is.
func chooseIssuer(docs []access.Document, wanted string) (*access.Issuer, error) {
	var found []*access.Issuer
	for _, d := range docs {
		if i, ok := d.(*access.Issuer); ok && (wanted == "" || wanted == i.Name || wanted == i.URL) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && wanted == "":
		return nil, fault.New(fault.Malformed, "api.chooseIssuer", "no Issuer is registered yet: gatehouse apply one first")
	case len(found) == 0:
		return nil, fault.New(fault.Malformed, "api.chooseIssuer", "no Issuer has the name or URL %q: gatehouse get issuer lists them", wanted)
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name
	}
	return nil, fault.New(fault.Malformed, "api.chooseIssuer", "say which issuer (--issuer) the principal comes from: %s", strings.Join(names, " or "))
}

// integers turns whole JSON numbers into int64, as identity decodes claims.
func integers(v any) any {
	switch x := v.(type) {
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x)
		}
	case []any:
		for i := range x {
			x[i] = integers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = integers(x[k])
		}
	}
	return v
}

func (s *Server) whoami(ctx context.Context, _ *struct{}) (*whoamiOutput, error) {
	p := callerOf(ctx)
	w := message.Whoami{Principal: p.ID(), Issuer: p.Issuer, Subject: p.Subject, Kind: string(p.Kind), Expires: p.Expires,
		Claims: p.Claims, Roles: []string{}, Connections: []string{}}
	if isOperator(p) {
		return &whoamiOutput{Body: w}, nil
	}
	roles, err := s.o.Identity.Roles(ctx, p)
	if err != nil {
		return nil, err
	}
	connections, err := s.o.Identity.Connections(ctx, p)
	if err != nil {
		return nil, err
	}
	w.Roles, w.Connections = append(w.Roles, roles...), append(w.Connections, connections...)
	return &whoamiOutput{Body: w}, nil
}
