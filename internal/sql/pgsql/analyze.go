package pgsql

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"gatehouse/internal/fault"
)

// Limits bound what one text may cost. Zero values mean the defaults.
type Limits struct {
	MaxText       int // bytes; default 1 MiB
	MaxDepth      int // levels of nesting, counted on tokens before parsing; default 1000
	MaxStatements int // in one text; default 1000
	MaxWork       int // steps of the analysis of one text; default 2,000,000
}

// Analyzer analyses texts. It is immutable and safe for concurrent use.
type Analyzer struct {
	limits Limits
}

// New returns an analyzer with limits.
func New(limits Limits) *Analyzer {
	if limits.MaxText <= 0 {
		limits.MaxText = 1 << 20
	}
	if limits.MaxDepth <= 0 {
		limits.MaxDepth = 1000
	}
	if limits.MaxStatements <= 0 {
		limits.MaxStatements = 1000
	}
	if limits.MaxWork <= 0 {
		limits.MaxWork = 2_000_000
	}
	return &Analyzer{limits: limits}
}

// Analyze understands a text as the server would, in a state. The error is Malformed where the text does not parse (its
// cause is a *SyntaxError), and Denied where the text is too long, too deep or too costly, or where the session's
// settings make it read otherwise than the parser does. What parses and is not understood is no error: it is an Opaque
// action, with Why.
func (a *Analyzer) Analyze(text string, c *Catalogue, s State) (*Batch, error) {
	if err := a.admit(text, c, &s); err != nil {
		return nil, err
	}
	tokens, err := scanText(text)
	if err != nil {
		return nil, err
	}
	if d := textDepth(tokens); d > a.limits.MaxDepth {
		return nil, denied("the statement is nested too deeply (%d levels at most); split it", a.limits.MaxDepth)
	}
	if n := separators(tokens); n >= 2*a.limits.MaxStatements {
		return nil, denied("the text holds too many statements (%d at most); send them one by one", a.limits.MaxStatements)
	}
	tree, err := parseText(text)
	if err != nil {
		return nil, err
	}
	if len(tree.Stmts) > a.limits.MaxStatements {
		return nil, denied("the text holds too many statements (%d at most); send them one by one", a.limits.MaxStatements)
	}
	return a.batch(text, tokens, tree, c, &s)
}

// admit refuses what the parser would not read as the server does, before the parser sees it.
func (a *Analyzer) admit(text string, c *Catalogue, s *State) error {
	if len(text) > a.limits.MaxText {
		return denied("the statement is too long (%d bytes at most)", a.limits.MaxText)
	}
	if scanCost(text) > maxScanCost {
		return denied("the statement holds too long runs of operators or comments; separate them by spaces")
	}
	if strings.IndexByte(text, 0) >= 0 {
		return fault.New(fault.Malformed, "pgsql.Analyze", "the statement holds a zero byte")
	}
	if !s.StandardConformingStrings && strings.IndexByte(text, '\\') >= 0 {
		return denied("a statement with a backslash needs standard_conforming_strings = on")
	}
	if isASCII(text) {
		return nil
	}
	if !encodingIsUTF8(s.ClientEncoding) || !encodingIsUTF8(c.encoding) {
		return denied("a statement with characters beyond ASCII needs client_encoding UTF8 on a UTF8 database")
	}
	if !utf8.ValidString(text) {
		return fault.New(fault.Malformed, "pgsql.Analyze", "the statement is not valid UTF-8")
	}
	return nil
}

func encodingIsUTF8(name string) bool {
	return strings.EqualFold(name, "UTF8") || strings.EqualFold(name, "UTF-8") || strings.EqualFold(name, "UNICODE")
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func denied(format string, args ...any) error {
	return fault.New(fault.Denied, "pgsql.Analyze", format, args...)
}

// batch analyses each statement of a parsed text.
func (a *Analyzer) batch(text string, tokens []*pg.ScanToken, tree *pg.ParseResult, c *Catalogue, s *State) (*Batch, error) {
	c, err := c.with(s)
	if err != nil {
		return nil, err
	}
	b := &Batch{Statements: make([]*Analysis, 0, len(tree.Stmts))}
	budget := a.limits.MaxWork
	for _, raw := range tree.Stmts {
		start, end := statementSpan(text, raw)
		w := newWork(c, s, source{text: text, tokens: tokens}.part(start, end), &budget)
		an := w.statement(raw.Stmt)
		if budget <= 0 {
			return nil, denied("the statement is too complex to be analysed; split it or use fewer columns")
		}
		b.Statements = append(b.Statements, an)
	}
	return b, nil
}

// statementSpan is where a statement stands in its batch, without the white space around it.
func statementSpan(text string, raw *pg.RawStmt) (start, end int) {
	start = min(max(int(raw.StmtLocation), 0), len(text))
	end = len(text)
	if raw.StmtLen > 0 {
		end = min(start+int(raw.StmtLen), end)
	}
	for start < end && isSpace(text[start]) {
		start++
	}
	for end > start && (isSpace(text[end-1]) || text[end-1] == ';') {
		end--
	}
	return start, end
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func parserError(err error) (*parser.Error, bool) {
	var pe *parser.Error
	return pe, errors.As(err, &pe)
}

func itoa(n int) string { return strconv.Itoa(n) }
