package pgsql

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// result is what a query gives. known is false where the number of columns is not known; then any may hold anything
// that spread may hold.
type result struct {
	cols  []column
	known bool
}

// all is the lineage of every column together.
func (r result) all() value {
	v := value{total: true, open: !r.known}
	for _, c := range r.cols {
		v = merge(v, c.val)
	}
	return v
}

// scope is what names mean at one place of a statement.
type scope struct {
	up      *scope   // the query around, whose columns are in reach too
	entries []*entry // the FROM list so far
	ctes    *ctes
	windows []*pg.Node // the WINDOW clause
}

// entry is one element of a FROM list: a relation, a subquery, a join.
type entry struct {
	cols  []column // what an unqualified name or * reaches, in order
	items []*item  // what a qualified name reaches
	known bool     // false: it has columns that are not known
}

// item is something that a qualified name can mean.
type item struct {
	name   string
	schema string // where it is a relation without alias
	cols   []column
	rest   *value    // where columns are not known: what any of them may be
	rel    *relation // where it is a stored relation

	written map[string]value // a target's columns by their own names: what the statement writes to them
}

// ctes are the WITH queries in reach, innermost first.
type ctes struct {
	up   *ctes
	name string
	cte  *cte
}

type cte struct {
	def       *pg.CommonTableExpr
	sc        *scope // where its query is read
	done      bool
	busy      bool
	recursive bool
	res       result
}

func (w *work) findCTE(c *ctes, name string) *cte {
	for hops := 1; c != nil && (hops%cheap != 0 || w.step(1)); c, hops = c.up, hops+1 {
		if c.name == name {
			return c.cte
		}
	}
	return nil
}

// inner is the scope of a subquery.
func (sc *scope) inner() *scope { return &scope{up: sc, ctes: sc.ctes} }

// query analyses any statement that gives rows: a SELECT, VALUES, or a data-modifying statement with RETURNING.
func (w *work) query(n *pg.Node, sc *scope) result {
	if !w.step(1) {
		return result{}
	}
	switch q := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return w.selectStmt(q.SelectStmt, sc)
	case *pg.Node_InsertStmt:
		return w.insert(q.InsertStmt, sc)
	case *pg.Node_UpdateStmt:
		return w.update(q.UpdateStmt, sc)
	case *pg.Node_DeleteStmt:
		return w.delete(q.DeleteStmt, sc)
	case *pg.Node_MergeStmt:
		return w.merge(q.MergeStmt, sc)
	}
	w.opaque("a query of a kind that is not known here")
	return result{}
}

// selectStmt analyses a SELECT, VALUES or set operation whose names are read in sc.
func (w *work) selectStmt(q *pg.SelectStmt, sc *scope) result {
	if !w.step(1) {
		return result{}
	}
	sc = w.with(q.WithClause, sc)
	var r result
	switch {
	case q.Op != pg.SetOperation_SETOP_NONE:
		r = w.setOperation(q, sc)
	case len(q.ValuesLists) > 0:
		r = w.values(q.ValuesLists, sc.inner())
	default:
		return w.simpleSelect(q, sc)
	}
	own := sc.inner()
	own.entries = []*entry{{cols: r.cols, known: r.known}}
	w.orderBy(q.SortClause, own, r)
	w.limits(q, own)
	w.locking(q, own)
	w.into(q.IntoClause, r)
	return r
}

func (w *work) setOperation(q *pg.SelectStmt, sc *scope) result {
	l, r := w.selectStmt(q.Larg, sc), w.selectStmt(q.Rarg, sc)
	out := unite(l, r)
	if !q.All {
		w.test(out.all())
	}
	return out
}

// unite merges the columns of two queries by position.
func unite(l, r result) result {
	if !l.known || !r.known || len(l.cols) != len(r.cols) {
		v := merge(l.all(), r.all())
		v.open = true
		return result{cols: []column{{val: v}}}
	}
	out := result{cols: make([]column, len(l.cols)), known: true}
	for i := range l.cols {
		out.cols[i] = column{name: l.cols[i].name, val: either(l.cols[i].val, r.cols[i].val)}
	}
	return out
}

