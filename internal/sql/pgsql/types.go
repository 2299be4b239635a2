package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// cast is a conversion: pure for built-in types, enums, and the types of trusted extensions.
func (w *work) cast(c *pg.TypeCast, sc *scope) value {
	v := w.expr(c.Arg, sc)
	pure := w.typeName(c.TypeName)
	out := merge(v, value{total: true})
	out.open = out.open || !pure || w.c.userCasts
	out.row = w.rowType(c.TypeName, out)
	total, k := w.castTo(c.TypeName)
	out.kind = k
	if padded(c.TypeName) {
		out.size = sizeHuge
	}
	if !total {
		out.total = false
		w.test(out)
	}
	return out
}

// typeName resolves a type and says whether converting to it is pure. A type of a user that is not is a Call.
func (w *work) typeName(t *pg.TypeName) bool {
	if t == nil {
		return true
	}
	parts := stringsOf(t.Names)
	if t.PctType || len(parts) == 0 || len(parts) > 2 {
		w.opaque("a type that is named after a column")
		return false
	}
	name := parts[len(parts)-1]
	if len(parts) == 2 {
		return w.qualifiedType(parts[0], name)
	}
	if slices.Contains(w.s.Temp, name) || slices.Contains(w.s.Temp, strings.TrimPrefix(name, "_")) {
		if rel, known := w.c.lookup(w.s, "", name); known && rel.temporary && len(w.c.types[name]) == 0 {
			return true // the row of a table
		}
		w.opaque("the type " + name + " is temporary")
		return false
	}
	pure, known := true, false
	for _, of := range [...]string{name, strings.TrimPrefix(name, "_")} { // an array's own name has a line before it
		for _, u := range w.c.types[of] {
			if !w.inPath(u.schema) {
				continue
			}
			known = true
			if !w.pureType(u) {
				w.call(u.schema, of)
				pure = false
			}
		}
	}
	if !known && (name == "record" || name == "unknown") { // the server's own, which are no columns' types
		return true
	}
	if !known {
		w.opaque("the type " + name + " is not in the catalogue")
	}
	return pure && known
}

func (w *work) qualifiedType(schema, name string) bool {
	if schema == "pg_catalog" || schema == "information_schema" {
		return true
	}
	for _, u := range w.c.types[name] {
		if u.schema == schema && w.pureType(u) {
			return true
		}
	}
	w.call(schema, name)
	return false
}

// pureType says whether converting to a type runs nothing of a user's: enums and composites, domains without conditions, where
// no cast by a function was added for them, and the types of trusted extensions.
func (w *work) pureType(t typeInfo) bool {
	if t.schema == "pg_catalog" || t.schema == "information_schema" && t.kind != 'd' {
		return true
	}
	switch t.kind {
	case 'e', 'c', 'd':
		return !t.constrained
	}
	return w.c.rules.extensions[t.extension]
}

// rowType gives a value the columns of the composite type that it is cast to, each of them made from the whole.
func (w *work) rowType(t *pg.TypeName, v value) []column {
	parts := stringsOf(t.GetNames())
	if len(parts) == 0 || len(parts) > 2 || len(t.ArrayBounds) > 0 {
		return nil
	}
	schema := ""
	if len(parts) == 2 {
		schema = parts[0]
	}
	rel, _ := w.c.lookup(w.s, schema, parts[len(parts)-1])
	if rel == nil || parts[0] == "pg_catalog" {
		return nil
	}
	return madeOf(w.relationItem(rel).cols, v)
}

// castTo says whether every value can be converted to a type, which is so for text, and what kind it is.
func (w *work) castTo(t *pg.TypeName) (total bool, k kind) {
	parts := stringsOf(t.GetNames())
	if len(parts) == 0 || len(t.ArrayBounds) > 0 || len(parts) > 1 && parts[0] != "pg_catalog" {
		return false, 0
	}
	name := parts[len(parts)-1]
	for _, u := range w.c.types[name] {
		if len(parts) == 1 && u.schema != "pg_catalog" && w.inPath(u.schema) {
			return false, 0 // it may be this one
		}
	}
	k = kindOfName(name)
	return k == kindText, k
}

// padded tells the types that make a value as long as they say.
func padded(t *pg.TypeName) bool {
	switch lastString(t.GetNames()) {
	case "bpchar", "bit":
		return len(t.Typmods) > 0
	}
	return false
}
