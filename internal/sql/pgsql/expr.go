package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// exprs is several expressions made into one value.
func (w *work) exprs(list []*pg.Node, sc *scope) value { return together(w.each(list, sc)) }

// each analyses several expressions.
func (w *work) each(list []*pg.Node, sc *scope) []value {
	values := make([]value, 0, len(list))
	for _, n := range list {
		if n != nil && n.GetNode() != nil {
			values = append(values, w.expr(n, sc))
		}
	}
	return values
}

// array is ARRAY[...]: of arrays, it fails where their dimensions differ.
func (w *work) array(list []*pg.Node, sc *scope) value {
	values := w.each(list, sc)
	v := together(values)
	for _, e := range values {
		if !notArray(e) {
			v.total = false
		}
	}
	return w.conditional(v)
}

// choice is one of several expressions.
func (w *work) choice(list []*pg.Node, sc *scope) value {
	values := w.each(list, sc)
	v := together(values)
	v.kind = commonKind(values)
	return v
}

// expr analyses one expression. What is not known here makes the statement Opaque.
func (w *work) expr(n *pg.Node, sc *scope) value {
	if n == nil || !w.step(1) {
		return value{open: true}
	}
	switch e := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return w.columnRef(e.ColumnRef, sc)
	case *pg.Node_AConst:
		return constant(e.AConst)
	case *pg.Node_ParamRef:
		w.params = true
		return value{total: true, size: sizeParam, atoms: &atoms{one: atom(-max(e.ParamRef.Number, 1))}}
	case *pg.Node_AExpr:
		return w.operation(e.AExpr, sc)
	case *pg.Node_BoolExpr:
		return w.boolean(e.BoolExpr, sc)
	case *pg.Node_FuncCall:
		return w.funcCall(e.FuncCall, sc)
	case *pg.Node_TypeCast:
		return w.cast(e.TypeCast, sc)
	case *pg.Node_SubLink:
		return w.subLink(e.SubLink, sc)
	case *pg.Node_CaseExpr:
		return w.caseExpr(e.CaseExpr, sc)
	case *pg.Node_AIndirection:
		return w.indirect(w.expr(e.AIndirection.Arg, sc), e.AIndirection.Indirection, sc)
	case *pg.Node_RowExpr:
		return w.row(e.RowExpr, sc)
	}
	return w.plain(n, sc)
}

// plain are the expressions that only put their parts together.
func (w *work) plain(n *pg.Node, sc *scope) value {
	switch e := n.GetNode().(type) {
	case *pg.Node_AArrayExpr:
		return w.array(e.AArrayExpr.Elements, sc)
	case *pg.Node_CoalesceExpr:
		return w.conditional(w.choice(e.CoalesceExpr.Args, sc))
	case *pg.Node_MinMaxExpr:
		return w.choice(e.MinMaxExpr.Args, sc)
	case *pg.Node_NullTest:
		return w.settle(w.expr(e.NullTest.Arg, sc))
	case *pg.Node_BooleanTest:
		return w.settle(w.expr(e.BooleanTest.Arg, sc))
	case *pg.Node_CollateClause:
		return w.collate(e.CollateClause, sc)
	case *pg.Node_NamedArgExpr:
		return w.expr(e.NamedArgExpr.Arg, sc)
	case *pg.Node_SqlvalueFunction: // CURRENT_DATE and its like
		return value{total: true}
	case *pg.Node_GroupingFunc:
		return w.exprs(e.GroupingFunc.Args, sc)
	case *pg.Node_SetToDefault:
		return value{total: true}
	case *pg.Node_CurrentOfExpr:
		return value{total: true}
	case *pg.Node_MergeSupportFunc:
		w.server(170000, "MERGE_ACTION") // before, a function of a user may have this name
		return value{total: true}
	case *pg.Node_MultiAssignRef:
		return w.multiAssign(e.MultiAssignRef, sc)
	case *pg.Node_List:
		return w.exprs(e.List.Items, sc)
	case *pg.Node_XmlExpr, *pg.Node_XmlSerialize:
		return w.xml(n, sc)
	}
	return w.json(n, sc)
}

// constant is a literal: an atom, unless it can only be true, false or NULL.
func constant(k *pg.A_Const) value {
	v := value{total: true, size: sizeLiteral}
	if _, isBool := k.Val.(*pg.A_Const_Boolval); k.Isnull || isBool || k.Location < 0 {
		return v
	}
	v.atoms = &atoms{one: atom(k.Location)}
	return v
}

