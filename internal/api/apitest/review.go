package apitest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

type approvals struct{ w *World }

func (s approvals) List(_ context.Context, state access.ApprovalState) ([]access.Approval, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	var out []access.Approval
	for _, a := range s.w.holds {
		if state == "" || a.State == state {
			out = append(out, a)
		}
	}
	return out, nil
}

func (s approvals) Get(_ context.Context, id string) (access.Approval, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	i := slices.IndexFunc(s.w.holds, func(a access.Approval) bool { return a.ID == id })
	if i < 0 {
		return access.Approval{}, fault.New(fault.NotFound, "apitest", "no approval %q", id)
	}
	return s.w.holds[i], nil
}

func (s approvals) Answer(_ context.Context, id string, answer api.Answer) (access.Approval, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for i := range s.w.holds {
		a := &s.w.holds[i]
		if a.ID != id {
			continue
		}
		if a.State != access.ApprovalPending {
			return *a, fault.New(fault.Conflict, "apitest", "it is %s already", a.State)
		}
		a.State = access.ApprovalDenied
		if answer.Decision == api.Approve {
			a.State = access.ApprovalApproved
		}
		a.Reviewer, a.Reason, a.AnsweredAt = answer.Reviewer.ID(), answer.Reason, s.w.now()
		s.w.tell(*a)
		return *a, nil
	}
	return access.Approval{}, fault.New(fault.NotFound, "apitest", "no approval %q", id)
}

func (s approvals) Watch(ctx context.Context) (<-chan access.Approval, error) {
	c := make(chan access.Approval, 16)
	s.w.mu.Lock()
	s.w.watchers[c] = true
	s.w.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		if s.w.watchers[c] {
			delete(s.w.watchers, c)
			close(c)
		}
	})
	return c, nil
}

type sessions struct{ w *World }

// Session is the one session of a World's log.
const Session = "s-5f2c"

func (s sessions) Sessions(context.Context, api.SessionFilter) ([]message.SessionSummary, error) {
	opened := s.w.now().Add(-time.Hour)
	return []message.SessionSummary{{ID: Session, Principal: Workload().ID(), Roles: []string{"refund-fn"}, Connection: "orders-db",
		Opened: opened, Closed: opened.Add(2 * time.Second), Actions: 4, Messages: 812, Refused: 1, Masked: 5, Reason: "client closed"}}, nil
}

func (s sessions) Records(_ context.Context, id string, after uint64, limit int) ([]api.Entry, error) {
	if id != Session {
		return nil, fault.New(fault.NotFound, "apitest", "no session %q is in the log: gatehouse sessions list shows the newest", id)
	}
	var out []api.Entry
	for i, e := range sessionEvents(s.w.now().Add(-time.Hour)) {
		if seq := uint64(i + 100); seq > after && len(out) < limit {
			e.Session = Session
			out = append(out, api.Entry{Seq: seq, Event: e})
		}
	}
	return out, nil
}

type adviser struct{}

// Export knows one role, and one action of it.
func (adviser) Export(_ context.Context, q api.ExportQuestion) (*message.PolicyExport, error) {
	if q.Role != "refund-fn" {
		return nil, fault.New(fault.NotFound, "apitest", "the audit log knows nothing that the role %s did", q.Role)
	}
	return &message.PolicyExport{Role: q.Role, Format: q.Format, Sessions: 1, Actions: 2, Notes: []string{"It is little.\x1b"},
		Document: fmt.Sprintf("kind: Policy\nname: %s\nstatements:\n  - effect: allow\n    actions: [\"mem:Read\"]\n    resources: [\"orders-db/*\"]\n", q.Name)}, nil
}

func (s sessions) Refusal(_ context.Context, ref string) (api.Entry, error) {
	for _, e := range s.w.Events() {
		if strings.EqualFold(e.Event.Ref, ref) {
			return e, nil
		}
	}
	return api.Entry{}, fault.New(fault.NotFound, "apitest", "no refused login has the reference %q", ref)
}

// sessionEvents is a session with a masked result, a refusal, an error, an action held for a reviewer, one whose end was
// never recorded, and text that tries to write to the reader's terminal.
func sessionEvents(at time.Time) []access.Event {
	email, id, evil := "****.com", "1", "\x1b]0;owned\x07"
	after := func(ms int) time.Time { return at.Add(time.Duration(ms) * time.Millisecond) }
	return []access.Event{
		{Kind: access.EventSessionOpened, Time: after(0), Principal: Workload().ID(), Roles: []string{"refund-fn"}, Connection: "orders-db", Peer: "127.0.0.1:5000"},
		{Kind: access.EventActionIntended, Time: after(10), Action: 1, Text: "select id, email, note from customers", Effect: "allow",
			Because: access.Because{Policy: "refunds", Statement: 1}},
		{Kind: access.EventActionEnded, Time: after(14), Action: 1, Status: access.StatusOK, Rows: 2, Masked: 2, Backend: 3 * time.Millisecond,
			Result: &access.Result{Columns: []string{"id", "email", "note"}, Rows: [][]*string{{&id, &email, nil}, {&id, &email, &evil}}, Truncated: true}},
		{Kind: access.EventActionRefused, Time: after(20), Action: 2, Text: "drop table customers", Effect: "deny",
			Because: access.Because{Policy: "no-ddl", Statement: 1, Guardrail: true}, Reason: "Schema changes go through migrations."},
		{Kind: access.EventApprovalRequested, Time: after(30), Action: 3, Approval: "k7mq-2vxa", Text: "delete from payments"},
		{Kind: access.EventApprovalAnswered, Time: after(900), Action: 3, Approval: "k7mq-2vxa", Principal: Reviewer().ID(), Reason: "ticket 42",
			Detail: map[string]string{"state": string(access.ApprovalApproved)}},
		{Kind: access.EventActionIntended, Time: after(910), Action: 3, Text: "delete from payments", Effect: "approve", Approval: "k7mq-2vxa"},
		{Kind: access.EventActionEnded, Time: after(915), Action: 3, Status: access.StatusError, Code: "23503"},
		{Kind: access.EventActionIntended, Time: after(950), Action: 4, Text: "select 1", Effect: "allow"},
		{Kind: access.EventActionIntended, Time: after(960), Action: 5, Principal: access.GatewayPrincipal().ID(), Text: "DISCARD ALL", Effect: "allow",
			Actions: []access.Action{{Name: "mem:Reset", Resource: "orders-db"}}},
		{Kind: access.EventActionEnded, Time: after(961), Action: 5, Status: access.StatusOK},
		{Kind: access.EventActionIntended, Time: after(970), Action: 6, Text: "publish refunds", Effect: "allow", Because: access.Because{Policy: "refunds", Statement: 3},
			Window: &access.Window{Messages: 1000, Within: time.Second}},
		{Kind: access.EventActionEnded, Time: after(980), Action: 6, Status: access.StatusError, Rows: 812, Bytes: 831_488, Masked: 3, Code: "2 error 312", Digest: strings.Repeat("5a", 32)},
		{Kind: access.EventSessionClosed, Time: after(2000), Reason: "client closed"},
	}
}
