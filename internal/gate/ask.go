package gate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Request is one asking for a handle.
type Request struct {
	From, To int64  // the judged bytes: offsets of the client's stream
	Params   []any  // bind parameters: string, []byte, nil
	Exact    []byte // the parameters as they were sent: what is rendered in Params may look alike and differ
	// State returns what else decides how the text is read: part of what an approval is bound to. It is only called where
	// one is needed.
	State   func() []byte
	Clear   bool // the protocol has proven that no mask touches the answer: it may be spliced
	Rows    bool // it may answer with rows, or a copy of them
	Unseen  bool // it has a body that is sent as it comes: no reviewer can see it, and no approval is for it
	Prepare bool // the bytes only prepare the statement: running it will be asked for
	// Estimate returns the rows that the statement would touch, for policies that read them; nil where the protocol
	// cannot say. It is called only where a decision reads it, after every static deny, and again when a wait has ended.
	Estimate func() *int64
	// Within says that a transaction is open at the backend, which would wait with its locks.
	Within bool
	// Locks returns what an open transaction has locked, in words for a reviewer. It is called only where one is to wait.
	Locks func(ctx context.Context) string
	// Sent is what a request or a message says of itself, for conditions; nil in protocols of statements.
	Sent    *access.Sent
	Message bool // it is one message of many: policy says whether it is recorded by itself or in a window (see Duplex)
	Arrives bool // the judged bytes are the backend's: From and To are offsets of its stream
	Agreed  bool // what a reviewer agreed to covers it, such as the deliveries of a subscription
	// Aside is the judged bytes where the protocol kept them aside: they are in no buffer any more, and From and To mean nothing.
	Aside []byte
	// Shown returns what a reviewer is shown of a message, in place of Params. It is only called where one is needed.
	Shown func() []any
	// Return says that the client does not wait on its connection: an approval is filed for it to come back with, and Ask
	// returns an *Awaiting.
	Return *Return
	// Hold is called when the action must wait for a reviewer, with the approval as filed. It tells the client, and
	// returns a context that ends when the client has gone, and a function that is called when the wait is over.
	Hold func(ctx context.Context, a access.Approval) (context.Context, func())
}

// Ask decides on h, waits for a reviewer where policy says so, and puts the intent on record: the one way to a Permit.
// The record is in the log's buffer; Flush waits for it.
func (g *decider) Ask(ctx context.Context, h *Handle, r Request) (Permit, error) {
	v, err := g.weigh(h, r)
	if err != nil {
		return Permit{}, err
	}
	approval := ""
	if v.Effect == access.Approve {
		if approval, v, err = g.hold(ctx, h, r, v); err != nil {
			return Permit{}, err
		}
		if h.steered(v) { // masked while it waited
			return Permit{}, g.refused(h, r.Params, access.Verdict{}, oracle(h.oracle))
		}
	}
	if v.Effect != access.Allow {
		return Permit{}, g.refuse(h, r, v)
	}
	return g.intend(h, r, v, approval)
}

// weigh decides on h as policies and budgets are at this moment. An error is a refusal that is on record.
func (g *decider) weigh(h *Handle, r Request) (access.Verdict, error) {
	if err := g.Refresh(); err != nil {
		return access.Verdict{}, err
	}
	g.update(h)
	if len(h.looked) > 0 && !r.Prepare && h.oracle == "" && !(h.static && h.verdict.Effect == access.Deny) {
		if err := g.lookUp(h); err != nil {
			return access.Verdict{}, g.refused(h, r.Params, access.Verdict{Effect: access.Deny}, err)
		}
	}
	v := g.decide(h, facts{r.Params, r.Sent, g.estimating(h, r)})
	if h.steered(v) {
		return access.Verdict{}, g.refused(h, r.Params, access.Verdict{}, oracle(h.oracle))
	}
	if v.Effect == access.Approve && (r.Prepare || r.Agreed) {
		v.Effect = access.Allow // nothing runs yet, and whoever runs it is asked; or it was agreed to
	}
	return v, nil
}

// steered reports whether a masked field steers a statement that policy would otherwise let through.
func (h *Handle) steered(v access.Verdict) bool {
	return v.Effect != access.Deny && h.oracle != ""
}

