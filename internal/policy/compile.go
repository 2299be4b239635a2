package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// Documents is everything a Set is made of.
type Documents struct {
	Issuers     []*access.Issuer
	Policies    []*access.Policy
	Connections []*access.Connection
	Roles       []*access.Role

	// Names are the actions that documents attached to connections add to those of their types, by the connection's name.
	Names map[string][]ActionName
	// Closed are connections that nobody reaches, and why, by name: their actions could not be had.
	Closed map[string]string
	// Stored says that all of this was compiled when it was written, and what is attached to connections may have changed since:
	// an action that nobody has any more closes the connections that it may have been of, in place of being an error.
	Stored bool
}

// Set is a compiled set of documents. It is immutable and safe for concurrent use.
type Set struct {
	version     uint64
	vocabulary  *vocabulary
	roles       []*role // by name
	connections map[string]*connection
	closed      map[string]string
}

// Closed returns the connections that nobody reaches, whatever the roles allow, and why, by name. It must not be changed.
func (s *Set) Closed() map[string]string { return s.closed }

// role is a compiled role.
type role struct {
	name     string
	bindings []*binding
	policies []*compiledPolicy
}

// connection is a connection with its guardrails.
type connection struct {
	doc        *access.Connection
	segment    string // the name as resources write it
	kind       *kind  // nil where the type is unknown
	guardrails []*compiledPolicy
}

// compiledPolicy is a policy whose statements are compiled.
type compiledPolicy struct {
	name  string
	rules []*rule
}

// Version returns the revision that the set was compiled for.
func (s *Set) Version() uint64 { return s.version }

// Defaults is what holds where documents say nothing.
type Defaults struct {
	Wait time.Duration // how long an approval may wait, 1 s to 24 h; 0 means 15 min
}

// compiler holds what is known while documents are compiled, and collects all problems.
type compiler struct {
	defaults   Defaults
	vocabulary *vocabulary
	conditions *language // of statements
	callers    *language // of bindings
	issuers    map[string]*access.Issuer
	policies   map[string]*compiledPolicy
	roleNames  map[string]bool
	stored     bool              // see Documents.Stored
	closed     map[string]string // see Documents.Closed
	problems   []error
}

// Compile is Defaults.Compile with the defaults of Gatehouse.
func Compile(d Documents, vocab []Vocabulary, revision uint64) (*Set, error) {
	return Defaults{}.Compile(d, vocab, revision)
}

// Compile checks documents and compiles them. All problems are reported at once: the error joins a *Problem for each
// (see Problems), and its kind is fault.Malformed. revision becomes the set's version.
func (f Defaults) Compile(d Documents, vocab []Vocabulary, revision uint64) (*Set, error) {
	c, err := newCompiler(d, vocab)
	if err != nil {
		return nil, err
	}
	if c.defaults = f; f.Wait == 0 {
		c.defaults.Wait = defaultWait
	}
	s := &Set{version: revision, vocabulary: c.vocabulary, connections: map[string]*connection{}}
	c.compileIssuers(d.Issuers)
	for _, r := range d.Roles {
		c.roleNames[r.Name] = true
	}
	c.compilePolicies(d.Policies)
	for _, doc := range d.Connections {
		if _, twice := s.connections[doc.Name]; c.nameOK(doc, twice) {
			s.connections[doc.Name] = c.compileConnection(doc)
		}
	}
	c.checkInside(s, d)
	s.closed = c.closed
	for name := range s.closed {
		delete(s.connections, name)
	}
	c.compileRoles(s, d.Roles)
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	slices.SortFunc(s.roles, func(a, b *role) int { return cmp.Compare(a.name, b.name) })
	return s, nil
}

func newCompiler(d Documents, vocab []Vocabulary) (*compiler, error) {
	c := &compiler{issuers: map[string]*access.Issuer{}, policies: map[string]*compiledPolicy{}, roleNames: map[string]bool{},
		stored: d.Stored, closed: map[string]string{}}
	maps.Copy(c.closed, d.Closed)
	var err error
	if c.vocabulary, err = newVocabulary(vocab, c.additions(d, vocab)); err != nil {
		return nil, fmt.Errorf("policy.Compile: %w", err)
	}
	if c.conditions, err = newLanguage(^reads(0)); err != nil {
		return nil, fmt.Errorf("policy.Compile: %w", err)
	}
	if c.callers, err = newLanguage(readsCaller); err != nil {
		return nil, fmt.Errorf("policy.Compile: %w", err)
	}
	return c, nil
}

// nameOK reports a document without a name, or with one that another document of its kind has.
func (c *compiler) nameOK(d access.Document, twice bool) bool {
	switch {
	case d.DocName() == "":
		c.on(d).add("name", "the document has no name")
	case twice:
		c.on(d).add("name", "another %s is also called %s: names are unique", d.DocKind(), d.DocName())
	default:
		return true
	}
	return false
}

