package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// statement analyses one statement and returns what was understood.
func (w *work) statement(n *pg.Node) *Analysis {
	w.lookups = lookupsOf(n)
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		w.an.Verb, w.an.Tag = verbSelect, "SELECT"
		w.rows(w.query(n, &scope{}))
		if s.SelectStmt.IntoClause != nil {
			w.an.ReturnsRows, w.an.Outputs = false, nil
		}
	case *pg.Node_InsertStmt:
		w.an.Verb, w.an.Tag = verbInsert, "INSERT"
		w.returns(s.InsertStmt.ReturningList, w.query(n, &scope{}))
	case *pg.Node_UpdateStmt:
		w.an.Verb, w.an.Tag = verbUpdate, "UPDATE"
		w.returns(s.UpdateStmt.ReturningList, w.query(n, &scope{}))
		w.an.WritesEstimate = !w.params && !w.effects
	case *pg.Node_DeleteStmt:
		w.an.Verb, w.an.Tag = verbDelete, "DELETE"
		w.returns(s.DeleteStmt.ReturningList, w.query(n, &scope{}))
		w.an.WritesEstimate = !w.params && !w.effects
	case *pg.Node_MergeStmt:
		w.an.Verb, w.an.Tag = "Merge", "MERGE"
		w.returns(s.MergeStmt.ReturningList, w.query(n, &scope{}))
		w.an.WritesEstimate = !w.params && !w.effects
	default:
		w.matters = true // options, names and settings are literals here
		w.utility(n)
	}
	return w.finish()
}

// rows sets the outputs of a statement that answers with rows.
func (w *work) rows(r result) {
	w.an.ReturnsRows = true
	w.an.OutputsKnown = r.known
	if r.known {
		w.an.Outputs = w.outputs(r.cols)
	}
}

func (w *work) returns(list []*pg.Node, r result) {
	if len(list) > 0 {
		w.rows(r)
	}
}

// into is SELECT ... INTO: it creates a table from the query's columns.
func (w *work) into(into *pg.IntoClause, r result) {
	if into == nil {
		return
	}
	w.createFrom(verbCreateTab, into.Rel, r)
}

// createFrom records that an object is made from the columns of a query.
func (w *work) createFrom(verb string, rv *pg.RangeVar, r result) {
	all := r.all()
	p := w.pending(verb, w.newResource(rv))
	p.foreign = p.foreign.union(all.from)
	w.copyInto(all, nil)
	w.an.ChangesCatalogue = true
	w.an.ChangesState = true
}
