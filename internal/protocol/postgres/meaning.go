package postgres

import (
	"context"
	"errors"
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

var errMeansOther = sayCode("55000", fault.Conflict, "what this statement is about was replaced by something else while it waited for a reviewer",
	"Run the statement again to ask again.")

// stillMeans refuses a statement that has waited for a reviewer where its names, or those of the prepared statement that it
// runs, stand for other objects than the reviewer was shown. What a cursor reads is settled since it was opened.
func (s *session) stillMeans(ctx context.Context, asked, u *understood) error {
	cat, err := s.p.catalogues.get(ctx, s)
	if err != nil || cat == s.cat || asked.a.Fetch != "" {
		return err
	}
	texts := []string{asked.a.Text}
	if p := s.stmts[asked.a.Execute]; p != nil && asked.a.Execute != "" {
		texts = append(texts, p.text)
	}
	var now, related []access.Action
	for _, text := range texts {
		b, err := s.analyse([]byte(text), cat)
		if err != nil || len(b.Statements) != 1 {
			return errors.Join(errMeansOther, err)
		}
		now, related = append(now, b.Statements[0].Actions...), append(related, b.Statements[0].Related...)
	}
	st := u.h.Statement()
	if !slices.EqualFunc(now, st.Actions, sameObject) || !slices.EqualFunc(related, st.Related, sameObject) {
		return errMeansOther
	}
	return nil
}

func sameObject(a, b access.Action) bool { return a.Name == b.Name && a.Resource == b.Resource }