func (c *compiler) compileIssuers(docs []*access.Issuer) {
	byURL := map[string]string{}
	for _, doc := range docs {
		if _, twice := c.issuers[doc.Name]; !c.nameOK(doc, twice) {
			continue
		}
		c.issuers[doc.Name] = doc
		if other, twice := byURL[doc.URL]; twice {
			c.on(doc).add("url", "issuer %s has the same url: a token could not be told to be the one's or the other's", other)
		}
		byURL[doc.URL] = doc.Name
	}
}

func (c *compiler) compilePolicies(docs []*access.Policy) {
	for _, doc := range docs {
		if _, twice := c.policies[doc.Name]; !c.nameOK(doc, twice) {
			continue
		}
		p := &compiledPolicy{name: doc.Name}
		if len(doc.Statements) == 0 {
			c.on(doc).add("statements", "the policy has no statements, so it does nothing")
		}
		for i := range doc.Statements {
			p.rules = append(p.rules, c.compileStatement(doc, i))
		}
		c.policies[doc.Name] = p
	}
}

func (c *compiler) compileConnection(doc *access.Connection) *connection {
	r := c.on(doc)
	if _, known := c.vocabulary.types[doc.Type]; !known {
		types := keys(c.vocabulary.types)
		r.add("type", "unknown connection type %q; known: %v%s", doc.Type, types, didYouMean(doc.Type, types))
	}
	c.checkOptions(r, doc)
	out := &connection{doc: doc, segment: access.Resource(doc.Name), kind: c.vocabulary.of(doc.Name, doc.Type)}
	for i, name := range doc.Guardrails {
		path := fmt.Sprintf("guardrails[%d]", i)
		p := c.policyNamed(r, path, name, doc.Guardrails[:i])
		if p == nil {
			continue
		}
		for _, rule := range p.rules {
			if rule.effect == effectAllow {
				r.add(path, "statement %d of policy %s allows: a guardrail may only deny, approve or mask", rule.because.Statement, name)
			}
		}
		out.guardrails = append(out.guardrails, p)
	}
	return out
}

// checkOptions reports the options of another type, and options that a type cannot do without: a key of a connection that is
// named as a type goes with that type only, and with it where it has keys that may not be left out.
func (c *compiler) checkOptions(r report, doc *access.Connection) {
	v := reflect.ValueOf(*doc)
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if c.vocabulary.types[key] == nil {
			continue
		}
		switch empty := v.Field(i).IsZero(); {
		case key != doc.Type && !empty:
			r.add(key, "%s is for connections of type %s, and this one is of type %s", key, key, doc.Type)
		case key == doc.Type && empty:
			if names := needed(v.Type().Field(i).Type.Elem()); len(names) > 0 {
				r.add("type", "a connection of type %s needs %s, with %s", doc.Type, key, strings.Join(names, " and "))
			}
		}
	}
}

// needed are the keys of an object that may not be left out.
func needed(object reflect.Type) []string {
	var names []string
	for i := range object.NumField() {
		if name, rest, _ := strings.Cut(object.Field(i).Tag.Get("json"), ","); rest == "" {
			names = append(names, name)
		}
	}
	return names
}

func (c *compiler) compileRoles(s *Set, docs []*access.Role) {
	seen := map[string]bool{}
	for _, doc := range docs {
		if !c.nameOK(doc, seen[doc.Name]) {
			continue
		}
		seen[doc.Name] = true
		r, out := c.on(doc), &role{name: doc.Name}
		if len(doc.Bind) == 0 {
			r.add("bind", "the role binds nobody: give an issuer, and claims or a condition")
		}
		for i := range doc.Bind {
			out.bindings = append(out.bindings, c.compileBinding(r, fmt.Sprintf("bind[%d]", i), &doc.Bind[i]))
		}
		for i, name := range doc.Policies {
			if p := c.policyNamed(r, fmt.Sprintf("policies[%d]", i), name, doc.Policies[:i]); p != nil {
				out.policies = append(out.policies, p)
			}
		}
		s.roles = append(s.roles, out)
	}
}

// policyNamed resolves a reference to a policy, or reports it and returns nil.
func (c *compiler) policyNamed(r report, path, name string, before []string) *compiledPolicy {
	p, known := c.policies[name]
	switch {
	case !known:
		r.add(path, "there is no policy %q%s", name, didYouMean(name, keys(c.policies)))
		return nil
	case slices.Contains(before, name):
		r.add(path, "policy %s is listed twice", name)
		return nil
	}
	return p
}

// keys returns the keys of a map, sorted.
func keys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
