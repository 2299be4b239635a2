package pgsql

import "strings"

// plainPlan says whether the plan of a statement can tell nothing but what the statement itself names: it only reads tables,
// and runs nothing that is not pure. A view, a foreign table or a write brings in conditions and triggers of others.
func (w *work) plainPlan(inner *Analysis) bool {
	if inner.Verb != verbSelect || w.effects || w.an.Why != "" {
		return false
	}
	for _, p := range w.actions {
		switch strings.TrimPrefix(p.name, Prefix) {
		case verbExplain, verbEvaluate:
		case verbSelect:
			if !w.step(len(w.c.byOID)/cheap) || !w.c.isTable(p.resource) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isTable says whether a resource is a table of users, partitioned or not, that nothing of users watches over.
func (c *Catalogue) isTable(resource string) bool {
	for _, rel := range c.byOID {
		if rel.resource == resource {
			return (rel.kind == 'r' || rel.kind == 'p') && !rel.reads && rel.schema != "pg_catalog" && rel.schema != "information_schema"
		}
	}
	return false
}

// sameAsNow says whether a SET says what holds already of how texts are read. Drivers begin with such words, and they change
// nothing.
func (w *work) sameAsNow(s *SetInfo) bool {
	if s.Kind != SetValue || !s.Known || len(s.Value) != 1 {
		return false
	}
	switch s.Name {
	case "standard_conforming_strings":
		switch asciiLower(s.Value[0]) {
		case "on", "true", "yes", "1":
			return w.s.StandardConformingStrings
		}
	case "client_encoding":
		return encodingIsUTF8(s.Value[0]) && encodingIsUTF8(w.s.ClientEncoding)
	}
	return false
}
