package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// Explanation says how a verdict came about: every statement that was considered, whether it applied, and why.
type Explanation struct {
	Version    uint64              `json:"version"`
	Principal  string              `json:"principal"`
	Roles      []string            `json:"roles"`
	Connection string              `json:"connection"`
	Effect     string              `json:"effect"`
	Because    access.Because      `json:"because"`
	Message    string              `json:"message,omitempty"`
	Approval   *access.Terms       `json:"approval,omitempty"`
	Record     string              `json:"record,omitempty"` // how messages are recorded, in words, where a statement says so
	Actions    []ExplainedAction   `json:"actions"`
	Masks      []ExplainedMask     `json:"masks,omitempty"`     // of the fields that the statement touches
	Detect     []ExplainedDetector `json:"detect,omitempty"`    // on every value
	Documents  []ExplainedDocument `json:"documents,omitempty"` // inside of documents, where the statement is a request, a message, or about a set of resources
}

// ExplainedAction is one action of the statement and what every policy statement makes of it.
type ExplainedAction struct {
	Action     access.Action `json:"action"`
	Effect     string        `json:"effect"`
	Why        string        `json:"why"`
	Considered []Considered  `json:"considered"`
}

// Considered is one policy statement and what it makes of one action.
type Considered struct {
	access.Because
	Effect  string `json:"effect"`
	Applies bool   `json:"applies"`
	Why     string `json:"why"`
}

// ExplainedMask is a field and how it is hidden.
type ExplainedMask struct {
	Field   string         `json:"field"`
	With    string         `json:"with"`
	Because access.Because `json:"because"`
}

// ExplainedDetector is a detector and how what it finds is hidden.
type ExplainedDetector struct {
	Entity  string         `json:"entity"`
	With    string         `json:"with"`
	Because access.Because `json:"because"`
}

// ExplainedDocument is what is hidden of the documents of a resource: what is at a path, in a header, what a detector finds, or
// all of it.
type ExplainedDocument struct {
	Resource string         `json:"resource"`
	In       string         `json:"in"` // response or request
	Path     string         `json:"path,omitempty"`
	Header   string         `json:"header,omitempty"`
	Entity   string         `json:"entity,omitempty"`
	With     string         `json:"with"`
	Because  access.Because `json:"because"`
}

// Explain returns how Decide comes to its verdict on st. A nil input explains what no request is needed for.
func (r *Rules) Explain(st *access.Statement, in *access.Input) Explanation {
	f := &facts{caller: r.caller, place: r.connection.doc, statement: st, input: in}
	v, open := r.decide(f)
	e := Explanation{Version: r.Version(), Principal: r.caller.ID(), Roles: r.roles, Connection: r.connection.doc.Name,
		Effect: v.Effect.String(), Because: v.Because, Message: v.Message}
	if open != 0 {
		e.Effect = "depends on the request"
	}
	if v.Effect == access.Approve {
		e.Approval = &v.Approval
	}
	if v.Effect != access.Deny {
		e.Record = sayRecording(v.Record)
	}
	for i := range st.Actions {
		f.action = &st.Actions[i]
		e.Actions = append(e.Actions, r.explainAction(f, r.admit))
	}
	for i := range st.Related {
		f.action = &st.Related[i]
		e.Actions = append(e.Actions, r.explainAction(f, func(f *facts) (*bound, reads, bool) {
			by, open, denied := r.forbid(f)
			return by, open, !denied
		}))
	}
	switch {
	case r.masks == nil:
	case in != nil && in.Request != nil || slices.ContainsFunc(st.Actions, func(a access.Action) bool { return a.Wild }):
		r.explainDocuments(&e, st)
	default:
		r.explainMasks(&e, st)
	}
	return e
}

