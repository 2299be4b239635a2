package pgsql

import "slices"

// fieldSet is a sorted set of fields. Sets are shared and never changed in place.
type fieldSet []fieldID

// with returns the set and one field more.
func (s fieldSet) with(id fieldID) fieldSet {
	i, found := slices.BinarySearch(s, id)
	if found {
		return s
	}
	return slices.Insert(slices.Clone(s), i, id)
}

// union returns both sets as one; it shares where it can.
func (s fieldSet) union(t fieldSet) fieldSet {
	if len(t) == 0 {
		return s
	}
	if len(s) == 0 {
		return t
	}
	if len(t) > len(s) {
		s, t = t, s
	}
	if s.has(t) {
		return s
	}
	out := make(fieldSet, 0, len(s)+len(t))
	i, j := 0, 0
	for i < len(s) && j < len(t) {
		switch {
		case s[i] < t[j]:
			out = append(out, s[i])
			i++
		case s[i] > t[j]:
			out = append(out, t[j])
			j++
		default:
			out = append(out, s[i])
			i++
			j++
		}
	}
	return append(append(out, s[i:]...), t[j:]...)
}

// has reports whether t is within s.
func (s fieldSet) has(t fieldSet) bool {
	i := 0
	for _, id := range t {
		for i < len(s) && s[i] < id {
			i++
		}
		if i == len(s) || s[i] != id {
			return false
		}
	}
	return true
}

// value is the lineage of one value. The zero value comes from nothing, and is proven.
type value struct {
	from  fieldSet // every field that it may come from
	open  bool     // it could come from anything
	bare  bool     // one stored column, unchanged
	total bool     // computing it cannot fail, whatever the fields hold
	typ   uint32   // type OID, 0 where not known
	row   []column // the parts of a composite value, where they are known
	kind  kind     // what is known of its type, where typ says nothing
	size  int64    // how long it may be: see total.go
	atoms []atom   // the literals and parameters that it may be
}

// atom is a literal (by its position in the batch) or a parameter (by its negated number).
type atom int32

// column is a named value: an output of a query, or what a name in FROM offers.
type column struct {
	name string
	val  value
	own  fieldSet // the stored columns that whoever names it reads
}

// merge returns what may be either of two values, or made of both: a bare column no more.
func merge(a, b value) value {
	return value{
		from: a.from.union(b.from), open: a.open || b.open, total: a.total && b.total, size: addSizes(a.size, b.size),
		atoms: joinAtoms(a.atoms, b.atoms),
	}
}

// together merges any number of values.
func together(list []value) value {
	out := value{total: true}
	var atoms []atom
	for _, v := range list {
		out.from, out.open, out.total = out.from.union(v.from), out.open || v.open, out.total && v.total
		out.size = addSizes(out.size, v.size)
		atoms = append(atoms, v.atoms...)
	}
	out.atoms = atoms
	return out
}

func joinAtoms(a, b []atom) []atom {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	return append(slices.Clip(a), b...)
}
