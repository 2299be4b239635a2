package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// Bounds of the caches of understood texts, in bytes of text (the analysis is a small multiple of it).
const (
	sessionTexts = 256 << 10
	sharedTexts  = 8 << 20
)

// texts caches by text, in two generations: when the younger is full it becomes the older, and the older is forgotten. What
// is used stays.
type texts[V any] struct {
	young, old map[string]V
	size, max  int
}

func newTexts[V any](limit int) *texts[V] {
	return &texts[V]{young: map[string]V{}, max: limit / 2}
}

func (t *texts[V]) get(text []byte) (V, bool) {
	if v, ok := t.young[string(text)]; ok {
		return v, true
	}
	v, ok := t.old[string(text)]
	if ok {
		t.put(string(text), v)
	}
	return v, ok
}

func (t *texts[V]) put(text string, v V) {
	const overhead = 512
	t.size += len(text) + overhead
	if t.size > t.max {
		t.old, t.young, t.size = t.young, map[string]V{}, len(text)+overhead
	}
	t.young[text] = v
}

// sharedCache keeps analyses for all sessions: functions connect, ask one thing and leave.
type sharedCache struct {
	mu    sync.Mutex
	texts *texts[*pgsql.Batch]
}

// judged is a text as this session understood it, under one catalogue and state.
type judged struct {
	stmts []*understood
	cat   *pgsql.Catalogue
	state uint64
}

// understood is one statement, judged for this session.
type understood struct {
	a       *pgsql.Analysis
	h       *gate.Handle
	outputs []pgsql.Output // of the result, where it has one
	known   bool           // outputs is complete
	version uint64         // of the policies under which hide was found out
	hide    hiding
}

// hiding is what masks mean for a statement.
type hiding struct {
	rows   bool // its result must be rebuilt
	errors bool // its errors and notices may hold masked values
	refuse error
}

// understand analyses a text and judges its statements, or takes both from the cache.
func (s *session) understand(ctx context.Context, text []byte) (*judged, error) {
	cat, err := s.fresh(ctx)
	if err != nil {
		// An older catalogue will do: nothing in the text depends on it, and the transaction's own locks may be in the way.
		if cat = s.cat; cat == nil || !plainEnd(text) || !s.state.known && s.state.tx != txFailed || s.g.Refresh() != nil {
			return nil, err
		}
	}
	s.cat = cat
	if j, ok := s.texts.get(text); ok && j.cat == cat && j.state == s.state.version {
		return j, nil
	}
	var plain bool
	s.shape, s.spans, plain = template(text, s.shape[:0], s.spans[:0])
	if plain {
		if sh, ok := s.shapes.get(s.shape); ok && sh.cat == cat && sh.state == s.state.version {
			return &judged{cat: cat, state: sh.state, stmts: []*understood{s.judge(sh.fit(text, s.spans))}}, nil
		}
	}
	batch, err := s.analyse(text, cat)
	if err != nil {
		if !utf8.Valid(text) {
			err = invalidText(text)
		}
		return nil, err
	}
	j := &judged{cat: cat, state: s.state.version}
	for _, a := range batch.Statements {
		j.stmts = append(j.stmts, s.judge(a))
	}
	s.texts.put(string(text), j)
	if plain {
		if sh := shapeOf(j, text, s.spans); sh != nil {
			s.shapes.put(string(s.shape), sh)
		}
	}
	return j, nil
}

// plainEnd says whether a text is one plain COMMIT or ROLLBACK.
func plainEnd(text []byte) bool {
	if len(text) > 2*len("ROLLBACK") {
		return false
	}
	switch string(bytes.ToUpper(bytes.Trim(text, " \t\r\n;"))) {
	case "COMMIT", "END", "ROLLBACK", "ABORT":
		return true
	}
	return false
}

// invalidText names the first bytes that are no UTF-8, in the server's words.
func invalidText(text []byte) error {
	for {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n <= 1 {
			break
		}
		text = text[n:]
	}
	n := 1
	switch {
	case len(text) == 0:
	case text[0]&0xe0 == 0xc0:
		n = 2
	case text[0]&0xf0 == 0xe0:
		n = 3
	case text[0]&0xf8 == 0xf0:
		n = 4
	}
	say := "invalid byte sequence for encoding \"UTF8\":"
	for _, b := range text[:min(n, len(text))] {
		say += fmt.Sprintf(" 0x%02x", b)
	}
	return sayCode("22021", fault.Malformed, say, "")
}

