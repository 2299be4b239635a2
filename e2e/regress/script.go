package regress

import "strings"

// Script reads the statements of a file as psql would send them: variables put in, backslash commands acted upon as far as
// they decide what is sent.
type Script struct {
	text string
	at   int
	vars map[string]string
	env  map[string]string
	ifs  []branch
	done bool
}

// branch is one level of \if: whether its lines count now, and whether one of its parts did already.
type branch struct{ live, taken bool }

// Step is one thing that psql does.
type Step struct {
	SQL     string // one message: more than one statement where \; says so
	Copy    string // what follows COPY ... FROM STDIN
	IsCopy  bool
	Set     bool   // \gset: the first row's columns become variables
	Prefix  string // of their names
	Connect bool   // \connect: a new session; there is no statement
}

// NewScript reads a text; env is what \getenv finds.
func NewScript(text string, env map[string]string) *Script {
	return &Script{text: text, env: env, vars: map[string]string{"ECHO_HIDDEN": "off", "AUTOCOMMIT": "on"}}
}

// Setting gives a variable a value.
func (s *Script) Setting(name, value string) { s.vars[name] = value }

// Next returns the next step; ok is false at the end.
func (s *Script) Next() (step Step, ok bool) {
	var b strings.Builder
	depth := 0
	for !s.done && s.at < len(s.text) {
		rest := s.text[s.at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "\\;"):
			b.WriteByte(';')
			s.at += 2
		case c == '\\':
			if step, ok := s.command(strings.TrimSpace(b.String())); ok {
				return step, true
			}
		case c == ';' && depth <= 0 && !inBody(b.String()):
			b.WriteByte(';')
			s.at++
			if sql := strings.TrimSpace(b.String()); s.live() && sql != ";" {
				return s.withCopy(Step{SQL: sql}), true
			}
			b.Reset()
		case c == ':' && s.variable(&b):
		default:
			n := lexeme(rest, b.String())
			switch c {
			case '(':
				depth++
			case ')':
				depth--
			}
			b.WriteString(rest[:n])
			s.at += n
		}
	}
	return Step{}, false
}

func (s *Script) live() bool { return len(s.ifs) == 0 || s.ifs[len(s.ifs)-1].live }

// lexeme is the length of what stands at the front and is read as a whole: a string, a quoted name, a comment, a word.
func lexeme(s, before string) int {
	switch {
	case strings.HasPrefix(s, "--"):
		return until(s, "\n", 2)
	case strings.HasPrefix(s, "/*"):
		return comment(s)
	case s[0] == '"':
		return until(s, "\"", 1)
	case s[0] == '\'':
		word := before[len(before)-min(len(before), 2):]
		return quoted(s, strings.HasSuffix(word, "e") || strings.HasSuffix(word, "E"))
	case s[0] == '$':
		if end := strings.IndexByte(s[1:], '$'); end >= 0 && isWord(s[1:1+end]) && (end == 0 || s[1] < '0' || s[1] > '9') {
			return until(s, s[:end+2], end+2)
		}
	case isWord(s[:1]):
		n := 1
		for n < len(s) && (isWord(s[n:n+1]) || s[n] == '$') {
			n++
		}
		return n
	case strings.HasPrefix(s, "::"):
		return 2
	}
	return 1
}

// until is the length up to the end of a mark, looked for from a place.
func until(s, mark string, from int) int {
	if i := strings.Index(s[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(s)
}

func comment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func quoted(s string, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1
		}
	}
	return len(s)
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80 {
			return false
		}
	}
	return true
}

// inBody says whether a statement so far is within the BEGIN ATOMIC of a function: semicolons are parts of it.
func inBody(sql string) bool {
	words := strings.FieldsFunc(strings.ToLower(sql), func(r rune) bool { return !isWord(string(r)) })
	if len(words) == 0 || words[0] != "create" {
		return false
	}
	depth := 0
	for i, w := range words {
		switch {
		case w == "atomic" && words[i-1] == "begin", depth > 0 && w == "case":
			depth++
		case depth > 0 && w == "end":
			depth--
		}
	}
	return depth > 0
}

// variable puts the value of :name, :'name' or :"name" in.
func (s *Script) variable(b *strings.Builder) bool {
	rest := s.text[s.at+1:]
	if strings.HasPrefix(rest, ":") {
		b.WriteString("::")
		s.at += 2
		return true
	}
	quote, n := "", 0
	if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		quote, n = rest[:1], 1
	}
	for n < len(rest) && isWord(rest[n:n+1]) {
		n++
	}
	value, ok := s.vars[rest[len(quote):n]]
	if !ok || quote != "" && !strings.HasPrefix(rest[n:], quote) {
		return false
	}
	if quote != "" {
		value, n = quote+strings.ReplaceAll(value, quote, quote+quote)+quote, n+1
	}
	b.WriteString(value)
	s.at += 1 + n
	return true
}

// withCopy takes the lines that follow a COPY from the client.
func (s *Script) withCopy(st Step) Step {
	words := strings.Fields(strings.ToLower(strings.TrimRight(stripComments(st.SQL), "; \n")))
	if len(words) == 0 || words[0] != "copy" {
		return st
	}
	for i, w := range words {
		if w == "from" && i+1 < len(words) && strings.HasPrefix(words[i+1], "stdin") {
			st.IsCopy = true
		}
	}
	if !st.IsCopy {
		return st
	}
	s.at += until(s.text[s.at:], "\n", 0)
	end := strings.Index("\n"+s.text[s.at:], "\n\\.\n")
	if end < 0 {
		s.done = true
		return st
	}
	st.Copy = s.text[s.at : s.at+end]
	s.at += end + len("\\.\n")
	return st
}

// stripComments removes the comments before a statement.
func stripComments(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n")
		if !strings.HasPrefix(sql, "--") && !strings.HasPrefix(sql, "/*") {
			return sql
		}
		sql = sql[lexeme(sql, ""):]
	}
}
