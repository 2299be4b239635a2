package gate

import (
	"errors"
	"testing"
	"time"

	"gatehouse/internal/access"
)

// holding returns a desk whose reviewers answer what begins with "held" when answer is written to.
func holding() (d *desk, answer chan access.ApprovalState) {
	d, answer = newDesk(), make(chan access.ApprovalState)
	d.decide = func(st *access.Statement, _ *access.Input) access.Verdict {
		if st.Text == "held" {
			return access.Verdict{Effect: access.Approve, Approval: access.Terms{Lifetime: access.Duration(time.Minute)}}
		}
		return allow
	}
	d.answer = func(a *access.Approval) error { a.State = <-answer; return nil }
	return d, answer
}

// TestHeldMessagesWaitBeside: what waits for a reviewer holds nothing else up, leaves as it was judged, and not without a yes.
func TestHeldMessagesWaitBeside(t *testing.T) {
	d, answer := holding()
	l := openLine(t, d)
	l.say("held 1\npublish a\n")
	l.gets(d.backend, "publish a\n")
	l.say("publish b\n")
	l.gets(d.backend, "publish b\n")
	answer <- access.ApprovalApproved
	l.gets(d.backend, "held 1\n")
	l.say("held 2\n")
	answer <- access.ApprovalDenied
	l.gets(d.client, "no\n")
	l.say("publish c\n")
	l.gets(d.backend, "publish c\n")
	if n := len(l.log.of(access.EventActionRefused)); n != 1 {
		t.Errorf("%d refusals on record", n)
	}
	l.Lock()
	if l.kept != 0 || len(l.held) != 0 {
		t.Errorf("%d bytes of %d are still held", l.kept, len(l.held))
	}
	l.Unlock()
}

// TestHeldMessagesAreBounded: a session cannot have the gateway hold as much as it likes.
func TestHeldMessagesAreBounded(t *testing.T) {
	d, answer := holding()
	l := openLine(t, d)
	for range testLimits.Actions {
		l.say("held\n")
		l.say("publish\n")
		l.gets(d.backend, "publish\n")
	}
	l.say("held\n")
	l.gets(d.client, "no\n")
	l.end(errors.New("over"))
	for range testLimits.Actions {
		select {
		case answer <- access.ApprovalExpired:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody waits for an answer")
		}
	}
	_ = l.ended()
	if open := len(l.log.of(access.EventActionIntended)) - len(l.log.of(access.EventActionEnded)); open != 0 {
		t.Errorf("%d intents have no outcome", open)
	}
}
