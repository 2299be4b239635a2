package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// target resolves the relation that a statement writes, and what writing it runs.
func (w *work) target(rv *pg.RangeVar, verbs ...string) *item {
	rel := w.relation(rv)
	if rel == nil {
		open := value{open: true}
		return &item{name: rv.GetRelname(), rest: &open}
	}
	for _, v := range verbs {
		w.act(v, rel.resource, nil)
		w.relate(v, rv, rel)
	}
	w.effects = w.effects || rel.writes
	w.remote(rel)
	w.an.ChangesState = w.an.ChangesState || rel.writes
	if rel.rules {
		w.opaque("the relation " + rel.name + " has rewrite rules")
	}
	if w.isServers(rel) {
		w.opaque("the relation " + rel.name + " is the server's own")
	}
	it := w.relationItem(rel)
	if rv.Alias != nil {
		it.schema = ""
	}
	return w.aliased(it, result{it.cols, true}, rv.Alias)
}

// field finds a column of the target by its own name, whatever an alias calls it.
func (it *item) field(name string) (fieldSet, bool) {
	if it.rel == nil {
		return nil, it.rest != nil
	}
	i, ok := it.rel.byName[name]
	if !ok {
		return nil, false
	}
	return fieldSet{it.rel.columns[i].id}, true
}

// writes records that a verb writes a column, and returns the fields that it stands for.
func (w *work) writes(verb string, it *item, name string) fieldSet {
	w.step(len(it.cols) / cheap)
	id, ok := it.field(name)
	if !ok {
		w.opaque("the column " + name + " is not known")
		return nil
	}
	if it.rel != nil {
		w.act(verb, it.rel.resource, id)
		w.relateFields(verb, w.standsFor(id))
	}
	return w.standsFor(id)
}

// standsFor is a column with every field that it stands for.
func (w *work) standsFor(ids fieldSet) fieldSet {
	out := ids
	for _, id := range ids {
		rel := w.c.fields[id].rel
		for i := range rel.columns {
			if rel.columns[i].id == id {
				out = out.union(rel.columns[i].val.from)
			}
		}
	}
	return out
}

func (w *work) insert(q *pg.InsertStmt, sc *scope) result {
	sc = w.with(q.WithClause, sc)
	it := w.target(q.Relation, verbInsert)
	var src result
	if q.SelectStmt != nil {
		src = w.query(q.SelectStmt, sc)
	} else {
		src = result{known: true}
	}
	w.insertColumns(q.Cols, it, src, sc)
	own := &scope{up: sc, ctes: sc.ctes, entries: []*entry{one(it)}}
	w.onConflict(q.OnConflictClause, it, src, own)
	return w.returning(q.ReturningList, returningScope(own, it))
}

// insertColumns pairs what is inserted with where it goes.
func (w *work) insertColumns(cols []*pg.Node, it *item, src result, sc *scope) {
	names := make([]string, 0, len(cols))
	for _, n := range cols {
		t := n.GetResTarget()
		names = append(names, t.GetName())
		w.indirect(value{total: true}, t.GetIndirection(), sc)
	}
	if len(cols) == 0 && it.rel != nil {
		for i := range it.rel.columns {
			if !src.known || i < len(src.cols) {
				names = append(names, it.rel.columns[i].name)
			}
		}
	}
	for i, name := range names {
		to := w.writes(verbInsert, it, name)
		switch {
		case !src.known:
			w.copyInto(src.all(), to)
			it.assigned(name, src.all())
		case i < len(src.cols):
			w.copyInto(src.cols[i].val, to)
			it.assigned(name, src.cols[i].val)
		}
	}
	if src.known && len(src.cols) > len(names) {
		for _, c := range src.cols[len(names):] {
			w.copyInto(c.val, nil)
		}
	}
}

func (w *work) onConflict(c *pg.OnConflictClause, it *item, src result, sc *scope) {
	if c == nil {
		return
	}
	if c.Infer != nil {
		for _, n := range c.Infer.IndexElems {
			e := n.GetIndexElem()
			if e.GetExpr() != nil {
				w.where(e.Expr, sc)
				continue
			}
			w.where(columnNode(e.GetName()), sc)
		}
		w.where(c.Infer.WhereClause, sc)
	}
	if c.Infer == nil || c.Infer.Conname != "" { // any unique key may be meant
		for _, col := range it.cols {
			if _, written := it.written[col.name]; written {
				w.test(col.val)
			}
		}
	}
	excluded := &item{name: "excluded", cols: make([]column, len(it.cols)), rest: it.rest}
	all := src.all()
	for i, col := range it.cols {
		v := merge(col.val, value{from: all.from, open: all.open, total: true})
		excluded.cols[i] = column{name: col.name, val: v}
	}
	both := &scope{up: sc.up, ctes: sc.ctes, entries: []*entry{one(it), {items: []*item{excluded}, known: true}}}
	if c.Action == pg.OnConflictAction_ONCONFLICT_UPDATE {
		if it.rel != nil {
			w.act(verbUpdate, it.rel.resource, nil)
			w.relate(verbUpdate, nil, it.rel)
		}
		w.set(c.TargetList, it, verbUpdate, both)
	}
	w.where(c.WhereClause, both)
}

func columnNode(name string) *pg.Node {
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{
		Fields: []*pg.Node{{Node: &pg.Node_String_{String_: &pg.String{Sval: name}}}},
	}}}
}

