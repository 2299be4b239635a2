package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// from analyses one element of a FROM list. sc holds what stands before it, for LATERAL.
func (w *work) from(n *pg.Node, sc *scope) *entry {
	if !w.step(1) {
		return &entry{}
	}
	switch f := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		return w.rangeVar(f.RangeVar, sc)
	case *pg.Node_RangeSubselect:
		return w.subselect(f.RangeSubselect, sc)
	case *pg.Node_JoinExpr:
		return w.join(f.JoinExpr, sc)
	case *pg.Node_RangeFunction:
		return w.rangeFunction(f.RangeFunction, sc)
	case *pg.Node_RangeTableFunc:
		return w.xmlTable(f.RangeTableFunc, sc)
	case *pg.Node_JsonTable:
		return w.jsonTable(f.JsonTable, sc)
	case *pg.Node_RangeTableSample:
		return w.sample(f.RangeTableSample, sc)
	}
	w.opaque("a FROM element of a kind that is not known here")
	return &entry{}
}

// rangeVar is a relation or a WITH query.
func (w *work) rangeVar(rv *pg.RangeVar, sc *scope) *entry {
	if rv.Schemaname == "" && rv.Catalogname == "" {
		if t := w.findCTE(sc.ctes, rv.Relname); t != nil {
			r := w.cte(t)
			return one(w.aliased(&item{name: rv.Relname}, r, rv.Alias))
		}
	}
	rel := w.relation(rv)
	if rel == nil {
		open := value{open: true}
		return one(w.aliased(&item{name: rv.Relname, rest: &open}, result{}, rv.Alias))
	}
	w.reads(rel)
	it := w.relationItem(rel)
	if rv.Alias != nil {
		it.schema = ""
	}
	return one(w.aliased(it, result{it.cols, true}, rv.Alias))
}

// reads records that a relation is read, and what reading it runs.
func (w *work) reads(rel *relation) {
	w.act(w.readVerb(rel), rel.resource, nil)
	w.remote(rel)
	if rel.reads {
		w.effects = true
		w.an.ChangesState = true
	}
}

// remote notes a relation that is a foreign table, or that may lead to one.
func (w *work) remote(rel *relation) {
	leads := rel.kind == 'f' || rel.kind == 'v' || rel.kind == 'm' || len(rel.children) > 0 || rel.rules || rel.writes
	w.an.Foreign = w.an.Foreign || w.c.foreign && leads
}

// relation resolves a name as the server does; nil where that is not possible, which makes the statement Opaque.
func (w *work) relation(rv *pg.RangeVar) *relation {
	full := strings.Trim(rv.Schemaname+"."+rv.Relname, ".")
	if rv.Catalogname != "" {
		w.opaque("the relation " + full + " is named with its database: leave that out")
		return nil
	}
	rel, known := w.c.lookup(w.s, rv.Schemaname, rv.Relname)
	switch {
	case !known:
		w.opaque("the relation " + full + " is temporary, and what it holds is not known")
		return nil
	case rel == nil:
		w.opaque("the relation " + full + " is not in the catalogue")
		return nil
	}
	return rel
}

// relationItem offers a stored relation's columns.
func (w *work) relationItem(rel *relation) *item {
	it := &item{name: rel.name, schema: rel.schema, rel: rel, cols: make([]column, len(rel.columns))}
	for i := range rel.columns {
		c := &rel.columns[i]
		it.cols[i] = column{name: c.name, val: c.val, own: fieldSet{c.id}}
	}
	return it
}

// aliased gives an item its alias, and renames its columns.
func (w *work) aliased(it *item, r result, a *pg.Alias) *item {
	it.cols = r.cols
	if !r.known && it.rest == nil {
		v := r.all()
		it.rest = &v
	}
	if a != nil {
		it.name = a.Aliasname
		if names := stringsOf(a.Colnames); len(names) > 0 {
			it.cols = rename(it.cols, names)
			for i := len(it.cols); i < len(names) && it.rest != nil; i++ {
				it.cols = append(it.cols, column{name: names[i], val: *it.rest})
			}
		}
	}
	return it
}

