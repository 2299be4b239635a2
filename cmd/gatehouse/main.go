// Command gatehouse is the gateway, its command line and its offline tools, in one binary. This package only wires: which
// store, which vault, which protocols, which clock. What each part does is in internal/.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/audit/verify"
	"gatehouse/internal/cli"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/protocol"
	"gatehouse/internal/wire"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, deps(), os.Args[1:])
	stop()
	os.Exit(code)
}

func deps() cli.Deps {
	protocols := protocol.All(wire.Deps{Random: rand.Reader})
	return cli.Deps{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())),
		Env:      os.Getenv,
		Clock:    time.Now,
		StateDir: config.Default(os.Getenv, os.Geteuid(), nil).State,
		Version:  versionOf(),
		Documents: cli.Documents{
			Parse: parse, Render: config.Marshal, Schema: config.Schema(), Guardrails: guardrails(protocols), Formats: formats(protocols),
		},
		Gateway: cli.Gateway{Protocols: protocolNames(protocols), Serve: serve, Dev: dev, Mint: mint, Verify: verifyLog, Messages: verify.Messages, Restore: restore},
	}
}

func protocolNames(protocols []wire.Protocol) []string {
	names := make([]string, len(protocols))
	for i, p := range protocols {
		names[i] = p.Name
	}
	return names
}

// guardrails are the policies that ship with the protocols.
func guardrails(protocols []wire.Protocol) []cli.Guardrail {
	var out []cli.Guardrail
	for _, p := range protocols {
		for _, g := range p.Guardrails {
			out = append(out, cli.Guardrail(g))
		}
	}
	return out
}

// formats are the policy languages of others that the protocols know.
func formats(protocols []wire.Protocol) []cli.Format {
	var out []cli.Format
	for _, p := range protocols {
		for _, f := range p.Formats {
			out = append(out, cli.Format{Name: f.Name, Import: f.Import})
		}
	}
	return out
}

func parse(file string, b []byte) ([]cli.Source, error) {
	located, err := config.ParseDocuments(file, b)
	if err != nil {
		return nil, err
	}
	out := make([]cli.Source, 0, len(located))
	for _, l := range located {
		out = append(out, cli.Source{Document: l.Doc, File: l.File, Show: l.Show})
	}
	return out, nil
}

// parseOne reads a document as the API gets it: JSON, which is YAML too, with the same strictness.
func parseOne(b []byte) (access.Document, error) {
	located, err := config.ParseDocuments("document", b)
	if err != nil {
		return nil, err
	}
	if len(located) != 1 {
		return nil, fault.Wrap(fault.Malformed, "main.parseOne", errors.New("not one document"), "one document is expected")
	}
	return located[0].Doc, nil
}

func versionOf() message.Version {
	v := message.Version{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}
