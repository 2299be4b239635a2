package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// userFunctions are the functions of users that a name may mean: in one schema, or along the path. Functions are never
// looked up in the temporary schema.
func (w *work) userFunctions(schema, name string) []function {
	var out []function
	for _, f := range w.c.functions[name] {
		if schema == f.schema || schema == "" && w.inPath(f.schema) {
			out = append(out, f)
		}
	}
	return out
}

// funcCall is a call of a function, an aggregate or a window function.
func (w *work) funcCall(f *pg.FuncCall, sc *scope) value {
	parts := stringsOf(f.Funcname)
	schema, name := "", parts[len(parts)-1]
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	args := make([]value, len(f.Args))
	for i, a := range f.Args {
		args[i] = w.expr(a, sc)
	}
	if name == "system_user" && schema == "pg_catalog" {
		w.server(160000, "SYSTEM_USER")
		return value{total: true}
	}
	if verb := w.settingVerb(schema, name); verb != "" {
		return w.setting(verb, name, f.Args, args)
	}
	if len(args) == 1 && schema == "" && len(namedColumns(args[0].row, name)) > 0 && len(w.userFunctions("", name)) == 0 {
		return w.selectField(args[0], name)
	}
	v := w.callNamed(schema, name, args)
	switch w.class(schema, name) {
	case classSequence:
		w.sequence(f.Args)
	case classFirst, classSecond:
		w.matters = w.matters || len(v.from) > 0
		if !fixedFits(name, f.Args, args) {
			v.total = false
			w.test(v)
		}
	}
	return w.aggregate(f, v, sc)
}

// aggregate adds what steers an aggregate or window function besides its arguments.
func (w *work) aggregate(f *pg.FuncCall, v value, sc *scope) value {
	order := value{total: true}
	for _, n := range f.AggOrder {
		s := n.GetSortBy()
		if len(s.GetUseOp()) > 0 {
			w.operator(s.GetUseOp())
		}
		order = merge(order, w.expr(s.GetNode(), sc))
	}
	if f.AggFilter != nil {
		filter := w.settle(w.expr(f.AggFilter, sc))
		w.test(filter)
		order = merge(order, filter)
	}
	if f.Over != nil {
		over := w.window(f.Over, sc)
		w.test(over)
		order = merge(order, over)
	}
	if len(order.from) == 0 && !order.open {
		return v
	}
	out := merge(v, order)
	out.kind, out.size = v.kind, v.size
	return out
}

// window is what a window's definition reads, with those that it builds on by name.
func (w *work) window(d *pg.WindowDef, sc *scope) value {
	out := value{total: true}
	if d == nil || !w.step(1+len(sc.windows)/cheap) {
		return out
	}
	out = w.exprs(d.PartitionClause, sc)
	for _, n := range d.OrderClause {
		s := n.GetSortBy()
		if len(s.GetUseOp()) > 0 {
			w.operator(s.GetUseOp())
		}
		out = merge(out, w.expr(s.GetNode(), sc))
	}
	for i, n := range sc.windows {
		// A definition builds on an earlier one, so that this ends.
		of := n.GetWindowDef()
		if of != d && of.GetName() != "" && (of.GetName() == d.Refname || of.GetName() == d.Name) {
			earlier := &scope{up: sc.up, entries: sc.entries, ctes: sc.ctes, windows: sc.windows[:i]}
			out = merge(out, w.window(of, earlier))
		}
	}
	return merge(out, w.exprs([]*pg.Node{d.StartOffset, d.EndOffset}, sc))
}

// class is what is known of a name that means a built-in function.
func (w *work) class(schema, name string) class {
	if schema == "pg_catalog" || schema == "information_schema" || schema == "" && len(w.foreignFunctions(name)) == 0 {
		return w.c.rules.functions[name]
	}
	return classUnknown
}

// foreignFunctions are the functions of users along the path that no trusted extension vouches for.
func (w *work) foreignFunctions(name string) []function {
	var out []function
	for _, f := range w.userFunctions("", name) {
		if !w.vouched(f) {
			out = append(out, f)
		}
	}
	return out
}

// vouched says whether an extension that is known to be pure brings the function, and calls it immutable.
func (w *work) vouched(f function) bool { return f.immutable && w.c.rules.extensions[f.extension] }

// callNamed is a call with its arguments analysed: pure, of a known other kind, or a Call.
func (w *work) callNamed(schema, name string, args []value) value {
	v := together(args)
	k := w.class(schema, name)
	if k == classUnknown {
		return w.userCall(schema, name, v)
	}
	if w.c.userCasts {
		v.open = true
	}
	v.kind, v.size = w.resultKind(name, args), w.grown(name, args)
	switch k {
	case classTotal, classAggTotal:
		v = w.fits(v)
	case classFirst, classSecond:
		for i, a := range args {
			if len(a.from) > 0 && i != int(k-classFirst) {
				v.total = false
			}
		}
		if !v.total {
			w.test(v)
		}
		if !w.c.rules.growing[name] { // lpad and rpad are as long as a constant says
			v = w.fits(v)
		}
	case classPure, classAggregate, classSet:
		v.total = false
		w.test(v)
		if len(args) > 0 && (strings.HasSuffix(name, "_populate_record") || strings.HasSuffix(name, "_populate_recordset")) {
			v.row = madeOf(args[0].row, v)
		}
	default:
		return w.effect(k, name, v)
	}
	return v
}