func one(it *item) *entry {
	return &entry{cols: it.cols, items: []*item{it}, known: it.rest == nil}
}

// lateral is the scope of a subquery in FROM: what stands around the whole query, and what stands before it where LATERAL
// says so.
func lateral(sc *scope, says bool) *scope {
	if says {
		return sc
	}
	if sc.up == nil {
		return &scope{ctes: sc.ctes}
	}
	return &scope{up: sc.up.up, entries: sc.up.entries, ctes: sc.ctes}
}

func (w *work) subselect(f *pg.RangeSubselect, sc *scope) *entry {
	r := w.query(f.Subquery, lateral(sc, f.Lateral))
	return one(w.aliased(&item{}, r, f.Alias))
}

// join merges two sides; USING and NATURAL merge columns, and test them.
func (w *work) join(j *pg.JoinExpr, sc *scope) *entry {
	l := w.from(j.Larg, sc)
	r := w.from(j.Rarg, &scope{up: sc.up, entries: append(append([]*entry{}, sc.entries...), l), ctes: sc.ctes})
	e := &entry{items: append(append([]*item{}, l.items...), r.items...), known: l.known && r.known}
	names := stringsOf(j.UsingClause)
	if !w.step((len(l.cols) + len(r.cols)) * (1 + len(names)) / cheap) {
		return &entry{}
	}
	if j.IsNatural && w.step(len(l.cols)*len(r.cols)/cheap) {
		names = common(l.cols, r.cols)
		if !e.known {
			w.opaque("a NATURAL JOIN of a relation whose columns are not known")
		}
	}
	e.cols = w.usingColumns(names, l, r)
	if len(names) > 0 {
		w.operatorNamed("=")
	}
	w.where(j.Quals, &scope{up: sc.up, entries: []*entry{e}, ctes: sc.ctes})
	if j.JoinUsingAlias != nil {
		it := &item{name: j.JoinUsingAlias.Aliasname, cols: e.cols[:min(len(names), len(e.cols))]}
		e.items = append(e.items, it)
	}
	if j.Alias != nil {
		return one(w.aliased(&item{}, result{e.cols, e.known}, j.Alias))
	}
	return e
}

// usingColumns are the merged columns, then the rest of the left and of the right side.
func (w *work) usingColumns(names []string, l, r *entry) []column {
	var cols []column
	merged := map[string]bool{}
	for _, name := range names {
		a, b := namedColumns(l.cols, name), namedColumns(r.cols, name)
		if len(a) == 0 || len(b) == 0 {
			w.opaque("the column " + name + " of USING is not known")
			continue
		}
		merged[name] = true
		w.readColumns(a)
		w.readColumns(b)
		both := merge(a[0].val, b[0].val)
		w.test(both)
		w.bind(both)
		cols = append(cols, column{name: name, val: both, own: a[0].own.union(b[0].own)})
	}
	for _, side := range [2][]column{l.cols, r.cols} {
		for _, c := range side {
			if !merged[c.name] {
				cols = append(cols, c)
			}
		}
	}
	return cols
}

