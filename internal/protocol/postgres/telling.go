package postgres

import "strings"

// telling says whether a ParameterStatus may hold any text, and with it a masked value that a function put there: the name of
// the application, or a time zone that is spelled out. What the other parameters are is from a list.
func telling(body []byte) bool {
	sc := scan{b: body}
	name, value := string(sc.text()), string(sc.text())
	switch name {
	case "application_name":
		return true
	case "TimeZone":
		rest, numbered := strings.CutPrefix(value, "Etc/GMT")
		return !(numbered && len(rest) <= len("+12")) && strings.ContainsAny(value, "0123456789<>,:")
	}
	return false
}

// coarse reports whether an error must lose its words.
func (s *session) coarse(e *expect, r *run) bool {
	m := s.g.Masks()
	if m == nil || !m.Fields() {
		return false
	}
	if s.loud {
		return true
	}
	if r == nil && e.portal != nil && e.portal.u != nil {
		return s.hides(e.portal.u).errors
	}
	return r == nil || s.hides(r.u).errors
}
