package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

type lockInput struct{ Body message.LockRequest }

type keyInput struct {
	Key string `path:"key" enum:"vault,mask,signing"`
}

type connectionInput struct {
	Name string `path:"name" minLength:"1" maxLength:"256"`
}

type (
	noteOutput       struct{ Body message.Note }
	probeOutput      struct{ Body message.Probe }
	checkpointOutput struct{ Body message.Checkpoint }
	versionOutput    struct{ Body message.Version }
)

func (s *Server) operationRoutes() {
	tags := []string{"operation"}
	route(s, operators, huma.Operation{OperationID: "lock", Method: http.MethodPut, Path: "/v1/lock",
		Summary: "Stop everything: no login and no action until unlocked", Tags: tags, MaxBodyBytes: 16 << 10}, s.lock)
	route(s, operators, huma.Operation{OperationID: "unlock", Method: http.MethodDelete, Path: "/v1/lock",
		Summary: "Open the gateway again", Tags: tags}, s.unlock)
	route(s, operators, huma.Operation{OperationID: "rotate-key", Method: http.MethodPost, Path: "/v1/keys/{key}/rotate",
		Summary: "Replace one of the gateway's keys", Tags: tags}, s.rotate)
	route(s, operators, huma.Operation{OperationID: "test-connection", Method: http.MethodPost, Path: "/v1/connections/{name}/test",
		Summary: "Log in to a connection's backend and say how it went", Tags: tags}, s.testConnection)
	route(s, operators, huma.Operation{OperationID: "sign-checkpoint", Method: http.MethodPost, Path: "/v1/audit/checkpoint",
		Summary: "Sign the audit log as it is now", Tags: tags}, s.checkpoint)
	route(s, operators, huma.Operation{OperationID: "backup", Method: http.MethodPost, Path: "/v1/backup",
		Summary: "Take a consistent copy of the state; credentials in it are sealed", Tags: tags,
		Responses: map[string]*huma.Response{"200": {Description: "The copy; complete only where the stream ends in order",
			Content: map[string]*huma.MediaType{"application/octet-stream": {}}}}}, s.backup)
	route(s, operators, huma.Operation{OperationID: "version", Method: http.MethodGet, Path: "/v1/version",
		Summary: "What is running", Tags: tags}, func(context.Context, *struct{}) (*versionOutput, error) {
		return &versionOutput{Body: s.o.Version}, nil
	})
}

// lock closes first and records second: it must work when the audit log does not.
func (s *Server) lock(ctx context.Context, in *lockInput) (*emptyOutput, error) {
	if err := s.o.Locker.Lock(ctx, in.Body.Reason, callerOf(ctx).ID()); err != nil {
		return nil, err
	}
	err := s.record(&access.Event{Kind: access.EventGatewayLocked, Principal: callerOf(ctx).ID(), Reason: in.Body.Reason})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "api.lock", err, "the gateway is locked, but that could not be recorded: %s", sayOf(err))
	}
	return nil, nil
}

func (s *Server) unlock(ctx context.Context, _ *struct{}) (*emptyOutput, error) {
	if err := s.record(&access.Event{Kind: access.EventGatewayUnlocked, Principal: callerOf(ctx).ID()}); err != nil {
		return nil, err
	}
	return nil, s.o.Locker.Unlock(ctx)
}

func (s *Server) rotate(ctx context.Context, in *keyInput) (*noteOutput, error) {
	note, err := s.o.Operations.Rotate(ctx, in.Key, callerOf(ctx))
	if err != nil {
		return nil, err
	}
	return &noteOutput{Body: message.Note{Note: note}}, nil
}

func (s *Server) testConnection(ctx context.Context, in *connectionInput) (*probeOutput, error) {
	docs, _, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	if find(docs, access.KindConnection, in.Name) == nil {
		return nil, noDocument(access.KindConnection, in.Name)
	}
	p, err := s.o.Operations.Test(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &probeOutput{Body: p}, nil
}

func (s *Server) checkpoint(ctx context.Context, _ *struct{}) (*checkpointOutput, error) {
	note, err := s.o.Operations.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &checkpointOutput{Body: message.Checkpoint{Note: note}}, nil
}

// backup streams. Where it fails half-way the connection is cut, so that the client cannot take the half for a whole.
func (s *Server) backup(context.Context, *struct{}) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetWriteDeadline(time.Time{}), c.SetReadDeadline(time.Time{})); err != nil {
			s.writeProblem(hc, err)
			return
		}
		out := &countingWriter{w: w}
		hc.SetHeader("Content-Type", "application/octet-stream")
		err := s.o.Operations.Backup(hc.Context(), out)
		switch {
		case err == nil:
		case out.n == 0:
			s.writeProblem(hc, err)
		default:
			s.logProblem(hc.Context(), hc.Method(), hc.Operation().Path, http.StatusInternalServerError, err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// countingWriter knows whether the answer has begun.
type countingWriter struct {
	w http.ResponseWriter
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // the server below would begin the answer
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

type healthOutput struct {
	Status int
	Body   message.Health
}

type liveOutput struct {
	Body struct {
		Status string `json:"status"`
	}
}

func (s *Server) healthRoutes() {
	tags := []string{"health"}
	route(s, public, huma.Operation{OperationID: "live", Method: http.MethodGet, Path: "/healthz",
		Summary: "The process answers", Tags: tags}, func(context.Context, *struct{}) (*liveOutput, error) {
		out := &liveOutput{}
		out.Body.Status = "ok"
		return out, nil
	})
	route(s, public, huma.Operation{OperationID: "ready", Method: http.MethodGet, Path: "/readyz",
		Summary: "New logins are accepted; 503 where they are not", Tags: tags}, s.ready)
	if s.o.Metrics != nil {
		route(s, public, huma.Operation{OperationID: "metrics", Method: http.MethodGet, Path: "/metrics",
			Summary: "Prometheus metrics, from loopback or with the administrator token", Tags: tags,
			Responses: map[string]*huma.Response{"200": {Description: "Metrics in the Prometheus text format",
				Content: map[string]*huma.MediaType{"text/plain": {}}}}}, s.metrics)
	}
}

func (s *Server) ready(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	h := s.o.Health.Health(ctx)
	out := &healthOutput{Status: http.StatusOK, Body: h}
	if !h.Ready || h.Draining || h.Locked || !h.Lease || !h.Audit.Writable {
		out.Status = http.StatusServiceUnavailable
		out.Body.Ready = false
	}
	return out, nil
}

func (s *Server) metrics(context.Context, *struct{}) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		if !fromLoopback(r.RemoteAddr) {
			p, err := s.authenticate(hc)
			if err == nil {
				err = admit(operators, p)
			}
			if err != nil {
				s.writeProblem(hc, err)
				return
			}
		}
		s.o.Metrics.ServeHTTP(w, r)
	}}, nil
}

// fromLoopback trusts the TCP peer only, never a header.
func fromLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
