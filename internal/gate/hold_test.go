package gate

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func approve(reviewers ...[]string) access.Verdict {
	return access.Verdict{Effect: access.Approve, Because: access.Because{Policy: "p", Statement: 1},
		Approval: access.Terms{Reviewers: reviewers, Lifetime: 60e9}}
}

// TestHold walks every way in which a wait can end.
func TestHold(t *testing.T) {
	dba, sec := []string{"dba"}, []string{"security"}
	for _, c := range []struct {
		name  string
		first access.Verdict
		after access.Verdict // of the policies when the wait ends
		state access.ApprovalState
		err   error
		kind  fault.Kind
		runs  bool
		say   string
	}{
		{name: "approved", first: approve(dba), after: approve(dba), state: access.ApprovalApproved, runs: true},
		{name: "denied", first: approve(dba), after: approve(dba), state: access.ApprovalDenied, kind: fault.Denied, say: "a reviewer denied this"},
		{name: "expired", first: approve(dba), after: approve(dba), state: access.ApprovalExpired, kind: fault.Pending, say: "no reviewer answered in time"},
		{name: "spent by another", first: approve(dba), after: approve(dba), state: access.ApprovalSpent, kind: fault.Pending, say: "is spent"},
		{name: "still pending", first: approve(dba), after: approve(dba), state: access.ApprovalPending, kind: fault.Pending, say: "is pending"},
		{name: "the waiting room fails", first: approve(dba), err: fault.New(fault.Unavailable, "t", "store is down"), kind: fault.Unavailable, say: "store is down"},
		{name: "the policy denies by now", first: approve(dba), after: access.Verdict{}, state: access.ApprovalApproved, kind: fault.Denied, say: "no policy of your roles"},
		{name: "the policy allows by now", first: approve(dba), after: allow, state: access.ApprovalApproved, runs: true},
		{name: "other reviewers are asked by now", first: approve(dba), after: approve(sec), state: access.ApprovalApproved, kind: fault.Pending, say: "other reviewers"},
		{name: "more reviewers are asked by now", first: approve(dba), after: approve(dba, sec), state: access.ApprovalApproved, kind: fault.Pending, say: "other reviewers"},
		{name: "fewer reviewers are asked by now", first: approve(dba, sec), after: approve(sec), state: access.ApprovalApproved, runs: true},
		{name: "anybody answered, the operator is asked by now", first: approve(dba), after: approve(), state: access.ApprovalApproved, kind: fault.Pending, say: "other reviewers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			g := d.open(t)
			d.decide = func(*access.Statement, *access.Input) access.Verdict { return c.first }
			d.answer = func(a *access.Approval) error {
				a.State = c.state
				d.version++
				d.decide = func(*access.Statement, *access.Input) access.Verdict { return c.after }
				return c.err
			}
			st := statement("delete")
			p, err := g.Ask(t.Context(), g.Judge(&st), Request{})
			if c.runs != (err == nil) || c.runs == p.Zero() {
				t.Fatalf("permit %v, error %v", p, err)
			}
			if !c.runs {
				if say, _ := fault.Say(err); fault.KindOf(err) != c.kind || !strings.Contains(say, c.say) {
					t.Errorf("got %v %q", fault.KindOf(err), say)
				}
				if len(d.kinds(access.EventActionRefused)) != 1 || len(d.kinds(access.EventActionIntended)) != 0 {
					t.Error("a refusal is on record once, and no intent")
				}
				return
			}
			if e := d.kinds(access.EventActionIntended); len(e) != 1 || e[0].Approval != "a1" || len(d.spent) != 1 {
				t.Errorf("the intent does not name the approval, or it was not spent: %+v %v", e, d.spent)
			}
		})
	}
}

// TestHoldFilesWhatIsAsked: what the reviewers are shown, and what their answer is bound to, is what would run.
func TestHoldFilesWhatIsAsked(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return approve([]string{"dba"}) }
	st := statement("delete from t")
	if _, err := g.Ask(t.Context(), g.Judge(&st), Request{}); err != nil {
		t.Fatal(err)
	}
	a := d.filed[0]
	want := access.Approval{ID: "a1", State: access.ApprovalPending, Digest: "db" + "i#s" + "delete from t" + meant(&st), Session: "s1", Principal: "i#s",
		Roles: []string{"role"}, Connection: "db", Text: "delete from t", Actions: st.Actions, Because: access.Because{Policy: "p", Statement: 1},
		Reviewers: [][]string{{"dba"}}, RequestedAt: a.RequestedAt, ExpiresAt: a.RequestedAt.Add(60e9)}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("filed %+v\nwant  %+v", a, want)
	}
	other := statement("delete from t") // the same text, when its name stands for something else
	other.Actions = []access.Action{{Name: other.Actions[0].Name, Resource: "db/another"}}
	if _, err := g.Ask(t.Context(), g.Judge(&other), Request{}); err != nil || d.filed[1].Digest == a.Digest {
		t.Errorf("an approval is for whatever the text means: %v", err)
	}
}

// TestPreparingIsNotHeld: what only prepares is let through to be asked again when it runs; what is denied is not.
func TestPreparingIsNotHeld(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return approve([]string{"dba"}) }
	st := statement("delete")
	h := g.Judge(&st)
	if _, err := g.Ask(t.Context(), h, Request{Prepare: true}); err != nil || len(d.filed) != 0 {
		t.Errorf("preparing was held: %v", err)
	}
	if _, err := g.Ask(t.Context(), h, Request{}); err != nil || len(d.filed) != 1 {
		t.Errorf("running was not held: %v", err)
	}
	d.version++
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
	if _, err := g.Ask(t.Context(), h, Request{Prepare: true}); fault.KindOf(err) != fault.Denied {
		t.Errorf("preparing what is denied: %v", err)
	}
}

// TestTheClientLeaves: the wait ends with the client, and nothing runs.
func TestTheClientLeaves(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return approve() }
	ended := 0
	for _, cause := range []error{nil, errors.New("left")} {
		d.answer = func(a *access.Approval) error { return context.Canceled }
		st := statement("delete")
		_, err := g.Ask(t.Context(), g.Judge(&st), Request{Hold: func(ctx context.Context, _ access.Approval) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(cause)
			return ctx, func() { ended++ }
		}})
		want := cause
		if want == nil {
			want = errGone
		}
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if ended != 2 || len(d.kinds(access.EventActionIntended)) != 0 {
		t.Errorf("the wait was closed %d times; intents %v", ended, d.kinds(access.EventActionIntended))
	}
}

// TestPolicyOfTheMoment: a change of the policies takes effect at the next action, and a connection that points elsewhere
// ends the session.
func TestPolicyOfTheMoment(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	st := statement("select")
	h := g.Judge(&st)
	if _, err := g.Ask(t.Context(), h, Request{}); err != nil {
		t.Fatal(err)
	}
	d.version++
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
	if _, err := g.Ask(t.Context(), h, Request{}); fault.KindOf(err) != fault.Denied {
		t.Errorf("an old decision was used: %v", err)
	}
	d.version++
	d.conn.Address = "elsewhere:1"
	if _, err := g.Ask(t.Context(), h, Request{}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a connection that points elsewhere: %v", err)
	}
}