func namedColumns(cols []column, name string) []column {
	var out []column
	for _, c := range cols {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

func common(l, r []column) []string {
	var names []string
	for _, c := range l {
		if hasColumn(r, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// rangeFunction is a function in FROM, or ROWS FROM several.
func (w *work) rangeFunction(f *pg.RangeFunction, sc *scope) *entry {
	var r result
	r.known = true
	for _, n := range f.Functions {
		parts := n.GetList().GetItems()
		if len(parts) == 0 {
			w.opaque("a function in FROM of a kind that is not known here")
			continue
		}
		v := w.expr(parts[0], sc)
		w.test(v)
		defs := f.Coldeflist
		if len(parts) > 1 && parts[1].GetList() != nil {
			defs = parts[1].GetList().GetItems()
		}
		cols, known := w.functionColumns(parts[0], v, defs, f, len(f.Functions) == 1)
		r.cols, r.known = append(r.cols, cols...), r.known && known
	}
	if f.Ordinality {
		r.cols = append(r.cols, column{name: "ordinality", val: value{total: true}})
	}
	it := &item{name: columnNameOfFunction(f)}
	if !r.known {
		v := r.all()
		v.open = false
		for _, c := range r.cols {
			v.open = v.open || c.val.open
		}
		it.rest = &v
	}
	it = w.aliased(it, r, f.Alias)
	return one(it)
}

// functionColumns are the columns that a function in FROM gives: by its column definitions, by its known shape, or else
// one for a scalar, whose name the alias may give.
func (w *work) functionColumns(n *pg.Node, v value, defs []*pg.Node, f *pg.RangeFunction, alone bool) ([]column, bool) {
	row := v.row
	v = merge(v, value{total: true})
	if len(defs) > 0 {
		var cols []column
		for _, d := range defs {
			def := d.GetColumnDef()
			if def == nil {
				w.opaque("a column definition of a kind that is not known here")
				continue
			}
			w.typeName(def.TypeName)
			cols = append(cols, column{name: def.Colname, val: v})
		}
		return cols, true
	}
	name := columnName(n)
	if shape, ok := setShapes(name); ok {
		var cols []column
		for _, c := range shape {
			cols = append(cols, column{name: c, val: v})
		}
		return cols, true
	}
	if len(row) > 0 {
		return row, true
	}
	if !w.scalarFunction(n) {
		return []column{{name: name, val: v}}, false
	}
	if alone && f.Alias != nil && len(f.Alias.Colnames) == 0 {
		name = f.Alias.Aliasname
	}
	if un := n.GetFuncCall(); un != nil && name == "unnest" && len(un.Args) > 1 {
		cols := make([]column, len(un.Args))
		for i := range cols {
			cols[i] = column{name: "unnest", val: v}
		}
		return cols, true
	}
	return []column{{name: name, val: v}}, true
}

// setShapes are the column names of built-in functions that return rows of more than one column.
func setShapes(name string) ([]string, bool) {
	switch name {
	case "json_each", "jsonb_each", "json_each_text", "jsonb_each_text":
		return []string{"key", "value"}, true
	case "pg_get_keywords":
		return []string{"word", "catcode", "barelabel", "catdesc", "baredesc"}, true
	case "aclexplode":
		return []string{"grantor", "grantee", "privilege_type", "is_grantable"}, true
	case "pg_options_to_table":
		return []string{"option_name", "option_value"}, true
	case "pg_timezone_names":
		return []string{"name", "abbrev", "utc_offset", "is_dst"}, true
	case "pg_partition_tree":
		return []string{"relid", "parentrelid", "isleaf", "level"}, true
	case "_pg_expandarray":
		return []string{"x", "n"}, true
	case "pg_sequence_parameters":
		return []string{"start_value", "minimum_value", "maximum_value", "increment", "cycle_option", "cache_size", "data_type"}, true
	case "pg_identify_object":
		return []string{"type", "schema", "name", "identity"}, true
	}
	return nil, false
}

// scalarFunction says whether a function in FROM gives one column: a built-in of a pure class that does not take its
// shape from its arguments.
func (w *work) scalarFunction(n *pg.Node) bool {
	if n.GetSqlvalueFunction() != nil || n.GetCoalesceExpr() != nil || n.GetTypeCast() != nil {
		return true
	}
	f := n.GetFuncCall()
	if f == nil {
		return false
	}
	parts := stringsOf(f.Funcname)
	name := parts[len(parts)-1]
	switch name {
	case "json_populate_record", "jsonb_populate_record", "json_populate_recordset", "jsonb_populate_recordset",
		"json_to_record", "jsonb_to_record", "json_to_recordset", "jsonb_to_recordset", "ts_parse", "ts_debug":
		return false
	case "unnest":
		return len(f.Args) > 0
	}
	switch w.c.rules.functions[name] {
	case classTotal, classFirst, classPure, classSet, classAggTotal, classAggregate:
		return len(parts) == 1 && len(w.userFunctions("", name)) == 0 || len(parts) == 2 && parts[0] == "pg_catalog"
	}
	return false
}

func columnNameOfFunction(f *pg.RangeFunction) string {
	if len(f.Functions) == 0 || len(f.Functions[0].GetList().GetItems()) == 0 {
		return ""
	}
	return columnName(f.Functions[0].GetList().GetItems()[0])
}

// sample is TABLESAMPLE: which rows are drawn depends on the method, and the two built-in ones read nothing else.
func (w *work) sample(s *pg.RangeTableSample, sc *scope) *entry {
	e := w.from(s.Relation, sc)
	method := stringsOf(s.Method)
	name := method[len(method)-1]
	if name != "bernoulli" && name != "system" || len(w.c.functions[name]) > 0 {
		w.call("pg_catalog", name)
	}
	for _, a := range s.Args {
		w.where(a, sc)
	}
	w.where(s.Repeatable, sc)
	return e
}

// xmlTable is XMLTABLE: every column comes from the document and the expressions.
func (w *work) xmlTable(f *pg.RangeTableFunc, sc *scope) *entry {
	v := w.exprs([]*pg.Node{f.Docexpr, f.Rowexpr}, sc)
	for _, n := range f.Namespaces {
		v = merge(v, w.expr(n.GetResTarget().GetVal(), sc))
	}
	var names []string
	for _, n := range f.Columns {
		c := n.GetRangeTableFuncCol()
		v = merge(v, w.exprs([]*pg.Node{c.GetColexpr(), c.GetColdefexpr()}, sc))
		w.typeName(c.GetTypeName())
		names = append(names, c.GetColname())
	}
	return w.tableOf(names, v, "xmltable", f.Alias)
}

func (w *work) tableOf(names []string, v value, name string, alias *pg.Alias) *entry {
	w.bind(v)
	w.test(v)
	cols := make([]column, len(names))
	for i, n := range names {
		cols[i] = column{name: n, val: v}
	}
	return one(w.aliased(&item{name: name}, result{cols, true}, alias))
}

// jsonTable is JSON_TABLE: as xmlTable.
func (w *work) jsonTable(t *pg.JsonTable, sc *scope) *entry {
	if !w.server(170000, "JSON_TABLE") {
		return &entry{}
	}
	v := w.jsonValue(t.ContextItem, sc)
	v = merge(v, w.exprs([]*pg.Node{t.Pathspec.GetString_()}, sc))
	for _, p := range t.Passing {
		v = merge(v, w.expr(p, sc))
	}
	v = merge(v, w.jsonBehavior(t.OnError, sc))
	var names []string
	v = w.jsonColumns(t.Columns, v, &names, sc)
	return w.tableOf(names, v, "json_table", t.Alias)
}

func (w *work) jsonColumns(list []*pg.Node, v value, names *[]string, sc *scope) value {
	for _, n := range list {
		c := n.GetJsonTableColumn()
		if c == nil {
			w.opaque("a JSON_TABLE column of a kind that is not known here")
			continue
		}
		v = merge(v, w.exprs([]*pg.Node{c.Pathspec.GetString_()}, sc))
		v = merge(v, merge(w.jsonBehavior(c.OnEmpty, sc), w.jsonBehavior(c.OnError, sc)))
		if c.Coltype == pg.JsonTableColumnType_JTC_NESTED {
			v = w.jsonColumns(c.Columns, v, names, sc)
			continue
		}
		if c.TypeName != nil {
			w.typeName(c.TypeName)
		}
		*names = append(*names, c.Name)
	}
	return v
}

// server refuses what the parser reads by the grammar of a newer server than the one behind.
func (w *work) server(since int, what string) bool {
	if w.c.version >= since {
		return true
	}
	w.opaque(what + " means something else on this server")
	return false
}
