package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/access"
	"gatehouse/internal/api/apitest"
	"gatehouse/internal/api/message"
	"gatehouse/internal/cli"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/config"
)

// TestMain lets the scripts run gatehouse as a process of its own: this test binary again.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": func() {
		os.Exit(cli.Run(context.Background(), deps(), os.Args[1:]))
	}})
}

func deps() cli.Deps {
	return cli.Deps{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Clock: time.Now, StateDir: "/nonexistent/state",
		Terminal: os.Getenv("TEST_TERMINAL") != "",
		Version:  message.Version{Version: "1.2.3", Go: "go1.26", Platform: "linux/amd64"},
		Documents: cli.Documents{Parse: parse, Render: config.Marshal, Schema: config.Schema(), Guardrails: []cli.Guardrail{
			{Name: "still", Document: []byte("# why\nkind: Policy\nname: still\ndescription: Nothing moves\nstatements:\n  - effect: deny\n    actions: [\"postgres:*\"]\n    resources: [\"*\"]\n")}},
			Formats: []cli.Format{{Name: "upper", Import: shouted}}},
		Gateway: cli.Gateway{Protocols: []string{"mem"}, Serve: run("serve"), Dev: run("dev"), Mint: mint, Verify: verify, Messages: messages, Restore: restore},
	}
}

func parse(file string, b []byte) ([]cli.Source, error) {
	located, err := config.ParseDocuments(file, b)
	if err != nil {
		return nil, err
	}
	var s []cli.Source
	for _, l := range located {
		s = append(s, cli.Source{Document: l.Doc, File: l.File, Show: l.Show})
	}
	return s, nil
}

// shouted reads a language in which every action is in capitals.
func shouted(raw []byte, name, connection string) (*access.Policy, []string, error) {
	text := strings.TrimSpace(string(raw))
	if text != strings.ToUpper(text) {
		return nil, nil, errors.New("the policy is not shouted")
	}
	return &access.Policy{Name: name, Statements: []access.PolicyStatement{{Effect: "allow", Actions: []string{"mem:Read"}, Resources: []string{connection + "/*"}}}},
		[]string{"it was shouted"}, nil
}

// run stands for a gateway that is ready and stops at once; it says what it was given.
func run(name string) func(context.Context, cli.ServeOptions) error {
	return func(_ context.Context, o cli.ServeOptions) error {
		fmt.Fprintln(os.Stderr, name, o.State, o.Config, o.API, o.Listen)
		return o.OnReady(client.Reach{API: "https://127.0.0.1:1", Listeners: o.Listen, Issuer: "http://127.0.0.1:2"})
	}
}

func mint(_ context.Context, o cli.MintOptions) (access.Secret, error) {
	b, err := json.Marshal(o)
	return access.NewSecret(b), err
}

func messages(digests io.Reader) (uint64, string, error) {
	b, err := io.ReadAll(digests)
	return uint64(bytes.Count(b, []byte("\n"))), "5a5a", err
}

func verify(_ context.Context, o cli.VerifyOptions) (cli.VerifyReport, error) {
	text := fmt.Sprintf("dir %s key %s since %s\n", filepath.Base(o.Dir), o.Key, o.Since)
	return cli.VerifyReport{OK: o.Key == "good.pub", Text: text, Data: map[string]bool{"ok": o.Key == "good.pub"}}, nil
}

func restore(_ context.Context, o cli.RestoreOptions) error {
	if o.File == "bad" {
		return errors.New("bad is no backup")
	}
	return nil
}

// TestScripts runs testdata/*.txtar, each against an API of its own that answers over TLS.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		state := filepath.Join(e.WorkDir, "state")
		w := apitest.New(time.Now)
		w.BackupBody = "the state"
		r, err := apitest.Serve(w.Options())
		if err != nil {
			return err
		}
		e.Defer(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		e.Setenv("GATEHOUSE_STATE", state)
		e.Setenv("API", r.URL)
		e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command lasts a second under the race detector
		return errors.Join(writeState(state, r), os.WriteFile(filepath.Join(e.WorkDir, "dora.token"), []byte(apitest.ReviewerToken+"\n"), 0o600),
			os.WriteFile(filepath.Join(e.WorkDir, "otto.token"), []byte(apitest.OtherToken+"\n"), 0o600))
	}})
}

func writeState(state string, r *apitest.Running) error {
	if err := os.MkdirAll(filepath.Join(state, "tls"), 0o700); err != nil {
		return err
	}
	return errors.Join(client.WriteReach(state, client.Reach{API: r.URL, PID: 1}),
		os.WriteFile(filepath.Join(state, client.CAFile), r.CA, 0o644),
		os.WriteFile(filepath.Join(state, client.AdminTokenFile), []byte(apitest.AdminToken+"\n"), 0o600))
}
