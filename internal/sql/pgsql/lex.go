package pgsql

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// isLiteral tells the tokens that carry a value.
func isLiteral(t pg.Token) bool {
	switch t {
	case pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST, pg.Token_ICONST, pg.Token_FCONST:
		return true
	}
	return false
}

func isComment(t pg.Token) bool { return t == pg.Token_SQL_COMMENT || t == pg.Token_C_COMMENT }

// depth is a running bound on how deep the parser's tree can get. Brackets and CASE nest; operators, joins and set
// operations lean to the left, so that each one of a chain is a level too. Commas, AND, OR and the words that
// begin a clause end a chain of operators: the grammar keeps what they separate flat.
type depth struct {
	levels []depthLevel
	sum    int // of all levels but the last
	max    int
}

type depthLevel struct {
	chain  int // operators since the last separator
	joined int // set operations, joins and the like, in this whole level
	isCase bool
}

func (d *depth) add(t *pg.ScanToken) {
	if len(d.levels) == 0 {
		d.levels = append(d.levels, depthLevel{})
	}
	top := &d.levels[len(d.levels)-1]
	switch t.Token {
	case pg.Token_ASCII_40, pg.Token_ASCII_91, pg.Token_CASE: // ( [ CASE
		d.sum += top.chain + top.joined + 1
		d.levels = append(d.levels, depthLevel{isCase: t.Token == pg.Token_CASE})
	case pg.Token_ASCII_41, pg.Token_ASCII_93: // ) ]
		d.pop()
	case pg.Token_END_P:
		if top.isCase {
			d.pop()
		}
	case pg.Token_ASCII_44, pg.Token_AND, pg.Token_OR, // ,
		pg.Token_FROM, pg.Token_WHERE, pg.Token_ON, pg.Token_WHEN, pg.Token_THEN, pg.Token_ELSE:
		top.chain = 0
	case pg.Token_ASCII_59: // ;
		d.levels, d.sum = d.levels[:0], 0
	case pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_JOIN, pg.Token_SELECT, pg.Token_EXPLAIN:
		top.joined++
	case pg.Token_IDENT, pg.Token_UIDENT, pg.Token_PARAM, pg.Token_ASCII_46: // .
	default:
		if !isLiteral(t.Token) && !isComment(t.Token) {
			top.chain++
		}
	}
	if n := len(d.levels); n > 0 {
		d.max = max(d.max, d.sum+d.levels[n-1].chain+d.levels[n-1].joined)
	}
}

func (d *depth) pop() {
	if len(d.levels) < 2 {
		return
	}
	d.levels = d.levels[:len(d.levels)-1]
	top := &d.levels[len(d.levels)-1]
	d.sum -= top.chain + top.joined + 1
	top.chain++ // what follows a closed bracket may lean on it
}

// separators counts semicolons: a bound on statements, before they are parsed.
func separators(tokens []*pg.ScanToken) (n int) {
	for _, t := range tokens {
		if t.Token == pg.Token_ASCII_59 {
			n++
		}
	}
	return n
}

// textDepth bounds the depth of the tree of a text.
func textDepth(tokens []*pg.ScanToken) int {
	var d depth
	for _, t := range tokens {
		d.add(t)
	}
	return d.max
}

// literals returns the spans of a statement's literals, relative to its start.
func literals(src source) []access.Span {
	var spans []access.Span
	for _, t := range src.tokens {
		if isLiteral(t.Token) {
			spans = append(spans, access.Span{Start: int(t.Start) - src.start, End: int(t.End) - src.start})
		}
	}
	return spans
}

// parserReads says whether the parser itself looks at a literal in a statement: the number in float(n) chooses a type, and
// the string after UESCAPE spells a name.
func parserReads(src source) bool {
	for _, t := range src.tokens {
		if t.Token == pg.Token_FLOAT_P || t.Token == pg.Token_UESCAPE {
			return true
		}
	}
	return false
}

// normal renders a statement's tokens in one spacing, without comments, unquoted words in lower case and a
// question mark for each literal. Equal token sequences give equal texts, and different ones different texts.
func normal(src source) string {
	var b strings.Builder
	var prev pg.Token
	for _, t := range src.tokens {
		if isComment(t.Token) {
			continue
		}
		if b.Len() > 0 && spaceBetween(prev, t.Token) {
			b.WriteByte(' ')
		}
		switch word := src.text[t.Start:t.End]; {
		case isLiteral(t.Token):
			b.WriteByte('?')
		case t.Token == pg.Token_UIDENT || word[0] == '"':
			b.WriteString(word)
		default:
			b.WriteString(asciiLower(word))
		}
		prev = t.Token
	}
	return b.String()
}

// spaceBetween says whether a space stands between two tokens: only brackets, dots, commas and casts go without, which
// never run together with their neighbours.
func spaceBetween(a, b pg.Token) bool {
	switch a {
	case pg.Token_ASCII_40, pg.Token_ASCII_91, pg.Token_ASCII_46, pg.Token_TYPECAST:
		return false
	}
	switch b {
	case pg.Token_ASCII_41, pg.Token_ASCII_93, pg.Token_ASCII_46, pg.Token_ASCII_44, pg.Token_TYPECAST, pg.Token_ASCII_91:
		return false
	case pg.Token_ASCII_40:
		return a != pg.Token_IDENT
	}
	return true
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// fingerprint is a digest of a normal text.
func fingerprint(normal string) string {
	sum := sha256.Sum256([]byte(normal))
	return hex.EncodeToString(sum[:16])
}

// SyntaxError is the cause of a Malformed error: where the text stops making sense.
type SyntaxError struct {
	Message  string // the parser's, without any word of the text
	Full     string // the same with the words that it quotes: for who wrote the text, and never for a record
	Position int    // counted in characters from 1; 0 where not known
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Message }

// syntaxError turns the parser's error into one that may be shown.
func syntaxError(text string, err error) error {
	e := &SyntaxError{Message: "syntax error"}
	if pe, ok := parserError(err); ok {
		e.Message, e.Full, e.Position = bareMessage(pe.Message), pe.Message, characters(text, pe.Cursorpos)
	}
	say := e.Message
	if e.Position > 0 {
		say += " at character " + itoa(e.Position)
	}
	return &fault.Error{Op: "pgsql.Analyze", Kind: fault.Malformed, Say: say, Err: e}
}

// bareMessage removes what the parser quotes of the text, which may be a value.
func bareMessage(m string) string {
	m, _, _ = strings.Cut(m, " at or near ")
	if i := strings.IndexAny(m, "\"'`"); i >= 0 || len(m) > 120 {
		return "syntax error"
	}
	return m
}

// characters turns the parser's position, in bytes from 1 or characters, into one that is within the text.
func characters(text string, pos int) int {
	if pos <= 0 {
		return 0
	}
	return min(pos, len(text)+1)
}
