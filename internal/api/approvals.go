package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// keepAlive is how often a watcher hears something, so that both ends notice a dead connection.
const keepAlive = 15 * time.Second

type approvalsInput struct {
	State string `query:"state" enum:"pending,approved,denied,expired,cancelled,spent,all" default:"pending"`
}

type approvalID struct {
	ID string `path:"id" minLength:"1" maxLength:"64"`
}

type answerInput struct {
	ID   string `path:"id" minLength:"1" maxLength:"64"`
	Body message.AnswerRequest
}

type approvalsOutput struct{ Body message.ApprovalList }

type approvalOutput struct{ Body access.Approval }

func (s *Server) approvalRoutes() {
	tags := []string{"approvals"}
	route(s, reviewers, huma.Operation{OperationID: "list-approvals", Method: http.MethodGet, Path: "/v1/approvals",
		Summary: "List the approvals that the caller may review", Tags: tags}, s.listApprovals)
	route(s, reviewers, huma.Operation{OperationID: "get-approval", Method: http.MethodGet, Path: "/v1/approvals/{id}",
		Summary: "Read one approval", Tags: tags}, s.getApproval)
	route(s, reviewers, huma.Operation{OperationID: "approve", Method: http.MethodPost, Path: "/v1/approvals/{id}/approve",
		Summary: "Let the held action run, once", Tags: tags, MaxBodyBytes: 16 << 10}, s.answer(Approve))
	route(s, reviewers, huma.Operation{OperationID: "deny", Method: http.MethodPost, Path: "/v1/approvals/{id}/deny",
		Summary: "Refuse the held action", Tags: tags, MaxBodyBytes: 16 << 10}, s.answer(Deny))
	route(s, reviewers, s.watchOperation(tags), s.watchApprovals)
}

// review says what a caller may see: everything for the operator; for a person what their roles may review, by the
// policy of this moment. What may not be seen does not exist.
type review struct {
	operator bool
	roles    []string
}

func (r review) sees(a *access.Approval) bool { return r.operator || holdsEach(r.roles, a.Reviewers) }

func (s *Server) reviewOf(ctx context.Context) (review, error) {
	p := callerOf(ctx)
	if isOperator(p) {
		return review{operator: true}, nil
	}
	roles, err := s.o.Identity.Roles(ctx, p)
	return review{roles: roles}, err
}

func (s *Server) listApprovals(ctx context.Context, in *approvalsInput) (*approvalsOutput, error) {
	r, err := s.reviewOf(ctx)
	if err != nil {
		return nil, err
	}
	state := access.ApprovalState(in.State)
	if in.State == "all" {
		state = ""
	}
	list, err := s.o.Approvals.List(ctx, state)
	if err != nil {
		return nil, err
	}
	out := &approvalsOutput{Body: message.ApprovalList{Approvals: []access.Approval{}}}
	for i := range list {
		if r.sees(&list[i]) {
			out.Body.Approvals = append(out.Body.Approvals, list[i])
		}
	}
	return out, nil
}

func (s *Server) getApproval(ctx context.Context, in *approvalID) (*approvalOutput, error) {
	a, _, err := s.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &approvalOutput{Body: a}, nil
}

// visible returns an approval that the caller may see. One that they may not see is told like one that does not exist.
func (s *Server) visible(ctx context.Context, id string) (access.Approval, review, error) {
	r, err := s.reviewOf(ctx)
	if err != nil {
		return access.Approval{}, r, err
	}
	a, err := s.o.Approvals.Get(ctx, id)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return access.Approval{}, r, err
	}
	if err != nil || !r.sees(&a) {
		return access.Approval{}, r, fault.New(fault.NotFound, "api.visible", "there is no approval %q that you may review: gatehouse approvals list shows those that wait", id)
	}
	return a, r, nil
}

