package e2e

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
)

// waiting is a statement that is held.
type waiting struct {
	id    string
	ended chan error
}

var approvalID = regexp.MustCompile(`gatehouse approvals [a-z]+ ([A-Za-z0-9-]+)|approval ([A-Za-z0-9]+(?:-[A-Za-z0-9]+)+)`)

// hold runs a statement that needs an approval, after others in its session, and returns once the NOTICE has named it.
func hold(t *testing.T, ctx context.Context, gw *gateway.Gateway, subject, text string, before ...string) *waiting {
	t.Helper()
	return holdBy(t, gw, subject, before, func(conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, text).ReadAll()
		return err
	})
}

// holdAs is hold for one of a driver's ways to ask.
func holdAs(t *testing.T, gw *gateway.Gateway, subject string, how pgx.QueryExecMode, text string) *waiting {
	t.Helper()
	return holdBy(t, gw, subject, nil, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), text, how)
		return err
	})
}

func holdBy(t *testing.T, gw *gateway.Gateway, subject string, before []string, run func(*pgx.Conn) error) *waiting {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn(gw, token(t, gw, subject)))
	if err != nil {
		t.Fatal(err)
	}
	named := make(chan string, 1)
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if m := approvalID.FindStringSubmatch(n.Message + " " + n.Detail + " " + n.Hint); m != nil {
			select {
			case named <- m[1] + m[2]:
			default: // it is named more than once
			}
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(gw))
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // a test may have ended it already
	for _, b := range before {
		if _, err := conn.Exec(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	w := &waiting{ended: make(chan error, 1)}
	go func() {
		w.ended <- run(conn)
	}()
	select {
	case w.id = <-named:
	case err := <-w.ended:
		t.Fatalf("it was not held: %v\n%s", err, tail(gw))
	case <-time.After(patience):
		t.Fatalf("nobody named an approval\n%s", tail(gw))
	}
	return w
}

// ends waits for the statement's end.
func (w *waiting) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the statement still waits")
		return nil
	}
}

// TestApprovalIsForOneThing is promise 7.
func TestApprovalIsForOneThing(t *testing.T) {
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	putPayment(t)
	a := approving{gw: shared.gw, ann: reviewer(t, shared.gw)}
	t.Run("denied", a.denied)
	t.Run("never one's own", a.neverOnesOwn)
	t.Run("approved once", a.approvedOnce)
	t.Run("dies with its client", a.diesWithItsClient)
	t.Run("unbounded", a.unbounded)
}

// removal is held, and would remove the payment that putPayment puts there.
const removal = "DELETE FROM payments WHERE id = 9101"

func putPayment(t *testing.T) {
	t.Helper()
	direct(t, "INSERT INTO payments VALUES (9101, 1, NULL, 1, 'card', 'x', now())")
}

func paymentIsThere(t *testing.T) bool {
	t.Helper()
	return direct(t, "SELECT count(*) FROM payments WHERE id = 9101") == "1"
}

// approving is a gateway, and the token file of somebody who may answer.
type approving struct {
	gw  *gateway.Gateway
	ann string
}

func (a approving) answer(t *testing.T, how, id, reason, tokenFile string) gateway.Run {
	t.Helper()
	return a.gw.CLI(t.Context(), "", "approvals", how, id, "--reason", reason, "--token-file", tokenFile)
}

func (a approving) denied(t *testing.T) {
	w := hold(t, t.Context(), a.gw, "fn:writer", removal)
	if r := a.answer(t, "deny", w.id, "not today", a.ann); r.Code != 0 {
		t.Fatalf("deny: %s%s", r.Out, r.Err)
	}
	refused(t, w.ends(t))
	if !paymentIsThere(t) {
		t.Error("a denied statement ran")
	}
}

func (a approving) neverOnesOwn(t *testing.T) {
	w := hold(t, t.Context(), a.gw, "fn:writer", removal)
	stranger, err := a.gw.PersonToken(t.Context(), "mallory", "group=sales")
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]string{"itself": token(t, a.gw, "fn:writer"), "another workload": token(t, a.gw, "fn:reader"), "a person without the role": stranger} {
		if r := a.answer(t, "approve", w.id, "me", tokenFile(t, tok)); r.Code == 0 {
			t.Errorf("%s approved it", name)
		}
	}
	if !paymentIsThere(t) {
		t.Error("it ran")
	}
	a.answer(t, "deny", w.id, "enough", a.ann)
	refused(t, w.ends(t))
}

func (a approving) approvedOnce(t *testing.T) {
	w := hold(t, t.Context(), a.gw, "fn:writer", removal)
	if !paymentIsThere(t) {
		t.Error("it ran while it waited")
	}
	if r := a.answer(t, "approve", w.id, "ticket 1", a.ann); r.Code != 0 {
		t.Fatalf("approve: %s%s", r.Out, r.Err)
	}
	if err := w.ends(t); err != nil {
		t.Fatal(err)
	}
	if paymentIsThere(t) {
		t.Error("it did not run")
	}
	if r := a.answer(t, "approve", w.id, "again", a.ann); r.Code == 0 {
		t.Error("a spent approval was answered again")
	}
	putPayment(t)
	again := hold(t, t.Context(), a.gw, "fn:writer", removal) // the same text needs a new one
	if again.id == w.id {
		t.Error("the approval was used twice")
	}
	a.answer(t, "deny", again.id, "once was enough", a.ann)
	refused(t, again.ends(t))
}

func (a approving) diesWithItsClient(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	w := hold(t, ctx, a.gw, "fn:writer", removal)
	leave()
	if err := w.ends(t); err == nil {
		t.Error("it ran without its client")
	}
	await(t, "the approval to end", func() bool {
		return strings.Contains(a.gw.CLI(t.Context(), "", "approvals", "show", w.id, "-o", "json").Out, "cancelled")
	})
	if r := a.answer(t, "approve", w.id, "late", a.ann); r.Code == 0 {
		t.Error("an approval without a client was answered")
	}
	if !paymentIsThere(t) {
		t.Error("it ran")
	}
}

func (a approving) unbounded(t *testing.T) {
	w := hold(t, t.Context(), a.gw, "fn:writer", "UPDATE customers SET phone = phone WHERE 1 = 1")
	a.answer(t, "deny", w.id, "all of them?", a.ann)
	refused(t, w.ends(t))
	if _, err := connect(t, a.gw, "fn:writer").Exec(t.Context(), "UPDATE customers SET phone = phone WHERE id = 1"); err != nil {
		t.Errorf("a bounded update was held: %v", err)
	}
}

// TestDecidedAgainAfterTheWait: an approval does not outlive the policy that it was asked under.
func TestDecidedAgainAfterTheWait(t *testing.T) {
	gw := own(t)
	direct(t, "INSERT INTO payments VALUES (9102, 1, NULL, 1, 'card', 'x', now())")
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	w := hold(t, t.Context(), gw, "fn:writer", "DELETE FROM payments WHERE id = 9102")
	tightened := strings.Replace(shared.documents(), "  - effect: approve\n    actions: [postgres:Delete]", "  - effect: deny\n    actions: [postgres:Delete]\n    resources: [\"*\"]\n  - effect: approve\n    actions: [postgres:Delete]", 1)
	if r := gw.CLI(t.Context(), tightened, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "too late", "--token-file", reviewer(t, gw))
	err := w.ends(t)
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "42501" {
		t.Errorf("want the refusal of the new policy, got %v", err)
	}
	if direct(t, "SELECT count(*) FROM payments WHERE id = 9102") != "1" {
		t.Error("it ran against the policy of that moment")
	}
}
