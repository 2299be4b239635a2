package postgres

import (
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/sql/pgsql"
)

// maxMeanings is how many search paths one prepared statement may be used in.
const maxMeanings = 32

// meaning is what the names of a prepared statement stood for when it was first used in a search path.
type meaning struct {
	path    []string
	actions []access.Action
}

// meanings holds that for each path, and when it was last compared.
type meanings struct {
	all   []meaning
	cat   *pgsql.Catalogue
	state uint64
}

var errMeaning = sayCode("0A000", fault.Denied, "cached plan must not change result type",
	"The names in this prepared statement stand for other objects now than before: prepare it again.")

// sameMeaning refuses a prepared statement whose names mean other objects by now in the same search path. The server looks
// names up anew only where the path has changed or an object that it uses has: it does not see that a new object hides
// one that it has found before, and would go on with the one that nobody judged any more.
func (s *session) sameMeaning(p *prepared, j *judged) error {
	m := &p.means
	if m.cat == j.cat && m.state == j.state || len(j.stmts) != 1 {
		return nil
	}
	actions, path := j.stmts[0].a.Actions, s.state.read.Path
	i := slices.IndexFunc(m.all, func(of meaning) bool { return slices.Equal(of.path, path) })
	switch {
	case i >= 0 && !slices.EqualFunc(m.all[i].actions, actions, sameObject):
		return errMeaning
	case i < 0 && len(m.all) >= maxMeanings:
		return errMeaning
	case i < 0:
		m.all = append(m.all, meaning{path, actions})
	}
	m.cat, m.state = j.cat, j.state
	return nil
}

func sameObject(a, b access.Action) bool { return a.Name == b.Name && a.Resource == b.Resource }
