package nats

import (
	"embed"
	"path"
	"strings"

	"gatehouse/internal/wire"
)

// readyFiles are the guardrails that ship: one policy document per file, named as the file is.
//
//go:embed guardrails/*.yaml
var readyFiles embed.FS

// guardrails reads the files that ship. That each compiles, and takes a stand on every verb, is tested.
func guardrails() []wire.Guardrail {
	entries, err := readyFiles.ReadDir("guardrails")
	if err != nil {
		panic(err) // they are in the binary
	}
	out := make([]wire.Guardrail, 0, len(entries))
	for _, e := range entries {
		text, err := readyFiles.ReadFile(path.Join("guardrails", e.Name()))
		if err != nil {
			panic(err) // they are in the binary
		}
		out = append(out, wire.Guardrail{Name: strings.TrimSuffix(e.Name(), ".yaml"), Document: text})
	}
	return out
}
