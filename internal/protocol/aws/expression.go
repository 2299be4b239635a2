package aws

import (
	"maps"
	"slices"
	"strings"
)

// mentioned is the names of attributes that a call of DynamoDB speaks of. ok is false where they cannot be listed.
type mentioned struct {
	ok        bool
	read      map[string]bool // in conditions, filters and keys, or as the source of an update: what happens depends on them
	others    map[string]bool // written, or shown
	parts     bool            // parts of lists may be shown, or moved
	documents bool            // maps or lists are compared as a whole, or two attributes, which may be
}

func (m mentioned) sorted() []string {
	all := maps.Clone(m.read)
	maps.Copy(all, m.others)
	return slices.Sorted(maps.Keys(all))
}

// The members of requests that hold expressions, and what of an expression's names steers.
var (
	conditions  = []string{"KeyConditionExpression", "FilterExpression", "ConditionExpression"}
	projections = []string{"ProjectionExpression"}
	updates     = []string{"UpdateExpression"}
	// The members of before expressions: maps whose names are attributes.
	oldConditions = []string{"KeyConditions", "QueryFilter", "ScanFilter", "Expected", "Key", "ExclusiveStartKey"}
	oldUpdates    = []string{"AttributeUpdates", "Item"}
)

// mentions lists the attributes of a call: names of documents nested in one another each on their own.
func (c *call) mentions() mentioned {
	m := mentioned{ok: true, read: map[string]bool{}, others: map[string]bool{}}
	if len(find(c.input, "Statement"))+len(find(c.input, "Statements.*.Statement"))+len(find(c.input, "TransactStatements.*.Statement")) > 0 {
		m.ok = false
		return m
	}
	m.walk(c.input, maxDepth)
	m.walk(c.others, maxDepth) // which somebody may read after all
	return m
}

// walk looks for expressions wherever a request has them.
func (m *mentioned) walk(v any, depth int) {
	o, isMap := v.(map[string]any)
	if list, ok := v.([]any); ok {
		for _, e := range list {
			m.walk(e, depth-1)
		}
	}
	if !isMap || depth < 0 {
		return
	}
	aliases, _ := o["ExpressionAttributeNames"].(map[string]any)
	for name, inner := range o {
		s, isText := inner.(string)
		switch {
		case slices.Contains(conditions, name) && isText:
			m.expression(s, aliases, m.read)
			m.compared(s, o["ExpressionAttributeValues"])
		case slices.Contains(projections, name) && isText:
			m.expression(s, aliases, m.others)
			m.parts = true
		case slices.Contains(updates, name) && isText:
			m.update(s, aliases)
			m.parts = true
		case name == "RequestItems":
			each(inner, func(table any) { m.walk(table, depth-1) }) // whatever the tables are called
		case slices.Contains(oldConditions, name):
			names(inner, m.read)
			each(inner, func(v any) { m.documents = m.documents || holdsDocument(v) })
		case name == "Keys":
			each(inner, func(k any) { names(k, m.read) })
		case name == "AttributesToGet":
			each(inner, func(a any) {
				if s, ok := a.(string); ok {
					m.others[s] = true
				}
			})
		case slices.Contains(oldUpdates, name):
			names(inner, m.others)
		case name == "ExpressionAttributeValues" || name == "ExpressionAttributeNames":
		default:
			m.walk(inner, depth-1)
		}
	}
}

// compared notes whether a condition compares documents: with one that it brings along, or attributes with one another.
func (m *mentioned) compared(text string, values any) {
	tokens, err := lexExpression(text)
	if err != nil {
		m.ok = false
		return
	}
	brought := func(i int) bool { return i >= 0 && i < len(tokens) && tokens[i][0] == ':' }
	for i, t := range tokens {
		switch {
		case t[0] == ':':
			m.documents = m.documents || isDocument(member(values, t))
		case t == "=" || t == "<" && i+1 < len(tokens) && tokens[i+1] == ">" || t == "<>":
			m.documents = m.documents || !brought(i-1) && !brought(i+1)
		case t == "," || t == "(" && i > 0 && strings.EqualFold(tokens[i-1], "IN"): // arguments, elements of IN
			m.documents = m.documents || !brought(i+1)
		}
	}
}

