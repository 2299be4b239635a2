package wiretest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// Words in a request's text by which the suite's policy decides.
const (
	markDenied = "denied"
	markHeld   = "held"
)

const goodToken = "good-token"

// authority is the suite's policy: it denies what holds markDenied, holds what holds markHeld, and allows the rest.
type authority struct {
	mu      sync.Mutex
	version uint64
	strict  bool // nothing is allowed
	conn    access.Connection
}

func (a *authority) set(strict bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.strict = strict
	a.version++
}

// changed reports whether the policy was ever set.
func (a *authority) changed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version > 1
}

// Version implements gate.Authority.
func (a *authority) Version() (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version, nil
}

// Rules implements gate.Authority.
func (a *authority) Rules(_ *access.Principal, name string) (gate.Rules, *access.Connection, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name != a.conn.Name {
		return nil, nil, fault.New(fault.Denied, "wiretest", "no role of yours reaches that connection")
	}
	c := a.conn
	return rules{a.strict}, &c, nil
}

type rules struct{ strict bool }

// Static implements gate.Rules.
func (r rules) Static(st *access.Statement) (access.Verdict, bool) {
	because := access.Because{Policy: "suite", Statement: 1}
	switch {
	case r.strict || strings.Contains(st.Text, markDenied+"_"):
		return access.Verdict{Effect: access.Deny, Because: because, Action: st.Actions[0]}, true
	case strings.Contains(st.Text, markHeld+"_"):
		return access.Verdict{Effect: access.Approve, Because: because, Action: st.Actions[0],
			Approval: access.Terms{Reviewers: [][]string{{"reviewers"}}, Lifetime: access.Duration(60e9)}}, true
	}
	return access.Verdict{Effect: access.Allow, Because: because}, true
}

// Decide implements gate.Rules.
func (r rules) Decide(st *access.Statement, _ *access.Input) access.Verdict {
	v, _ := r.Static(st)
	return v
}

// ReadsBody implements gate.BodyReader: an approval is for a body.
func (r rules) ReadsBody(st *access.Statement) bool {
	v, _ := r.Static(st)
	return v.Effect == access.Approve
}

// Masks implements gate.Rules.
func (rules) Masks() access.Masks { return nil }

// Roles implements gate.Rules.
func (rules) Roles() []string { return []string{"suite"} }

// errLog is what the recorder says when it is told to fail.
var errLog = &fault.Error{Op: "wiretest", Kind: fault.Unavailable, Say: "the audit log cannot be written"}

// entry is one event, and what had been sent to backends when it was appended and when it was first made to last.
type entry struct {
	access.Event
	appended, lasting int // bytes; lasting is -1 until a Barrier covers the entry
}

// recorder keeps events.
type recorder struct {
	sent func() int

	mu                    sync.Mutex
	entries               []entry
	failAppend, failWrite bool
}

func (r *recorder) fail(appends, barriers bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failAppend, r.failWrite = appends, barriers
}

// Append implements gate.Recorder.
func (r *recorder) Append(e *access.Event) (uint64, error) {
	sent := r.sent()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failAppend {
		return 0, errLog
	}
	r.entries = append(r.entries, entry{*e, sent, -1})
	return uint64(len(r.entries)), nil
}

// Barrier implements gate.Recorder.
func (r *recorder) Barrier(seq uint64) error {
	sent := r.sent()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failWrite {
		return errLog
	}
	for i := range r.entries[:seq] {
		if r.entries[i].lasting < 0 {
			r.entries[i].lasting = sent
		}
	}
	return nil
}

func (r *recorder) all() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]entry(nil), r.entries...)
}

// approving is the waiting room: the test answers by hand.
type approving struct {
	asked   chan access.Approval
	answers chan access.ApprovalState
	gone    chan struct{} // closed wait: the client or the session went away

	mu    sync.Mutex
	n     int
	last  access.Approval
	spent int
}

func newApproving() *approving {
	return &approving{asked: make(chan access.Approval, 8), answers: make(chan access.ApprovalState, 8), gone: make(chan struct{}, 8)}
}

// Request implements gate.Approvals.
func (a *approving) Request(_ context.Context, r access.Approval) (access.Approval, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Reuse && a.last.Reuse && a.last.Digest == r.Digest && a.last.Principal == r.Principal && a.spent != a.n {
		return a.last, nil
	}
	a.n++
	r.ID = "a" + strconv.Itoa(a.n)
	a.last = r
	return r, nil
}

// settle answers what was asked for last.
func (a *approving) settle(state access.ApprovalState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last.State = state
}

// Get implements gate.Approvals.
func (a *approving) Get(_ context.Context, id string) (access.Approval, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id != a.last.ID {
		return access.Approval{}, fault.New(fault.NotFound, "wiretest", "there is no approval %s", id)
	}
	return a.last, nil
}

// Wait implements gate.Approvals.
func (a *approving) Wait(ctx context.Context, id string) (access.Approval, error) {
	a.mu.Lock()
	r := a.last
	a.mu.Unlock()
	a.asked <- r
	select {
	case r.State = <-a.answers:
		return r, nil
	case <-ctx.Done():
		a.gone <- struct{}{}
		return r, context.Cause(ctx)
	}
}

// Spend implements gate.Approvals.
func (a *approving) Spend(_ context.Context, id, digest, principal string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id != a.last.ID || digest != a.last.Digest || principal != a.last.Principal || a.spent == a.n {
		return fault.New(fault.Conflict, "wiretest", "the approval is for something else")
	}
	a.spent = a.n
	return nil
}

// vault holds the one password.
type vault struct{ password string }

// Lease implements gate.Vault.
func (v vault) Lease(context.Context, access.Credential) (access.Secret, error) {
	return access.NewSecret([]byte(v.password)), nil
}

// tokens is never asked: the suite masks nothing.
type tokens struct{}

// Token implements gate.Tokens.
func (tokens) Token(string) string { return "token" }

// Sensitive implements gate.Tokens.
func (tokens) Sensitive([]access.Detection, string) bool { return false }

// identity believes one token.
type identity struct{ w *world }

// Verify implements session.Identity.
func (i identity) Verify(_ context.Context, token access.Secret) (*access.Principal, error) {
	if string(token.Reveal()) != goodToken {
		return nil, fault.New(fault.Unauthenticated, "wiretest", "the signature is wrong")
	}
	return i.w.principal, nil
}

func digest(connection, principal, text string, params []any) string {
	return fmt.Sprintf("%q %q %q %q", connection, principal, text, params)
}
