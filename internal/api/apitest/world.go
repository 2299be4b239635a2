package apitest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// The tokens that a World accepts, besides its administrator's.
const (
	AdminToken    = "admin-token-0123456789abcdef0123456789"
	ReviewerToken = "token-of-dora-the-dba"
	OtherToken    = "token-of-otto-of-sales"
	WorkloadToken = "token-of-the-refund-function"
	OldToken      = "token-that-the-verifier-cannot-judge"
)

// World is the state of a gateway in memory. It is safe for concurrent use.
type World struct {
	mu       sync.Mutex
	now      func() time.Time
	docs     []access.Document
	revision uint64
	secrets  map[string]string
	holds    []access.Approval
	watchers map[chan access.Approval]bool
	events   []api.Entry
	locked   string

	// FailRecording makes the audit log refuse and FailApply the store; FailRefresh comes after the store has written.
	FailRecording, FailApply, FailRefresh error
	// BackupBody is what Backup writes before it returns FailBackup.
	BackupBody string
	FailBackup error
}

// New makes a world with one issuer, connection, policy and role, and an approval that waits for a dba.
func New(now func() time.Time) *World {
	w := &World{now: now, revision: 1, secrets: map[string]string{}, watchers: map[chan access.Approval]bool{}, BackupBody: "state"}
	w.docs = []access.Document{
		&access.Issuer{Name: "dev", URL: "https://issuer.test", Audiences: []string{"gatehouse"}},
		&access.Policy{Name: "refunds", Statements: []access.PolicyStatement{{Effect: "allow", Actions: []string{"mem:Read"}, Resources: []string{"orders-db/*"}}}},
		&access.Connection{Name: "orders-db", Type: "mem", Address: "db.test:1", Credential: access.Credential{User: "app", Secret: "orders-password"}},
		&access.Role{Name: "refund-fn", Bind: []access.Binding{{Issuer: "dev", Claims: map[string]any{"team": "refunds"}}}, Policies: []string{"refunds"}},
	}
	w.Hold(access.Approval{ID: "k7mq-2vxa", Principal: Workload().ID(), Connection: "orders-db", Text: "delete from payments where id = ‹tok›",
		Reviewers: [][]string{{"dba"}}, Because: access.Because{Policy: "refunds", Statement: 2},
		Actions: []access.Action{{Name: "mem:Delete", Resource: "orders-db/public.payments"}}})
	w.Hold(access.Approval{ID: "op3r-ator", Principal: Workload().ID(), Connection: "orders-db", Text: "truncate payments"})
	return w
}

// Reviewer is the person behind ReviewerToken: a dba.
func Reviewer() *access.Principal {
	return &access.Principal{Issuer: "https://people.test", Subject: "dora", Kind: access.Person, Claims: map[string]any{"roles": "dba"}}
}

// Other is a person without a role.
func Other() *access.Principal {
	return &access.Principal{Issuer: "https://people.test", Subject: "otto", Kind: access.Person, Claims: map[string]any{}}
}

// Workload is a function that holds a role, and the reviewers' role too, which must not help it.
func Workload() *access.Principal {
	return &access.Principal{Issuer: "https://issuer.test", Subject: "refund-fn", Kind: access.Workload, Claims: map[string]any{"roles": "refund-fn,dba"}}
}

// Hold adds a pending approval.
func (w *World) Hold(a access.Approval) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.State, a.RequestedAt, a.ExpiresAt = access.ApprovalPending, w.now(), w.now().Add(15*time.Minute)
	a.Digest = strings.Repeat("ab", 32)
	w.holds = append(w.holds, a)
	w.tell(a)
}

func (w *World) tell(a access.Approval) {
	for c := range w.watchers {
		select {
		case c <- a:
		default:
			delete(w.watchers, c)
			close(c)
		}
	}
}

// Events returns what was recorded.
func (w *World) Events() []api.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// Locked returns the reason of the lock; empty where the gateway is open.
func (w *World) Locked() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.locked
}

// Secret returns a stored value.
func (w *World) Secret(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.secrets[name]
}

