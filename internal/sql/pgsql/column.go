package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// systemColumns are on every table, and hold nothing of a user's.
func isSystemColumn(name string) bool {
	switch name {
	case "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax":
		return true
	}
	return false
}

// columnRef resolves a name as the server does: the innermost query whose FROM list offers it, then as a whole row.
func (w *work) columnRef(ref *pg.ColumnRef, sc *scope) value {
	parts, star := nameParts(ref.Fields)
	if star {
		cols, known := w.starOf(parts, sc)
		return rowOf(cols, known)
	}
	switch len(parts) {
	case 1:
		return w.unqualified(parts[0], sc)
	case 2, 3, 4:
		return w.qualified(parts, sc)
	}
	w.opaque("a name of more than four parts")
	return value{open: true}
}

// known says whether an unqualified name is a column of the innermost FROM list.
func (w *work) known(name string, sc *scope) bool {
	for _, e := range sc.entries {
		w.step(len(e.cols) / cheap)
		if hasColumn(e.cols, name) {
			return true
		}
	}
	return false
}

func (w *work) unqualified(name string, sc *scope) value {
	unsure := value{total: true}
	guess := false
	for s := sc; s != nil; s = s.up {
		v, found, rest := w.inScope(name, s)
		if found && guess {
			return merge(v, unsure)
		}
		if found {
			return v
		}
		if rest != nil {
			unsure, guess = merge(unsure, *rest), true
		}
	}
	if it := w.findItem([]string{name}, sc); it != nil {
		return w.wholeRow(it)
	}
	if guess {
		return unsure
	}
	w.opaque("the column " + name + " is not known")
	return value{open: true}
}

// inScope looks for a column in one FROM list. rest is what it may be where a part of the list has unknown columns.
func (w *work) inScope(name string, sc *scope) (v value, found bool, rest *value) {
	for _, e := range sc.entries {
		for _, c := range namedColumns(e.cols, name) {
			w.readColumns([]column{c})
			if found {
				v = merge(v, c.val)
			} else {
				v, found = c.val, true
			}
		}
		for _, it := range e.items {
			if it.rest != nil {
				r := merge(*it.rest, value{total: true})
				rest = &r
			}
			if it.rel != nil && isSystemColumn(name) && !found {
				v, found = value{total: true}, true
			}
		}
	}
	return v, found, rest
}

// qualified is table.column, schema.table.column, or a function in the notation of a column.
func (w *work) qualified(parts []string, sc *scope) value {
	name := parts[len(parts)-1]
	it := w.findItem(parts[:len(parts)-1], sc)
	if it == nil {
		w.opaque("the table of the column " + name + " is not known")
		return value{open: true}
	}
	return w.fieldOf(it, name)
}

func (w *work) fieldOf(it *item, name string) value {
	w.step(len(it.cols) / cheap)
	cols := namedColumns(it.cols, name)
	if len(cols) > 0 {
		w.readColumns(cols)
		v := cols[0].val
		for _, c := range cols[1:] {
			v = merge(v, c.val)
		}
		return v
	}
	if it.rel != nil && isSystemColumn(name) {
		return value{total: true}
	}
	row := w.wholeRow(it)
	if it.rest != nil {
		return merge(row, *it.rest)
	}
	if len(w.userFunctions("", name)) > 0 || w.c.rules.functions[name] != classUnknown {
		return w.callNamed("", name, []value{row})
	}
	w.opaque("the column " + name + " is not known")
	row.open = true
	return row
}

// wholeRow is a row as one value: every column of it.
func (w *work) wholeRow(it *item) value {
	w.readColumns(it.cols)
	v := rowOf(it.cols, true)
	if it.rest != nil {
		v = merge(v, *it.rest) // and what its row is made of is no longer known
	}
	return v
}

// rowOf makes one value of columns.
func rowOf(cols []column, known bool) value {
	v := value{total: true}
	for _, c := range cols {
		v.from, v.open, v.size = v.from.union(c.val.from), v.open || c.val.open, addSizes(v.size, c.val.size)
		v.atoms = joinAtoms(v.atoms, c.val.atoms)
	}
	if known {
		v.row = cols
	} else {
		v.open = true
	}
	return v
}

// readColumns records reads of the stored columns among cols.
func (w *work) readColumns(cols []column) {
	for _, c := range cols {
		w.read(c.own)
		w.step(1)
	}
}

// findItem finds what a qualifier names: alias or table, or schema and table, innermost first.
func (w *work) findItem(parts []string, sc *scope) *item {
	name := parts[len(parts)-1]
	schema := ""
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	for s := sc; s != nil; s = s.up {
		for _, e := range s.entries {
			w.step((len(e.cols) + len(e.items)) / cheap)
			for _, it := range e.items {
				if it.name == name && (schema == "" || it.schema == schema) {
					return it
				}
			}
		}
	}
	return nil
}

// indirect follows subscripts and field selections of a value.
func (w *work) indirect(v value, steps []*pg.Node, sc *scope) value {
	for _, s := range steps {
		switch i := s.GetNode().(type) {
		case *pg.Node_AIndices:
			at := w.exprs([]*pg.Node{i.AIndices.Lidx, i.AIndices.Uidx}, sc)
			of := kindOf(v)
			v = merge(v, at)
			if of == kindJSONB {
				v.kind = of
			}
			if len(at.from) > 0 {
				w.test(at)
			}
		case *pg.Node_String_:
			v = w.selectField(v, i.String_.Sval)
		default:
			w.opaque("a selection from a value of a kind that is not known here")
			v.open = true
		}
	}
	return v
}

// selectField is (value).name: a column of a known row, or a part of what the value is.
func (w *work) selectField(v value, name string) value {
	if cols := namedColumns(v.row, name); len(cols) > 0 {
		return cols[0].val
	}
	if len(w.userFunctions("", name)) > 0 {
		return w.callNamed("", name, []value{v})
	}
	return merge(v, value{total: true})
}