// intend records the intent and mints the permit.
func (g *decider) intend(h *Handle, r Request, v access.Verdict, approval string) (Permit, error) {
	var meters []meter
	if r.Rows && !r.Prepare && len(v.Results) > 0 {
		var err error
		if meters, err = g.budgeted(v); err != nil {
			return Permit{}, g.refused(h, r.Params, access.Verdict{Effect: access.Deny}, err)
		}
	}
	i, err := g.vacancy()
	if err != nil {
		return Permit{}, err
	}
	g.action = g.actions.Add(1)
	e := &g.event
	g.describe(e, access.EventActionIntended, h, r.Params, v)
	e.Approval = approval
	if r.Prepare {
		e.Phase = access.PhasePrepare
	}
	seq, err := g.svc.Recorder.Append(e)
	if err != nil {
		return Permit{}, err
	}
	permit := g.mint(i, seq, r.From, r.To, g.masks != nil && !r.Clear)
	s := &g.slots[i]
	s.asked, s.version, s.handle, s.params, s.approved, s.estimate = e.Time, g.version, h, r.Params, approval != "" || r.Prepare, g.estimated
	s.meters, s.given = meters, r.Sent
	return permit, nil
}

// refuse records the refusal and returns its words. The record is awaited: what the client reads is on record.
func (g *decider) refuse(h *Handle, r Request, v access.Verdict) error {
	why := g.denied(v, saying(v.Action))
	return g.refused(h, r.Params, v, why)
}

// Refuse records a refusal that the protocol itself decided on (an oracle, an output that cannot be proven) and returns
// why, or the log's own failure.
func (g *decider) Refuse(h *Handle, params []any, why error) error {
	return g.refused(h, params, access.Verdict{Effect: access.Deny}, why)
}

func (g *decider) refused(h *Handle, params []any, v access.Verdict, why error) error {
	g.action = g.actions.Add(1)
	e := &g.event
	g.describe(e, access.EventActionRefused, h, params, v)
	e.Reason = why.Error()
	return g.barriered(e, why)
}

// RefuseText records that a text was refused because it could not be understood, with no more of it than its length.
func (g *decider) RefuseText(why error, size int) error {
	g.action = g.actions.Add(1)
	e := &g.event
	*e = access.Event{Kind: access.EventActionRefused, Time: g.clock(), Session: g.caller.Session, Action: g.action,
		Bytes: int64(size), Effect: access.Deny.String(), Reason: why.Error(), Policy: g.revised}
	return g.barriered(e, why)
}

// barriered records e for good and returns why, or the log's failure.
func (g *decider) barriered(e *access.Event, why error) error {
	seq, err := g.svc.Recorder.Append(e)
	if err == nil {
		err = g.svc.Recorder.Barrier(seq)
	}
	if err != nil {
		return err
	}
	return why
}

// describe fills e with what is asked.
func (g *decider) describe(e *access.Event, kind access.EventKind, h *Handle, params []any, v access.Verdict) {
	*e = access.Event{Kind: kind, Time: g.clock(), Session: g.caller.Session, Action: g.action,
		Text: h.recorded, Fingerprint: h.st.Fingerprint, Actions: h.st.Actions,
		Effect: v.Effect.String(), Because: v.Because, Policy: g.revised, Catalogue: h.st.Catalogue}
	e.Params = g.recordParams(h, params)
}

// Own is one statement of the gateway's own: protocols export their closed list of them.
type Own struct {
	Name string // stable, for the record: "protocol:Catalogue"
	Text string
}

// AskOwn records that the gateway is about to run a statement of its own, under its own principal, and mints the permit
// to stage it.
func (g *decider) AskOwn(o Own) (Permit, error) {
	i, err := g.vacancy()
	if err != nil {
		return Permit{}, err
	}
	g.action = g.actions.Add(1)
	e := &g.event
	*e = access.Event{Kind: access.EventActionIntended, Time: g.clock(), Session: g.caller.Session, Action: g.action,
		Principal: g.ownID, Connection: g.conn.Name, Text: o.Text,
		Actions: []access.Action{{Name: o.Name, Resource: access.Resource(g.conn.Name)}}, Effect: access.Allow.String()}
	seq, err := g.svc.Recorder.Append(e)
	if err != nil {
		return Permit{}, err
	}
	p := g.mint(i, seq, 0, 0, true)
	g.slots[p.slot].own = true
	return p, nil
}

// saying words an action for a refusal: "DropTable on orders-db/public.customers".
func saying(a access.Action) string {
	_, verb, ok := strings.Cut(a.Name, ":")
	if !ok {
		verb = a.Name
	}
	return verb + " on " + a.Resource
}

