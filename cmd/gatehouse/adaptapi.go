package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/message"
	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/identity"
	"gatehouse/internal/policy"
	"gatehouse/internal/store"
	"gatehouse/internal/wire"
)

// apiDocuments is the store, as the API changes it: when Apply returns, this node decides by the new documents.
type apiDocuments struct{ g *gateway }

func (d apiDocuments) Documents(ctx context.Context) ([]access.Document, uint64, error) {
	return d.g.state.store.Documents(ctx)
}

func (d apiDocuments) Apply(ctx context.Context, author string, expect uint64, changes []api.Change) (uint64, error) {
	out := make([]store.Change, 0, len(changes))
	for _, c := range changes {
		if c.Document == nil {
			out = append(out, store.Remove(c.Kind, c.Name))
			continue
		}
		out = append(out, store.Put(c.Document))
	}
	revision, err := d.g.state.store.Apply(ctx, author, expect, out...)
	if err != nil {
		return 0, err
	}
	return revision, d.g.policies.Refresh(ctx)
}

// apiChecker compiles and explains.
type apiChecker struct{ g *gateway }

func (c apiChecker) Check(ctx context.Context, docs []access.Document) ([]message.Finding, error) {
	d := sorted(docs)
	// A set that identity would not take must not be written: it would stop every refresh of the policies.
	if err := identity.New(identity.Options{Clock: time.Now}).SetIssuers(d.Issuers); err != nil {
		return []message.Finding{{Kind: access.KindIssuer, Say: err.Error()}}, nil
	}
	stored, _, err := c.g.state.store.Documents(ctx)
	if err != nil {
		return nil, err
	}
	problems, err := check(defaults(c.g.config), withNames(withReady(d, c.g.ready), c.g.protocols), vocabulary(c.g.protocols), stored)
	if err != nil {
		return nil, err
	}
	out := make([]message.Finding, 0, len(problems))
	for _, p := range problems {
		out = append(out, message.Finding{Kind: p.Kind, Name: p.Name, Path: p.Path, Say: p.Say, Caret: p.Caret})
	}
	return out, nil
}

func (c apiChecker) Explain(ctx context.Context, q api.Inquiry) (*message.Explanation, error) {
	r, err := c.g.policies.Rules(q.Principal, q.Connection)
	if err != nil {
		return nil, err
	}
	stmts, err := c.g.understand(ctx, r.Connection(), q.Statement)
	if err != nil {
		return nil, err
	}
	out := &message.Explanation{Principal: q.Principal.ID(), Roles: r.Roles(), Connection: q.Connection, Effect: access.Allow.String()}
	strictest := access.Allow
	for i := range stmts {
		in := &access.Input{Principal: q.Principal, Connection: q.Connection, Type: r.Connection().Type, Params: q.Params,
			Now: time.Now(), Estimated: q.Estimated, Request: stmts[i].Sent}
		j, effect := judgement(r, &stmts[i], in)
		strictest = min(strictest, effect)
		out.Judgements = append(out.Judgements, j)
	}
	out.Effect = strictest.String()
	return out, nil
}

// judgement renders what policy makes of one statement.
func judgement(r *policy.Rules, u *wire.Understood, in *access.Input) (message.Judgement, access.Effect) {
	st := &u.Statement
	v := r.Decide(st, in)
	e := r.Explain(st, in)
	j := message.Judgement{Text: st.Text, Effect: v.Effect.String(), Because: v.Because, Message: v.Message, Reviewers: v.Approval.Reviewers, Record: e.Record}
	if f := tested(r.Masks(), st); f != "" && v.Effect != access.Deny {
		j.Effect, v.Effect = access.Deny.String(), access.Deny
		j.Message = f + " is masked: the statement would tell its values apart by filtering, joining, grouping, sorting or computing"
	}
	if v.Effect != access.Deny && u.Refuses != nil { // what policy allows, the protocol may refuse
		if why := u.Refuses(r.Masks()); why != nil {
			j.Effect, v.Effect = access.Deny.String(), access.Deny
			j.Message = whole(why)
		}
	}
	for _, a := range e.Actions {
		x := message.ExplainedAction{Action: a.Action, Effect: a.Effect, Why: a.Why}
		for _, c := range a.Considered {
			x.Considered = append(x.Considered, message.Considered{Because: c.Because, Effect: c.Effect, Applies: c.Applies, Why: c.Why})
		}
		j.Actions = append(j.Actions, x)
	}
	for _, m := range e.Masks {
		j.Masks = append(j.Masks, message.ExplainedMask{Field: m.Field, With: m.With, Because: m.Because})
	}
	for _, m := range e.Detect {
		j.Detect = append(j.Detect, message.ExplainedMask{Entity: m.Entity, With: m.With, Because: m.Because})
	}
	for _, m := range e.Documents {
		j.Masks = append(j.Masks, message.ExplainedMask{Document: m.Resource, In: m.In, Path: m.Path, Header: m.Header, Entity: m.Entity,
			With: m.With, Because: m.Because})
	}
	return j, v.Effect
}