// explainAction explains one action, of which admit decides whether it may be done.
func (r *Rules) explainAction(f *facts, admit func(*facts) (*bound, reads, bool)) ExplainedAction {
	e := ExplainedAction{Action: *f.action, Effect: access.Deny.String()}
	number, known := r.number(f.action)
	if !known {
		e.Why = "not an action of this connection"
		return e
	}
	for _, b := range r.all {
		if b.effect == effectMask {
			continue
		}
		applies, why := r.consider(b, f, number)
		e.Considered = append(e.Considered, Considered{Because: b.because, Effect: b.effect, Applies: applies, Why: why})
	}
	by, _, allowed := admit(f)
	var t terms
	r.review(f, &t)
	switch {
	case !allowed && by != nil:
		e.Why = "denied by " + sayBecause(by.because)
	case !allowed:
		e.Why = "no statement allows it"
	case len(t.asked) > 0:
		e.Effect, e.Why = access.Approve.String(), "held by "+sayBecause(t.asked[0].because)
	case by == nil:
		e.Effect, e.Why = access.Allow.String(), implied(f)
	default:
		e.Effect, e.Why = access.Allow.String(), "allowed by "+sayBecause(by.because)
	}
	return e
}

// implied says why an action needs no allow.
func implied(f *facts) string {
	for i := range f.statement.Related {
		if f.action == &f.statement.Related[i] {
			return "another name of what is written: nothing denies it"
		}
	}
	return "implied by reaching the connection"
}

// consider says whether a statement applies to the action of f, and why.
func (r *Rules) consider(b *bound, f *facts, number int) (bool, string) {
	switch {
	case !b.actions.has(number):
		if strings.HasSuffix(f.action.Name, verbOpaque) && b.effect == effectAllow {
			return false, "does not name this action outright"
		}
		return false, "other actions"
	case !b.touches(number, f.action):
		if f.action.Wild && meetsAny(b.resources, f.action.Resource) {
			return false, "no one of its resources covers all that is asked for"
		}
		return false, "other resources"
	case b.condition == nil && b.beyond != nil:
		return true, sayBeyond(b.beyond)
	case b.condition == nil:
		return true, "action and resource match"
	}
	t := b.fixed
	if b.open {
		t = b.condition.eval(f)
	}
	applies := b.applies(t)
	switch t {
	case yes:
		if b.beyond != nil {
			return applies, "the condition is true; " + sayBeyond(b.beyond)
		}
		return applies, "the condition is true"
	case no:
		return applies, "the condition is false"
	}
	return applies, fmt.Sprintf("the condition has no value: %s; for %s that counts as %t", b.condition.why(f), b.effect, applies)
}

// sayBeyond words what a deny lets through.
func sayBeyond(l *access.ResultLimit) string {
	s := "denies only results beyond"
	if l.Rows.Count > 0 {
		s += fmt.Sprintf(" %d rows", l.Rows.Count)
	}
	if l.Bytes.Count > 0 {
		s += fmt.Sprintf(" %d bytes", l.Bytes.Count)
	}
	return s + fmt.Sprintf(" in %s", l.Rows.Per)
}

// explainDocuments explains what is hidden of what is sent and shown of each resource.
func (r *Rules) explainDocuments(e *Explanation, st *access.Statement) {
	var resources []string
	for _, a := range st.Actions {
		resources = append(resources, a.Resource)
	}
	slices.Sort(resources)
	for _, resource := range slices.Compact(resources) {
		for way, in := range [...]string{access.ToClient: inResponse, access.ToBackend: inRequest} {
			d := r.masks.Document(resource, access.Way(way))
			add := func(x ExplainedDocument, m access.Mask) {
				x.Resource, x.In, x.With, x.Because = resource, in, sayMask(m), m.Because
				e.Documents = append(e.Documents, x)
			}
			if d.Whole != nil {
				add(ExplainedDocument{}, *d.Whole)
			}
			for _, p := range d.Paths {
				add(ExplainedDocument{Path: p.Path}, p.Mask)
			}
			for _, h := range d.Headers {
				add(ExplainedDocument{Header: h.Name}, h.Mask)
			}
			for _, f := range d.Detect {
				add(ExplainedDocument{Entity: f.Entity}, f.Mask)
			}
		}
	}
}

