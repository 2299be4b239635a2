package pgsql

import (
	"slices"
	"sort"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/access"
)

// source is where a statement stands: its span of a scanned text, and the tokens within it.
type source struct {
	text       string
	tokens     []*pg.ScanToken
	start, end int
}

// work is the analysis of one statement under way.
type work struct {
	c      *Catalogue
	s      *State
	src    source
	budget *int // steps left for the whole text

	an      *Analysis
	actions []pending
	index   map[[2]string]int // name and resource -> actions
	tested  fieldSet
	looked  fieldSet
	lookups *pg.Node // the condition whose parts may be lookups
	copied  fieldSet
	bound   map[atom]fieldSet
	view    bool // a view's definition: what it tests, calls and reads is not the client's doing
	params  bool // a parameter was seen
	effects bool // something was called that is not pure
	matters bool // the value of a literal was looked at
	called  bool // a function that is not known was called
	steered bool // what could come from anything steers what happens or shows, or is written
}

// pending is an action whose fields are still being found.
type pending struct {
	name, resource string
	fields         fieldSet
	related        bool     // the same rows under another name
	foreign        fieldSet // fields of other resources, for what creates an object from them
}

// part is a part of the source, with only its own tokens.
func (src source) part(start, end int) source {
	from := sort.Search(len(src.tokens), func(i int) bool { return int(src.tokens[i].Start) >= start })
	to := sort.Search(len(src.tokens), func(i int) bool { return int(src.tokens[i].End) > end })
	return source{src.text, src.tokens[from:max(from, to)], start, end}
}

// recordedDigits is how much of a catalogue's version a statement carries: enough to tell those of one database apart.
const recordedDigits = 16

func newWork(c *Catalogue, s *State, src source, budget *int) *work {
	w := &work{c: c, s: s, src: src, budget: budget, index: map[[2]string]int{}, bound: map[atom]fieldSet{}}
	n := normal(src)
	w.an = &Analysis{
		Statement: access.Statement{
			Text: src.text[src.start:src.end], Normal: n, Fingerprint: fingerprint(n),
			Literals: literals(src), Bounded: true, Catalogue: c.digest[:recordedDigits],
		},
		Offset: src.start, OutputsKnown: true,
	}
	return w
}

// within starts the analysis of a part of the same text: the statement inside PREPARE, DECLARE or EXPLAIN.
func (w *work) within(start int) *work {
	return newWork(w.c, w.s, w.src.part(min(max(start, w.src.start), w.src.end), w.src.end), w.budget)
}

// cheap is how many looks at a name cost one step.
const cheap = 16

// step pays for one step; it is false once the budget is spent.
func (w *work) step(cost int) bool {
	*w.budget -= cost
	return *w.budget > 0
}

// act records an action on a resource, once.
func (w *work) act(verb, resource string, fields fieldSet) {
	if w.view {
		return
	}
	p := w.pending(verb, resource)
	p.fields = p.fields.union(fields)
}

func (w *work) pending(verb, resource string) *pending {
	if !w.c.rules.verbs[verb] {
		verb = verbOpaque
		w.an.Why = "an object of a kind that is not known here"
	}
	key := [2]string{Prefix + verb, resource}
	i, ok := w.index[key]
	if !ok {
		i = len(w.actions)
		w.index[key] = i
		w.actions = append(w.actions, pending{name: key[0], resource: resource})
	}
	return &w.actions[i]
}

// actOn records an action on names below the connection; without names it is on the connection itself.
func (w *work) actOn(verb string, names ...string) {
	w.act(verb, access.Resource(w.c.connection, names...), nil)
}

// opaque records that something could not be understood.
func (w *work) opaque(why string) {
	w.effects = true
	w.an.ChangesState = true
	w.an.ChangesCatalogue = true
	if w.an.Why == "" {
		w.an.Why = clip(why)
	}
	w.actOn(verbOpaque)
}

// call records a call of what is not known to be pure.
func (w *work) call(schema, name string) {
	w.effects = true
	w.an.ChangesState = true
	w.actOn(verbCall, schema, name)
}

