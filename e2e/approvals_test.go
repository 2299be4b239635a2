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

// hold runs a statement that needs an approval, and returns once the NOTICE has named it.
func hold(t *testing.T, ctx context.Context, gw *gateway.Gateway, subject, text string) *waiting {
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
	w := &waiting{ended: make(chan error, 1)}
	go func() {
		_, err := conn.PgConn().Exec(ctx, text).ReadAll()
		w.ended <- err
	}()
	select {
	case w.id = <-named:
	case err := <-w.ended:
		t.Fatalf("%s was not held: %v\n%s", text, err, tail(gw))
	case <-time.After(patience):
		t.Fatalf("nobody named an approval for %s\n%s", text, tail(gw))
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
	const remove = "DELETE FROM payments WHERE id = 9101"
	insert := func() { direct(t, "INSERT INTO payments VALUES (9101, 1, NULL, 1, 'card', 'x', now())") }
	here := func() string { return direct(t, "SELECT count(*) FROM payments WHERE id = 9101") }
	insert()
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	gw, ann := shared.gw, reviewer(t, shared.gw)

	t.Run("denied", func(t *testing.T) {
		w := hold(t, t.Context(), gw, "fn:writer", remove)
		if r := gw.CLI(t.Context(), "", "approvals", "deny", w.id, "--reason", "not today", "--token-file", ann); r.Code != 0 {
			t.Fatalf("deny: %s%s", r.Out, r.Err)
		}
		refused(t, w.ends(t))
		if here() != "1" {
			t.Error("a denied statement ran")
		}
	})
	t.Run("never one's own", func(t *testing.T) {
		w := hold(t, t.Context(), gw, "fn:writer", remove)
		for name, tok := range map[string]string{"itself": token(t, gw, "fn:writer"), "another workload": token(t, gw, "fn:reader")} {
			if r := gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "me", "--token-file", tokenFile(t, tok)); r.Code == 0 {
				t.Errorf("%s approved it", name)
			}
		}
		stranger, err := gw.PersonToken(t.Context(), "mallory", "group=sales")
		if err != nil {
			t.Fatal(err)
		}
		if r := gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "me", "--token-file", tokenFile(t, stranger)); r.Code == 0 {
			t.Error("a person without the role approved it")
		}
		if here() != "1" {
			t.Error("it ran")
		}
		gw.CLI(t.Context(), "", "approvals", "deny", w.id, "--reason", "enough", "--token-file", ann)
		refused(t, w.ends(t))
	})
	t.Run("approved once", func(t *testing.T) {
		w := hold(t, t.Context(), gw, "fn:writer", remove)
		if here() != "1" {
			t.Error("it ran while it waited")
		}
		if r := gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "ticket 1", "--token-file", ann); r.Code != 0 {
			t.Fatalf("approve: %s%s", r.Out, r.Err)
		}
		if err := w.ends(t); err != nil {
			t.Fatal(err)
		}
		if here() != "0" {
			t.Error("it did not run")
		}
		if r := gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "again", "--token-file", ann); r.Code == 0 {
			t.Error("a spent approval was answered again")
		}
		insert()
		again := hold(t, t.Context(), gw, "fn:writer", remove) // the same text needs a new one
		if again.id == w.id {
			t.Error("the approval was used twice")
		}
		gw.CLI(t.Context(), "", "approvals", "deny", again.id, "--reason", "once was enough", "--token-file", ann)
		refused(t, again.ends(t))
	})
	t.Run("dies with its client", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w := hold(t, ctx, gw, "fn:writer", remove)
		leave()
		if err := w.ends(t); err == nil {
			t.Error("it ran without its client")
		}
		await(t, "the approval to end", func() bool {
			r := gw.CLI(t.Context(), "", "approvals", "show", w.id, "-o", "json")
			return strings.Contains(r.Out, "cancelled")
		})
		if r := gw.CLI(t.Context(), "", "approvals", "approve", w.id, "--reason", "late", "--token-file", ann); r.Code == 0 {
			t.Error("an approval without a client was answered")
		}
		if here() != "1" {
			t.Error("it ran")
		}
	})
	t.Run("unbounded", func(t *testing.T) {
		w := hold(t, t.Context(), gw, "fn:writer", "UPDATE customers SET phone = phone WHERE 1 = 1")
		gw.CLI(t.Context(), "", "approvals", "deny", w.id, "--reason", "all of them?", "--token-file", ann)
		refused(t, w.ends(t))
		if _, err := connect(t, gw, "fn:writer").Exec(t.Context(), "UPDATE customers SET phone = phone WHERE id = 1"); err != nil {
			t.Errorf("a bounded update was held: %v", err)
		}
	})
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
