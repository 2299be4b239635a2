package nats

import (
	"io"
	"sync"

	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/message"
)

// protocol is what the sessions of one gateway share.
type protocol struct {
	deps    wire.Deps
	inboxes inboxes
	masks   *message.Masks
	random  sync.Mutex // over deps.Random
}

// New makes the protocol.
func New(d wire.Deps) wire.Protocol {
	p := newProtocol(d)
	return wire.Protocol{Name: "nats", Address: "127.0.0.1:4223", Verbs: verbs, Messages: true, Guardrails: guardrails(),
		Folds: wire.Folds{Template: folds, Parent: parent}, Accept: p.accept, Test: testLogin, Understand: p.explain}
}

func newProtocol(d wire.Deps) *protocol {
	return &protocol{deps: d, masks: message.New(d.Mask), inboxes: inboxes{owner: map[string]holder{}, seen: map[string]struct{}{}}}
}

// name makes a name for the gateway's login that tells its connections apart on the server.
func (p *protocol) name() (string, error) {
	var b [6]byte
	p.random.Lock()
	defer p.random.Unlock()
	if _, err := io.ReadFull(p.deps.Random, b[:]); err != nil {
		return "", fault.Wrap(fault.Internal, "nats.name", err, "")
	}
	const hex = "0123456789abcdef"
	out := []byte("gatehouse-")
	for _, c := range b {
		out = append(out, hex[c>>4], hex[c&15])
	}
	return string(out), nil
}