// holdsDocument looks for documents in a condition of the old kind.
func holdsDocument(v any) bool {
	for _, list := range [...]any{[]any{member(v, "Value")}, member(v, "AttributeValueList")} {
		found := false
		each(list, func(v any) { found = found || isDocument(v) })
		if found {
			return true
		}
	}
	return false
}

// isDocument reports whether a value of DynamoDB is a map or a list.
func isDocument(v any) bool { return member(v, "M") != nil || member(v, "L") != nil }

func names(v any, to map[string]bool) {
	o, _ := v.(map[string]any)
	for name := range o {
		to[name] = true
	}
}

// expression notes every name of an expression; aliases are what #names stand for.
func (m *mentioned) expression(text string, aliases map[string]any, to map[string]bool) {
	tokens, err := lexExpression(text)
	if err != nil {
		m.ok = false
		return
	}
	m.tokens(tokens, aliases, to)
}

func (m *mentioned) tokens(tokens []string, aliases map[string]any, to map[string]bool) {
	for i, t := range tokens {
		switch {
		case t[0] == '#':
			name, ok := aliases[t].(string)
			if !ok {
				m.ok = false
				return
			}
			to[name] = true
		case t[0] == ':' || !nameByte(t[0]):
		case i+1 < len(tokens) && tokens[i+1] == "(": // a function
		case slices.Contains(keywords, strings.ToUpper(t)) && (i == 0 || tokens[i-1] != "."):
			// DynamoDB takes none of these for the name of an attribute without an alias.
		default:
			to[t] = true
		}
	}
}

var keywords = []string{"AND", "OR", "NOT", "BETWEEN", "IN"}

// update notes the names of an update: those before = are written, as are those of REMOVE, ADD and DELETE; all others are read.
func (m *mentioned) update(text string, aliases map[string]any) {
	tokens, err := lexExpression(text)
	if err != nil {
		m.ok = false
		return
	}
	set, depth, target := false, 0, true
	start := 0
	flush := func(end int) {
		to := m.others
		if !target {
			to = m.read
		}
		m.tokens(tokens[start:end], aliases, to)
		start = end + 1
	}
	for i, t := range tokens {
		switch upper := strings.ToUpper(t); {
		case t == "(":
			depth++
		case t == ")":
			depth--
		case depth > 0:
		case upper == "SET" || upper == "REMOVE" || upper == "ADD" || upper == "DELETE":
			if i > 0 && tokens[i-1] == "." {
				continue
			}
			flush(i)
			set, target = upper == "SET", true
		case t == "=" && set:
			flush(i)
			target = false
		case t == ",":
			flush(i)
			target = true
		}
	}
	flush(len(tokens))
}

// lexExpression cuts an expression of DynamoDB into names, aliases, numbers and signs.
func lexExpression(s string) ([]string, error) {
	if len(s) > 64<<10 {
		return nil, malformed("an expression is too long")
	}
	var list []string
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case nameByte(c) || c == '#' || c == ':':
			for i++; i < len(s) && (nameByte(s[i]) || s[i] >= '0' && s[i] <= '9' || (c == '#' || c == ':') && s[i] == '-'); i++ {
			}
			if i == start+1 && !nameByte(c) {
				return nil, malformed("an expression has # or : without a name")
			}
		case c >= '0' && c <= '9':
			for i < len(s) && s[i] >= '0' && s[i] <= '9' {
				i++
			}
		case strings.IndexByte("()[].,=<>+-", c) >= 0:
			i++
			if i < len(s) && (c == '<' && (s[i] == '=' || s[i] == '>') || c == '>' && s[i] == '=') {
				i++
			}
		default:
			return nil, malformed("an expression has characters that are not understood")
		}
		list = append(list, s[start:i])
	}
	return list, nil
}
