package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// json are the expressions that the grammar of SQL/JSON spells. Servers that do not have them read the same words as
// names of functions, so that they are Opaque there.
func (w *work) json(n *pg.Node, sc *scope) value {
	switch e := n.GetNode().(type) {
	case *pg.Node_JsonObjectConstructor:
		w.server(160000, "JSON_OBJECT")
		return w.jsonParts(e.JsonObjectConstructor.Exprs, e.JsonObjectConstructor.Output, sc)
	case *pg.Node_JsonArrayConstructor:
		w.server(160000, "JSON_ARRAY")
		return w.jsonParts(e.JsonArrayConstructor.Exprs, e.JsonArrayConstructor.Output, sc)
	case *pg.Node_JsonArrayQueryConstructor:
		w.server(160000, "JSON_ARRAY")
		return w.strict(w.query(e.JsonArrayQueryConstructor.Query, sc).all(), e.JsonArrayQueryConstructor.Output)
	case *pg.Node_JsonObjectAgg:
		w.server(160000, "JSON_OBJECTAGG")
		a := e.JsonObjectAgg
		v := merge(w.expr(a.Arg.GetKey(), sc), w.jsonValue(a.Arg.GetValue(), sc))
		return w.jsonAggregate(v, a.Constructor, sc)
	case *pg.Node_JsonArrayAgg:
		w.server(160000, "JSON_ARRAYAGG")
		return w.jsonAggregate(w.jsonValue(e.JsonArrayAgg.Arg, sc), e.JsonArrayAgg.Constructor, sc)
	case *pg.Node_JsonIsPredicate:
		w.server(160000, "IS JSON")
		return w.settle(w.expr(e.JsonIsPredicate.Expr, sc))
	case *pg.Node_JsonParseExpr:
		w.server(170000, "JSON")
		return w.strict(w.jsonValue(e.JsonParseExpr.Expr, sc), e.JsonParseExpr.Output)
	case *pg.Node_JsonScalarExpr:
		w.server(170000, "JSON_SCALAR")
		return w.strict(w.expr(e.JsonScalarExpr.Expr, sc), e.JsonScalarExpr.Output)
	case *pg.Node_JsonSerializeExpr:
		w.server(170000, "JSON_SERIALIZE")
		return w.strict(w.jsonValue(e.JsonSerializeExpr.Expr, sc), e.JsonSerializeExpr.Output)
	case *pg.Node_JsonFuncExpr:
		w.server(170000, "JSON_VALUE, JSON_QUERY or JSON_EXISTS")
		return w.jsonFunc(e.JsonFuncExpr, sc)
	case *pg.Node_JsonKeyValue:
		return merge(w.expr(e.JsonKeyValue.Key, sc), w.jsonValue(e.JsonKeyValue.Value, sc))
	case *pg.Node_JsonValueExpr:
		return w.jsonValue(e.JsonValueExpr, sc)
	case *pg.Node_JsonArgument:
		return w.jsonValue(e.JsonArgument.Val, sc)
	}
	w.opaque("an expression of a kind that is not known here")
	return value{open: true}
}

// strict is an expression that may fail on some values.
func (w *work) strict(v value, out *pg.JsonOutput) value {
	if out != nil && !w.typeName(out.TypeName) {
		v.open = true
	}
	v = merge(v, value{})
	w.test(v)
	return v
}

func (w *work) jsonParts(list []*pg.Node, out *pg.JsonOutput, sc *scope) value {
	return w.strict(w.exprs(list, sc), out)
}

func (w *work) jsonValue(e *pg.JsonValueExpr, sc *scope) value {
	if e == nil || e.RawExpr == nil {
		return value{total: true}
	}
	return merge(w.expr(e.RawExpr, sc), value{total: true})
}

func (w *work) jsonBehavior(b *pg.JsonBehavior, sc *scope) value {
	if b == nil || b.Expr == nil {
		return value{total: true}
	}
	return w.expr(b.Expr, sc)
}

func (w *work) jsonAggregate(v value, c *pg.JsonAggConstructor, sc *scope) value {
	if c == nil {
		return w.strict(v, nil)
	}
	for _, n := range c.AggOrder {
		v = merge(v, w.expr(n.GetSortBy().GetNode(), sc))
	}
	if c.AggFilter != nil {
		v = merge(v, w.settle(w.expr(c.AggFilter, sc)))
	}
	if c.Over != nil {
		v = merge(v, w.window(c.Over, sc))
	}
	v.size = sizeHuge
	return w.strict(v, c.Output)
}

func (w *work) jsonFunc(f *pg.JsonFuncExpr, sc *scope) value {
	v := w.jsonValue(f.ContextItem, sc)
	if f.Pathspec != nil {
		v = merge(v, w.expr(f.Pathspec, sc))
	}
	for _, p := range f.Passing {
		v = merge(v, w.expr(p, sc))
	}
	v = merge(v, merge(w.jsonBehavior(f.OnEmpty, sc), w.jsonBehavior(f.OnError, sc)))
	return w.strict(v, f.Output)
}

// xml are XMLELEMENT and its like.
func (w *work) xml(n *pg.Node, sc *scope) value {
	if s := n.GetXmlSerialize(); s != nil {
		v := w.expr(s.Expr, sc)
		if !w.typeName(s.TypeName) {
			v.open = true
		}
		v = merge(v, value{})
		w.test(v)
		return v
	}
	x := n.GetXmlExpr()
	v := w.exprs(x.Args, sc)
	for _, a := range x.NamedArgs {
		v = merge(v, w.expr(a.GetResTarget().GetVal(), sc))
	}
	v = merge(v, value{})
	w.test(v)
	return v
}