// Counter is a source of distinct, predictable bytes.
type Counter struct{ n byte }

// Read implements io.Reader.
func (c *Counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n * 37
	}
	return len(b), nil
}

// Options wires the world.
func (w *World) Options() api.Options {
	return api.Options{
		Documents: documents{w}, Checker: checker{w}, Secrets: secrets{w}, Approvals: approvals{w}, Sessions: sessions{w}, Adviser: adviser{},
		Identity: identity{w}, Recorder: recorder{w}, Locker: locker{w}, Operations: operations{w}, Health: health{w},
		Parse: message.DecodeDocument, Diff: Diff, Schema: []byte(`{"$id":"test"}`),
		AdminToken: access.NewSecret([]byte(AdminToken)), Clock: w.now, Rand: &Counter{}, Logger: slog.New(slog.DiscardHandler),
		Version: message.Version{Version: "0.0.0-test", Go: "go", Platform: "test"},
	}
}

// Diff shows both documents whole.
func Diff(before, after access.Document) string {
	var b strings.Builder
	for _, side := range []struct {
		mark string
		doc  access.Document
	}{{"-", before}, {"+", after}} {
		if side.doc != nil {
			j, _ := json.Marshal(side.doc)
			fmt.Fprintf(&b, "%s %s\n", side.mark, j)
		}
	}
	return b.String()
}

type documents struct{ w *World }

func (s documents) Documents(context.Context) ([]access.Document, uint64, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return slices.Clone(s.w.docs), s.w.revision, nil
}

func (s documents) Apply(_ context.Context, _ string, expect uint64, changes []api.Change) (uint64, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.FailApply != nil {
		return 0, s.w.FailApply
	}
	if expect != s.w.revision {
		return 0, fault.New(fault.Conflict, "apitest", "the documents have changed meanwhile: look again, then apply again")
	}
	for _, c := range changes {
		s.w.docs = slices.DeleteFunc(s.w.docs, func(d access.Document) bool { return d.DocKind() == c.Kind && d.DocName() == c.Name })
		if c.Document != nil {
			s.w.docs = append(s.w.docs, c.Document)
		}
	}
	s.w.revision++
	return s.w.revision, s.w.FailRefresh
}

type checker struct{ w *World }

// Check finds roles and connections that name policies which do not exist.
func (checker) Check(_ context.Context, docs []access.Document) ([]message.Finding, error) {
	policies := map[string]bool{}
	for _, d := range docs {
		policies[d.DocName()] = policies[d.DocName()] || d.DocKind() == access.KindPolicy
	}
	var found []message.Finding
	for _, d := range docs {
		var names []string
		path := "policies"
		switch x := d.(type) {
		case *access.Role:
			names = x.Policies
		case *access.Connection:
			names, path = x.Guardrails, "guardrails"
		}
		for i, n := range names {
			if !policies[n] {
				found = append(found, message.Finding{Kind: d.DocKind(), Name: d.DocName(), Path: fmt.Sprintf("%s[%d]", path, i),
					Say: fmt.Sprintf("there is no policy %q", n)})
			}
		}
	}
	return found, nil
}

// Explain decides by the statement's first word.
func (c checker) Explain(_ context.Context, q api.Inquiry) (*message.Explanation, error) {
	if q.Connection != "orders-db" {
		return nil, fault.New(fault.Denied, "apitest", "no role of this principal reaches a connection of this name")
	}
	roles, _ := identity(c).Roles(context.Background(), q.Principal)
	effect := map[string]string{"select": "allow", "delete": "approve"}[strings.ToLower(strings.SplitN(q.Statement, " ", 2)[0])]
	effect = cmp.Or(effect, "deny")
	because := access.Because{Policy: "refunds", Statement: 1}
	j := message.Judgement{Text: q.Statement, Effect: effect, Because: because, Actions: []message.ExplainedAction{{
		Action: access.Action{Name: "mem:Read", Resource: q.Connection + "/public.payments"}, Effect: effect, Why: "the first word says so",
		Considered: []message.Considered{{Because: because, Effect: "allow", Applies: effect == "allow", Why: "action and resource match"}}}},
		Masks: []message.ExplainedMask{{Field: q.Connection + "/public.customers.email", With: "redact", Because: because},
			{Document: q.Connection + "/public.customers", In: "response", Path: "$.ssn", With: "hash", Because: because},
			{Document: q.Connection + "/public.customers", In: "request", Header: "x-card", With: "null", Because: because},
			{Document: q.Connection + "/secret", In: "response", With: "redact", Because: because}}}
	return &message.Explanation{Effect: effect, Principal: q.Principal.ID(), Roles: append([]string{}, roles...), Connection: q.Connection,
		Judgements: []message.Judgement{j}}, nil
}