// settle ends an expression whose outcome is only true or false: its literals belong to its fields.
func (w *work) settle(v value) value {
	w.bind(v)
	return value{from: v.from, open: v.open, total: v.total, kind: kindScalar}
}

// conditional ends an expression of which only a part is computed, depending on values: where a part can fail, its
// failure would tell of them.
func (w *work) conditional(v value) value {
	if !v.total {
		w.test(v)
	}
	return v
}

func (w *work) boolean(b *pg.BoolExpr, sc *scope) value {
	out := value{total: true}
	for _, a := range b.Args {
		out = merge(out, w.settle(w.expr(a, sc)))
	}
	out.kind = kindScalar
	return w.conditional(out)
}

func (w *work) row(r *pg.RowExpr, sc *scope) value {
	var cols []column
	known := true
	for _, a := range r.Args {
		if spread, all, ok := w.star(a, sc); ok {
			cols, known = append(cols, spread...), known && all
			continue
		}
		cols = append(cols, column{name: "f" + itoa(len(cols)+1), val: w.expr(a, sc)})
	}
	total := true
	for _, c := range cols {
		total = total && c.val.total
	}
	v := rowOf(cols, known)
	v.total = total
	return v
}

func (w *work) collate(c *pg.CollateClause, sc *scope) value {
	v := w.expr(c.Arg, sc)
	out := merge(v, value{total: true})
	out.kind = kindOf(v)
	if !w.deterministic(stringsOf(c.Collname)) {
		out.total = false
		w.test(out)
	}
	return out
}

// deterministic says whether a collation is one of the server's own. Under one that takes different texts for equal, many
// functions fail, and whether they do may depend on how long a text is, or on whether there is one.
func (w *work) deterministic(name []string) bool {
	if len(name) == 2 {
		return name[0] == "pg_catalog"
	}
	if len(name) != 1 || len(w.s.Path) == 0 || w.s.Path[0] != "pg_catalog" {
		return false
	}
	switch name[0] {
	case "C", "POSIX", "default", "ucs_basic":
		return true
	}
	return false
}

// caseExpr comes from its conditions as well as from its results, and the conditions are tested.
func (w *work) caseExpr(c *pg.CaseExpr, sc *scope) value {
	var conds, results []value
	if c.Arg != nil {
		conds = append(conds, w.expr(c.Arg, sc))
		w.operatorNamed("=")
	}
	for _, n := range c.Args {
		when := n.GetCaseWhen()
		conds = append(conds, w.expr(when.GetExpr(), sc))
		results = append(results, w.expr(when.GetResult(), sc))
	}
	if c.Defresult != nil {
		results = append(results, w.expr(c.Defresult, sc))
	}
	cond, v := together(conds), together(results)
	w.bind(cond)
	w.test(cond)
	v = merge(v, value{from: cond.from, open: cond.open, total: cond.total})
	v.kind = commonKind(results)
	return w.conditional(v)
}

// operation is an operator, or what the grammar makes of one: IN, LIKE, BETWEEN, NULLIF, ANY and their like.
func (w *work) operation(e *pg.A_Expr, sc *scope) value {
	l, r := value{total: true}, value{total: true}
	if e.Lexpr != nil {
		l = w.expr(e.Lexpr, sc)
	}
	if e.Rexpr != nil {
		r = w.expr(e.Rexpr, sc)
	}
	name, trusted := w.operatorOf(e)
	v := merge(l, r)
	switch total, k := w.totalOperation(name, e, l, r); {
	case !trusted:
		v.open, v.total = true, false
		w.test(v)
	case total:
		v.kind = k
		v = w.fits(v)
	default:
		v.kind, v.total = k, false
		w.test(v)
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return v
	case pg.A_Expr_Kind_AEXPR_OP:
		if !comparison(name) {
			return v
		}
	}
	return w.settle(v)
}

// operatorOf resolves the operator of an expression; BETWEEN and IN stand for comparisons.
func (w *work) operatorOf(e *pg.A_Expr) (name string, trusted bool) {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		le, ge := w.operatorNamed("<="), w.operatorNamed(">=")
		lt, gt := w.operatorNamed("<"), w.operatorNamed(">")
		return "<=", le && ge && lt && gt
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL, pg.A_Expr_Kind_AEXPR_IN,
		pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR,
		pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
		return w.operator(e.Name)
	}
	w.opaque("an operation of a kind that is not known here")
	return "", false
}

