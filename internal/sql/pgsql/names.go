package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// stringsOf returns the names of a list of String nodes.
func stringsOf(list []*pg.Node) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, n := range list {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

// nameParts returns the names of a ColumnRef, and whether a star ends it.
func nameParts(fields []*pg.Node) (parts []string, star bool) {
	for _, f := range fields {
		if f.GetAStar() != nil {
			return parts, true
		}
		parts = append(parts, f.GetString_().GetSval())
	}
	return parts, false
}

// simpleName is the name of an unqualified column reference.
func simpleName(n *pg.Node) (string, bool) {
	ref := n.GetColumnRef()
	if ref == nil || len(ref.Fields) != 1 || ref.Fields[0].GetString_() == nil {
		return "", false
	}
	return ref.Fields[0].GetString_().GetSval(), true
}

// columnName is the name that the server gives an output that has none: see FigureColname of its parser.
func columnName(n *pg.Node) string {
	if name, _ := figureName(n); name != "" {
		return name
	}
	return "?column?"
}

// figureName returns a name and how much it is worth: a cast's type name gives way to a stronger one.
func figureName(n *pg.Node) (string, int) {
	switch e := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return lastString(e.ColumnRef.Fields), 2
	case *pg.Node_AIndirection:
		if name := lastString(e.AIndirection.Indirection); name != "" {
			return name, 2
		}
		return figureName(e.AIndirection.Arg)
	case *pg.Node_FuncCall:
		return lastString(e.FuncCall.Funcname), 2
	case *pg.Node_AExpr:
		if e.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg.Node_TypeCast:
		if name, strength := figureName(e.TypeCast.Arg); strength > 1 {
			return name, strength
		}
		return lastString(e.TypeCast.TypeName.GetNames()), 1
	case *pg.Node_CollateClause:
		return figureName(e.CollateClause.Arg)
	case *pg.Node_CaseExpr:
		if name, strength := figureName(e.CaseExpr.Defresult); strength > 1 {
			return name, strength
		}
		return "case", 1
	case *pg.Node_SubLink:
		return subLinkName(e.SubLink)
	default:
		return keywordName(n)
	}
	return "", 0
}

func subLinkName(s *pg.SubLink) (string, int) {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg.SubLinkType_EXPR_SUBLINK:
		sel := s.Subselect.GetSelectStmt()
		for sel != nil && sel.Larg != nil {
			sel = sel.Larg
		}
		if sel == nil || len(sel.TargetList) == 0 {
			return "", 0
		}
		if t := sel.TargetList[0].GetResTarget(); t.GetName() != "" {
			return t.GetName(), 2
		} else {
			return figureName(t.GetVal())
		}
	}
	return "", 0
}

// keywordName names what the grammar spells with a keyword.
func keywordName(n *pg.Node) (string, int) {
	switch e := n.GetNode().(type) {
	case *pg.Node_AArrayExpr:
		return "array", 2
	case *pg.Node_RowExpr:
		return "row", 2
	case *pg.Node_CoalesceExpr:
		return "coalesce", 2
	case *pg.Node_GroupingFunc:
		return "grouping", 2
	case *pg.Node_MergeSupportFunc:
		return "merge_action", 2
	case *pg.Node_MinMaxExpr:
		return strings.ToLower(strings.TrimPrefix(e.MinMaxExpr.Op.String(), "IS_")), 2
	case *pg.Node_SqlvalueFunction:
		return valueFunctionName(e.SqlvalueFunction.Op), 2
	case *pg.Node_XmlExpr:
		return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(e.XmlExpr.Op.String(), "IS_"), "_", "")), 2
	case *pg.Node_XmlSerialize:
		return "xmlserialize", 2
	case *pg.Node_JsonObjectConstructor:
		return "json_object", 2
	case *pg.Node_JsonArrayConstructor, *pg.Node_JsonArrayQueryConstructor:
		return "json_array", 2
	case *pg.Node_JsonObjectAgg:
		return "json_objectagg", 2
	case *pg.Node_JsonArrayAgg:
		return "json_arrayagg", 2
	case *pg.Node_JsonParseExpr:
		return "json", 2
	case *pg.Node_JsonScalarExpr:
		return "json_scalar", 2
	case *pg.Node_JsonSerializeExpr:
		return "json_serialize", 2
	case *pg.Node_JsonFuncExpr:
		return strings.ToLower(strings.TrimSuffix(e.JsonFuncExpr.Op.String(), "_OP")), 2
	}
	return "", 0
}

// valueFunctionName turns SVFOP_CURRENT_DATE into current_date; the _N forms carry a precision.
func valueFunctionName(op pg.SQLValueFunctionOp) string {
	name := strings.ToLower(strings.TrimPrefix(op.String(), "SVFOP_"))
	return strings.TrimSuffix(name, "_n")
}

func lastString(list []*pg.Node) string {
	for i := len(list) - 1; i >= 0; i-- {
		if s := list[i].GetString_(); s != nil {
			return s.Sval
		}
	}
	return ""
}