// whole is all of a refusal that a client would read: the reason, and what to do.
func whole(why error) string {
	say, hint := fault.Say(why)
	return strings.TrimSpace(say + ". " + hint)
}

// tested returns the first masked field that steers what st does, or "".
func tested(m access.Masks, st *access.Statement) string {
	if m == nil {
		return ""
	}
	for _, f := range st.Tested {
		if _, ok := m.Field(f); ok {
			return f
		}
	}
	return ""
}

// understand asks the protocol of a connection what a text would do there.
func (g *gateway) understand(ctx context.Context, c *access.Connection, text string) ([]wire.Understood, error) {
	p, ok := g.protocol(c.Type)
	if !ok {
		return nil, fault.New(fault.NotFound, "main.understand", "connection %s has a type that this gateway does not speak", c.Name)
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	aside, err := gate.OpenAside(g.services, c, p.Name, "explain/"+id, g.limits())
	if err != nil {
		return nil, err
	}
	stmts, err := p.Understand(ctx, aside, text)
	aside.Close(nil, err)
	return stmts, err
}

// apiApprovals is the waiting room.
type apiApprovals struct{ room *approval.Room }

func (a apiApprovals) List(ctx context.Context, s access.ApprovalState) ([]access.Approval, error) {
	f := approval.Filter{}
	if s != "" {
		f.States = []access.ApprovalState{s}
	}
	return a.room.List(ctx, f)
}

func (a apiApprovals) Get(ctx context.Context, id string) (access.Approval, error) {
	return a.room.Get(ctx, approval.Normalize(id))
}

func (a apiApprovals) Answer(ctx context.Context, id string, w api.Answer) (access.Approval, error) {
	choice := approval.Deny
	if w.Decision == api.Approve {
		choice = approval.Approve
	}
	return a.room.Answer(ctx, approval.Normalize(id), w.Reviewer, w.Roles, approval.Decision{Choice: choice, Reason: w.Reason})
}

func (a apiApprovals) Watch(ctx context.Context) (<-chan access.Approval, error) {
	return a.room.Watch(ctx), nil
}

// apiSessions reads the audit log.
type apiSessions struct{ dir string }

func (s apiSessions) Sessions(_ context.Context, f api.SessionFilter) ([]message.SessionSummary, error) {
	all, err := audit.Sessions(s.dir, audit.Filter{Limit: f.Limit, Connection: f.Connection, Principal: f.Principal, Since: f.Since})
	if err != nil {
		return nil, err
	}
	out := make([]message.SessionSummary, 0, len(all))
	for _, x := range all {
		out = append(out, message.SessionSummary{ID: x.ID, Principal: x.Principal, Roles: x.Roles, Connection: x.Connection,
			Protocol: x.Protocol, Peer: x.Peer, Opened: x.Opened, Closed: x.Closed, Actions: x.Actions, Unknown: x.Unknown, Failed: x.Failed,
			Refused: x.Refused, Approvals: x.Approvals, Messages: x.Messages, Rows: x.Rows, Bytes: x.Bytes, Masked: x.Masked, Reason: x.Reason})
	}
	return out, nil
}

func (s apiSessions) Records(ctx context.Context, session string, after uint64, limit int) ([]api.Entry, error) {
	var out []api.Entry
	known := false
	for r, err := range audit.Read(s.dir, 0) {
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case r.Event.Session != session:
			continue
		}
		known = true
		if r.Seq > after {
			out = append(out, api.Entry{Seq: r.Seq, Event: r.Event})
		}
		if len(out) == limit {
			break
		}
	}
	if !known {
		return nil, fault.New(fault.NotFound, "main.Records", "the audit log knows no session %s", session)
	}
	return out, nil
}

func (s apiSessions) Refusal(ctx context.Context, ref string) (api.Entry, error) {
	for r, err := range audit.Read(s.dir, 0) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return api.Entry{}, err
		}
		if r.Event.Kind == access.EventLoginRefused && r.Event.Ref == ref {
			return api.Entry{Seq: r.Seq, Event: r.Event}, nil
		}
	}
	return api.Entry{}, fault.New(fault.NotFound, "main.Refusal", "the audit log knows no reference %s", ref)
}

