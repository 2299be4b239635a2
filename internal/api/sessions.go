package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/api/message"
)

type sessionsInput struct {
	Limit      int       `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	Connection string    `query:"connection" maxLength:"256"`
	Principal  string    `query:"principal" maxLength:"2048" doc:"A principal's ID: issuer#subject"`
	Since      time.Time `query:"since" doc:"Only sessions that opened at or after this time"`
}

type recordsInput struct {
	ID    string `path:"id" minLength:"1" maxLength:"64"`
	After uint64 `query:"after" doc:"Only records above this sequence number"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

type refusalInput struct {
	Ref string `path:"ref" minLength:"1" maxLength:"32" pattern:"^[A-Za-z0-9-]+$"`
}

type sessionsOutput struct{ Body message.SessionList }

type recordsOutput struct{ Body message.RecordList }

type recordOutput struct{ Body message.Record }

func (s *Server) sessionRoutes() {
	tags := []string{"sessions"}
	route(s, operators, huma.Operation{OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/sessions",
		Summary: "List the newest sessions", Tags: tags}, s.listSessions)
	route(s, operators, huma.Operation{OperationID: "list-session-records", Method: http.MethodGet, Path: "/v1/sessions/{id}/records",
		Summary: "Read what a session did, in order", Tags: tags}, s.listRecords)
	route(s, operators, huma.Operation{OperationID: "get-refusal", Method: http.MethodGet, Path: "/v1/refusals/{ref}",
		Summary: "The exact reason behind a refused login's reference", Tags: tags}, s.getRefusal)
}

func (s *Server) listSessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	list, err := s.o.Sessions.Sessions(ctx, SessionFilter{Limit: in.Limit, Connection: in.Connection, Principal: in.Principal, Since: in.Since})
	if err != nil {
		return nil, err
	}
	return &sessionsOutput{Body: message.SessionList{Sessions: append([]message.SessionSummary{}, list...)}}, nil
}

func (s *Server) listRecords(ctx context.Context, in *recordsInput) (*recordsOutput, error) {
	entries, err := s.o.Sessions.Records(ctx, in.ID, in.After, in.Limit+1) // one more, to know whether there is more
	if err != nil {
		return nil, err
	}
	out := &recordsOutput{Body: message.RecordList{Records: make([]message.Record, 0, len(entries)), More: len(entries) > in.Limit}}
	for _, e := range entries[:min(len(entries), in.Limit)] {
		out.Body.Records = append(out.Body.Records, message.NewRecord(e.Seq, &e.Event))
	}
	return out, nil
}

func (s *Server) getRefusal(ctx context.Context, in *refusalInput) (*recordOutput, error) {
	e, err := s.o.Sessions.Refusal(ctx, typedRef(in.Ref))
	if err != nil {
		return nil, err
	}
	return &recordOutput{Body: message.NewRecord(e.Seq, &e.Event)}, nil
}

// typedRef is a reference as it was given, from what a person typed: any case, and letters that read like digits.
func typedRef(s string) string {
	return strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(s))
}