func comparison(name string) bool {
	switch name {
	case "=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "~*", "!~", "!~*", "@>", "<@", "&&", "?", "?|", "?&", "@@":
		return true
	}
	return false
}

// operator resolves an operator's name; trusted is false where it may be one of a user.
func (w *work) operator(names []*pg.Node) (name string, trusted bool) {
	parts := stringsOf(names)
	name = parts[len(parts)-1]
	if len(parts) == 1 {
		return name, w.operatorNamed(name)
	}
	if parts[0] == "pg_catalog" && len(parts) == 2 {
		return name, !w.c.userCasts
	}
	for _, o := range w.c.operators[name] {
		if o.schema == parts[len(parts)-2] && w.c.rules.extensions[o.extension] {
			return name, true
		}
	}
	w.call(parts[len(parts)-2], name)
	return name, false
}

// operatorNamed resolves an unqualified operator: one of a user in reach of the path is a Call.
func (w *work) operatorNamed(name string) bool {
	trusted := true
	for _, o := range w.c.operators[name] {
		if w.inPath(o.schema) && !w.c.rules.extensions[o.extension] {
			w.call(o.schema, name)
			trusted = false
		}
	}
	return trusted && !w.c.userCasts
}

func (w *work) inPath(schema string) bool {
	for _, s := range w.s.Path {
		if s == schema {
			return true
		}
	}
	return false
}

// subLink is a subquery in an expression.
func (w *work) subLink(s *pg.SubLink, sc *scope) value {
	test := value{total: true}
	if s.Testexpr != nil {
		test = w.expr(s.Testexpr, sc)
	}
	if len(s.OperName) > 0 {
		w.operator(s.OperName)
	} else if s.SubLinkType == pg.SubLinkType_ANY_SUBLINK {
		w.operatorNamed("=")
	}
	r := w.query(s.Subselect, sc)
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return value{total: true, open: !r.known && r.all().open && len(r.cols) == 0}
	case pg.SubLinkType_EXPR_SUBLINK:
		if r.known && len(r.cols) == 1 {
			v := r.cols[0].val
			v.total = false // more than one row is an error
			return v
		}
		return r.all()
	case pg.SubLinkType_MULTIEXPR_SUBLINK:
		v := rowOf(r.cols, r.known)
		v.total = false
		return v
	case pg.SubLinkType_ARRAY_SUBLINK:
		v := r.all()
		v.size = sizeHuge // of any number of rows
		if !r.known || len(r.cols) != 1 || !notArray(r.cols[0].val) {
			v.total = false
			w.test(v)
		}
		return v
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK, pg.SubLinkType_ROWCOMPARE_SUBLINK:
		v := merge(test, r.all())
		w.test(v)
		return w.settle(v)
	}
	w.opaque("a subquery of a kind that is not known here")
	return value{open: true}
}

// multiAssign is one column of UPDATE ... SET (a, b) = (...).
func (w *work) multiAssign(m *pg.MultiAssignRef, sc *scope) value {
	v := w.expr(m.Source, sc)
	if i := int(m.Colno) - 1; i >= 0 && i < len(v.row) {
		return v.row[i].val
	}
	return v
}

// returnsSet says whether a set-returning function is called anywhere in a result column, so that its arguments decide
// how many rows there are.
func (w *work) returnsSet(n *pg.Node) bool {
	switch e := n.GetNode().(type) {
	case *pg.Node_FuncCall:
		name := lastString(e.FuncCall.Funcname)
		if w.c.rules.functions[name] == classSet {
			return true
		}
		for _, a := range e.FuncCall.Args {
			if w.returnsSet(a) {
				return true
			}
		}
	case *pg.Node_TypeCast:
		return w.returnsSet(e.TypeCast.Arg)
	case *pg.Node_AIndirection:
		return w.returnsSet(e.AIndirection.Arg)
	case *pg.Node_AExpr:
		return e.AExpr.Lexpr != nil && w.returnsSet(e.AExpr.Lexpr) || e.AExpr.Rexpr != nil && w.returnsSet(e.AExpr.Rexpr)
	}
	return false
}
