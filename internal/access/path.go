package access

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a path: what matches a document against it keeps one bit for each step.
const (
	MaxPathSteps = 32
	MaxPathBytes = 512
)

// StepKind is what a step of a path leads to.
type StepKind uint8

// The kinds of step.
const (
	StepName  StepKind = iota // the member of a name
	StepIndex                 // the element of a number, from 0
	StepEach                  // every member or element
	StepAny                   // any number of steps, none too
)

// Step is one step of a path.
type Step struct {
	Kind  StepKind
	Name  string // StepName
	Index int    // StepIndex
}

// Path is where something lies inside a document. The path without steps is the document itself.
type Path struct{ Steps []Step }

// ParsePath reads a path such as $.customers[*].email or **.ssn, as PathMask has it. No step is StepAny twice in a row.
func ParsePath(text string) (Path, error) {
	p := pathReader{text: text}
	if len(text) > MaxPathBytes {
		return Path{}, p.wrong(MaxPathBytes, fmt.Sprintf("a path has at most %d bytes", MaxPathBytes))
	}
	if !utf8.ValidString(text) {
		return Path{}, p.wrong(0, "it is not UTF-8")
	}
	switch {
	case strings.HasPrefix(text, "$"):
		p.at = 1
	case strings.HasPrefix(text, "**"):
		p.at = 2
		p.add(Step{Kind: StepAny})
	default:
		return Path{}, p.wrong(0, `write $ for the document, or ** for anywhere in it: $.customers[*].email, **.ssn`)
	}
	for p.at < len(text) {
		if err := p.step(); err != nil {
			return Path{}, err
		}
		if len(p.steps) > MaxPathSteps {
			return Path{}, p.wrong(p.at, fmt.Sprintf("a path has at most %d steps", MaxPathSteps))
		}
	}
	return Path{p.steps}, nil
}

// String writes a path so that ParsePath gives it again.
func (p Path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range p.Steps {
		switch s.Kind {
		case StepName:
			if i := strings.IndexFunc(s.Name, notPlain); i < 0 && s.Name != "" {
				b.WriteString("." + s.Name)
				continue
			}
			b.WriteString(`["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Name) + `"]`)
		case StepIndex:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case StepEach:
			b.WriteString("[*]")
		case StepAny:
			b.WriteString(".**")
		}
	}
	return b.String()
}

// pathReader reads a path from left to right.
type pathReader struct {
	text  string
	at    int
	steps []Step
}

func (p *pathReader) wrong(at int, why string) error {
	return fmt.Errorf("path %.80q, at byte %d: %s", p.text, at+1, why)
}

func (p *pathReader) add(s Step) {
	if n := len(p.steps); s.Kind == StepAny && n > 0 && p.steps[n-1].Kind == StepAny {
		return // twice any number of steps is any number of steps
	}
	p.steps = append(p.steps, s)
}

func (p *pathReader) step() error {
	rest := p.text[p.at:]
	switch {
	case strings.HasPrefix(rest, ".**"):
		p.at += 3
		p.add(Step{Kind: StepAny})
	case strings.HasPrefix(rest, ".*"):
		p.at += 2
		p.add(Step{Kind: StepEach})
	case strings.HasPrefix(rest, ".."):
		return p.wrong(p.at, "write .** for any number of steps")
	case rest[0] == '.':
		return p.name()
	case strings.HasPrefix(rest, "[*]"):
		p.at += 3
		p.add(Step{Kind: StepEach})
	case strings.HasPrefix(rest, `["`):
		return p.quoted()
	case rest[0] == '[':
		return p.index()
	default:
		return p.wrong(p.at, `a step is .name, ["name"], [3], [*], .* or .**`)
	}
	return nil
}

// name reads a plain name after its point.
func (p *pathReader) name() error {
	from := p.at + 1
	n := strings.IndexFunc(p.text[from:], notPlain)
	if n < 0 {
		n = len(p.text) - from
	}
	if n == 0 {
		return p.wrong(from, `a name is missing; write one that has other characters than letters, digits, "_", "-" and "@" as ["odd name"]`)
	}
	p.add(Step{Kind: StepName, Name: p.text[from : from+n]})
	p.at = from + n
	return nil
}

// notPlain tells the characters that a name has only in quotes.
func notPlain(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '@', r >= utf8.RuneSelf:
		return false
	}
	return true
}

// quoted reads ["name"], in which \" and \\ stand for a quote and a backslash.
func (p *pathReader) quoted() error {
	var name strings.Builder
	for i := p.at + 2; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '"':
			if !strings.HasPrefix(p.text[i+1:], "]") {
				return p.wrong(i+1, `after the quote that ends a name comes ]; a quote inside of it is \"`)
			}
			p.add(Step{Kind: StepName, Name: name.String()})
			p.at = i + 2
			return nil
		case '\\':
			i++
			if i == len(p.text) || (p.text[i] != '"' && p.text[i] != '\\') {
				return p.wrong(i, `inside a name, write \" for a quote and \\ for a backslash`)
			}
			name.WriteByte(p.text[i])
		default:
			name.WriteByte(c)
		}
	}
	return p.wrong(p.at, `a name in quotes does not end: write ["name"]`)
}

// index reads [3].
func (p *pathReader) index() error {
	digits, _, closed := strings.Cut(p.text[p.at+1:], "]")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !closed || err != nil || (len(digits) > 1 && digits[0] == '0') {
		return p.wrong(p.at+1, `in brackets stands the number of an element, *, or a name in quotes: [3], [*], ["name"]`)
	}
	p.add(Step{Kind: StepIndex, Index: int(n)})
	p.at += len(digits) + 2
	return nil
}
