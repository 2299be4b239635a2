package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// viewBudget bounds the work of expanding one view; a view that costs more is not proven.
const viewBudget = 200_000

// expandViews follows the definition of every view down to stored columns, once for the whole catalogue.
func (c *Catalogue) expandViews() {
	for _, schema := range c.relations {
		for _, r := range schema {
			c.expand(r)
		}
	}
}

// expand makes each column of a view stand for what its definition reads as well. What cannot be followed is open.
func (c *Catalogue) expand(r *relation) {
	if r.expanded || r.kind != 'v' && r.kind != 'm' || r.schema == "pg_catalog" || r.schema == "information_schema" {
		return
	}
	if r.expanding {
		return
	}
	r.expanding = true
	res := c.definition(r)
	for i := range r.columns {
		col := &r.columns[i]
		v := value{open: true}
		if res.known && len(res.cols) == len(r.columns) {
			v = res.cols[i].val
		}
		col.val = value{from: v.from.with(col.id), open: v.open, bare: v.bare, total: true, typ: col.typ, size: sizeColumn}
	}
	r.expanding, r.expanded = false, true
}

// definition analyses a view's own query in the path in which the server rendered it.
func (c *Catalogue) definition(r *relation) result {
	if r.definition == "" || len(r.definition) > 1<<20 || scanCost(r.definition) > maxScanCost {
		return result{}
	}
	tokens, err := scanText(r.definition)
	if err != nil || textDepth(tokens) > 1000 {
		return result{}
	}
	tree, err := parseText(r.definition)
	if err != nil || len(tree.Stmts) != 1 {
		return result{}
	}
	for _, name := range relationNames(tree.Stmts[0].Stmt) {
		if of, _ := c.lookup(&State{Path: c.path}, name[0], name[1]); of != nil {
			c.expand(of)
		}
	}
	r.bases, r.followed = c.basesOf(tree.Stmts[0].Stmt), true
	budget := viewBudget
	w := newWork(c, &State{Path: c.path}, source{text: r.definition, end: len(r.definition)}, &budget)
	w.view = true
	res := w.query(tree.Stmts[0].Stmt, &scope{})
	if budget <= 0 {
		return result{}
	}
	r.reads = r.reads || w.effects
	r.writes = r.writes || w.effects
	return res
}

// basesOf are the relations that a write to a view could reach: the one that it selects from, where it is so simple that
// the server writes through it, else all that it mentions.
func (c *Catalogue) basesOf(n *pg.Node) []*relation {
	names := relationNames(n)
	if from := n.GetSelectStmt().GetFromClause(); len(from) == 1 && from[0].GetRangeVar() != nil {
		rv := from[0].GetRangeVar()
		names = [][2]string{{rv.Schemaname, rv.Relname}}
	}
	var out []*relation
	for _, name := range names {
		if of, _ := c.lookup(&State{Path: c.path}, name[0], name[1]); of != nil {
			out = append(out, of)
		}
	}
	return out
}

// relationNames are the schemas and names of every relation that a statement mentions.
func relationNames(n *pg.Node) [][2]string {
	var names [][2]string
	walk(n, func(m *pg.Node) {
		if rv := m.GetRangeVar(); rv != nil {
			names = append(names, [2]string{rv.Schemaname, rv.Relname})
		}
	})
	return names
}
