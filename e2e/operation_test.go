package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
)

func TestVersion(t *testing.T) {
	r := shared.gw.CLI(t.Context(), "", "version", "-o", "json")
	var v map[string]any
	if err := json.Unmarshal([]byte(r.Out), &v); err != nil || v["version"] == nil {
		t.Errorf("%v: %s%s", err, r.Out, r.Err)
	}
}

// TestDrain: SIGTERM lets a transaction finish, and lets nobody in.
func TestDrain(t *testing.T) {
	gw := own(t)
	tok := token(t, gw, "fn:writer")
	busy, idle := connect(t, gw, "fn:writer"), connect(t, gw, "fn:writer")
	tx, err := busy.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gw.Signal(syscall.SIGTERM)
	await(t, "new logins to be refused", func() bool {
		conn, err := pgx.Connect(t.Context(), dsn(gw, tok))
		if err == nil {
			_ = conn.Close(t.Context()) // the drain has not begun
		}
		return err != nil
	})
	if _, err := tx.Exec(t.Context(), "UPDATE orders SET status = status WHERE id = 101"); err != nil {
		t.Errorf("within the transaction: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Errorf("the transaction could not finish: %v", err)
	}
	for name, conn := range map[string]*pgx.Conn{"after its transaction": busy, "idle": idle} {
		_, err = conn.Exec(t.Context(), "SELECT 1")
		var pe *pgconn.PgError
		if err == nil || errors.As(err, &pe) && pe.Code != "57P01" {
			t.Errorf("%s: want the end with 57P01, got %v", name, err)
		}
	}
	<-gw.Done()
}

// TestApplyTakesEffectAtTheNextAction: no session has to end for a policy to change.
func TestApplyTakesEffectAtTheNextAction(t *testing.T) {
	gw := own(t)
	conn := connect(t, gw, "fn:reader")
	if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders"); err != nil {
		t.Fatal(err)
	}
	tightened := strings.Replace(shared.documents(), `resources: ["shop/public.*"]`, `resources: [shop/public.customers]`, 1)
	if r := gw.CLI(t.Context(), tightened, "apply", "-f", "-", "--dry-run"); r.Code != 0 {
		t.Fatalf("apply --dry-run: %s%s", r.Out, r.Err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders"); err != nil {
		t.Errorf("a dry run changed something: %v", err)
	}
	if r := gw.CLI(t.Context(), tightened, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	_, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders")
	refused(t, err)
}

// TestTooFewFileDescriptors: a limit that the configured sessions cannot live with is found at start, not under load.
func TestTooFewFileDescriptors(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	o := gateway.Options{Binary: shared.binary, State: state}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", "ulimit -n 64 && exec "+strings.Join(o.Command(), " ")).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("it started: %s", out)
	}
	contains(t, string(out), "ulimit -n")
}

// TestBackupAndRestore: what was backed up serves again elsewhere, and its log says that history was interrupted.
func TestBackupAndRestore(t *testing.T) {
	gw := own(t)
	if out, code := psql(t, gw, token(t, gw, "fn:reader"), "-c", read); code != 0 {
		t.Fatal(out)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if r := gw.CLI(t.Context(), "", "backup", file); r.Code != 0 {
		t.Fatalf("backup: %s%s", r.Out, r.Err)
	}
	gw.Stop()
	state := filepath.Join(shared.dir, "restored")
	copyDir(t, filepath.Join(gw.State, "keys"), filepath.Join(state, "keys")) // keys are kept apart from backups, and come back first
	if r := offline(t, gw, "restore", file, "--state", state); r.Code != 0 {
		t.Fatalf("restore: %s%s", r.Out, r.Err)
	}
	again, err := gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Stop)
	if out, code := psql(t, again, token(t, again, "fn:reader"), "-c", read); code != 0 {
		t.Errorf("the restored gateway does not serve: %s\n%s", out, tail(again))
	}
	if r := again.CLI(t.Context(), "", "audit", "verify", "--dir", again.AuditDir(), "--key", again.AuditKey()); r.Code != 0 {
		t.Errorf("its log does not verify: %s%s", r.Out, r.Err)
	}
}

// TestKeysRotate: every key can be replaced while the gateway serves.
func TestKeysRotate(t *testing.T) {
	gw := own(t)
	tok := token(t, gw, "fn:reader")
	psql(t, gw, tok, "-c", read)
	checkpoint(t, gw) // signed by the first key
	first := filepath.Join(t.TempDir(), "audit.pub")
	copyFile(t, gw.AuditKey(), first)
	for _, key := range []string{"vault", "mask", "signing"} {
		if r := gw.CLI(t.Context(), "", "keys", "rotate", key); r.Code != 0 {
			t.Errorf("keys rotate %s: %s%s", key, r.Out, r.Err)
		}
		if out, code := psql(t, gw, tok, "-c", read); code != 0 {
			t.Errorf("after rotating the %s key: %s\n%s", key, out, tail(gw))
		}
	}
	gw.Stop()
	for whose, key := range map[string]string{"who held the first key": first, "who reads today's file": gw.AuditKey()} {
		if r := offline(t, gw, "audit", "verify", "--dir", gw.AuditDir(), "--key", key); r.Code != 0 {
			t.Errorf("for %s the log does not verify across a rotation: %s%s", whose, r.Out, r.Err)
		}
	}
	again, err := gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: gw.State})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Stop)
	if out, code := psql(t, again, token(t, again, "fn:reader"), "-c", read); code != 0 {
		t.Errorf("after a restart on rotated keys: %s\n%s", out, tail(again))
	}
}

// TestPortInUse: a start that finds a port taken says what to type instead, and that works.
func TestPortInUse(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, shared.binary, "serve", "--state", filepath.Join(t.TempDir(), "state"), "--api", "127.0.0.1:0",
		"--listen", "postgres="+shared.gw.Listener["postgres"]).CombinedOutput()
	if want := "--api 127.0.0.1:0 --listen postgres=127.0.0.1:0"; err == nil || ctx.Err() != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, without %q: %s", err, want, out)
	}
}
