package policy

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// Needs says what a decision on a statement still depends on.
type Needs uint8

// The needs.
const (
	NeedsEstimated Needs = 1 << iota // a condition that matters reads action.estimated_rows
	NeedsParams                      // a condition that matters reads params
	NeedsTime                        // a condition that matters reads now
	NeedsRequest                     // a condition that matters reads request or message, but for its body
	NeedsBody                        // a condition that matters reads request.body or message.body
)

// Decide returns the verdict on st for the input of this moment. The principal and connection are those that the Rules
// were made for; what in says of them is not read.
func (r *Rules) Decide(st *access.Statement, in *access.Input) access.Verdict {
	if in == nil {
		in = &access.Input{}
	}
	v, _ := r.decide(&facts{caller: r.caller, place: r.connection.doc, statement: st, input: in})
	return v
}

// Static returns the verdict and true where no input could change its effect or its terms; else a denial and false.
func (r *Rules) Static(st *access.Statement) (access.Verdict, bool) {
	v, open := r.decide(&facts{caller: r.caller, place: r.connection.doc, statement: st})
	if open != 0 {
		return access.Verdict{Effect: access.Deny, Masks: r.Masks()}, false
	}
	return v, true
}

// Needs returns what the decision on st still depends on: nothing where a static deny, or the lack of any allow,
// decides already.
func (r *Rules) Needs(st *access.Statement) Needs {
	_, open := r.decide(&facts{caller: r.caller, place: r.connection.doc, statement: st})
	var n Needs
	for _, x := range [...]struct {
		reads reads
		need  Needs
	}{
		{readsEstimated, NeedsEstimated},
		{readsParams, NeedsParams},
		{readsTime, NeedsTime},
		{readsRequest, NeedsRequest},
		{readsBody, NeedsBody},
	} {
		if open&x.reads != 0 {
			n |= x.need
		}
	}
	return n
}

// MayHold reports whether some input would hold st for a reviewer, as far as can be told before there is one.
func (r *Rules) MayHold(st *access.Statement) bool {
	v, _ := r.decide(&facts{caller: r.caller, place: r.connection.doc, statement: st})
	return v.Effect == access.Approve // without an input, what could deny does not, and what could allow or hold does
}

// decide returns the verdict, and which inputs could still change it: none where f holds an input. Every deny and every
// allow is asked before the first approve, so that a denied statement costs no estimate.
func (r *Rules) decide(f *facts) (access.Verdict, reads) {
	st := f.statement
	if st == nil || len(st.Actions) == 0 {
		return access.Verdict{Effect: access.Deny, Masks: r.Masks()}, 0
	}
	v := access.Verdict{Effect: access.Allow, Action: st.Actions[0], Masks: r.Masks()}
	var open reads
	for i := range st.Actions {
		f.action = &st.Actions[i]
		by, more, allowed := r.admit(f)
		if !allowed {
			return r.denied(f.action, by), 0
		}
		open |= more
		if i == 0 && by != nil {
			v.Because = by.because
		}
	}
	for i := range st.Related {
		f.action = &st.Related[i]
		by, more, denied := r.forbid(f)
		if denied {
			return r.denied(f.action, by), 0
		}
		open |= more
	}
	var terms terms
	for _, list := range [...][]access.Action{st.Actions, st.Related} {
		for i := range list {
			f.action = &list[i]
			open |= r.review(f, &terms)
		}
	}
	if len(terms.asked) > 0 {
		terms.into(&v)
	}
	open |= r.limit(f, &v)
	if len(r.records) > 0 {
		open |= r.recording(f, &v)
	}
	return v, open
}

// limit adds the bounds on results of the statements that apply to any of the actions.
func (r *Rules) limit(f *facts, v *access.Verdict) (open reads) {
	for _, b := range r.beyond {
		applies := false
		for i := range f.statement.Actions {
			f.action = &f.statement.Actions[i]
			number, known := r.number(f.action)
			if !known {
				continue
			}
			holds, more := b.holds(f, number)
			applies, open = applies || holds, open|more
		}
		if applies {
			l := *b.beyond
			l.Because, l.Message = b.because, b.message
			v.Results = append(v.Results, l)
		}
	}
	return open
}

