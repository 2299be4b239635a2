package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// restricts says whether a condition can restrict the rows of a target: some part of it that must hold compares a column
// of the target with something else. It errs towards false: what always holds (true, 1 = 1, id = id, id IS NOT NULL
// where it cannot be null, id >= id - 1, name LIKE '%', a subquery on the target's own column) does not restrict, nor does what is too clever to see
// through (CASE, COALESCE, functions of constants).
func restricts(n *pg.Node, it *item) bool {
	return n != nil && narrows(n, it, false)
}

// restricts is the function of that name; where it looked at a pattern, the pattern matters.
func (w *work) restricts(n *pg.Node, it *item) restriction {
	walk(n, func(m *pg.Node) {
		if isLike(m.GetAExpr()) {
			w.matters = true
		}
	})
	return restriction(restricts(n, it))
}

// restriction is whether a condition can restrict the rows of a target.
type restriction bool

// isLike tells LIKE and ILIKE, by word.
func isLike(e *pg.A_Expr) bool {
	return e.GetKind() == pg.A_Expr_Kind_AEXPR_LIKE || e.GetKind() == pg.A_Expr_Kind_AEXPR_ILIKE
}

// narrows is restricts under an even or odd number of NOTs.
func narrows(n *pg.Node, it *item, not negation) bool {
	switch e := n.GetNode().(type) {
	case *pg.Node_BoolExpr:
		return narrowsBool(e.BoolExpr, it, not)
	case *pg.Node_AExpr:
		return narrowsOperation(e.AExpr, it, not)
	case *pg.Node_NullTest:
		return narrowsNull(e.NullTest, it, not)
	case *pg.Node_BooleanTest:
		_, plain := e.BooleanTest.Arg.GetNode().(*pg.Node_ColumnRef)
		return plain && len(targetColumns(e.BooleanTest.Arg, it)) > 0
	case *pg.Node_SubLink:
		return narrowsSubLink(e.SubLink, it)
	case *pg.Node_ColumnRef:
		return len(targetColumns(n, it)) > 0
	case *pg.Node_CurrentOfExpr:
		return true
	}
	return false
}

// negation is whether a condition stands under an odd number of NOTs.
type negation bool

func narrowsBool(b *pg.BoolExpr, it *item, not negation) bool {
	if b.Boolop == pg.BoolExprType_NOT_EXPR {
		return narrows(b.Args[0], it, !not)
	}
	// Under NOT, AND and OR change places.
	if all := (b.Boolop == pg.BoolExprType_AND_EXPR) == bool(not); all {
		for _, a := range b.Args {
			if !narrows(a, it, not) {
				return false
			}
		}
		return true
	}
	for _, a := range b.Args {
		if narrows(a, it, not) {
			return true
		}
	}
	return false
}

// narrowsOperation holds where one side reads columns of the target that the other does not read too.
func narrowsOperation(e *pg.A_Expr, it *item, not negation) bool {
	l, r := targetColumns(e.Lexpr, it), targetColumns(e.Rexpr, it)
	if len(l) == 0 && len(r) == 0 {
		return false
	}
	for _, c := range l {
		if slices.Contains(r, c) {
			return false
		}
	}
	if isLike(e) {
		pattern := e.Rexpr.GetAConst()
		return bool(not) || pattern == nil || strings.Trim(pattern.GetSval().GetSval(), "%") != ""
	}
	return !foldsAway(e.Lexpr) && !foldsAway(e.Rexpr)
}

// narrowsNull holds for IS NULL, and for IS NOT NULL of a column that can be null.
func narrowsNull(t *pg.NullTest, it *item, not negation) bool {
	cols := targetColumns(t.Arg, it)
	if (t.Nulltesttype == pg.NullTestType_IS_NULL) != bool(not) {
		return len(cols) > 0
	}
	if _, plain := t.Arg.GetNode().(*pg.Node_ColumnRef); !plain || len(cols) != 1 || it.rel == nil {
		return false
	}
	i, ok := it.rel.byName[cols[0]]
	return ok && !it.rel.columns[i].notNull
}

// foldsAway finds a column that is multiplied or combined in a way that may make its value not matter.
func foldsAway(n *pg.Node) bool {
	e := n.GetAExpr()
	if e == nil {
		return n.GetCaseExpr() != nil || n.GetCoalesceExpr() != nil || n.GetMinMaxExpr() != nil
	}
	switch lastString(e.Name) {
	case "*", "%", "&", "^", "/":
		return true
	}
	return e.Lexpr != nil && foldsAway(e.Lexpr) || e.Rexpr != nil && foldsAway(e.Rexpr)
}

// narrowsSubLink holds for IN and EXISTS over another relation, or over the target with a condition.
func narrowsSubLink(s *pg.SubLink, it *item) bool {
	sel := s.Subselect.GetSelectStmt()
	if sel == nil || sel.Op != pg.SetOperation_SETOP_NONE || len(sel.FromClause) == 0 {
		return sel != nil && len(sel.ValuesLists) > 0 && len(targetColumns(s.Testexpr, it)) > 0
	}
	switch s.SubLinkType {
	case pg.SubLinkType_ANY_SUBLINK:
		if len(targetColumns(s.Testexpr, it)) == 0 {
			return false
		}
		return !readsRelation(sel.FromClause, it) || sel.WhereClause != nil && restricts(sel.WhereClause, &item{}) || sel.LimitCount != nil
	case pg.SubLinkType_EXISTS_SUBLINK:
		return sel.WhereClause != nil && len(targetColumns(sel.WhereClause, it)) > 0
	}
	return false
}

// readsRelation says whether a FROM list names the target's own relation.
func readsRelation(from []*pg.Node, it *item) bool {
	found := false
	for _, f := range from {
		walk(f, func(m *pg.Node) {
			if rv := m.GetRangeVar(); rv != nil && it.rel != nil && rv.Relname == it.rel.name {
				found = true
			}
		})
	}
	return found
}

// targetColumns are the names of the target's columns that an expression reads. An item without a relation stands for
// any: every column counts.
func targetColumns(n *pg.Node, it *item) []string {
	var names []string
	walk(n, func(m *pg.Node) {
		ref := m.GetColumnRef()
		if ref == nil {
			return
		}
		parts, _ := nameParts(ref.Fields)
		if len(parts) == 0 {
			return
		}
		name := parts[len(parts)-1]
		if len(parts) > 1 && it.name != "" && parts[len(parts)-2] != it.name {
			return
		}
		if it.rel == nil || hasColumn(it.cols, name) || isSystemColumn(name) {
			names = append(names, name)
		}
	})
	return names
}

// walk visits every node below n, n among them, as far as expressions and FROM lists go.
func walk(n *pg.Node, visit func(*pg.Node)) {
	if n == nil || n.GetNode() == nil {
		return
	}
	walkMessage(n, visit)
}

func walkMessage(m proto.Message, visit func(*pg.Node)) {
	if n, ok := m.(*pg.Node); ok {
		visit(n)
	}
	m.ProtoReflect().Range(rangeChildren(visit))
}
