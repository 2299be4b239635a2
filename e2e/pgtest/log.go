package pgtest

import (
	"os"
	"regexp"
	"strings"
)

// Logged is one statement as the server's own log shows it.
type Logged struct {
	User     string
	Database string
	Text     string
}

// logLine matches the prefix of config.go's log_line_prefix, then the kind of line.
var logLine = regexp.MustCompile(`^\S+ \S+ UTC \[\d+\] (?:([^@ ]*)@(\S*) )?([A-Z]+[0-9]*):  (.*)$`)

var statementLine = regexp.MustCompile(`^(?:statement|execute [^:]*): `)

// Statements reads every statement that the server logged so far, in its order: what the backend saw.
func (s *Server) Statements() ([]Logged, error) {
	raw, err := os.ReadFile(s.LogFile)
	if err != nil {
		return nil, err
	}
	var all []Logged
	open := false // the last line began a statement, and may go on
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "\t"); ok && open {
			all[len(all)-1].Text += "\n" + rest
			continue
		}
		m := logLine.FindStringSubmatch(line)
		open = m != nil && m[3] == "LOG" && statementLine.MatchString(m[4])
		if open {
			all = append(all, Logged{m[1], m[2], statementLine.ReplaceAllString(m[4], "")})
		}
	}
	return all, nil
}

// Log returns the whole log, for tests that look for what must not be in it.
func (s *Server) Log() (string, error) {
	raw, err := os.ReadFile(s.LogFile)
	return string(raw), err
}

// logTail is the end of the log, for error messages.
func (s *Server) logTail() string {
	const most = 2000
	raw, _ := os.ReadFile(s.LogFile) // no log, no tail
	return string(raw[max(0, len(raw)-most):])
}