// either is one value or the other, as it is.
func either(a, b value) value {
	v := merge(a, b)
	if a.bare && b.bare && a.typ == b.typ && a.from.has(b.from) && b.from.has(a.from) {
		v.bare, v.typ = true, a.typ
	}
	if kindOf(a) == kindOf(b) {
		v.kind = kindOf(a)
	}
	v.size = max(a.size, b.size)
	return v
}

func (w *work) values(lists []*pg.Node, sc *scope) result {
	var cols []column
	for i, l := range lists {
		items := l.GetList().GetItems()
		if i == 0 {
			cols = make([]column, len(items))
			for k := range cols {
				cols[k] = column{name: "column" + strconv.Itoa(k+1), val: value{total: true}}
			}
		}
		if len(items) != len(cols) {
			return result{cols: cols}
		}
		for k, e := range items {
			if e.GetSetToDefault() != nil {
				continue
			}
			v := w.expr(e, sc)
			c := &cols[k].val
			longest := max(c.size, v.size)
			*c = merge(*c, v)
			c.size = longest
		}
	}
	return result{cols: cols, known: true}
}

// simpleSelect analyses SELECT ... FROM ... without set operations.
func (w *work) simpleSelect(q *pg.SelectStmt, outer *scope) result {
	sc := outer.inner()
	sc.windows = q.WindowClause
	for _, f := range q.FromClause {
		sc.entries = append(sc.entries, w.from(f, sc))
	}
	w.filter(q.WhereClause, sc)
	r := w.targets(q.TargetList, sc)
	for _, g := range q.GroupClause {
		w.groupBy(g, sc, r)
	}
	w.where(q.HavingClause, sc)
	for _, d := range q.WindowClause {
		w.test(w.window(d.GetWindowDef(), sc))
	}
	w.distinct(q.DistinctClause, sc, r)
	w.orderBy(q.SortClause, sc, r)
	w.limits(q, sc)
	w.locking(q, sc)
	w.into(q.IntoClause, r)
	return r
}

// where analyses a condition: whatever it reads is tested.
func (w *work) where(n *pg.Node, sc *scope) {
	if n == nil {
		return
	}
	v := w.expr(n, sc)
	w.bind(v)
	w.test(v)
}

// maxTargets is the server's own limit of columns in a query (MaxTupleAttributeNumber).
const maxTargets = 1664

// targets analyses a target list.
func (w *work) targets(list []*pg.Node, sc *scope) result {
	r := result{known: true}
	if len(list) > maxTargets {
		w.opaque("a query of more columns than the server allows")
		return result{}
	}
	for _, n := range list {
		t := n.GetResTarget()
		if t == nil {
			w.opaque("a result column of a kind that is not known here")
			continue
		}
		if cols, known, ok := w.star(t.Val, sc); ok {
			r.cols = append(r.cols, cols...)
			r.known = r.known && known
			if len(r.cols) > maxTargets {
				w.opaque("a query of more columns than the server allows")
				return result{}
			}
			continue
		}
		v := w.expr(t.Val, sc)
		w.bind(v)
		if w.returnsSet(t.Val) {
			w.test(v)
		}
		name := t.Name
		if name == "" {
			name = columnName(t.Val)
		}
		r.cols = append(r.cols, column{name: name, val: v})
		if !w.step(1 + len(v.from)) {
			return result{}
		}
	}
	return r
}

// star expands *, t.* and (row).*; ok is false for anything else.
func (w *work) star(n *pg.Node, sc *scope) (cols []column, known, ok bool) {
	if ref := n.GetColumnRef(); ref != nil {
		parts, isStar := nameParts(ref.Fields)
		if !isStar {
			return nil, false, false
		}
		cols, known = w.starOf(parts, sc)
		return cols, known, true
	}
	ind := n.GetAIndirection()
	if ind == nil || len(ind.Indirection) == 0 || ind.Indirection[len(ind.Indirection)-1].GetAStar() == nil {
		return nil, false, false
	}
	v := w.indirect(w.expr(ind.Arg, sc), ind.Indirection[:len(ind.Indirection)-1], sc)
	if v.row == nil {
		return []column{{val: merge(v, value{})}}, false, true
	}
	return v.row, true, true
}

