package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api/apitest"
	"gatehouse/internal/cli"
	"gatehouse/internal/cli/client"
)

// running is an API whose state directory a command can be pointed at.
func running(t *testing.T) (*apitest.World, cli.Deps) {
	t.Helper()
	w := apitest.New(time.Now)
	r, err := apitest.Serve(w.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	d := deps()
	d.StateDir = t.TempDir()
	d.Env = func(string) string { return "" }
	if err := writeState(d.StateDir, r); err != nil {
		t.Fatal(err)
	}
	return w, d
}

func TestWatchShowsApprovalsAsTheyCome(t *testing.T) {
	for _, output := range []string{"table", "json"} {
		w, d := running(t)
		ctx, cancel := context.WithCancel(t.Context())
		read, write := io.Pipe()
		d.Out = write
		done := make(chan int, 1)
		go func() { done <- cli.Run(ctx, d, []string{"approvals", "watch", "-o", output}) }()
		lines := bufio.NewScanner(read)
		for _, want := range []string{"k7mq-2vxa", "op3r-ator", "n3xt"} {
			if !lines.Scan() || !strings.Contains(lines.Text(), want) {
				t.Fatalf("%s: %q instead of %s", output, lines.Text(), want)
			}
			if want == "op3r-ator" {
				w.Hold(access.Approval{ID: "n3xt", Text: "select\n1"})
			}
		}
		cancel()
		if code := <-done; code != cli.ExitOK {
			t.Errorf("exit code %d after an interrupt", code)
		}
	}
}

func TestCompletion(t *testing.T) {
	_, d := running(t)
	d.In = strings.NewReader("words")
	if code := cli.Run(t.Context(), d, []string{"secrets", "set", "orders-password"}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for line, want := range map[string]string{
		"get ": "policy", "get policy ": "refunds", "delete connection ": "orders-db", "connections test ": "orders-db",
		"approvals approve ": "k7mq-2vxa", "sessions replay ": "s-5f2c", "keys rotate ": "signing", "policy test --connection ": "orders-db",
		"get roles -o ": "yaml", "policy test --issuer ": "dev", "policy test --expect ": "approve", "policy import --connection ": "orders-db",
		"sessions list --connection ": "orders-db", "secrets set ": "orders-password", "serve --listen ": "mem=", "dev --api ": "127.0.0.1:",
	} {
		var out bytes.Buffer
		d.Out, d.Err = &out, io.Discard
		words := strings.Split(line, " ")
		if code := cli.Run(t.Context(), d, append([]string{"__complete"}, words...)); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %d %s", line, code, out.String())
		}
	}
}

func TestReadyFD(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := deps()
	d.Err = io.Discard
	d.Gateway.Serve = func(_ context.Context, o cli.ServeOptions) error {
		return o.OnReady(client.Reach{API: "https://127.0.0.1:9"})
	}
	fd := dup(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if code := cli.Run(t.Context(), d, []string{"serve", "--ready-fd", fd}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	b, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(b), `"api":"https://127.0.0.1:9"`) {
		t.Errorf("%q %v", b, err)
	}
}

func TestReachIsWrittenWhole(t *testing.T) {
	dir := t.TempDir()
	want := client.Reach{API: "https://127.0.0.1:9", Listeners: []client.Listener{{Protocol: "mem", Address: "127.0.0.1:1"}}, PID: 7}
	if err := client.WriteReach(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := client.ReadReach(dir)
	if err != nil || got.API != want.API || len(got.Listeners) != 1 || got.PID != 7 {
		t.Errorf("%+v %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, client.ReachFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	for range 2 {
		if err := client.RemoveReach(dir); err != nil {
			t.Error(err)
		}
	}
}
