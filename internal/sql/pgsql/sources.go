package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// define makes WITH queries known by their names.
func (b *narrowing) define(c *pg.WithClause) {
	for _, n := range c.GetCtes() {
		if def := n.GetCommonTableExpr(); def != nil {
			b.ctes[def.Ctename] = def.Ctequery
		}
	}
}

// source notes whether a part of a FROM list may hold every row of the target; alias is the one of a join around it.
func (b *narrowing) source(n *pg.Node, alias string) {
	full, name := false, ""
	switch f := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		full, name = b.relationIsFull(f.RangeVar), f.RangeVar.Relname
		if a := f.RangeVar.Alias.GetAliasname(); a != "" {
			name = a
		}
	case *pg.Node_RangeSubselect:
		full, name = b.everyRow(f.RangeSubselect.Subquery), f.RangeSubselect.Alias.GetAliasname()
	case *pg.Node_JoinExpr:
		if a := f.JoinExpr.Alias.GetAliasname(); a != "" {
			alias = a
		}
		b.source(f.JoinExpr.Larg, alias)
		b.source(f.JoinExpr.Rarg, alias)
		return
	}
	b.full[name] = b.full[name] || full
	if alias != "" {
		b.full[alias] = b.full[alias] || full
	}
}

// relationIsFull says whether a name in FROM may hold every row of the target: it is the target, a view of it, or a WITH
// query over it.
func (b *narrowing) relationIsFull(rv *pg.RangeVar) bool {
	if q, ok := b.ctes[rv.Relname]; ok && rv.Schemaname == "" {
		if b.busy[rv.Relname] {
			return false // a recursive one: its other arm tells
		}
		b.busy[rv.Relname] = true
		defer delete(b.busy, rv.Relname)
		return b.everyRow(q)
	}
	rel, _ := b.w.c.lookup(b.w.s, rv.Schemaname, rv.Relname)
	if rel == nil || b.it.rel == nil {
		return false
	}
	return rel == b.it.rel || b.w.step(len(rel.columns)) && len(rel.columns) > 0 && overlap(rel, b.it.rel)
}

// overlap says whether two relations hold columns of the same stored one.
func overlap(x, y *relation) bool {
	for i := range x.columns {
		for k := range y.columns {
			for _, id := range x.columns[i].val.from {
				if y.columns[k].val.from.has(fieldSet{id}) {
					return true
				}
			}
		}
	}
	return false
}

// everyRow says whether a query may give something for every row of the target: it reads the target, or nothing but the
// row at hand, and neither a condition nor a LIMIT keeps rows out.
func (b *narrowing) everyRow(n *pg.Node) bool {
	sel := n.GetSelectStmt()
	if sel == nil || len(sel.ValuesLists) > 0 || isLimit(sel.LimitCount) || !b.w.step(1) {
		return false
	}
	b.define(sel.WithClause)
	if sel.Op != pg.SetOperation_SETOP_NONE {
		left := b.everyRow(selectNode(sel.Larg))
		return left || sel.Op == pg.SetOperation_SETOP_UNION && b.everyRow(selectNode(sel.Rarg))
	}
	if len(sel.FromClause) == 0 || b.givesTarget(sel) {
		return b.readsTarget(sel.TargetList, len(sel.FromClause) == 0)
	}
	if sel.WhereClause != nil && b.any().narrows(sel.WhereClause, false) {
		return false
	}
	in := &narrowing{w: b.w, it: b.it, ctes: b.ctes, busy: b.busy, full: map[string]bool{}}
	for _, f := range sel.FromClause {
		in.source(f, "")
	}
	for _, full := range in.full {
		if full {
			return true
		}
	}
	return false
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}

// isLimit says whether a LIMIT is one: LIMIT ALL and LIMIT NULL are not.
func isLimit(n *pg.Node) bool { return n != nil && !n.GetAConst().GetIsnull() }

// givesTarget says whether a query's outputs name the target itself, and not a source of the query's own.
func (b *narrowing) givesTarget(sel *pg.SelectStmt) bool {
	if b.it.name == "" || !b.readsTarget(sel.TargetList, false) {
		return false
	}
	own := &narrowing{w: b.w, it: b.it, ctes: b.ctes, busy: b.busy, full: map[string]bool{}}
	for _, f := range sel.FromClause {
		own.source(f, "")
	}
	_, hidden := own.full[b.it.name]
	return !hidden
}

// readsTarget says whether a list reads columns of the target; bare names count only where there is no other source.
func (b *narrowing) readsTarget(list []*pg.Node, alone bool) bool {
	found := false
	for _, n := range list {
		walk(n, func(m *pg.Node) {
			ref := m.GetColumnRef()
			if ref == nil {
				return
			}
			parts, _ := nameParts(ref.Fields)
			if len(parts) > 1 && parts[len(parts)-2] == b.it.name || len(parts) == 1 && alone {
				found = true
			}
		})
	}
	return found
}

// reachesAll says whether an expression reads from a source that may hold every row of the target. A subquery that gives
// one value is none where the comparison is with that one.
func (b *narrowing) reachesAll(n *pg.Node, one bool) bool {
	found, any := false, false
	for _, full := range b.full {
		any = any || full
	}
	walk(n, func(m *pg.Node) {
		if s := m.GetSubLink(); s != nil && (s.SubLinkType != pg.SubLinkType_EXPR_SUBLINK || !one) {
			found = found || b.everyRow(s.Subselect)
		}
		ref := m.GetColumnRef()
		if ref == nil || !any {
			return
		}
		parts, _ := nameParts(ref.Fields)
		switch {
		case len(parts) > 1:
			found = found || b.full[parts[len(parts)-2]]
		case len(parts) == 1 && (b.it.rel == nil || !hasColumn(b.it.cols, parts[0])):
			found = true
		}
	})
	return found
}

// restrictSources notes which sources a condition keeps rows of the target out of: a part that must hold compares a column of
// the source with what is no column.
func (b *narrowing) restrictSources(n *pg.Node) {
	if e := n.GetBoolExpr(); e != nil && e.Boolop == pg.BoolExprType_AND_EXPR {
		for _, a := range e.Args {
			b.restrictSources(a)
		}
		return
	}
	e := n.GetAExpr()
	if e == nil {
		return
	}
	for name, full := range b.full {
		of := &item{name: name}
		if !full || len(targetColumns(e.Rexpr, &item{})) > 0 || len(qualified(e.Lexpr, name)) == 0 {
			continue
		}
		only := &narrowing{w: b.w, it: of, ctes: b.ctes, busy: b.busy, full: map[string]bool{}}
		b.full[name] = !only.narrowsOperation(e, false)
	}
}

// qualified are the columns that an expression names with an alias before them.
func qualified(n *pg.Node, alias string) []string {
	var names []string
	walk(n, func(m *pg.Node) {
		if parts, _ := nameParts(m.GetColumnRef().GetFields()); len(parts) > 1 && parts[len(parts)-2] == alias {
			names = append(names, parts[len(parts)-1])
		}
	})
	return names
}