func (r *Rules) explainMasks(e *Explanation, st *access.Statement) {
	fields := append(slices.Clone(st.Tested), st.Looked...)
	for _, a := range st.Actions {
		fields = append(fields, a.Fields...)
	}
	slices.Sort(fields)
	for _, field := range slices.Compact(fields) {
		if m, masked := r.masks.Field(field); masked {
			e.Masks = append(e.Masks, ExplainedMask{Field: field, With: sayMask(m), Because: m.Because})
		}
	}
	for _, d := range r.masks.detect {
		e.Detect = append(e.Detect, ExplainedDetector{Entity: d.Entity, With: sayMask(d.Mask), Because: d.Mask.Because})
	}
}

func sayMask(m access.Mask) string {
	if m.Lookup.Count > 0 {
		return fmt.Sprintf("%s, with %d lookups per %s", sayStrategy(m), m.Lookup.Count, m.Lookup.Per)
	}
	return sayStrategy(m)
}

func sayStrategy(m access.Mask) string {
	switch m.Strategy {
	case access.MaskPartial:
		return fmt.Sprintf("partial (first %d, last %d)", m.KeepFirst, m.KeepLast)
	case access.MaskTruncate:
		return "truncate to " + m.Unit
	}
	return string(m.Strategy)
}

func sayBecause(b access.Because) string {
	s := fmt.Sprintf("statement %d of policy %s", b.Statement, b.Policy)
	if b.Guardrail {
		s += " (guardrail)"
	}
	return s
}

// String renders the explanation for a terminal.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "verdict     %s\n", e.Effect)
	if e.Because.Policy != "" {
		fmt.Fprintf(&b, "because     %s\n", sayBecause(e.Because))
	}
	if e.Message != "" {
		fmt.Fprintf(&b, "message     %s\n", e.Message)
	}
	if e.Approval != nil {
		fmt.Fprintf(&b, "approval    %s\n", sayTerms(e.Approval))
	}
	if e.Record != "" {
		fmt.Fprintf(&b, "recorded    %s\n", e.Record)
	}
	fmt.Fprintf(&b, "principal   %s\nroles       %s\nconnection  %s (policy version %d)\n", e.Principal,
		strings.Join(e.Roles, ", "), e.Connection, e.Version)
	for _, a := range e.Actions {
		fmt.Fprintf(&b, "\n%s on %s: %s, %s\n", a.Action.Name, a.Action.Resource, a.Effect, a.Why)
		for _, c := range a.Considered {
			mark := "-"
			if c.Applies {
				mark = "+"
			}
			fmt.Fprintf(&b, "  %s %-7s %s: %s\n", mark, c.Effect, sayBecause(c.Because), c.Why)
		}
	}
	if len(e.Masks)+len(e.Detect)+len(e.Documents) > 0 {
		b.WriteString("\nmasks\n")
	}
	for _, m := range e.Masks {
		fmt.Fprintf(&b, "  %s: %s, %s\n", m.Field, m.With, sayBecause(m.Because))
	}
	for _, d := range e.Detect {
		fmt.Fprintf(&b, "  %s in any value: %s, %s\n", d.Entity, d.With, sayBecause(d.Because))
	}
	for _, d := range e.Documents {
		fmt.Fprintf(&b, "  %s: %s, %s\n", d, d.With, sayBecause(d.Because))
	}
	return b.String()
}

// String says what is hidden, and where.
func (d ExplainedDocument) String() string {
	what := "all"
	switch {
	case d.Path != "":
		what = d.Path
	case d.Header != "":
		what = "header " + d.Header
	case d.Entity != "":
		what = d.Entity
	}
	return what + " in each " + d.In + " of " + d.Resource
}

func sayTerms(t *access.Terms) string {
	var lists []string
	for _, l := range t.Reviewers {
		if len(l) == 0 {
			l = []string{"the operator"}
		}
		lists = append(lists, strings.Join(l, " or "))
	}
	s := "by " + strings.Join(lists, ", and by ") + fmt.Sprintf(", within %s", time.Duration(t.Lifetime))
	if t.Reuse {
		s += ", also after the client has gone"
	}
	return s
}
