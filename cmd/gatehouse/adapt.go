package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/identity"
	"gatehouse/internal/mask"
	"gatehouse/internal/policy"
	"gatehouse/internal/policy/live"
	"gatehouse/internal/store"
	"gatehouse/internal/wire"
)

// The types of this file fit one package's words to another's: services do not know each other.

// authority is live.Authority as the gate asks it.
type authority struct{ live *live.Authority }

// Version is that of the set in force, which changes with what documents name, too: what is decided is decided anew.
func (a authority) Version() (uint64, error) { return a.live.Number() }

func (a authority) Rules(p *access.Principal, connection string) (gate.Rules, *access.Connection, error) {
	r, err := a.live.Rules(p, connection)
	if err != nil {
		return nil, nil, err
	}
	return rules{r}, r.Connection(), nil
}

// rules is policy.Rules as the gate asks it.
type rules struct{ *policy.Rules }

// Estimates reports whether a decision on st reads how many rows it would touch.
func (r rules) Estimates(st *access.Statement) bool { return r.Needs(st)&policy.NeedsEstimated != 0 }

// ReadsBody reports whether the body of a request is needed before the decision on st.
func (r rules) ReadsBody(st *access.Statement) bool {
	return r.Needs(st)&policy.NeedsBody != 0 || r.MayHold(st)
}

// source is the store as the policies are read from it. What it reads also tells identity which issuers are trusted, so
// that both change together.
type source struct {
	store     *store.Store
	identity  *identity.Verifier
	ready     []*access.Policy // the guardrails that ship
	protocols []wire.Protocol

	// What live.Authority, which asks one question at a time, was last told: the connections, and the stamps of the files that they name.
	connections []*access.Connection
	stamps      wire.Stamps
}

func (s *source) Revision(ctx context.Context) (uint64, error) { return s.store.Revision(ctx) }

// Changed reports whether a file that a connection names has changed since.
func (s *source) Changed() bool {
	return !s.stamps.Same(wire.StampsOf(filesOf(s.connections, s.protocols)))
}

func (s *source) Documents(ctx context.Context) (policy.Documents, uint64, error) {
	docs, revision, err := s.store.Documents(ctx)
	if err != nil {
		return policy.Documents{}, 0, err
	}
	d := withReady(sorted(docs), s.ready)
	s.connections, s.stamps = d.Connections, wire.StampsOf(filesOf(d.Connections, s.protocols)) // before they are read
	d = withNames(d, s.protocols)
	for _, c := range d.Connections {
		c.Operations = digestOf(d.Names[c.Name])
	}
	d.Stored = true
	return d, revision, s.identity.SetIssuers(d.Issuers)
}

// withReady adds the guardrails that ship, so that a connection may name them. A policy of the operator's own that has the
// name of one takes its place.
func withReady(d policy.Documents, ready []*access.Policy) policy.Documents {
	for _, r := range ready {
		if !slices.ContainsFunc(d.Policies, func(p *access.Policy) bool { return p.Name == r.Name }) {
			d.Policies = append(d.Policies, r)
		}
	}
	return d
}

// readyPolicies parses the guardrails that ship with the protocols.
func readyPolicies(protocols []wire.Protocol) ([]*access.Policy, error) {
	var out []*access.Policy
	for _, p := range protocols {
		for _, g := range p.Guardrails {
			doc, err := parseOne(g.Document)
			if err != nil {
				return nil, err
			}
			ready, ok := doc.(*access.Policy)
			if !ok || ready.Name != g.Name {
				return nil, fault.New(fault.Internal, "main.readyPolicies", "the guardrail %s that ships is no policy of that name", g.Name)
			}
			out = append(out, ready)
		}
	}
	return out, nil
}

// sorted puts documents by their kinds.
func sorted(docs []access.Document) policy.Documents {
	var d policy.Documents
	for _, doc := range docs {
		switch doc := doc.(type) {
		case *access.Issuer:
			d.Issuers = append(d.Issuers, doc)
		case *access.Policy:
			d.Policies = append(d.Policies, doc)
		case *access.Connection:
			d.Connections = append(d.Connections, doc)
		case *access.Role:
			d.Roles = append(d.Roles, doc)
		}
	}
	return d
}

// waitingStore is the store's approvals as the waiting room keeps them.
type waitingStore struct{ *store.Approvals }

func (w waitingStore) List(ctx context.Context, f approval.Filter) ([]access.Approval, error) {
	return w.Approvals.List(ctx, store.ApprovalFilter(f))
}

// tokens renders recorded values for the gate.
type tokens struct {
	key      *mask.Key
	mu       sync.Mutex
	scanners map[*access.Detection]*mask.Scanner
}

func newTokens(k *mask.Key) *tokens {
	return &tokens{key: k, scanners: map[*access.Detection]*mask.Scanner{}}
}

func (t *tokens) Token(v string) string { return string(mask.Token(nil, []byte(v), t.key)) }

// Sensitive fails closed: detections that make no scanner find something everywhere.
func (t *tokens) Sensitive(d []access.Detection, v string) bool {
	if len(d) == 0 {
		return false
	}
	s := t.scanner(d)
	if s == nil {
		return true
	}
	_, hits := s.Mask(nil, []byte(v))
	return hits > 0
}

// scanner keeps one scanner for each compiled set of detections. The sets of policies that are gone are forgotten when
// there are many.
func (t *tokens) scanner(d []access.Detection) *mask.Scanner {
	const many = 256
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.scanners[&d[0]]; ok {
		return s
	}
	if len(t.scanners) >= many {
		clear(t.scanners)
	}
	s, err := mask.NewScanner(d, t.key)
	if err != nil {
		s = nil
	}
	t.scanners[&d[0]] = s
	return s
}

// newID returns an id for a session: 80 random bits.
func newID() (string, error) {
	var b [10]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}
