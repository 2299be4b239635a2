package policy

import (
	"fmt"
	"slices"

	"gatehouse/internal/access"
)

// checkInside reports masks that would do nothing, though they look as if they hid something: those of what lies inside of documents, or
// of what backends are sent, on connections whose type has no documents. What was stored before stays as it is.
func (c *compiler) checkInside(s *Set, d Documents) {
	if c.stored {
		return
	}
	for _, doc := range d.Policies {
		p := c.policies[doc.Name]
		if p == nil || len(p.rules) != len(doc.Statements) {
			continue
		}
		for i, r := range p.rules {
			if !r.reachesInside() {
				continue
			}
			for _, pattern := range r.resources {
				if none := s.withoutDocuments(pattern); none != nil {
					at := max(slices.Index(doc.Statements[i].Resources, pattern.text), 0)
					c.on(doc).add(fmt.Sprintf("statements[%d].resources[%d]", i, at), "%s", hidesNothing(none))
				}
			}
		}
	}
	for _, doc := range d.Connections {
		if conn := s.connections[doc.Name]; conn != nil {
			c.checkGuardrails(conn)
		}
	}
}

// checkGuardrails is checkInside for the guardrails of one connection, which bind nothing else.
func (c *compiler) checkGuardrails(conn *connection) {
	if conn.kind == nil || conn.kind.documents {
		return
	}
	for i, name := range conn.doc.Guardrails {
		p := c.policies[name]
		if p == nil {
			continue
		}
		for _, r := range p.rules {
			if r.reachesInside() && slices.ContainsFunc(r.resources, func(p pattern) bool { return conn.about(p) }) {
				c.on(conn.doc).add(fmt.Sprintf("guardrails[%d]", i), "statement %d of policy %s does nothing here: %s", r.because.Statement, name, hidesNothing(conn))
			}
		}
	}
}

func hidesNothing(conn *connection) string {
	return fmt.Sprintf("connection %s is of type %s, which has no documents: fields, headers and in: request would hide nothing there; name what is to be hidden in resources, "+
		"or use detect", conn.doc.Name, conn.doc.Type)
}

// reachesInside reports whether a rule hides something that only documents have.
func (r *rule) reachesInside() bool {
	return r.effect == effectMask && (len(r.paths)+len(r.headers) > 0 || r.ways[access.ToBackend])
}

// withoutDocuments returns a connection without documents that a pattern names, or is about where it is about none with documents.
func (s *Set) withoutDocuments(p pattern) (none *connection) {
	for _, name := range keys(s.connections) {
		conn := s.connections[name]
		switch {
		case conn.kind == nil || !conn.about(p):
		case conn.kind.documents:
			return nil
		case none == nil:
			none = conn
		}
	}
	return none
}

// about reports whether a pattern may be about something inside of a connection.
func (c *connection) about(p pattern) bool {
	if p.rootless {
		return c.kind.reaches(p)
	}
	return p.inside(c.segment)
}
