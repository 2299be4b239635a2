package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// copy is COPY: a query or a relation, to or from the client, a file of the server, or a program of the server.
func (w *work) copy(s *pg.CopyStmt) {
	w.an.Verb, w.an.Tag = "Copy", "COPY"
	c := &Copy{Format: "text", OutputsKnown: true}
	w.copyOptions(s.Options, c)
	switch {
	case s.IsProgram:
		w.actOn(verbCopyProg)
		w.effects, w.an.ChangesState = true, true
	case s.Filename != "" && s.IsFrom:
		w.actOn(verbCopyFrom)
	case s.Filename != "":
		w.actOn(verbCopyTo)
	default:
		c.FromClient, c.ToClient = s.IsFrom, !s.IsFrom
		w.an.Copy = c
	}
	r := w.copyResult(s)
	c.Outputs, c.OutputsKnown = w.outputs(r.cols), r.known
	if !s.IsFrom && (s.IsProgram || s.Filename != "") {
		w.copyInto(r.all(), nil)
	}
}

// copyResult are the columns that a COPY moves.
func (w *work) copyResult(s *pg.CopyStmt) result {
	if s.Query != nil {
		return w.query(s.Query, &scope{})
	}
	if s.IsFrom {
		it := w.target(s.Relation, verbInsert)
		r := result{known: it.rel != nil}
		for _, name := range w.copyColumns(s, it) {
			to := w.writes(verbInsert, it, name)
			r.cols = append(r.cols, column{name: name, val: value{from: to, total: true}})
		}
		w.where(s.WhereClause, &scope{entries: []*entry{one(it)}})
		return r
	}
	e := w.rangeVar(s.Relation, &scope{})
	r := result{known: e.known}
	for _, name := range w.copyColumns(s, e.items[0]) {
		v := w.fieldOf(e.items[0], name)
		r.cols = append(r.cols, column{name: name, val: v})
	}
	return r
}

// copyColumns are the columns that are named, or all.
func (w *work) copyColumns(s *pg.CopyStmt, it *item) []string {
	if names := stringsOf(s.Attlist); len(names) > 0 {
		return names
	}
	names := make([]string, len(it.cols))
	for i, c := range it.cols {
		names[i] = c.name
	}
	return names
}

func (w *work) copyOptions(options []*pg.Node, c *Copy) {
	for _, n := range options {
		d := n.GetDefElem()
		text := optionText(d)
		switch d.GetDefname() {
		case "format":
			c.Format = strings.ToLower(text)
		case "delimiter":
			c.Delimiter = text
		case "null":
			c.Null, c.NullSet = text, true
		case "quote":
			c.Quote = text
		case "escape":
			c.Escape = text
		case "header":
			c.Header = "true"
			if text != "" {
				c.Header = strings.ToLower(text)
			}
		case "encoding":
			c.Encoding = text
		}
	}
}

// createTableAs is CREATE TABLE AS and CREATE MATERIALIZED VIEW.
func (w *work) createTableAs(s *pg.CreateTableAsStmt) {
	verb := verbCreateTab
	if s.Objtype == pg.ObjectType_OBJECT_MATVIEW {
		verb = verbCreateMat
	}
	w.an.Verb, w.an.Tag = verb, ""
	if s.Query.GetExecuteStmt() != nil {
		w.execute(s.Query.GetExecuteStmt())
		w.an.Verb, w.an.ReturnsRows = verb, false
		w.opaque("a table is created from a prepared statement")
		w.createFrom(verb, s.Into.GetRel(), result{known: true})
		return
	}
	w.createFrom(verb, s.Into.GetRel(), w.query(s.Query, &scope{}))
}
