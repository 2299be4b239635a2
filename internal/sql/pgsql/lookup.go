package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// A lookup finds rows by the whole value of a column: column = constant, as one of the conditions that must all hold, of a
// statement on one table. All that it tells is whether a value that its sender knows already is there. Whatever is in any
// other form, or looks a column up twice, is tested.

// lookupsOf returns the condition of a statement whose parts may be lookups: of a SELECT, UPDATE or DELETE on one relation,
// without WITH.
func lookupsOf(n *pg.Node) *pg.Node {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		q := s.SelectStmt
		if q.WithClause == nil && q.IntoClause == nil && len(q.FromClause) == 1 && q.FromClause[0].GetRangeVar() != nil {
			return q.WhereClause
		}
	case *pg.Node_UpdateStmt:
		if q := s.UpdateStmt; q.WithClause == nil && len(q.FromClause) == 0 {
			return q.WhereClause
		}
	case *pg.Node_DeleteStmt:
		if q := s.DeleteStmt; q.WithClause == nil && len(q.UsingClause) == 0 {
			return q.WhereClause
		}
	}
	return nil
}

// filter analyses the WHERE of a query: part by part where parts may be lookups.
func (w *work) filter(n *pg.Node, sc *scope) {
	if n == nil || n != w.lookups || w.view || !ofOneTable(sc) {
		w.where(n, sc)
		return
	}
	w.conjunct(n, sc)
}

// ofOneTable says whether a FROM list is one stored table of a user: a view may show a column under a condition of its own.
func ofOneTable(sc *scope) bool {
	if len(sc.entries) != 1 || len(sc.entries[0].items) != 1 {
		return false
	}
	rel := sc.entries[0].items[0].rel
	return rel != nil && (rel.kind == 'r' || rel.kind == 'p') && rel.schema != "pg_catalog" && rel.schema != "information_schema"
}

// conjunct analyses one of the conditions that must all hold. That one may fail where another is false is nothing that the
// rows found would not tell.
func (w *work) conjunct(n *pg.Node, sc *scope) {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR && w.step(1) {
		for _, a := range b.Args {
			w.conjunct(a, sc)
		}
		return
	}
	e := n.GetAExpr()
	if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || lastString(e.Name) != "=" || !w.lookup(e.Lexpr, e.Rexpr, sc) && !w.lookup(e.Rexpr, e.Lexpr, sc) {
		w.where(n, sc)
		return
	}
	v := w.expr(n, sc) // an operator that is not the server's own, or may fail, tests
	w.bind(v)
	for _, id := range v.from {
		if w.looked.has(fieldSet{id}) {
			w.test(v)
		}
	}
	if v.open {
		w.test(v)
	}
	w.looked = w.looked.union(v.from)
}

// lookup says whether col is a whole stored column, of a type whose = compares whole values, and n one constant.
func (w *work) lookup(col, n *pg.Node, sc *scope) bool {
	if col.GetColumnRef() == nil {
		return false
	}
	v := w.columnRef(col.GetColumnRef(), sc)
	if !v.bare || v.open || v.row != nil {
		return false
	}
	if k := kindOf(v); k != kindText && k != kindScalar && (v.typ == 0 || v.typ != w.c.citext) {
		return false
	}
	return w.constantValue(n)
}

// constantValue says whether n is one literal or one parameter, which some drivers call a text.
func (w *work) constantValue(n *pg.Node) bool {
	if c := n.GetTypeCast(); c != nil {
		name := lastString(c.TypeName.GetNames())
		if total, _ := w.castTo(c.TypeName); !total || name != "text" && name != "varchar" || len(c.TypeName.GetTypmods()) > 0 {
			return false
		}
		n = c.Arg
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
}
