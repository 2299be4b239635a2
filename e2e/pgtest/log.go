package pgtest

import (
	"bytes"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
)

// Logged is one statement as the server's own log shows it.
type Logged struct {
	User     string
	Database string
	Text     string
}

// statements is what was read of the log so far: it grows to tens of megabytes, and tests ask again and again.
type statements struct {
	mu   sync.Mutex
	read int64 // bytes
	all  []Logged
	open bool // the last line began a statement, and may go on
}

// Statements reads every statement that the server logged so far, in its order: what the backend saw.
func (s *Server) Statements() ([]Logged, error) {
	l := &s.statements
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.Open(s.LogFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.NewSectionReader(f, l.read, math.MaxInt64-l.read))
	if err != nil {
		return nil, err
	}
	raw = raw[:bytes.LastIndexByte(raw, '\n')+1] // the server may be in the middle of a line
	l.read += int64(len(raw))
	for line := range strings.Lines(string(raw)) {
		l.add(strings.TrimSuffix(line, "\n"))
	}
	return slices.Clone(l.all), nil
}

func (l *statements) add(line string) {
	if rest, ok := strings.CutPrefix(line, "\t"); ok && l.open {
		l.all[len(l.all)-1].Text += "\n" + rest
		return
	}
	var who, text string
	if who, text, l.open = statement(line); l.open {
		user, database, _ := strings.Cut(who, "@")
		l.all = append(l.all, Logged{user, database, text})
	}
}

// statement reads a line with the prefix of config.go's log_line_prefix that begins a statement. Regular expressions would
// take most of a test's time, where statements are long and the race detector looks on.
func statement(line string) (who, text string, ok bool) {
	stamp, rest, ok := strings.Cut(line, "] ")
	if !ok || !strings.Contains(stamp, " UTC [") {
		return "", "", false
	}
	kind, rest, _ := strings.Cut(rest, ":  ")
	who, kind, ok = strings.Cut(kind, " ")
	if !ok { // of the server itself
		who, kind = "", who
	}
	if text, ok := strings.CutPrefix(rest, "statement: "); ok {
		return who, text, kind == "LOG"
	}
	rest, ok = strings.CutPrefix(rest, "execute ")
	_, text, named := strings.Cut(rest, ": ")
	return who, text, ok && named && kind == "LOG"
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
