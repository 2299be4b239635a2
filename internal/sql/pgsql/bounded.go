package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// narrowing looks at whether a condition can restrict the rows of a target: some part of it that must hold compares a column
// of the target with something else. It errs towards false: what always holds (true, 1 = 1, id = id, id IS NOT NULL where
// it cannot be null, id >= id - 1, name LIKE '%', a comparison with every row of the target itself) does not restrict, nor
// does what is too clever to see through (CASE, COALESCE, functions of constants). What compares with a constant does,
// whatever the constant is: how many rows it leaves only the server knows.
type narrowing struct {
	w    *work
	it   *item
	ctes map[string]*pg.Node // the WITH queries in reach
	busy map[string]bool     // those that are being looked at
	full map[string]bool     // the other sources of the statement, by alias: whether each may hold every row of the target
}

// narrowing is what the condition of a statement on a target is read with; from are its other sources.
func (w *work) narrowing(it *item, with *pg.WithClause, from ...*pg.Node) *narrowing {
	b := &narrowing{w: w, it: it, ctes: map[string]*pg.Node{}, busy: map[string]bool{}, full: map[string]bool{}}
	b.define(with)
	for _, f := range from {
		b.source(f, "")
	}
	return b
}

// any is a narrowing for which every column counts.
func (b *narrowing) any() *narrowing {
	return &narrowing{w: b.w, it: &item{}, ctes: b.ctes, busy: b.busy, full: map[string]bool{}}
}

// restricts says whether a condition can restrict the rows of the target.
func (b *narrowing) restricts(n *pg.Node) restriction {
	walk(n, func(m *pg.Node) {
		if isPattern(m.GetAExpr()) {
			b.w.matters = true // the pattern is looked at
		}
	})
	b.restrictSources(n)
	return restriction(n != nil && b.narrows(n, false))
}

// restriction is whether a condition can restrict the rows of a target.
type restriction bool

// isLike tells LIKE and ILIKE, by word.
func isLike(e *pg.A_Expr) bool {
	return e.GetKind() == pg.A_Expr_Kind_AEXPR_LIKE || e.GetKind() == pg.A_Expr_Kind_AEXPR_ILIKE
}

// isPattern tells whatever compares with a pattern.
func isPattern(e *pg.A_Expr) bool {
	return isLike(e) || e.GetKind() == pg.A_Expr_Kind_AEXPR_SIMILAR || strings.Contains(lastString(e.GetName()), "~")
}

// narrows is restricts under an even or odd number of NOTs.
func (b *narrowing) narrows(n *pg.Node, not negation) bool {
	switch e := n.GetNode().(type) {
	case *pg.Node_BoolExpr:
		return b.narrowsBool(e.BoolExpr, not)
	case *pg.Node_AExpr:
		return b.narrowsOperation(e.AExpr, not)
	case *pg.Node_NullTest:
		return b.narrowsNull(e.NullTest, not)
	case *pg.Node_BooleanTest:
		_, plain := e.BooleanTest.Arg.GetNode().(*pg.Node_ColumnRef)
		return plain && len(targetColumns(e.BooleanTest.Arg, b.it)) > 0
	case *pg.Node_SubLink:
		return b.narrowsSubLink(e.SubLink)
	case *pg.Node_ColumnRef:
		return len(targetColumns(n, b.it)) > 0
	case *pg.Node_CurrentOfExpr:
		return true
	}
	return false
}

// negation is whether a condition stands under an odd number of NOTs.
type negation bool

func (b *narrowing) narrowsBool(e *pg.BoolExpr, not negation) bool {
	if e.Boolop == pg.BoolExprType_NOT_EXPR {
		return b.narrows(e.Args[0], !not)
	}
	// Under NOT, AND and OR change places.
	if all := (e.Boolop == pg.BoolExprType_AND_EXPR) == bool(not); all {
		for _, a := range e.Args {
			if !b.narrows(a, not) {
				return false
			}
		}
		return !complementary(e.Args, b.it)
	}
	for _, a := range e.Args {
		if b.narrows(a, not) {
			return true
		}
	}
	return false
}