// madeOf gives a value the shape of a row whose every part may be any of it.
func madeOf(row []column, v value) []column {
	whole := value{from: v.from, open: v.open, atoms: v.atoms}
	cols := make([]column, len(row))
	for i := range row {
		cols[i] = column{name: row[i].name, val: whole}
	}
	return cols
}

// userCall is a call of a function of a user: unless vouched for, it may do and return anything.
func (w *work) userCall(schema, name string, v value) value {
	candidates := w.userFunctions(schema, name)
	pure := len(candidates) > 0
	for _, f := range candidates {
		if !w.vouched(f) {
			pure = false
			w.call(f.schema, name)
		}
	}
	w.test(v)
	v.total, v.size = false, sizeHuge
	if pure {
		return v
	}
	if len(candidates) == 0 {
		if schema == "" {
			schema = "pg_catalog" // only there may be what the catalogue does not list
		}
		w.call(schema, name)
	}
	v.open, w.called = true, true
	return v
}

// effect is a built-in function that is more than its arguments.
func (w *work) effect(k class, name string, v value) value {
	v.total = false
	w.test(v)
	switch k {
	case classDescribe:
		w.actOn(verbDescribe)
		return v
	case classSequence:
		w.effects = true
		return v
	case classReadFile:
		w.effects = true
		w.actOn(verbReadFile)
	case classWriteFile:
		w.effects = true
		w.actOn(verbWriteFile)
	case classLargeObject:
		w.effects = true
		w.actOn(verbLargeObj)
	case classAdvisory:
		w.effects = true
		w.an.ChangesState = true
		w.actOn(verbAdvisory)
		return v
	case classNotify:
		w.effects = true
		w.actOn(verbNotify)
		return v
	default:
		w.opaque("the function " + name + " runs what its argument says")
	}
	if name == "lo_import" || name == "lo_export" {
		w.actOn(verbLargeObj) // beside the file
	}
	v.open, w.called = true, true
	return v
}

// sequence names the sequence that a constant argument names.
func (w *work) sequence(args []*pg.Node) {
	w.matters = true
	if len(args) > 0 {
		n := args[0]
		for n.GetTypeCast() != nil {
			n = n.GetTypeCast().Arg
		}
		if k := n.GetAConst(); k != nil && k.GetSval() != nil {
			if rel := w.relationText(k.GetSval().Sval); rel != nil {
				w.act(verbSequence, rel.resource, nil)
				return
			}
		}
	}
	w.actOn(verbSequence)
}

// relationText resolves a relation that a text names, where it is plain enough to be sure.
func (w *work) relationText(s string) *relation {
	schema, name, ok := strings.Cut(s, ".")
	if !ok {
		schema, name = "", s
	}
	for _, p := range [...]string{schema, name} {
		if strings.ContainsFunc(p, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			return nil
		}
	}
	rel, _ := w.c.lookup(w.s, schema, name)
	return rel
}

// settingVerb picks out the two functions that read and write settings.
func (w *work) settingVerb(schema, name string) string {
	if schema != "pg_catalog" && (schema != "" || len(w.foreignFunctions(name)) > 0) {
		return ""
	}
	switch name {
	case "current_setting":
		return verbShow
	case "set_config":
		return verbAlterSet
	}
	return ""
}

// setting is current_setting or set_config, whose first argument names the setting where it is constant.
func (w *work) setting(verb, name string, nodes []*pg.Node, args []value) value {
	v := together(args)
	v.total = false
	w.test(v)
	w.matters = true
	setting := ""
	if len(nodes) > 0 {
		setting = strings.ToLower(nodes[0].GetAConst().GetSval().GetSval())
	}
	if verb == verbShow {
		w.show(setting)
		return v
	}
	w.effects = true
	w.an.ChangesState = true
	w.copied = w.copied.union(v.from)
	w.an.SetByCall = append(w.an.SetByCall, setting)
	if len(nodes) != 3 || !nodes[2].GetAConst().GetBoolval().GetBoolval() {
		w.an.SetToStay = append(w.an.SetToStay, setting)
	}
	w.setAction(setting)
	return v
}

// show records that a setting is read.
func (w *work) show(setting string) {
	if setting != "" && (w.c.rules.harmless[setting] || w.c.rules.shown[setting]) {
		w.actOn(verbShow)
		return
	}
	w.actOn(verbShowSetting)
}

// setAction records that a setting is changed.
func (w *work) setAction(setting string) {
	switch {
	case setting == "role" || setting == "session_authorization":
		w.actOn(verbSetRole)
	case setting != "" && w.c.rules.harmless[setting]:
		w.actOn(verbSetConfig)
	case setting == "":
		w.actOn(verbAlterSet)
	default:
		w.actOn(verbAlterSet, setting)
	}
}
