package policy

import (
	"fmt"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Problem is one thing that is wrong with one document. Compile joins all of them into one error; Problems takes them
// apart again.
type Problem struct {
	Kind  string // the document's kind
	Name  string // the document's name
	Path  string // where in the document, as in "statements[2].condition": counted from 0, as positions in a file are
	Say   string // what is wrong and what to write instead
	Caret string // for conditions: the line of the condition, and below it a caret; otherwise empty
}

// Error returns the problem with its place.
func (p *Problem) Error() string {
	s := p.Kind + " " + p.Name
	if p.Path != "" {
		s += ": " + p.Path
	}
	s += ": " + p.Say
	if p.Caret != "" {
		s += "\n" + p.Caret
	}
	return s
}

// Unwrap gives the problem its kind: a document that does not compile is Malformed, and its author may read why.
func (p *Problem) Unwrap() error {
	return fault.New(fault.Malformed, "policy.Compile", "%s", p.Error())
}

// Problems returns the problems in an error of Compile, in the order of the documents.
func Problems(err error) []*Problem {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() []error }:
		var all []*Problem
		for _, inner := range e.Unwrap() {
			all = append(all, Problems(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	}
	return nil
}

// report collects problems of one document.
type report struct {
	kind, name string
	all        *[]error
}

func (r report) add(path, format string, args ...any) {
	*r.all = append(*r.all, &Problem{Kind: r.kind, Name: r.name, Path: path, Say: fmt.Sprintf(format, args...)})
}

func (r report) condition(path string, found []conditionError) {
	for _, e := range found {
		*r.all = append(*r.all, &Problem{Kind: r.kind, Name: r.name, Path: path, Say: e.say, Caret: e.caret})
	}
}

func (c *compiler) on(d access.Document) report {
	return report{kind: d.DocKind(), name: d.DocName(), all: &c.problems}
}