// touchesMasked reports whether a statement reads or writes a field that is masked.
func (g *decider) touchesMasked(st *access.Statement) bool {
	if g.masks == nil || !g.masks.Fields() {
		return false
	}
	for i := range st.Actions {
		if g.firstMasked(st.Actions[i].Fields) != "" {
			return true
		}
	}
	return false
}

// firstMasked returns the first of fields that is masked, or "".
func (g *decider) firstMasked(fields []string) string {
	if g.masks == nil {
		return ""
	}
	for _, f := range fields {
		if _, ok := g.masks.Field(f); ok {
			return f
		}
	}
	return ""
}

// oracle words the refusal of a statement whose behaviour would tell masked values apart.
func oracle(field string) error {
	return &fault.Error{Op: "gate.Ask", Kind: fault.Denied,
		Say:  "permission denied: " + field + " is masked for you and can only be read as it is",
		Hint: "A masked field cannot be filtered, joined, grouped, sorted or computed by, nor copied: that would tell its values."}
}

// recordable returns st's text as the log may hold it: literals that are bound to a masked field, or that a detector
// knows, are tokens; where a masked field steers the statement, all are; passwords always are.
func (g *decider) recordable(h *Handle) string {
	st := h.st
	quiet := g.masks == nil || (!h.tokens && len(g.masks.Detect()) == 0)
	if quiet && len(st.Secrets) == 0 {
		return st.Text
	}
	var b strings.Builder
	at, bound, secret := 0, 0, 0
	for _, s := range st.Literals { // all three lists are in order of their place
		var hides bool
		hides, bound, secret = g.hidesLiteral(h, s, bound, secret)
		if !hides && (quiet || !g.svc.Tokens.Sensitive(g.masks.Detect(), st.Text[s.Start:s.End])) {
			continue
		}
		b.WriteString(st.Text[at:s.Start])
		b.WriteString(g.svc.Tokens.Token(st.Text[s.Start:s.End]))
		at = s.End
	}
	if at == 0 {
		return st.Text
	}
	b.WriteString(st.Text[at:])
	return b.String()
}

// hidesLiteral reports whether a literal is a password or belongs to a masked field. bound and secret are where to go on
// looking in their lists.
func (g *decider) hidesLiteral(h *Handle, lit access.Span, bound, secret int) (hides bool, nextBound, nextSecret int) {
	st := h.st
	for secret < len(st.Secrets) && st.Secrets[secret].End <= lit.Start {
		secret++
	}
	for bound < len(st.Bound) && st.Bound[bound].Span.End <= lit.Start {
		bound++
	}
	hides = h.oracle != "" || secret < len(st.Secrets) && st.Secrets[secret].Start < lit.End
	for i := bound; i < len(st.Bound) && st.Bound[i].Span.Start < lit.End; i++ {
		hides = hides || g.firstMasked(st.Bound[i].Fields) != ""
	}
	return hides, bound, secret
}

// recordParams renders parameters under the same rule as literals.
func (g *decider) recordParams(h *Handle, params []any) []string {
	if len(params) == 0 {
		return nil
	}
	out := make([]string, len(params))
	for i, p := range params {
		var s string
		switch p := p.(type) {
		case nil:
			out[i] = "NULL"
			continue
		case string:
			s = p
		case []byte:
			s = string(p)
		}
		if h.oracle != "" || g.firstMasked(h.st.Params[i+1]) != "" || (g.masks != nil && g.svc.Tokens.Sensitive(g.masks.Detect(), s)) {
			s = g.svc.Tokens.Token(s)
		}
		out[i] = abridged(s)
	}
	return out
}

// recordDigest renders the digest of data under the same rule: few values have what must not show, and whoever reads the log
// could try them all.
func (g *decider) recordDigest(h *Handle, digest string) string {
	if h == nil || h.tokens || g.masks != nil && len(g.masks.Detect()) > 0 {
		return g.svc.Tokens.Token(digest)
	}
	return digest
}

// What is recorded of a parameter that is longer than a person would read: its beginning, its length and its digest, so
// that who has the value can prove that it was this one.
const (
	maxRecordedParam = 1 << 20 // bytes
	keptOfParam      = 1 << 10
)

func abridged(s string) string {
	if len(s) <= maxRecordedParam {
		return s
	}
	return fmt.Sprintf("%s… [%d bytes, sha256 %x]", strings.ToValidUTF8(s[:keptOfParam], ""), len(s), sha256.Sum256([]byte(s)))
}
