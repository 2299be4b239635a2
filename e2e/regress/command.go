package regress

import "strings"

// command acts on a backslash command at the present place, which ends with its line; sql is what stands before it. ok is
// false where nothing is sent.
func (s *Script) command(sql string) (step Step, ok bool) {
	end := strings.IndexByte(s.text[s.at:], '\n')
	if end < 0 {
		end = len(s.text) - s.at
	}
	line := s.text[s.at : s.at+end]
	// What ends a statement may be followed by another command on the line, or by a statement.
	s.at += end
	words := s.arguments(line)
	if s.condition(words) || !s.live() {
		return Step{}, false
	}
	switch words[0] {
	case "\\g", "\\gx", "\\gdesc", "\\crosstabview", "\\gexec":
		return s.withCopy(Step{SQL: sql}), sql != ""
	case "\\gset":
		return Step{SQL: sql, Set: true, Prefix: strings.Join(words[1:], "")}, sql != ""
	case "\\c", "\\connect":
		return Step{Connect: true}, true
	case "\\q", "\\quit":
		s.done = true
	case "\\set":
		if len(words) > 1 {
			s.vars[words[1]] = strings.Join(words[2:], "")
		}
	case "\\unset":
		if len(words) > 1 {
			delete(s.vars, words[1])
		}
	case "\\getenv":
		if len(words) > 2 {
			s.vars[words[1]] = s.env[words[2]]
		}
	}
	return Step{}, false
}

// condition acts on \if and its like.
func (s *Script) condition(words []string) bool {
	outer := len(s.ifs) < 2 || s.ifs[len(s.ifs)-2].live
	truth := len(words) > 1 && (words[1] == "t" || words[1] == "true" || words[1] == "on" || words[1] == "1" || words[1] == "yes")
	switch words[0] {
	case "\\if":
		live := s.live() && truth
		s.ifs = append(s.ifs, branch{live, live})
	case "\\elif", "\\else":
		if n := len(s.ifs) - 1; n >= 0 {
			live := outer && !s.ifs[n].taken && (truth || words[0] == "\\else")
			s.ifs[n] = branch{live, s.ifs[n].taken || live}
		}
	case "\\endif":
		if len(s.ifs) > 0 {
			s.ifs = s.ifs[:len(s.ifs)-1]
		}
	default:
		return false
	}
	return true
}

// arguments splits a command's line: words, quoted words, variables.
func (s *Script) arguments(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		n := strings.IndexAny(line, " \t")
		if n < 0 {
			n = len(line)
		}
		word := line[:n]
		switch {
		case line[0] == '\'':
			n = quoted(line, true)
			word = strings.ReplaceAll(strings.Trim(line[:n], "'"), "''", "'")
		case line[0] == ':' && n > 1:
			word = s.vars[strings.Trim(word[1:], "'\"")]
		}
		out = append(out, word)
		line = line[n:]
	}
	return out
}
