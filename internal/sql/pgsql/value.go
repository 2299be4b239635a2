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
	atoms *atoms   // the literals and parameters that it may be
}

// atom is a literal (by its position in the batch) or a parameter (by its negated number).
type atom int32

// atoms is a set of them, as a tree whose parts are shared and never changed: joining costs the same however many there
// are. nil is the empty one.
type atoms struct {
	one         atom // where there is no left part
	left, right *atoms
}

// each visits the atoms until visit is false. One that is in several parts is visited several times.
func (a *atoms) each(visit func(atom) bool) {
	for stack := []*atoms{a}; len(stack) > 0; {
		a, stack = stack[len(stack)-1], stack[:len(stack)-1]
		switch {
		case a == nil:
		case a.left != nil:
			stack = append(stack, a.right, a.left)
		case !visit(a.one):
			return
		}
	}
}

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
	for _, v := range list {
		out.from, out.open, out.total = out.from.union(v.from), out.open || v.open, out.total && v.total
		out.size = addSizes(out.size, v.size)
		out.atoms = joinAtoms(out.atoms, v.atoms)
	}
	return out
}

func joinAtoms(a, b *atoms) *atoms {
	if b == nil {
		return a
	}
	if a == nil {
		return b
	}
	return &atoms{left: a, right: b}
}
