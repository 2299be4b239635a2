package policy

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Rules decides for one principal on one connection under one version of the policies. It is immutable and safe for
// concurrent use. What depends on the principal and the connection alone is decided once, when Rules are made; so Rules
// of one principal, and verdicts they gave, must never be used for another.
type Rules struct {
	set        *Set
	caller     *access.Principal
	connection *connection
	roles      []string
	deny       []*bound // those that can apply inside the connection, in order
	allow      []*bound
	approve    []*bound
	beyond     []*bound // denies that let results through up to a limit
	records    []*bound // those of allow that say how messages are recorded
	masks      *maskSet // nil where nothing is masked
	all        []*bound // every statement of the roles and guardrails, for Explain
}

// bound is a statement as it binds one principal on one connection.
type bound struct {
	*rule
	because   access.Because // with Guardrail set where it is one
	resources []pattern      // those of the rule that are about connections of this type
	fixed     truth          // the condition's value where that is settled for the session; unknown otherwise
	open      bool           // the condition is still to be evaluated
	inside    bool           // a pattern could match inside the connection
}

// Rules returns the rules that bind p on the connection of that name. It is fault.Denied where no role reaches the
// connection, with the same words as where there is no such connection: existence is not told.
func (s *Set) Rules(p *access.Principal, name string) (*Rules, error) {
	conn, known := s.connections[name]
	if !known {
		return nil, unreachable(name)
	}
	r := &Rules{set: s, caller: p, connection: conn}
	seen := map[string]bool{}
	for _, role := range s.rolesOf(p) {
		r.roles = append(r.roles, role.name)
		for _, policy := range role.policies {
			if !seen[policy.name] {
				seen[policy.name] = true
				r.all = append(r.all, r.bind(policy)...)
			}
		}
	}
	for _, policy := range conn.guardrails {
		for _, b := range r.bind(policy) {
			b.because.Guardrail = true
			r.all = append(r.all, b)
		}
	}
	slices.SortFunc(r.all, compareBound)
	r.sort()
	if !r.reached() {
		return nil, unreachable(name)
	}
	return r, nil
}

// unreachable is the one answer to both "no such connection" and "not for you".
func unreachable(name string) error {
	name = name[:min(len(name), 100)]
	e := fault.New(fault.Denied, "policy.Rules", "there is no connection %q for you: it does not exist, or none of your roles allows it", name)
	e.Hint = "check the name, or run gatehouse whoami and ask for a role that allows it"
	return e
}

// bind returns the statements of a policy, with what is settled for the session.
func (r *Rules) bind(p *compiledPolicy) []*bound {
	f := &facts{caller: r.caller, place: r.connection.doc}
	all := make([]*bound, 0, len(p.rules))
	for _, rule := range p.rules {
		b := &bound{rule: rule, because: rule.because, resources: r.about(rule.resources), fixed: yes}
		b.inside = len(rule.resources) == 0 || slices.ContainsFunc(b.resources, func(p pattern) bool {
			return p.inside(r.connection.segment)
		})
		if c := rule.condition; c != nil {
			b.open = c.reads&^readsSession != 0
			b.fixed = unknown
			if !b.open {
				b.fixed = c.eval(f)
			}
		}
		all = append(all, b)
	}
	return all
}

// about returns the patterns without those that are written for the resources of other types.
func (r *Rules) about(patterns []pattern) []pattern {
	other := func(p pattern) bool { return p.rootless && !r.connection.kind.reaches(p) }
	if !slices.ContainsFunc(patterns, other) {
		return patterns
	}
	return slices.DeleteFunc(slices.Clone(patterns), other)
}

// compareBound orders statements: guardrails first, then by policy and statement. The order decides only which of
// several statements with the same effect a verdict names.
func compareBound(a, b *bound) int {
	if a.because.Guardrail != b.because.Guardrail {
		if a.because.Guardrail {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(a.because.Policy, b.because.Policy), cmp.Compare(a.because.Statement, b.because.Statement))
}

// sort puts the statements that can apply inside the connection into their lists.
func (r *Rules) sort() {
	var masks []*bound
	for _, b := range r.all {
		if !b.inside || (b.effect != effectMask && !b.actions.overlaps(r.connection.kind.actions)) || (!b.open && !b.applies(b.fixed)) {
			continue
		}
		switch b.effect {
		case effectDeny:
			if b.beyond != nil {
				r.beyond = append(r.beyond, b)
				continue
			}
			r.deny = append(r.deny, b)
		case effectAllow:
			r.allow = append(r.allow, b)
			if b.record != (access.Recording{}) {
				r.records = append(r.records, b)
			}
		case effectApprove:
			r.approve = append(r.approve, b)
		case effectMask:
			masks = append(masks, b)
		}
	}
	r.masks = newMaskSet(masks, len(r.connection.kind.rootless) == 0)
}

// applies says what a condition's value means for the statement's effect: what is not known tightens.
func (b *bound) applies(t truth) bool { return t == yes || (t == unknown && b.effect != effectAllow) }

// reached reports whether a role reaches the connection: an allow statement could apply inside it, and opening a session
// is not denied outright.
func (r *Rules) reached() bool {
	if len(r.allow) == 0 {
		return false
	}
	connect := access.Action{Name: r.connection.doc.Type + verbConnect, Resource: r.connection.segment}
	number := r.set.vocabulary.number[connect.Name]
	return !slices.ContainsFunc(r.deny, func(b *bound) bool { return !b.open && b.touches(number, &connect) })
}

// Version returns the version of the set.
func (r *Rules) Version() uint64 { return r.set.version }

// Roles returns the names of the roles that bind the principal, sorted, whether or not they reach the connection.
func (r *Rules) Roles() []string { return r.roles }

// Connection returns the connection's document. It must not be changed.
func (r *Rules) Connection() *access.Connection { return r.connection.doc }

// Masks returns what must be hidden; nil where nothing must. A mask whose condition reads the action or a request's
// input counts as applying: masks depend on the session only.
func (r *Rules) Masks() access.Masks {
	if r.masks == nil {
		return nil
	}
	return r.masks
}

// touches reports whether the statement is about the action (whose number is given), its condition apart.
func (b *bound) touches(number int, a *access.Action) bool {
	if !b.actions.has(number) {
		return false
	}
	if b.effect == effectAllow {
		return b.allows(a)
	}
	if a.Apart && b.effect == effectDeny {
		return slices.ContainsFunc(b.resources, func(p pattern) bool { return p.covers(a.Resource) })
	}
	if a.Wild && meetsAny(b.resources, a.Resource) {
		return true
	}
	for _, p := range b.resources {
		if p.covers(a.Resource) || slices.ContainsFunc(a.Fields, p.covers) {
			return true
		}
	}
	return false
}

// allows reports whether a pattern matches the resource (all of it, where it is a set), or patterns match every field that the action names.
func (b *bound) allows(a *access.Action) bool {
	for _, p := range b.resources {
		if p.match(a.Resource) {
			return true
		}
	}
	for _, field := range a.Fields {
		if !slices.ContainsFunc(b.resources, func(p pattern) bool { return p.match(field) }) {
			return false
		}
	}
	return len(a.Fields) > 0
}
