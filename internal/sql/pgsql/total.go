package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// An error tells something of a value where other values give none. Whether an expression is total, so that it never
// fails, depends on two things beside its operator or function: what kind of value it works on, since the array variants
// of many fail where dimensions differ, and how long its result may get, since the server allows no value beyond 1 GiB
// and a text may aim at that limit.

// kind is what is known of a value's type. Zero is anything, arrays among it.
type kind uint8

const (
	kindText   kind = iota + 1
	kindScalar      // a built-in type that is neither text, nor jsonb, nor made of others
	kindJSONB
)

// kindOfType is the kind of a built-in type by its OID, which is fixed in the server's sources (pg_type.dat).
func kindOfType(oid uint32) kind {
	switch oid {
	case 18, 19, 25, 1042, 1043: // char, name, text, bpchar, varchar
		return kindText
	case 16, 20, 21, 23, 26, 700, 701, 1700, // bool, int8, int2, int4, oid, float4, float8, numeric
		1082, 1083, 1114, 1184, 1186, 1266, 869, 650, 2950: // dates and times, inet, cidr, uuid
		return kindScalar
	case 3802:
		return kindJSONB
	}
	return 0
}

// kindOfName is the same for the name of a type in a cast.
func kindOfName(name string) kind {
	switch name {
	case "text", "varchar", "bpchar", "name":
		return kindText
	case "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timetz", "timestamp", "timestamptz",
		"interval", "inet", "cidr", "uuid":
		return kindScalar
	case "jsonb":
		return kindJSONB
	}
	return 0
}

func kindOf(v value) kind {
	if v.kind != 0 {
		return v.kind
	}
	return kindOfType(v.typ)
}

// fixed says whether a value is the same whatever the fields hold.
func fixed(v value) bool { return len(v.from) == 0 && !v.open }

// notArray says whether a value is surely no array, or always the same one.
func notArray(v value) bool { return kindOf(v) != 0 || v.row != nil || fixed(v) }

// commonKind is the kind of a value that is one of several, of which fixed ones take the kind of the others.
func commonKind(list []value) kind {
	var k kind
	for _, v := range list {
		switch of := kindOf(v); {
		case fixed(v):
		case of == 0 || k != 0 && k != of:
			return 0
		default:
			k = of
		}
	}
	return k
}

// Sizes estimate how long a value may be, in bytes as if a text were 16 KiB long at most, that is 64 times less than it
// may be: then a column and a literal for each of its bytes make the longest value that is sure to fit.
const (
	sizeColumn  = 1 << 10
	sizeLiteral = 1 << 14
	sizeParam   = 1 << 20
	sizeMost    = 1 << 24
	sizeHuge    = 1 << 31
)

func addSizes(a, b int64) int64 { return min(a+b, sizeHuge) }

// growing are the functions whose result may be of any length, and product those that put one argument where another
// says. The results of textNames are text, and those of sameKindNames what their first argument is.
const (
	growingNames = `repeat lpad rpad array_fill ts_headline string_agg array_agg json_agg jsonb_agg json_object_agg
jsonb_object_agg xmlagg range_agg`
	productNames = "array_to_string format"
	textNames    = `concat concat_ws md5 replace quote_ident quote_literal quote_nullable split_part initcap left right lpad rpad
translate regexp_replace regexp_substr array_to_string to_char format`
	sameKindNames = `lower upper btrim ltrim rtrim substr substring reverse overlay normalize max min first_value last_value lag lead
any_value`
)

// grown is how long the result of a built-in function may be.
func (w *work) grown(name string, args []value) int64 {
	sum, product := int64(0), int64(1)
	for _, a := range args {
		sum, product = addSizes(sum, a.size), min(product*max(a.size, 1), sizeHuge)
	}
	switch {
	case w.c.rules.growing[name]:
		return sizeHuge
	case name == "concat_ws" && len(args) > 0:
		return addSizes(sum, min(args[0].size*int64(len(args)), sizeHuge))
	case name == "replace" && len(args) > 2, name == "regexp_replace" && len(args) > 2:
		// A pattern is not part of the result: text and replacement are.
		return max(sum, min(args[0].size*max(args[2].size, 1), sizeHuge))
	case w.c.rules.product[name]:
		return product
	}
	return sum
}

// resultKind is the kind of what a built-in function returns.
func (w *work) resultKind(name string, args []value) kind {
	switch {
	case w.c.rules.texts[name]:
		return kindText
	case w.c.rules.sameKind[name] && len(args) > 0:
		return kindOf(args[0])
	}
	return 0
}

// fits makes a value that may get too long one that may fail.
func (w *work) fits(v value) value {
	if v.size > sizeMost && len(v.from) > 0 {
		v.total = false
		w.test(v)
	}
	return v
}

// totalOperation says whether a built-in operator cannot fail on its operands, and the kind of its result.
func (w *work) totalOperation(name string, e *pg.A_Expr, l, r value) (bool, kind) {
	switch {
	case w.rivals(name):
		return false, 0
	case name == "||":
		return concatenation(e, l, r)
	case w.c.rules.total[name]:
		return true, 0
	case !w.c.rules.first[name] || len(r.from) > 0:
		return false, 0
	}
	switch name {
	case "->", "#>":
		return kindOf(l) == kindJSONB, kindJSONB
	case "->>", "#>>":
		return kindOf(l) == kindJSONB, kindText
	case "?", "?|", "?&":
		return kindOf(l) == kindJSONB, 0
	}
	w.matters = w.matters || len(l.from) > 0
	return fixedPattern(e.Rexpr), 0
}

// concatenation is total where it is of texts, or of a text and what has one: arrays may have different dimensions.
func concatenation(e *pg.A_Expr, l, r value) (total bool, k kind) {
	plain := func(n *pg.Node, v value) (text, ok bool) {
		k := kindOf(v)
		return k == kindText || n.GetAConst().GetSval() != nil, k == kindText || k == kindScalar || n.GetAConst() != nil
	}
	leftText, left := plain(e.Lexpr, l)
	rightText, right := plain(e.Rexpr, r)
	if left && right && (leftText || rightText) {
		return true, kindText
	}
	return (left || fixed(l)) && (right || fixed(r)), 0
}

// rivals says whether an extension brings an operator of this name, which may be the one that is meant, and may fail.
// Those of citext compare texts.
func (w *work) rivals(name string) bool {
	for _, o := range w.c.operators[name] {
		if o.extension != "citext" && w.inPath(o.schema) {
			return true
		}
	}
	return false
}