// complementary finds two alternatives that together may always hold: id = 1 OR id <> 1, n < 5 OR n >= 5.
func complementary(args []*pg.Node, it *item) bool {
	seen := map[string]string{}
	for _, a := range args {
		d := direction(a)
		for _, c := range targetColumns(a, it) {
			if old, ok := seen[c]; ok && (d == "not" || old == "not" || d != old && d != "is" && old != "is") {
				return true
			}
			if seen[c] != "not" {
				seen[c] = d
			}
		}
	}
	return false
}

// direction is what a condition leaves of a column: some values (is), all but some (not), those below or above one.
func direction(n *pg.Node) string {
	if n.GetBoolExpr().GetBoolop() == pg.BoolExprType_NOT_EXPR {
		return "not"
	}
	switch lastString(n.GetAExpr().GetName()) {
	case "<>", "!~~", "!~~*", "!~", "!~*":
		return "not"
	case "<", "<=":
		return "below"
	case ">", ">=":
		return "above"
	}
	if n.GetNullTest().GetNulltesttype() == pg.NullTestType_IS_NOT_NULL {
		return "not"
	}
	return "is"
}

// narrowsOperation holds where one side reads columns of the target that the other does not read too, in no form.
func (b *narrowing) narrowsOperation(e *pg.A_Expr, not negation) bool {
	l, r := targetColumns(e.Lexpr, b.it), targetColumns(e.Rexpr, b.it)
	if len(l) == 0 && len(r) == 0 {
		return false
	}
	for _, c := range l {
		if slices.Contains(r, c) {
			return false
		}
	}
	one := e.Kind == pg.A_Expr_Kind_AEXPR_OP && lastString(e.Name) == "="
	if len(l) > 0 && b.reachesAll(e.Rexpr, one) || len(r) > 0 && b.reachesAll(e.Lexpr, one) {
		return false
	}
	if isPattern(e) {
		return bool(not) || !matchesAll(e.Rexpr)
	}
	return !foldsAway(e.Lexpr) && !foldsAway(e.Rexpr)
}

// matchesAll finds patterns that hold nothing but signs: they may match whatever there is.
func matchesAll(n *pg.Node) bool {
	if f := n.GetFuncCall(); f != nil && len(f.Args) > 0 {
		n = f.Args[0] // SIMILAR TO, and LIKE with ESCAPE, hand their pattern to a function
	}
	c := n.GetAConst()
	return c != nil && strings.Trim(c.GetSval().GetSval(), "%_.*^$()|?+") == ""
}

// narrowsNull holds for IS NULL, and for IS NOT NULL of a column that can be null.
func (b *narrowing) narrowsNull(t *pg.NullTest, not negation) bool {
	cols := targetColumns(t.Arg, b.it)
	if (t.Nulltesttype == pg.NullTestType_IS_NULL) != bool(not) {
		return len(cols) > 0
	}
	if _, plain := t.Arg.GetNode().(*pg.Node_ColumnRef); !plain || len(cols) != 1 || b.it.rel == nil {
		return false
	}
	i, ok := b.it.rel.byName[cols[0]]
	return ok && !b.it.rel.columns[i].notNull
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
func (b *narrowing) narrowsSubLink(s *pg.SubLink) bool {
	sel := s.Subselect.GetSelectStmt()
	if sel == nil {
		return false
	}
	b.define(sel.WithClause)
	switch s.SubLinkType {
	case pg.SubLinkType_ANY_SUBLINK:
		return len(targetColumns(s.Testexpr, b.it)) > 0 && !b.everyRow(s.Subselect)
	case pg.SubLinkType_EXISTS_SUBLINK:
		if sel.Op != pg.SetOperation_SETOP_NONE || len(sel.FromClause) == 0 || sel.WhereClause == nil {
			return false
		}
		in := &narrowing{w: b.w, it: b.it, ctes: b.ctes, busy: b.busy, full: map[string]bool{}}
		if b.everyRow(s.Subselect) {
			for _, f := range sel.FromClause {
				in.source(f, "")
			}
		}
		return in.narrows(sel.WhereClause, false)
	}
	return false
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
		if it.rel == nil || it.varies(name) || name == "ctid" {
			names = append(names, name)
		}
	})
	return names
}

// varies says whether a target has a column that may differ from row to row. What a view computes may be the same for all.
func (it *item) varies(name string) bool {
	for _, c := range it.cols {
		if c.name == name {
			return it.rel.kind != 'v' || c.val.bare
		}
	}
	return false
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