// set analyses the assignments of an UPDATE.
func (w *work) set(list []*pg.Node, it *item, verb string, sc *scope) {
	values := map[string]value{}
	for _, n := range list {
		t := n.GetResTarget()
		if t == nil {
			w.opaque("an assignment of a kind that is not known here")
			continue
		}
		to := w.writes(verb, it, t.Name)
		w.indirect(value{total: true}, t.Indirection, sc)
		v := w.expr(t.Val, sc)
		w.bind(v)
		w.copyInto(v, to)
		values[t.Name] = v
		if !v.total {
			w.test(v)
		}
	}
	for name, v := range values {
		it.assigned(name, v)
	}
}

// assigned makes a column of the target come from what was written to it too, because RETURNING shows that.
func (it *item) assigned(name string, v value) {
	if it.written == nil {
		it.written = map[string]value{}
	}
	if old, ok := it.written[name]; ok {
		v = merge(old, v)
	}
	it.written[name] = v
}

// afterwards is the target as RETURNING sees it.
func (it *item) afterwards() *item {
	out := *it
	out.cols = make([]column, len(it.cols))
	for i, c := range it.cols {
		out.cols[i] = c
		name := c.name
		if it.rel != nil && i < len(it.rel.columns) {
			name = it.rel.columns[i].name // an alias may have renamed it
		}
		if v, ok := it.written[name]; ok && (len(v.from) > 0 || v.open) {
			if !c.val.from.has(v.from) || v.open {
				out.cols[i].val = merge(c.val, v)
			}
		}
	}
	return &out
}

// returningScope is own with the target as it is afterwards.
func returningScope(own *scope, it *item) *scope {
	return &scope{up: own.up, ctes: own.ctes, entries: append([]*entry{one(it.afterwards())}, own.entries[1:]...)}
}

func (w *work) returning(list []*pg.Node, sc *scope) result {
	if len(list) == 0 {
		return result{known: true}
	}
	return w.targets(list, sc)
}

func (w *work) update(q *pg.UpdateStmt, sc *scope) result {
	sc = w.with(q.WithClause, sc)
	it := w.target(q.Relation, verbUpdate)
	own := &scope{up: sc, ctes: sc.ctes, entries: []*entry{one(it)}}
	for _, f := range q.FromClause {
		own.entries = append(own.entries, w.from(f, own))
	}
	w.set(q.TargetList, it, verbUpdate, own)
	w.filter(q.WhereClause, own)
	w.bounded(q.WhereClause, it, q.WithClause, q.FromClause)
	return w.returning(q.ReturningList, returningScope(own, it))
}

func (w *work) delete(q *pg.DeleteStmt, sc *scope) result {
	sc = w.with(q.WithClause, sc)
	it := w.target(q.Relation, verbDelete)
	own := &scope{up: sc, ctes: sc.ctes, entries: []*entry{one(it)}}
	for _, f := range q.UsingClause {
		own.entries = append(own.entries, w.from(f, own))
	}
	w.filter(q.WhereClause, own)
	w.bounded(q.WhereClause, it, q.WithClause, q.UsingClause)
	return w.returning(q.ReturningList, returningScope(own, it))
}

func (w *work) bounded(where *pg.Node, it *item, with *pg.WithClause, from []*pg.Node) {
	if w.view {
		return
	}
	w.an.Bounded = w.an.Bounded && bool(w.narrowing(it, with, from...).restricts(where))
}

func (w *work) merge(q *pg.MergeStmt, sc *scope) result {
	sc = w.with(q.WithClause, sc)
	it := w.target(q.Relation)
	own := &scope{up: sc, ctes: sc.ctes, entries: []*entry{one(it)}}
	own.entries = append(own.entries, w.from(q.SourceRelation, own))
	w.where(q.JoinCondition, own)
	b := w.narrowing(it, q.WithClause, q.SourceRelation)
	joined := b.restricts(q.JoinCondition)
	for _, n := range q.MergeWhenClauses {
		c := n.GetMergeWhenClause()
		if c == nil {
			w.opaque("a MERGE clause of a kind that is not known here")
			continue
		}
		w.where(c.Condition, own)
		w.mergeAction(c, joined, b, own)
	}
	return w.returning(q.ReturningList, returningScope(own, it))
}

// mergeAction is what one WHEN clause does. joined says whether the join restricts the target.
func (w *work) mergeAction(c *pg.MergeWhenClause, joined restriction, b *narrowing, sc *scope) {
	verb, it := "", b.it
	switch c.CommandType {
	case pg.CmdType_CMD_INSERT:
		verb = verbInsert
		w.relate(verb, nil, it.rel)
		src := result{known: true}
		for _, v := range c.Values {
			if v.GetSetToDefault() != nil {
				src.cols = append(src.cols, column{val: value{total: true}})
				continue
			}
			src.cols = append(src.cols, column{val: w.expr(v, sc)})
		}
		w.insertColumns(c.TargetList, it, src, sc)
	case pg.CmdType_CMD_UPDATE:
		verb = verbUpdate
		w.relate(verb, nil, it.rel)
		w.set(c.TargetList, it, verbUpdate, sc)
	case pg.CmdType_CMD_DELETE:
		verb = verbDelete
		w.relate(verb, nil, it.rel)
	case pg.CmdType_CMD_NOTHING:
		return
	default:
		w.opaque("a MERGE action of a kind that is not known here")
		return
	}
	if it.rel != nil {
		w.act(verb, it.rel.resource, nil)
	}
	if verb != verbInsert {
		if c.MatchKind == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE {
			joined = false // every row that the source does not name
		}
		w.an.Bounded = w.an.Bounded && bool(joined || b.restricts(c.Condition))
	}
}