func (w *work) starOf(parts []string, sc *scope) (cols []column, known bool) {
	if len(parts) == 0 {
		known = true
		for _, e := range sc.entries {
			cols, known = append(cols, e.cols...), known && e.known
		}
		w.readColumns(cols)
		return cols, known
	}
	it := w.findItem(parts, sc)
	if it == nil {
		w.opaque("the name " + parts[len(parts)-1] + ".* cannot be resolved")
		return nil, false
	}
	w.readColumns(it.cols)
	return it.cols, it.rest == nil
}

// groupBy tests what a GROUP BY element groups by: an ordinal, an expression, or a grouping set of them.
func (w *work) groupBy(n *pg.Node, sc *scope, r result) {
	if g := n.GetGroupingSet(); g != nil {
		for _, c := range g.Content {
			w.groupBy(c, sc, r)
		}
		return
	}
	if row := n.GetRowExpr(); row != nil {
		for _, a := range row.Args {
			w.groupBy(a, sc, r)
		}
		return
	}
	if name, ok := simpleName(n); ok && w.known(name, sc) {
		w.where(n, sc)
		return
	}
	w.sortKey(n, sc, r)
}

// sortKey tests what a sort or group key reads: an output by ordinal or name, else an expression.
func (w *work) sortKey(n *pg.Node, sc *scope, r result) {
	w.step(len(r.cols) / cheap)
	if k := n.GetAConst(); k != nil {
		w.matters = true
		if i := int(k.GetIval().GetIval()); i >= 1 && i <= len(r.cols) && r.known {
			w.test(r.cols[i-1].val)
			return
		}
		w.test(r.all())
		return
	}
	if name, ok := simpleName(n); ok {
		found := !r.known
		for _, c := range r.cols {
			if c.name == name {
				w.test(c.val)
				found = true
			}
		}
		if found && r.known {
			return
		}
	}
	w.where(n, sc)
}

func (w *work) orderBy(list []*pg.Node, sc *scope, r result) {
	for _, n := range list {
		s := n.GetSortBy()
		if s == nil {
			w.opaque("an ORDER BY of a kind that is not known here")
			continue
		}
		if len(s.UseOp) > 0 {
			w.operator(s.UseOp)
		}
		w.sortKey(s.Node, sc, r)
	}
}

// distinct tests every output, or the expressions of DISTINCT ON.
func (w *work) distinct(list []*pg.Node, sc *scope, r result) {
	if len(list) == 0 {
		return
	}
	if list[0].GetNode() == nil {
		w.test(r.all())
		return
	}
	for _, n := range list {
		w.sortKey(n, sc, r)
	}
}

func (w *work) limits(q *pg.SelectStmt, sc *scope) {
	w.where(q.LimitCount, sc)
	w.where(q.LimitOffset, sc)
}

// locking records FOR UPDATE and its like, on the relations that it names or all of this query.
func (w *work) locking(q *pg.SelectStmt, sc *scope) {
	for _, n := range q.LockingClause {
		l := n.GetLockingClause()
		if len(l.GetLockedRels()) == 0 {
			for _, e := range sc.entries {
				for _, it := range e.items {
					w.lockItem(it)
				}
			}
			continue
		}
		for _, ln := range l.GetLockedRels() {
			if it := w.findItem([]string{ln.GetRangeVar().GetRelname()}, &scope{entries: sc.entries}); it != nil {
				w.lockItem(it)
			}
		}
	}
}