// judge asks the gate what it can say of a statement by itself.
func (s *session) judge(a *pgsql.Analysis) *understood {
	st := a.Statement
	st.Params, st.Secrets = a.ParamFields, a.Secrets
	for _, b := range a.Bound {
		st.Bound = append(st.Bound, access.Bound{Span: b.Span, Fields: b.Fields})
	}
	return &understood{a: a, h: s.g.Judge(&st), outputs: a.Outputs, known: a.OutputsKnown}
}

func (s *session) analyse(text []byte, cat *pgsql.Catalogue) (*pgsql.Batch, error) {
	key := make([]byte, 0, len(text)+len(s.state.raw)+64)
	key = binary.AppendUvarint(key, uint64(len(s.state.raw)))
	key = append(append(key, s.state.raw...), cat.Version()...)
	key = append(append(append(key, 0), s.g.Connection().Name...), 0)
	key = append(key, text...)
	c := s.p.texts
	c.mu.Lock()
	batch, ok := c.texts.get(key)
	c.mu.Unlock()
	if ok {
		return batch, nil
	}
	batch, err := s.p.analyzer.Analyze(string(text), cat, s.state.read)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.texts.put(string(key), batch)
	c.mu.Unlock()
	return batch, nil
}

// resolve completes statements that mean another by name: EXECUTE, FETCH. What they name is judged again, with the state
// of this moment.
func (s *session) resolve(ctx context.Context, u *understood) (*understood, error) {
	switch {
	case u.a.Execute != "":
		p := s.stmts[u.a.Execute]
		if p == nil {
			return nil, sayCode("26000", fault.NotFound, "prepared statement \""+u.a.Execute+"\" does not exist", "")
		}
		return s.through(ctx, u, p)
	case u.a.Fetch != "":
		c := s.cursors[u.a.Fetch]
		if c == nil {
			return nil, sayCode("34000", fault.NotFound, "cursor \""+u.a.Fetch+"\" does not exist", "")
		}
		return s.combine(u, c.u), nil
	}
	return u, nil
}

// through judges u as the text that it runs.
func (s *session) through(ctx context.Context, u *understood, p *prepared) (*understood, error) {
	j, err := s.understand(ctx, []byte(p.text))
	if err != nil {
		return nil, err
	}
	if len(j.stmts) != 1 || !runnable(j.stmts[0].a) {
		return nil, sayCode("0A000", fault.Denied, "EXECUTE only runs a prepared statement that reads or writes rows", "")
	}
	if err := s.sameMeaning(p, j); err != nil {
		return nil, err
	}
	return s.combine(u, j.stmts[0]), nil
}

// combine makes one statement of u's text and what inner does. Its text says both, for the record, for reviewers, and for
// what an approval is bound to.
func (s *session) combine(u, inner *understood) *understood {
	const which = " -- which means: "
	st, in := *u.h.Statement(), inner.h.Statement()
	at := len(st.Text) + len(which)
	st.Text += which + in.Text
	st.Normal += which + in.Normal
	st.Fingerprint += " " + in.Fingerprint
	st.Actions = append(append([]access.Action(nil), st.Actions...), in.Actions...)
	st.Related = append(append([]access.Action(nil), st.Related...), in.Related...)
	st.Tested = append(append([]string(nil), st.Tested...), in.Tested...)
	st.Looked = append(append([]string(nil), st.Looked...), in.Looked...)
	st.Bound = argumentsOf(&st, in)
	st.Literals = slices.Clone(st.Literals)
	for _, l := range in.Literals {
		st.Literals = append(st.Literals, moved(l, at))
	}
	for _, b := range in.Bound {
		st.Bound = append(st.Bound, access.Bound{Span: moved(b.Span, at), Fields: b.Fields})
	}
	st.Bounded = inner.a.Bounded
	a := *u.a
	a.ChangesState = a.ChangesState || inner.a.ChangesState
	a.ChangesCatalogue = a.ChangesCatalogue || inner.a.ChangesCatalogue
	a.Copied = append(append([]string(nil), a.Copied...), inner.a.Copied...)
	a.ReturnsRows = a.ReturnsRows || inner.a.ReturnsRows
	a.TestsTemporary = a.TestsTemporary || inner.a.TestsTemporary
	a.TestsUnknown = a.TestsUnknown || inner.a.TestsUnknown
	return &understood{a: &a, h: s.g.Judge(&st), outputs: inner.outputs, known: inner.known}
}

