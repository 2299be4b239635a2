package pgsql

import (
	"maps"
	"slices"

	"gatehouse/internal/fault"
)

// temporary is the schema of the session's own temporary objects: its name in SQL, and the beginning of its real one.
const temporary = "pg_temp"

// with returns the catalogue with a session's own temporary tables in it: their columns are known, and what they hold is
// not. Each value is unproven, because functions may have filled them, or the client before a mask was made; and whatever
// such a value steers is marked (TestsTemporary), so that who has masks learns nothing by it. Temporary views and all else stay unknown.
func (c *Catalogue) with(s *State) (*Catalogue, error) {
	if len(s.tables) == 0 {
		return c, nil
	}
	own := *c
	own.fields = slices.Clip(c.fields)
	own.relations = maps.Clone(c.relations)
	own.relations[temporary] = make(map[string]*relation, len(s.tables))
	for _, j := range s.tables {
		j.Schema = temporary
		r, err := own.newRelation(&j)
		if err != nil {
			return nil, fault.Wrap(fault.Backend, "pgsql.with", err, "the database's answer about its session state cannot be read")
		}
		r.temporary = true
		for i := range r.columns {
			v := &r.columns[i].val
			v.open, v.bare = true, false
			if v.typ >= firstUserOID { // a domain's values are sent as those of the type below
				v.typ = 0
			}
		}
		own.relations[temporary][r.name] = r
	}
	return &own, nil
}

const firstUserOID = 16384

// temporary finds a relation in a temporary schema; known is false where it is not one of the session's own tables.
func (c *Catalogue) temporary(s *State, schema, name string) (r *relation, known bool) {
	if schema != temporary && !slices.Contains(s.Path, schema) {
		return nil, false
	}
	r = c.relations[temporary][name]
	return r, r != nil
}

// shadowing is temporary for a name without a schema. One that a stored relation along the path has too is not known: a
// statement that was prepared before the temporary table was made still means the other one to the server.
func (c *Catalogue) shadowing(s *State, schema, name string) (r *relation, known bool) {
	for _, at := range s.Path {
		if c.relations[at][name] != nil {
			return nil, false
		}
	}
	return c.temporary(s, schema, name)
}

// testsTemporary says whether a temporary table's values steer what the statement does.
func (w *work) testsTemporary() bool {
	return slices.ContainsFunc(w.tested.union(w.looked), func(id fieldID) bool { return w.c.fields[id].rel.temporary })
}
