package audit

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func TestSessionsAreFoundWhileTheLogIsWritten(t *testing.T) {
	o := options(t)
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := start
	o.Clock = func() time.Time { return now }
	l := mustOpen(t, o)
	opened := func(id, who, connection string) {
		now = now.Add(time.Minute)
		mustAppend(t, l, &access.Event{
			Kind: access.EventSessionOpened, Time: now, Session: id, Principal: "https://idp#" + who, Connection: connection, Roles: []string{"refund"},
		})
	}
	opened("s1", "fn:refund", "orders-db")
	opened("s2", "fn:report", "orders-db")
	mustAppend(t, l, intent("s1", 1))
	mustAppend(t, l, intent("s2", 1))
	mustAppend(t, l, outcome("s1", 1))
	mustAppend(t, l, &access.Event{Kind: access.EventActionRefused, Session: "s1", Action: 2, Reason: "no"})
	mustAppend(t, l, intent("s1", 3))
	mustAppend(t, l, &access.Event{Kind: access.EventApprovalRequested, Session: "s2", Approval: "a1"})
	mustAppend(t, l, &access.Event{Kind: access.EventSessionClosed, Session: "s1", Time: now.Add(time.Second), Reason: "client left"})
	opened("s3", "fn:refund", "jobs")
	if err := l.Barrier(mustAppend(t, l, &access.Event{Kind: access.EventGatewayStarted})); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		f    Filter
		want []string
	}{
		"all":               {Filter{}, []string{"s3", "s2", "s1"}},
		"newest":            {Filter{Limit: 2}, []string{"s3", "s2"}},
		"connection":        {Filter{Connection: "orders-db"}, []string{"s2", "s1"}},
		"subject":           {Filter{Principal: "fn:refund"}, []string{"s3", "s1"}},
		"principal":         {Filter{Principal: "https://idp#fn:report"}, []string{"s2"}},
		"since":             {Filter{Since: start.Add(2 * time.Minute)}, []string{"s3", "s2"}},
		"part of a subject": {Filter{Principal: "refund"}, nil},
	} {
		got, err := Sessions(o.Dir, c.f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range got {
			ids = append(ids, s.ID)
		}
		if d := cmp.Diff(c.want, ids); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	got, err := Session(o.Dir, "s1")
	if err != nil {
		t.Fatal(err)
	}
	want := SessionSummary{
		ID: "s1", Principal: "https://idp#fn:refund", Roles: []string{"refund"}, Connection: "orders-db",
		Opened: start.Add(time.Minute), Closed: start.Add(2*time.Minute + time.Second), Reason: "client left",
		Actions: 2, Unknown: 1, Refused: 1, Rows: 1, Bytes: 63,
	}
	if d := cmp.Diff(want, got.Summary, cmpopts.IgnoreUnexported(SessionSummary{})); d != "" {
		t.Error(d)
	}
	var shape []string
	for _, e := range got.Entries {
		shape = append(shape, fmt.Sprint(e.Record.Event.Kind, " ", e.Record.Event.Action, " ", e.Status, " ", e.Outcome != nil))
	}
	if d := cmp.Diff([]string{
		"session.opened 0  false", "action.intended 1 ok true", "action.refused 2  false",
		"action.intended 3 unknown false", "session.closed 0  false",
	}, shape); d != "" {
		t.Error(d)
	}
	if _, err := Session(o.Dir, "s9"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a session that is not there: %v", err)
	}
	if _, err := Sessions(t.TempDir()+"/none", Filter{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a log that is not there: %v", err)
	}
}

// TestReadingWhileWriting: a reader sees a prefix of the log, whole and in order, whatever the writer does meanwhile.
func TestReadingWhileWriting(t *testing.T) {
	o := options(t)
	o.SegmentBytes = 8 << 10
	l := mustOpen(t, o)
	const total = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(total) {
			seq, err := l.Append(intent("s", i+1))
			if err == nil && i%7 == 0 {
				err = l.Barrier(seq)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		for i, r := range readAll(t, o.Dir) {
			if r.Seq != uint64(i+1) || r.Event.Action != r.Seq {
				t.Fatalf("record %d reads as %d", i+1, r.Seq)
			}
		}
	}
	mustClose(t, l)
	if n := len(readAll(t, o.Dir)); n != total {
		t.Errorf("%d records at the end, want %d", n, total)
	}
}

// TestSessionsCountTheMessagesOfWindows: they are no rows, and an outcome counts though its intent was recorded after a later one.
func TestSessionsCountTheMessagesOfWindows(t *testing.T) {
	o := options(t)
	l := mustOpen(t, o)
	mustAppend(t, l, &access.Event{Kind: access.EventSessionOpened, Session: "s1"})
	window := intent("s1", 2)
	window.Window = &access.Window{Messages: 1000, Within: time.Second}
	mustAppend(t, l, window)
	mustAppend(t, l, intent("s1", 1))
	mustAppend(t, l, &access.Event{Kind: access.EventActionEnded, Session: "s1", Action: 2, Status: access.StatusOK, Rows: 812, Bytes: 9})
	if err := l.Barrier(mustAppend(t, l, &access.Event{Kind: access.EventActionEnded, Session: "s1", Action: 1, Status: access.StatusOK, Rows: 3, Bytes: 1})); err != nil {
		t.Fatal(err)
	}
	got, err := Sessions(o.Dir, Filter{})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if s := got[0]; s.Actions != 2 || s.Unknown != 0 || s.Messages != 812 || s.Rows != 3 || s.Bytes != 10 {
		t.Errorf("%+v", s)
	}
	log, err := Session(o.Dir, "s1")
	if err != nil || log.Summary.Messages != 812 || log.Entries[1].Outcome == nil || log.Entries[1].Record.Event.Window.Messages != 1000 {
		t.Errorf("%+v, %v", log, err)
	}
}