// lockItem records the lock of one FROM item's rows. The rows of a subquery's own relations are locked too: they are
// named by the Select of the same statement, and the lock is recorded on the connection.
func (w *work) lockItem(it *item) {
	if it.rel != nil {
		w.act(verbLockRows, it.rel.resource, nil)
		return
	}
	w.actOn(verbLockRows)
}

// with reads a WITH clause and returns the scope in which its names are in reach.
func (w *work) with(c *pg.WithClause, sc *scope) *scope {
	if c == nil {
		return sc
	}
	out := &scope{up: sc.up, entries: sc.entries, ctes: sc.ctes}
	all := make([]*cte, 0, len(c.Ctes))
	for _, n := range c.Ctes {
		def := n.GetCommonTableExpr()
		if def == nil {
			w.opaque("a WITH query of a kind that is not known here")
			continue
		}
		all = append(all, &cte{def: def, recursive: c.Recursive})
	}
	if c.Recursive {
		for _, t := range all {
			out.ctes = &ctes{out.ctes, t.def.Ctename, t}
		}
	}
	for _, t := range all {
		t.sc = &scope{up: out.up, entries: out.entries, ctes: out.ctes}
		if !c.Recursive {
			out.ctes = &ctes{out.ctes, t.def.Ctename, t}
		}
	}
	for _, t := range all {
		w.cte(t)
	}
	return out
}

// cte analyses a WITH query once. A recursive one is read until its lineage no longer grows.
func (w *work) cte(t *cte) result {
	if t.done || t.busy {
		return t.res
	}
	t.busy = true
	defer func() { t.busy, t.done = false, true }()
	sel := t.def.Ctequery.GetSelectStmt()
	if !t.recursive || sel == nil || sel.Op == pg.SetOperation_SETOP_NONE {
		t.res = w.named(w.query(t.def.Ctequery, t.sc), t.def)
		return t.res
	}
	inner := w.with(sel.WithClause, t.sc)
	rows := w.selectStmt(sel.Larg, inner)
	for {
		t.res = w.named(rows, t.def)
		before := size(rows)
		rows = unite(rows, w.selectStmt(sel.Rarg, inner))
		for i := range rows.cols {
			rows.cols[i].val.size = sizeHuge // each turn may make it longer
		}
		if !sel.All {
			w.test(rows.all())
		}
		if !w.step(before+1) || size(rows) == before {
			break
		}
	}
	t.res = w.named(rows, t.def)
	w.orderBy(sel.SortClause, inner.inner(), t.res)
	w.limits(sel, inner.inner())
	return t.res
}

// size counts what lineage has found: it only grows.
func size(r result) int {
	n := len(r.cols)
	if !r.known {
		n++
	}
	for _, c := range r.cols {
		n += len(c.val.from)
		if c.val.open {
			n++
		}
	}
	return n
}

// named gives a WITH query's columns the names of its definition, and the columns of SEARCH and CYCLE.
func (w *work) named(r result, def *pg.CommonTableExpr) result {
	out := result{known: r.known, cols: rename(r.cols, stringsOf(def.Aliascolnames))}
	if s := def.SearchClause; s != nil && !hasColumn(out.cols, s.SearchSeqColumn) {
		out.cols = append(out.cols, column{name: s.SearchSeqColumn, val: out.all()})
	}
	if c := def.CycleClause; c != nil && !hasColumn(out.cols, c.CycleMarkColumn) {
		all := out.all()
		out.cols = append(out.cols, column{name: c.CycleMarkColumn, val: all}, column{name: c.CyclePathColumn, val: all})
	}
	return out
}

func hasColumn(cols []column, name string) bool {
	for _, c := range cols {
		if c.name == name {
			return true
		}
	}
	return false
}

// rename returns columns under new names, as far as there are any. What an alias renames is no longer read as a stored
// column under its own name, but comes from it all the same.
func rename(cols []column, names []string) []column {
	out := make([]column, len(cols), len(cols)+3)
	copy(out, cols)
	for i, name := range names {
		if i < len(out) {
			out[i].name = name
		}
	}
	return out
}