// apiIdentity is identity and policy, as the API asks who somebody is.
type apiIdentity struct{ g *gateway }

func (i apiIdentity) Verify(ctx context.Context, token access.Secret) (*access.Principal, error) {
	return i.g.identity.Verify(ctx, token)
}

func (i apiIdentity) Roles(_ context.Context, p *access.Principal) ([]string, error) {
	set, err := i.g.policies.Set()
	if err != nil {
		return nil, err
	}
	return set.Roles(p), nil
}

func (i apiIdentity) Connections(ctx context.Context, p *access.Principal) ([]string, error) {
	set, err := i.g.policies.Set()
	if err != nil {
		return nil, err
	}
	docs, _, err := i.g.state.store.Documents(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range sorted(docs).Connections {
		if _, err := set.Rules(p, c.Name); err == nil {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// apiLocker closes and opens the gateway, here and across restarts.
type apiLocker struct{ g *gateway }

func (l apiLocker) Lock(ctx context.Context, reason, by string) error {
	l.g.policies.SetLocked(reason) // first: what follows may fail, and the gate must be closed all the same
	l.g.sessions.End(fault.New(fault.Unavailable, "main.Lock", "the gateway is locked: %s", reason))
	return l.g.state.store.SetLock(ctx, reason, by)
}

func (l apiLocker) Unlock(ctx context.Context) error {
	if err := l.g.state.store.ClearLock(ctx); err != nil {
		return err
	}
	l.g.policies.Unlock()
	return nil
}

// apiHealth tells how the gateway is.
type apiHealth struct {
	g        *gateway
	draining *atomic.Bool
}

func (h apiHealth) Health(context.Context) message.Health {
	st := h.g.state.log.Status()
	_, err := h.g.policies.Set()
	out := message.Health{Draining: h.draining.Load(), Locked: h.g.policies.Locked() != "", Lease: err == nil,
		Audit: message.AuditHealth{Writable: h.g.state.log.Health() == nil, Mode: string(st.Mode), WindowMillis: st.Window.Milliseconds(),
			Size: st.Records, CheckpointAge: int64(st.Age / time.Second)}}
	if v, err := h.g.policies.Version(); err == nil {
		out.Policy = v
	}
	out.Ready = out.Lease && out.Audit.Writable && !out.Draining && !out.Locked
	return out
}

// apiDiff renders a difference of documents; what cannot be rendered is said.
func apiDiff(before, after access.Document) string {
	d, err := config.Diff(before, after)
	if err != nil {
		return err.Error()
	}
	return d
}

// apiOperations are the administrator's tools.
type apiOperations struct{ g *gateway }

func (o apiOperations) Test(ctx context.Context, name string) (message.Probe, error) {
	docs, _, err := o.g.state.store.Documents(ctx)
	if err != nil {
		return message.Probe{}, err
	}
	for _, c := range sorted(docs).Connections {
		if c.Name == name {
			return o.probe(ctx, c)
		}
	}
	return message.Probe{}, fault.New(fault.NotFound, "main.Test", "there is no connection %s: gatehouse get connections lists them", name)
}

func (o apiOperations) probe(ctx context.Context, c *access.Connection) (message.Probe, error) {
	p, ok := o.g.protocol(c.Type)
	if !ok {
		return message.Probe{}, fault.New(fault.Malformed, "main.probe", "connection %s has a type that this gateway does not speak", c.Name)
	}
	ctx, done := context.WithTimeout(ctx, 15*time.Second)
	defer done()
	start := time.Now()
	err := p.Test(ctx, gate.NewLease(o.g.services, c, o.g.limits()))
	out := message.Probe{Connection: c.Name, OK: err == nil, Millis: time.Since(start).Milliseconds(), TLS: tlsWord(c)}
	if err != nil {
		out.Problem = problemOf(err)
	}
	return out, nil
}

// tlsWord says how the gateway speaks TLS to a connection's backend. An address that is a URL says itself whether it does.
func tlsWord(c *access.Connection) string {
	if strings.HasPrefix(c.Address, "http:") {
		return "disable"
	}
	if c.TLS.Mode == "" {
		return "verify-full"
	}
	return c.TLS.Mode
}

// problemOf is an error for the operator, who may read the cause.
func problemOf(err error) string { return err.Error() }

func (o apiOperations) Checkpoint(ctx context.Context) (string, error) {
	c, err := o.g.state.log.Checkpoint(ctx)
	return string(c.Note), err
}

func (o apiOperations) Backup(ctx context.Context, w io.Writer) error {
	dir, err := os.MkdirTemp(o.g.state.dir, ".backup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return o.g.backup(ctx, dir, w)
}
