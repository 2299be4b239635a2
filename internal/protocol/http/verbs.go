package http

import "gatehouse/internal/wire"

// prefix is what the names of this protocol's own actions begin with.
const prefix = name + ":"

// The verbs that are not a method of their own.
const (
	verbUpgrade = "Upgrade"
	verbCall    = "Call"
	verbOpaque  = "Opaque"
)

// method is one method of HTTP that has an action of its own.
type method struct {
	name, verb, about string
}

var methods = []method{
	{"GET", "Get", "reading a resource; a HEAD counts as one for deny and approve"},
	{"HEAD", "Head", "reading the headers of a resource"},
	{"POST", "Post", "sending something to a resource"},
	{"PUT", "Put", "replacing a resource"},
	{"PATCH", "Patch", "changing a part of a resource"},
	{"DELETE", "Delete", "removing a resource"},
	{"OPTIONS", "Options", "asking what a resource allows"},
}

// verbs is the closed list of this protocol's own actions.
func verbs() []wire.Verb {
	out := make([]wire.Verb, 0, len(methods)+3)
	for _, m := range methods {
		out = append(out, wire.Verb{Name: prefix + m.verb, About: m.about})
	}
	return append(out,
		wire.Verb{Name: prefix + verbUpgrade, About: "a GET that opens a WebSocket; http:Get counts too for deny and approve"},
		wire.Verb{Name: prefix + verbCall, About: "a method of gRPC; the resource is `connection/package.Service/Method`; http:Post counts too for deny and approve"},
		wire.Verb{Name: prefix + verbOpaque, About: "a method that is not in this list; only a policy that names it outright allows it"},
	)
}

// verbOf returns the verb of a method. TRACE is refused before anybody asks: its answer repeats the request's credential.
func verbOf(name string) string {
	for _, m := range methods {
		if m.name == name {
			return m.verb
		}
	}
	return verbOpaque
}
