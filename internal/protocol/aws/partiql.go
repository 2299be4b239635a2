package aws

import "strings"

// partiQL is what a statement of PartiQL does, as far as policy asks: to which table, and which verb of IAM.
type partiQL struct {
	verb  string // Select, Insert, Update, Delete
	table string
	index string
	names []string // every name in it that could be an attribute
}

type token struct {
	text   string
	quoted bool // in double quotes: a name, whatever it says
	value  bool // a text in single quotes, a number, a parameter
}

// readPartiQL reads one statement. DynamoDB's dialect has neither joins nor subqueries nor comments: what looks like one is
// refused.
func readPartiQL(statement string) (partiQL, error) {
	tokens, err := lexPartiQL(statement)
	if err != nil {
		return partiQL{}, err
	}
	word := func(i int) string {
		if i < len(tokens) && !tokens[i].quoted && !tokens[i].value {
			return strings.ToUpper(tokens[i].text)
		}
		return ""
	}
	s, at := partiQL{}, -1
	switch {
	case word(0) == "SELECT":
		s.verb = "Select"
		for i := range tokens {
			switch word(i) {
			case "SELECT":
				if i > 0 {
					return partiQL{}, malformed("the PartiQL statement has a query inside a query")
				}
			case "FROM":
				if at >= 0 {
					return partiQL{}, malformed("the PartiQL statement reads from two places")
				}
				at = i + 1
			case "JOIN", "UNION", "INTERSECT", "EXCEPT", "UNPIVOT":
				return partiQL{}, malformed("the PartiQL statement has %s, which is not understood", word(i))
			}
		}
	case word(0) == "EXISTS" && word(1) == "(":
		if word(2) != "SELECT" { // one inside of another would be read as often as there are
			return partiQL{}, malformed("the PartiQL statement asks whether something exists that is no SELECT")
		}
		return readPartiQL(statement[strings.IndexByte(statement, '(')+1 : max(strings.LastIndexByte(statement, ')'), strings.IndexByte(statement, '(')+1)])
	case word(0) == "INSERT" && word(1) == "INTO":
		s.verb, at = "Insert", 2
	case word(0) == "UPDATE":
		s.verb, at = "Update", 1
	case word(0) == "DELETE" && word(1) == "FROM":
		s.verb, at = "Delete", 2
	}
	if at < 0 || at >= len(tokens) || tokens[at].value || word(at) == "(" {
		return partiQL{}, malformed("the PartiQL statement is not of the form SELECT … FROM table, INSERT INTO table, UPDATE table or DELETE FROM table")
	}
	s.table = tokens[at].text
	if at+2 < len(tokens) && word(at+1) == "." {
		s.index = tokens[at+2].text
		at += 2
	}
	if next := word(at + 1); s.verb == "Select" && at+1 < len(tokens) && next != "WHERE" && next != "ORDER" {
		return partiQL{}, malformed("the PartiQL statement reads from two places, or from what is no table")
	}
	for i := range tokens {
		if i > 0 && word(i) == "SELECT" {
			return partiQL{}, malformed("the PartiQL statement has a query inside of it")
		}
	}
	for i, t := range tokens {
		if t.quoted || !t.value && word(i) != "" {
			s.names = append(s.names, t.text)
		}
	}
	return s, nil
}

func lexPartiQL(s string) ([]token, error) {
	if len(s) > 64<<10 || strings.Contains(s, "--") || strings.Contains(s, "/*") || strings.ContainsAny(s, ";`") {
		return nil, malformed("the PartiQL statement has comments, semicolons or backquotes, or is too long")
	}
	var list []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"' || c == '\'':
			text, next, err := quoted(s, i)
			if err != nil {
				return nil, err
			}
			list = append(list, token{text: text, quoted: c == '"', value: c == '\''})
			i = next
		case nameByte(c):
			start := i
			for i < len(s) && (nameByte(s[i]) || s[i] >= '0' && s[i] <= '9') {
				i++
			}
			list = append(list, token{text: s[start:i]})
		case c >= '0' && c <= '9' || c == '?':
			i++
			list = append(list, token{text: string(c), value: true})
		case c < 0x20 || c >= 0x7f:
			return nil, malformed("the PartiQL statement has characters outside of quotes that are not understood")
		default:
			list = append(list, token{text: string(c)})
			i++
		}
	}
	return list, nil
}

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted reads a text in quotes, in which two quotes stand for one.
func quoted(s string, i int) (string, int, error) {
	q := s[i]
	var b strings.Builder
	for i++; i < len(s); i++ {
		if s[i] != q {
			b.WriteByte(s[i])
			continue
		}
		if i+1 >= len(s) || s[i+1] != q {
			return b.String(), i + 1, nil
		}
		i++
		b.WriteByte(q)
	}
	return "", 0, malformed("the PartiQL statement has quotes that do not end")
}
