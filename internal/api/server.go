package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// Options are what a Server needs. All are required but Metrics and Schema.
type Options struct {
	Documents  Documents
	Checker    Checker
	Secrets    Secrets
	Approvals  Approvals
	Sessions   Sessions
	Adviser    Adviser
	Identity   Identity
	Recorder   Recorder
	Locker     Locker
	Operations Operations
	Health     HealthReporter

	// Parse reads one document, in JSON and with its kind, strictly: an unknown key is an error.
	Parse func(b []byte) (access.Document, error)
	// Diff renders the difference of two documents for people; either may be nil.
	Diff func(before, after access.Document) string
	// Schema is the JSON Schema of the documents.
	Schema []byte
	// Metrics answers /metrics, in the Prometheus text format.
	Metrics http.Handler

	AdminToken access.Secret // at least 32 bytes
	Version    message.Version
	Clock      func() time.Time
	Rand       io.Reader
	Logger     *slog.Logger
}

// Limits of the HTTP layer. Bodies are bounded per operation.
const (
	maxHeader     = 32 << 10
	maxInFlight   = 256
	maxWatchers   = 64
	maxDocuments  = 8 << 20
	maxSecret     = 64 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 60 * time.Second
	minAdminToken = 32
)

// Server is the control API.
type Server struct {
	o        Options
	api      huma.API
	handler  http.Handler
	failures bucket
	randMu   sync.Mutex
	changing sync.Mutex // one change of documents at a time, so that what was checked is what is written
	busy     chan struct{}
	watching chan struct{}
}

// New makes a server; an error says which option is missing.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Server{o: o, busy: make(chan struct{}, maxInFlight), watching: make(chan struct{}, maxWatchers)}
	mux := http.NewServeMux()
	s.api = humago.New(mux, apiConfig(o.Version.Version))
	s.api.UseMiddleware(s.guard)
	s.routes()
	mux.HandleFunc("/", s.unknownPath)
	s.handler = s.outer(mux)
	return s, nil
}

func (o *Options) complete() error {
	if len(o.AdminToken.Reveal()) < minAdminToken {
		return fault.New(fault.Internal, "api.New", "the administrator token must have at least %d bytes", minAdminToken)
	}
	for name, missing := range map[string]bool{
		"Documents": o.Documents == nil, "Checker": o.Checker == nil, "Secrets": o.Secrets == nil,
		"Approvals": o.Approvals == nil, "Sessions": o.Sessions == nil, "Adviser": o.Adviser == nil, "Identity": o.Identity == nil,
		"Recorder": o.Recorder == nil, "Locker": o.Locker == nil, "Operations": o.Operations == nil,
		"Health": o.Health == nil, "Parse": o.Parse == nil, "Diff": o.Diff == nil, "Clock": o.Clock == nil,
		"Rand": o.Rand == nil, "Logger": o.Logger == nil,
	} {
		if missing {
			return fault.New(fault.Internal, "api.New", "api.Options.%s is missing", name)
		}
	}
	return nil
}

func apiConfig(version string) huma.Config {
	c := huma.DefaultConfig("Gatehouse control API", version)
	c.DocsPath, c.SchemasPath = "", "" // the rendered page would load scripts from elsewhere
	c.CreateHooks = nil                // no $schema keys in answers
	c.Transformers = []huma.Transformer{reshape}
	c.RejectUnknownQueryParameters = true
	c.Info.Description = "Documents, approvals, sessions and operation of one gateway. All paths but health, readiness and this " +
		"description take a bearer token: the administrator token, or one of a trusted issuer."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	return c
}

func (s *Server) routes() {
	s.documentRoutes()
	s.policyRoutes()
	s.secretRoutes()
	s.approvalRoutes()
	s.sessionRoutes()
	s.operationRoutes()
	s.healthRoutes()
}

// OpenAPI returns the description of the API, indented.
func (s *Server) OpenAPI() ([]byte, error) {
	b, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	return append(b, '\n'), err
}

// Handler returns the whole API.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers on l, which speaks TLS or is on loopback, until ctx ends; then it lets running requests finish for at
// most five seconds.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
		BaseContext:  func(net.Listener) context.Context { return ctx },        // a watcher ends when the server does
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only: nothing here needs streams
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fault.Wrap(fault.Unavailable, "api.Serve", err, "the API stopped")
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fault.Wrap(fault.Unavailable, "api.Serve", err, "the API stopped")
	}
	return nil
}

// outer is what every request passes before its operation: it survives panics, refuses requests that another site's page
// made a browser send, and bounds how many run.
func (s *Server) outer(mux http.Handler) http.Handler {
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.httpProblem(w, r, fault.New(fault.Denied, "api.outer", "requests from other web pages are not accepted"))
	}))
	inner := csrf.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.survive(w, r)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
		default:
			s.httpProblem(w, r, fault.New(fault.Unavailable, "api.outer", "too many requests at once: try again"))
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (s *Server) survive(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.o.Logger.ErrorContext(r.Context(), "api: panic", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	s.httpProblem(w, r, fault.New(fault.Internal, "api.survive", ""))
}

func (s *Server) unknownPath(w http.ResponseWriter, r *http.Request) {
	s.httpProblem(w, r, fault.New(fault.NotFound, "api", "there is no such path, or it does not take this method: see /openapi.json"))
}

// httpProblem answers outside of any operation.
func (s *Server) httpProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	s.logProblem(r.Context(), r.Method, r.URL.Path, p.Status, err)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// logProblem keeps the whole error where the operator can read it; the caller got only what it may read.
func (s *Server) logProblem(ctx context.Context, method, path string, status int, err error) {
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.o.Logger.Log(ctx, level, "api: refused", "method", method, "path", path, "status", status, "error", err.Error())
}

// route registers one operation for one audience.
func route[I, O any](s *Server, who audience, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	s.declare(who, &op)
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			p := problemOf(err)
			s.logProblem(ctx, op.Method, op.Path, p.Status, err)
			return nil, p
		}
		return out, nil
	})
}

// declare writes the audience and the form of refusals into an operation.
func (s *Server) declare(who audience, op *huma.Operation) {
	op.Metadata = map[string]any{audienceKey: who}
	op.BodyReadTimeout = readTimeout // the framework's own, of seconds, would also cut off what runs after the body was read
	if who != public {
		op.Security = []map[string][]string{{"token": {}}}
	}
	registry := s.api.OpenAPI().Components.Schemas
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = &huma.Response{Description: "Refused or failed", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: huma.SchemaFromType(registry, reflect.TypeFor[message.Problem]())},
	}}
}