type secrets struct{ w *World }

func (s secrets) Put(_ context.Context, name string, value access.Secret) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.secrets[name] = string(value.Reveal())
	return nil
}

func (s secrets) List(context.Context) ([]string, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return slices.Collect(maps.Keys(s.w.secrets)), nil
}

func (s secrets) Delete(_ context.Context, name string) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	delete(s.w.secrets, name)
	return nil
}

type recorder struct{ w *World }

func (s recorder) Append(e *access.Event) (uint64, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.FailRecording != nil {
		return 0, s.w.FailRecording
	}
	c := *e
	if c.Time.IsZero() {
		c.Time = s.w.now()
	}
	s.w.events = append(s.w.events, api.Entry{Seq: uint64(len(s.w.events) + 1), Event: c})
	return uint64(len(s.w.events)), nil
}

func (s recorder) Barrier(uint64) error { return nil }

type locker struct{ w *World }

func (s locker) Lock(_ context.Context, reason, _ string) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.locked = reason
	return nil
}

func (s locker) Unlock(context.Context) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.locked = ""
	return nil
}

type operations struct{ w *World }

func (s operations) Rotate(_ context.Context, key string, by *access.Principal) (string, error) {
	_, err := recorder(s).Append(&access.Event{Kind: access.EventKeyRotated, Principal: by.ID(), Detail: map[string]string{"key": key}})
	return "rotated the " + key + " key", err
}

func (operations) Test(_ context.Context, connection string) (message.Probe, error) {
	return message.Probe{Connection: connection, OK: true, Server: "mem 1.0", TLS: "TLS 1.3", Millis: 3}, nil
}

func (operations) Checkpoint(context.Context) (string, error) {
	return "test.log\n1\nAAAA\n\n— test sig\n", nil
}

func (s operations) Backup(_ context.Context, w io.Writer) error {
	if _, err := io.WriteString(w, s.w.BackupBody); err != nil {
		return err
	}
	return s.w.FailBackup
}

type health struct{ w *World }

func (s health) Health(context.Context) message.Health {
	return message.Health{Ready: true, Locked: s.w.Locked() != "", Policy: 1, Lease: true,
		Audit: message.AuditHealth{Writable: true, Mode: "fast", WindowMillis: 100, Size: 12}}
}

type identity struct{ w *World }

func (identity) Verify(_ context.Context, token access.Secret) (*access.Principal, error) {
	switch string(token.Reveal()) {
	case ReviewerToken:
		return Reviewer(), nil
	case OtherToken:
		return Other(), nil
	case WorkloadToken:
		return Workload(), nil
	case OldToken:
		return nil, fault.New(fault.Unavailable, "apitest", "the issuer's keys are too old: wait, or look at the issuer")
	}
	return nil, fault.New(fault.Unauthenticated, "apitest", "the aud claim is not one of the issuer's audiences")
}

func (identity) Roles(_ context.Context, p *access.Principal) ([]string, error) {
	s, _ := p.Claims["roles"].(string)
	if s == "" {
		return nil, nil
	}
	return strings.Split(s, ","), nil
}

func (i identity) Connections(ctx context.Context, p *access.Principal) ([]string, error) {
	roles, _ := i.Roles(ctx, p)
	if slices.Contains(roles, "refund-fn") {
		return []string{"orders-db"}, nil
	}
	return nil, nil
}
