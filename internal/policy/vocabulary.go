package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Verbs with a meaning of their own in every vocabulary.
const (
	verbOpaque  = ":Opaque"  // what was not understood: allowed only where it is named outright
	verbConnect = ":Connect" // opening a session: in every vocabulary, implied
)

// maxName bounds the name of an action in bytes.
const maxName = 256

// Vocabulary is what one connection type can be asked to do. Every vocabulary also holds Type:Connect, implied. Types may share
// names: what a name is implied for is each type's own.
type Vocabulary struct {
	Type      string // the connection type
	Actions   []ActionName
	Documents bool     // its messages have documents, inside of which masks reach
	Messages  bool     // it carries messages, which may be recorded in windows
	Rootless  []string // how resources begin that documents write without a connection before them, such as "arn:": their asterisks are their own, and make no sets
}

// ActionName is the name of an action as documents write it.
type ActionName struct {
	Name    string // such as type:Verb
	Implied bool   // allowed to whoever reaches the connection, unless denied
}

// actionSet is a set of actions by their number in a vocabulary.
type actionSet []uint64

func (s actionSet) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }
func (s actionSet) add(i int)      { s[i>>6] |= 1 << (i & 63) }

// overlaps reports whether the two sets share an action.
func (s actionSet) overlaps(o actionSet) bool {
	for i := range s {
		if s[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// kind is what a connection can be asked to do.
type kind struct {
	actions   actionSet
	implied   actionSet
	documents bool
	messages  bool
	rootless  []string
}

// reaches reports whether a pattern without a connection is about the resources of such a connection.
func (k *kind) reaches(p pattern) bool {
	return slices.ContainsFunc(k.rootless, func(prefix string) bool { return strings.HasPrefix(p.text, prefix) })
}

// vocabulary holds all actions of all connection types, and those that documents add to connections, numbered.
type vocabulary struct {
	names    []string // sorted; an action's number is its place
	number   map[string]int
	types    map[string]*kind
	own      map[string]*kind // by connection: where names are added to the type's
	rootless []string         // of all types
	prefixes map[string]bool  // what stands before the colon in the actions of types
	added    map[string]addition
}

// newVocabulary numbers the actions of the types, and those that are added to connections (by the connection's name).
func newVocabulary(list []Vocabulary, added map[string]addition) (*vocabulary, error) {
	v := &vocabulary{number: map[string]int{}, types: map[string]*kind{}, own: map[string]*kind{}, prefixes: map[string]bool{},
		added: added}
	for _, t := range list {
		if _, twice := v.types[t.Type]; twice || t.Type == "" {
			return nil, fmt.Errorf("vocabulary %q: a connection type must have a name and one vocabulary", t.Type)
		}
		v.types[t.Type] = nil
		v.rootless = append(v.rootless, t.Rootless...)
		if slices.Contains(t.Rootless, "") {
			return nil, fmt.Errorf("vocabulary %q: a resource without a connection must begin with something", t.Type)
		}
		v.names = append(v.names, t.Type+verbConnect)
		for _, a := range t.Actions {
			if say := checkName(a.Name); say != "" {
				return nil, fmt.Errorf("vocabulary %q: %s", t.Type, say)
			}
			v.names = append(v.names, a.Name)
			prefix, _, _ := strings.Cut(a.Name, ":")
			v.prefixes[prefix] = true
		}
	}
	for _, a := range added {
		v.names = append(v.names, a.names...)
	}
	slices.Sort(v.names)
	v.names = slices.Compact(v.names)
	for i, name := range v.names {
		v.number[name] = i
	}
	v.fill(list, added)
	return v, nil
}

// fill makes the sets, once the number of actions is known.
func (v *vocabulary) fill(list []Vocabulary, added map[string]addition) {
	for _, t := range list {
		k := &kind{actions: v.none(), implied: v.none(), documents: t.Documents, messages: t.Messages, rootless: t.Rootless}
		for _, a := range append(slices.Clone(t.Actions), ActionName{Name: t.Type + verbConnect, Implied: true}) {
			k.actions.add(v.number[a.Name])
			if a.Implied {
				k.implied.add(v.number[a.Name])
			}
		}
		v.types[t.Type] = k
	}
	for name, a := range added {
		of := v.types[a.typ]
		if of == nil {
			continue // an unknown type, which is reported where the connection is compiled
		}
		k := &kind{actions: slices.Clone(of.actions), implied: of.implied, documents: of.documents, messages: of.messages, rootless: of.rootless}
		for _, name := range a.names {
			k.actions.add(v.number[name])
		}
		v.own[name] = k
	}
}

// of returns what a connection can be asked to do; nil where its type is unknown.
func (v *vocabulary) of(name, typ string) *kind {
	if k := v.own[name]; k != nil {
		return k
	}
	return v.types[typ]
}

func (v *vocabulary) none() actionSet { return make(actionSet, (len(v.names)+63)/64) }

// match adds the actions that a pattern matches to set and returns how many there are. An allow must name Opaque
// outright: "not understood" never slips in under a "*".
func (v *vocabulary) match(p pattern, effect string, set actionSet) int {
	if p.literal() {
		i, known := v.number[p.text]
		if !known {
			return 0
		}
		set.add(i)
		return 1
	}
	n, first := 0, p.parts[0]
	from, _ := slices.BinarySearch(v.names, first)
	for i, name := range v.names[from:] {
		if !strings.HasPrefix(name, first) {
			break
		}
		if !p.match(name) {
			continue
		}
		n++
		if effect == effectAllow && strings.HasSuffix(name, verbOpaque) {
			continue
		}
		set.add(from + i)
	}
	return n
}

// addition is what a document attached to a connection adds to the actions of its type.
type addition struct {
	typ   string
	names []string
}

// additions returns what is added to connections, and reports what cannot be. What is added is never implied.
func (c *compiler) additions(d Documents, list []Vocabulary) map[string]addition {
	all := map[string]addition{}
	taken := prefixesOf(list)
	for _, doc := range d.Connections {
		if len(d.Names[doc.Name]) == 0 {
			continue
		}
		a := addition{typ: doc.Type}
		for _, n := range d.Names[doc.Name] {
			say := checkName(n.Name)
			prefix, _, _ := strings.Cut(n.Name, ":")
			switch {
			case say != "":
			case strings.HasSuffix(n.Name, verbOpaque) || strings.HasSuffix(n.Name, verbConnect):
				say = fmt.Sprintf("%q has a meaning of its own, and cannot be added", n.Name)
			case taken[prefix]:
				say = fmt.Sprintf("%q could be taken for an action of a type: give the connection another name", n.Name)
			default:
				a.names = append(a.names, n.Name)
				continue
			}
			if c.stored { // a type that came later must not stand in the way of everybody else
				c.closed[doc.Name] = "an action of the attached document: " + say
				continue
			}
			c.on(doc).add("", "an action of the attached document: %s", say)
		}
		all[doc.Name] = a
	}
	return all
}

// prefixesOf is what stands before the colon in the actions of types: a pattern that is meant for these must not bind what a document adds,
// nor the other way round.
func prefixesOf(list []Vocabulary) map[string]bool {
	all := map[string]bool{}
	for _, t := range list {
		all[t.Type] = true
		for _, a := range t.Actions {
			prefix, _, _ := strings.Cut(a.Name, ":")
			all[prefix] = true
		}
	}
	return all
}

// closeFor closes the connections that an action which nobody has any more may have been of: those to which others of its prefix
// are added. A policy that means to deny it may otherwise deny nothing. It reports whether the action may be one that was added.
func (c *compiler) closeFor(action pattern) bool {
	prefix, _, found := strings.Cut(action.text, ":")
	if !found {
		prefix = "*"
	}
	p := newPattern(prefix)
	if p.literal() && c.vocabulary.prefixes[prefix] {
		return false
	}
	for connection, a := range c.vocabulary.added {
		of := func(name string) bool {
			prefix, _, _ := strings.Cut(name, ":")
			return p.match(prefix)
		}
		if slices.ContainsFunc(a.names, of) && c.closed[connection] == "" {
			c.closed[connection] = fmt.Sprintf("policies name the action %s, which its attached document no longer has", action.text)
		}
	}
	return true
}

// checkName says what is wrong with an action's name, or "".
func checkName(name string) string {
	prefix, verb, found := strings.Cut(name, ":")
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("an action's name is longer than %d bytes", maxName)
	case !found || prefix == "" || verb == "" || strings.Trim(verb, ":") == "":
		return fmt.Sprintf("%q is no name of an action: it has two parts, as in billing:CreateRefund", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '*' }):
		return fmt.Sprintf("%q is no name of an action: it is of letters, digits and signs other than an asterisk", name)
	}
	return ""
}

// nearest returns the name that is closest to want, or "" where none is close.
func nearest(want string, names []string) string {
	best, least := "", len(want)/3+1
	for _, name := range names {
		if len(name)-len(want) > least || len(want)-len(name) > least {
			continue // the distance is no less than the difference in length
		}
		if d := distance(strings.ToLower(want), strings.ToLower(name)); d < least || (d == least && best == "") {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of single-byte edits between two short names; names are cut at 64 bytes.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// didYouMean words a suggestion. An action of a type that is known is meant to be that type's: another's would bind nothing.
func didYouMean(want string, names []string) string {
	if i := strings.IndexByte(want, ':'); i >= 0 {
		same := func(name string) bool { return strings.HasPrefix(name, want[:i+1]) }
		if slices.ContainsFunc(names, same) {
			names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !same(name) })
		}
	}
	if s := nearest(want, names); s != "" {
		return fmt.Sprintf("; did you mean %s?", s)
	}
	return ""
}
