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

// Vocabulary is what one connection type can be asked to do. Every vocabulary also holds Type:Connect, implied.
type Vocabulary struct {
	Type    string // the connection type
	Actions []ActionName
}

// ActionName is the name of an action as documents write it.
type ActionName struct {
	Name    string // type:Verb
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

// vocabulary holds all actions of all connection types, numbered.
type vocabulary struct {
	names   []string
	number  map[string]int
	implied actionSet
	types   map[string]actionSet // the actions of each connection type
}

func newVocabulary(list []Vocabulary) (*vocabulary, error) {
	v := &vocabulary{number: map[string]int{}, types: map[string]actionSet{}}
	implied := map[string]bool{}
	for _, t := range list {
		if _, twice := v.types[t.Type]; twice || t.Type == "" {
			return nil, fmt.Errorf("vocabulary %q: a connection type must have a name and one vocabulary", t.Type)
		}
		v.types[t.Type] = nil
		for _, a := range append(slices.Clone(t.Actions), ActionName{Name: t.Type + verbConnect, Implied: true}) {
			if !strings.HasPrefix(a.Name, t.Type+":") {
				return nil, fmt.Errorf("vocabulary %q: action %q does not begin with the type", t.Type, a.Name)
			}
			if _, known := v.number[a.Name]; !known {
				v.number[a.Name] = len(v.names)
				v.names = append(v.names, a.Name)
			}
			implied[a.Name] = implied[a.Name] || a.Implied
		}
	}
	v.fill(implied)
	return v, nil
}

// fill makes the sets, once the number of actions is known.
func (v *vocabulary) fill(implied map[string]bool) {
	v.implied = v.none()
	for t := range v.types {
		v.types[t] = v.none()
	}
	for i, name := range v.names {
		if implied[name] {
			v.implied.add(i)
		}
		t, _, _ := strings.Cut(name, ":")
		v.types[t].add(i)
	}
}

func (v *vocabulary) none() actionSet { return make(actionSet, (len(v.names)+63)/64) }

// match adds the actions that a pattern matches to set and returns how many there are. An allow must name Opaque
// outright: "not understood" never slips in under a "*".
func (v *vocabulary) match(p pattern, effect string, set actionSet) int {
	n := 0
	for i, name := range v.names {
		if !p.match(name) {
			continue
		}
		n++
		if effect == effectAllow && !p.literal() && strings.HasSuffix(name, verbOpaque) {
			continue
		}
		set.add(i)
	}
	return n
}

// nearest returns the name that is closest to want, or "" where none is close.
func nearest(want string, names []string) string {
	best, least := "", len(want)/3+1
	for _, name := range names {
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

// didYouMean words a suggestion.
func didYouMean(want string, names []string) string {
	if s := nearest(want, names); s != "" {
		return fmt.Sprintf("; did you mean %s?", s)
	}
	return ""
}