func (r *Rules) denied(a *access.Action, by *bound) access.Verdict {
	v := access.Verdict{Effect: access.Deny, Action: *a, Masks: r.Masks()}
	if by != nil {
		v.Because, v.Message = by.because, by.message
	}
	return v
}

// forbid asks the deny statements about one action. by is the one that denies, or nil where the action is none of this
// connection's. What could still deny is open.
func (r *Rules) forbid(f *facts) (by *bound, open reads, denied bool) {
	number, known := r.number(f.action)
	if !known {
		return nil, 0, true
	}
	for _, b := range r.deny {
		applies, more := b.holds(f, number)
		if applies && more == 0 {
			return b, 0, true
		}
		open |= more
	}
	return nil, open, false
}

// admit asks the deny and allow statements about one action. by is the statement that decided: the deny, the allow, or
// nil where nothing allows or the action is implied. What could still deny, or could be the only allow, is open.
func (r *Rules) admit(f *facts) (by *bound, open reads, allowed bool) {
	by, open, denied := r.forbid(f)
	if denied {
		return by, 0, false
	}
	number, _ := r.number(f.action)
	if r.connection.kind.implied.has(number) {
		return nil, open, true
	}
	var perhaps reads
	for _, b := range r.allow {
		applies, more := b.holds(f, number)
		if applies {
			return b, open, true
		}
		perhaps |= more
	}
	return nil, open | perhaps, perhaps != 0
}

// holds reports whether the statement applies to the action of f. more is not zero where an input that f does not hold
// could change that.
func (b *bound) holds(f *facts, number int) (applies bool, more reads) {
	if !b.touches(number, f.action) {
		return false, 0
	}
	if !b.open {
		return b.applies(b.fixed), 0
	}
	t := b.condition.eval(f)
	if t == unknown && f.action.Apart && b.condition.reads&(readsRequest|readsBody) != 0 && b.effect != effectApprove {
		return b.effect == effectAllow, 0 // it is asked of each message
	}
	if t == unknown && f.input == nil {
		more = b.condition.reads & readsInput
	}
	return b.applies(t), more
}

// number returns the action's number; false where the connection's type has no such action, or its resource is not
// inside the connection: a protocol that says so is not understood.
func (r *Rules) number(a *access.Action) (int, bool) {
	n, known := r.set.vocabulary.number[a.Name]
	if !known || !r.connection.kind.actions.has(n) || !r.below(a.Resource) {
		return 0, false
	}
	for _, field := range a.Fields {
		if !r.below(field) {
			return 0, false
		}
	}
	return n, true
}

// below reports whether a resource is the connection or inside it.
func (r *Rules) below(resource string) bool {
	rest, found := strings.CutPrefix(resource, r.connection.segment)
	return found && (rest == "" || rest[0] == '/')
}

// terms collects the approve statements that apply.
type terms struct {
	asked []*bound
	first access.Action
}

// review adds the approve statements that apply to the action of f.
func (r *Rules) review(f *facts, t *terms) (open reads) {
	number, known := r.number(f.action)
	if !known {
		return 0
	}
	for _, b := range r.approve {
		applies, more := b.holds(f, number)
		open |= more
		if !applies {
			continue
		}
		if len(t.asked) == 0 {
			t.first = *f.action
		}
		if !slices.Contains(t.asked, b) {
			t.asked = append(t.asked, b)
		}
	}
	return open
}

// into writes the merged terms into a verdict: every list of reviewers must be satisfied, the shortest wait counts, and
// an approval may be used again only if every statement says so. A statement that names no reviewers asks for the
// operator, and gives an empty list, which no role satisfies.
func (t *terms) into(v *access.Verdict) {
	v.Effect, v.Action, v.Because, v.Message = access.Approve, t.first, t.asked[0].because, t.asked[0].message
	v.Approval = access.Terms{Lifetime: t.asked[0].wait, Reuse: true}
	for _, b := range t.asked {
		v.Approval.Lifetime = min(v.Approval.Lifetime, b.wait)
		v.Approval.Reuse = v.Approval.Reuse && b.reuse
		if !slices.ContainsFunc(v.Approval.Reviewers, func(l []string) bool { return slices.Equal(l, b.reviewers) }) {
			v.Approval.Reviewers = append(v.Approval.Reviewers, b.reviewers)
		}
	}
	slices.SortFunc(v.Approval.Reviewers, slices.Compare)
}