// clip keeps an explanation short and on one line.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// test records that a value steers what happens or shows.
func (w *work) test(v value) {
	if !w.view {
		w.tested, w.steered = w.tested.union(v.from), w.steered || v.open
	}
}

// bind ties the literals and parameters of a value to its fields.
func (w *work) bind(v value) {
	w.assign(v.atoms, v.from)
}

// assign ties literals and parameters to fields.
func (w *work) assign(list *atoms, to fieldSet) {
	if w.view || len(to) == 0 {
		return
	}
	list.each(func(a atom) bool {
		w.bound[a] = w.bound[a].union(to)
		return w.step(1)
	})
}

// copyInto records that a value is written into a field of another object, or the same.
func (w *work) copyInto(v value, to fieldSet) {
	w.assign(v.atoms, to)
	w.steered = w.steered || v.open
	var other fieldSet
	for _, id := range v.from {
		if !to.has(fieldSet{id}) {
			other = append(other, id)
		}
	}
	w.copied = w.copied.union(other)
}

// read records that columns of stored relations are read.
func (w *work) read(ids fieldSet) {
	if w.view {
		return
	}
	for _, id := range ids {
		r := w.c.fields[id].rel
		w.act(w.readVerb(r), r.resource, fieldSet{id})
	}
}

// readVerb is Describe for metadata, else Select.
func (w *work) readVerb(r *relation) string {
	if w.isMetadata(r) {
		return verbDescribe
	}
	return verbSelect
}

func (w *work) isMetadata(r *relation) bool {
	switch r.schema {
	case "pg_catalog":
		return w.c.rules.metadata[r.name]
	case "information_schema":
		return !w.c.rules.hidden[r.name]
	}
	return false
}

// finish fills in the analysis.
func (w *work) finish() *Analysis {
	an := w.an
	if len(w.actions) == 0 {
		w.actOn(verbEvaluate)
	}
	an.Actions = make([]access.Action, 0, len(w.actions))
	for _, p := range w.actions {
		a := access.Action{Name: p.name, Resource: p.resource, Fields: w.c.resources(p.fields.union(p.foreign))}
		if p.related {
			an.Related = append(an.Related, a)
			continue
		}
		an.Actions = append(an.Actions, a)
	}
	an.LiteralMatters = len(an.Literals) > 0 && (w.matters || parserReads(w.src))
	an.Looked = w.c.resources(w.looked)
	an.Tested, an.TestsTemporary = w.c.resources(w.tested), w.testsTemporary()
	an.TestsUnknown = w.called && w.steered
	an.Copied = w.c.resources(w.copied)
	w.finishBound()
	return an
}

// finishBound turns positions into spans and parameters.
func (w *work) finishBound() {
	an := w.an
	for a, fields := range w.bound {
		names := w.c.resources(fields)
		if a < 0 {
			if an.ParamFields == nil {
				an.ParamFields = map[int][]string{}
			}
			an.ParamFields[int(-a)] = names
			continue
		}
		if span, ok := w.literalAt(int(a)); ok {
			an.Bound = append(an.Bound, BoundLiteral{span, names})
		}
	}
	slices.SortFunc(an.Bound, func(a, b BoundLiteral) int { return a.Span.Start - b.Span.Start })
}

// literalAt finds the literal that begins at a position of the batch.
func (w *work) literalAt(pos int) (access.Span, bool) {
	pos -= w.src.start
	i, ok := slices.BinarySearchFunc(w.an.Literals, pos, func(s access.Span, p int) int { return s.Start - p })
	if !ok {
		// A signed or typed constant may be placed at its sign or its type: the next literal is the value.
		if i == len(w.an.Literals) || pos < 0 {
			return access.Span{}, false
		}
	}
	return w.an.Literals[i], true
}

// outputs turns the columns of a result into outputs.
func (w *work) outputs(cols []column) []Output {
	out := make([]Output, len(cols))
	for i, c := range cols {
		w.bind(c.val)
		out[i] = Output{
			Name: c.name, Fields: w.c.resources(c.val.from), Proven: !c.val.open,
			Bare: c.val.bare && !c.val.open && len(c.val.from) > 0, TypeOID: c.val.typ,
		}
	}
	return out
}