func moved(s access.Span, by int) access.Span {
	return access.Span{Start: s.Start + by, End: s.End + by}
}

// argumentsOf binds every literal of an EXECUTE to every field that the prepared statement binds a parameter to.
func argumentsOf(st, in *access.Statement) []access.Bound {
	var fields []string
	for _, f := range in.Params {
		fields = append(fields, f...)
	}
	var out []access.Bound
	for _, l := range st.Literals {
		out = append(out, access.Bound{Span: l, Fields: fields})
	}
	return out
}

// quiet are the verbs whose errors and notices can hold nothing but what the statement itself names. Reading a table is none
// of them: it may be a view, or have row security, and run code of users; nor is the end of a transaction: deferred
// constraints and triggers speak then.
var quiet = map[string]bool{
	"Evaluate": true, "Describe": true, "Show": true, "SetConfig": true,
	"Prepare": true, "Deallocate": true, "Discard": true, "CloseCursor": true, "Listen": true, "Unlisten": true,
}

// hides finds out what the masks of this moment mean for a statement.
func (s *session) hides(u *understood) hiding {
	if u.version == s.g.Version() && u.version != 0 {
		return u.hide
	}
	u.version, u.hide = s.g.Version(), hiding{}
	m := s.g.Masks()
	if m == nil {
		return u.hide
	}
	u.hide = underMasks(m, s.g.Connection(), u, u.h.Statement().Actions)
	u.hide.errors = u.hide.errors || m.Fields() && u.h.Sensitive()
	return u.hide
}

// underMasks finds out what masks mean for a statement, as far as it says so itself.
func underMasks(m access.Masks, c *access.Connection, u *understood, actions []access.Action) hiding {
	h := hiding{rows: len(m.Detect()) > 0}
	if !m.Fields() {
		if c := u.a.Copy; c != nil && c.ToClient && h.rows && !plainCopy(c) {
			h.refuse = errCopyForm
		}
		return h
	}
	for _, a := range actions {
		h.errors = h.errors || !quiet[a.Name[len(pgsql.Prefix):]]
	}
	unproven := unproven(m, u, &h)
	for _, f := range u.a.Copied {
		if _, ok := m.Field(f); ok {
			h.refuse = fault.New(fault.Denied, "postgres.hides", "permission denied: %s is masked for you and cannot be copied into another object", f)
		}
	}
	if c := u.a.Copy; c != nil && c.ToClient && h.rows && !plainCopy(c) {
		h.refuse = errCopyForm
	}
	if u.a.TestsUnknown {
		h.refuse = errUnknown
	}
	if u.a.TestsTemporary {
		h.refuse = errTemporary
	}
	if unproven && c.Unproven == "refuse" {
		h.refuse = &fault.Error{Op: "postgres.hides", Kind: fault.Denied,
			Say:  "permission denied: a column of this result cannot be proven free of masked fields",
			Hint: "Select the columns that you need by name, without functions of your own."}
	}
	return h
}

var errCopyForm = &fault.Error{Op: "postgres.hides", Kind: fault.Denied,
	Say:  "permission denied: this COPY holds masked columns in a form that the gateway does not rebuild",
	Hint: "Use the format's default delimiter, null, quote, escape and encoding."}

var errUnknown = &fault.Error{Op: "postgres.hides", Kind: fault.Denied,
	Say:  "permission denied: some columns are masked for you, and a function that is not known may return what is in them",
	Hint: "Do not filter, join, sort or write by the results of such functions; select them as they are."}

var errTemporary = &fault.Error{Op: "postgres.hides", Kind: fault.Denied,
	Say:  "permission denied: some columns are masked for you, and a temporary table may hold what was made from them",
	Hint: "Filter, sort, group and join stored tables only; a WITH query may stand for the temporary table."}

// unproven looks at every output; it reports whether one could be anything.
func unproven(m access.Masks, u *understood, h *hiding) bool {
	outputs, known := u.outputs, u.known
	if c := u.a.Copy; c != nil {
		if !c.ToClient {
			return false
		}
		outputs, known = c.Outputs, c.OutputsKnown
	} else if !u.a.ReturnsRows && u.a.Fetch == "" && u.a.Execute == "" {
		return false
	}
	open := !known
	for i := range outputs {
		open = open || !outputs[i].Proven
		for _, f := range outputs[i].Fields {
			if _, ok := m.Field(f); ok {
				h.rows, h.errors = true, true
			}
		}
	}
	if open {
		h.rows, h.errors = true, true
	}
	return open
}
