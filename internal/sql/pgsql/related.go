package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// A row has several names: it is one of its partition and of every table above it, and a view shows it under a name of its
// own. Who writes it by one of them writes it under all of them. The others are the statement's related actions, for rules
// that tighten.

// related returns the other relations whose rows a write to r may be a write to. rows that are inserted go down to
// partitions only; only says that ONLY was written.
func (r *relation) related(insert, only bool) []*relation {
	all := r.reach(func(of *relation) []*relation { return of.bases })
	for _, s := range append([]*relation{r}, all...) {
		all = append(all, s.reach(func(of *relation) []*relation { return of.parents })...)
		if insert && s.kind != 'p' || only && s == r {
			continue
		}
		all = append(all, s.descendants()...)
	}
	return all
}

// relate records what a write to a relation does under the other names of its rows.
func (w *work) relate(verb string, rv *pg.RangeVar, rel *relation) {
	if w.view || rel == nil {
		return
	}
	if rel.kind == 'v' && !rel.followed && !w.isServers(rel) {
		w.opaque("what the view " + rel.name + " stands for is not known")
	}
	for _, of := range rel.related(verb == verbInsert, rv != nil && !rv.Inh) {
		if !w.step(1) {
			return
		}
		w.alias(verb, of, nil)
	}
}

// relateFields records what a write to columns does to those that they stand for, where their relations are related.
func (w *work) relateFields(verb string, ids fieldSet) {
	for _, id := range ids {
		of := w.c.fields[id].rel
		if _, ok := w.index[aliasKey(verb, of)]; ok {
			w.alias(verb, of, fieldSet{id})
		}
	}
}

// aliasKey is the place of a related action in the index. No verb begins so.
func aliasKey(verb string, rel *relation) [2]string {
	return [2]string{"~" + Prefix + verb, rel.resource}
}

func (w *work) alias(verb string, rel *relation, fields fieldSet) {
	w.aliasOf(pending{name: Prefix + verb, resource: rel.resource, fields: fields, related: true})
}

// aliasOf records a related action, once.
func (w *work) aliasOf(p pending) {
	key := [2]string{"~" + p.name, p.resource}
	i, ok := w.index[key]
	if !ok {
		w.index[key] = len(w.actions)
		w.actions = append(w.actions, p)
		return
	}
	w.actions[i].fields = w.actions[i].fields.union(p.fields)
}

func (w *work) isServers(rel *relation) bool {
	return rel.schema == "pg_catalog" || rel.schema == "information_schema"
}