func (s *Server) answer(d Decision) func(context.Context, *answerInput) (*approvalOutput, error) {
	return func(ctx context.Context, in *answerInput) (*approvalOutput, error) {
		p := callerOf(ctx)
		a, r, err := s.visible(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if a.Principal == p.ID() {
			return nil, fault.New(fault.Denied, "api.answer", "nobody answers their own request: ask another reviewer")
		}
		if r.operator && slices.ContainsFunc(a.Reviewers, func(list []string) bool { return len(list) > 0 }) { // an empty list asks for the operator
			return nil, &fault.Error{Op: "api.answer", Kind: fault.Denied, Say: "this approval names its reviewers, and the administrator token is none of them",
				Hint: "a person who holds the reviewing role answers it with their own token"}
		}
		a, err = s.o.Approvals.Answer(ctx, in.ID, Answer{Reviewer: p, Roles: r.roles, Decision: d, Reason: in.Body.Reason})
		if err != nil {
			return nil, err
		}
		return &approvalOutput{Body: a}, nil
	}
}

func (s *Server) watchOperation(tags []string) huma.Operation {
	registry := s.api.OpenAPI().Components.Schemas
	return huma.Operation{OperationID: "watch-approvals", Method: http.MethodGet, Path: "/v1/approvals/watch", Tags: tags,
		Summary: "Hear of approvals as they are made and change",
		Description: "Server-sent events (WHATWG HTML §9.2). Each event is named approval and its data is an approval: first all " +
			"that are pending, then each change. Comments keep the connection alive.",
		Responses: map[string]*huma.Response{"200": {Description: "A stream of approvals", Content: map[string]*huma.MediaType{
			"text/event-stream": {Schema: registry.Schema(reflect.TypeFor[access.Approval](), true, "Approval")}}}}}
}

func (s *Server) watchApprovals(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	select {
	case s.watching <- struct{}{}:
	default:
		return nil, fault.New(fault.Unavailable, "api.watch", "too many watchers: close one, or use gatehouse approvals list")
	}
	if _, err := s.reviewOf(ctx); err != nil {
		<-s.watching
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() { <-s.watching }()
		hc.SetHeader("Content-Type", "text/event-stream")
		_, w := humago.Unwrap(hc)
		if err := s.stream(hc.Context(), w); err != nil {
			s.o.Logger.Debug("api: a watcher went away", "error", err.Error())
		}
	}}, nil
}

// stream sends approvals until the caller leaves or their token expires.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter) error {
	if until := callerOf(ctx).Expires; !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, until.Sub(s.o.Clock()))
		defer cancel()
	}
	changes, err := s.o.Approvals.Watch(ctx) // before the list, so that nothing falls between
	if err != nil {
		return err
	}
	pending, err := s.o.Approvals.List(ctx, access.ApprovalPending)
	if err != nil {
		return err
	}
	out := eventWriter{w: w, c: http.NewResponseController(w), clock: s.o.Clock}
	if err := out.c.SetReadDeadline(time.Time{}); err != nil { // the one for reading the request would end the stream
		return err
	}
	if err := out.comment("watching"); err != nil {
		return err
	}
	for i := range pending {
		if err := s.tell(ctx, out, &pending[i]); err != nil {
			return err
		}
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			err = out.comment("still here")
		case a, ok := <-changes:
			if !ok {
				return io.EOF
			}
			err = s.tell(ctx, out, &a)
		}
		if err != nil {
			return err
		}
	}
}

// tell sends one approval to a watcher who may see it now: roles can change while someone watches.
func (s *Server) tell(ctx context.Context, out eventWriter, a *access.Approval) error {
	r, err := s.reviewOf(ctx)
	if err != nil {
		return err
	}
	if !r.sees(a) {
		return nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return out.write("event: approval\ndata: %s\n\n", b) // JSON has no line breaks
}

// eventWriter writes server-sent events, each within writeTimeout: the server's own deadline is for whole answers.
type eventWriter struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	clock func() time.Time
}

func (e eventWriter) comment(text string) error { return e.write(": %s\n\n", text) }

func (e eventWriter) write(format string, args ...any) error {
	if err := e.c.SetWriteDeadline(e.clock().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return err
	}
	return e.c.Flush()
}
