package insight

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Bounds of a Collector.
const (
	maxSessions = 1 << 20
	maxBytes    = 64 << 20 // of names of actions and resources
	maxRefused  = 1000     // different refusals that are told apart
	maxPattern  = 512      // bytes of a resource that a policy can name
)

// opaque ends the name of what was not understood.
const opaque = ":Opaque"

// Question is what a Collector is asked.
type Question struct {
	Role       string
	Connection string    // only on this connection; "" is all
	Protocol   string    // only of this protocol; "" is all
	Since      time.Time // only what happened at or after
	Exact      bool      // never put resources together
	// Implied reports whether an action is allowed to whoever reaches a connection: nobody needs to be given it.
	Implied func(protocol, action string) bool
	// Template and Parent are a protocol's own, as wire.Folds has them.
	Template func(protocol, connection, resource string) (pattern string, ok bool)
	Parent   func(protocol, resource string) (prefix string, ok bool)
}

// Collector gathers what a role did. Feed it with Add, in the order of the log, from its beginning: a session says its roles only
// when it opens.
type Collector struct {
	q        Question
	bounds   int // in bytes
	gateway  string
	sessions map[string]session // those of the role that may still be open
	seen     map[pair]*sight
	refused  map[pair]int
	bytes    int
	counts   Counts
	omitted  map[string]int // actions that the policy cannot name, by reason
	folded   map[pair]int   // how many resources a pattern stands for
	template map[string]bool
	sets     map[string]bool // patterns that were sets to the client
	first    time.Time
	last     time.Time
}

type session struct {
	connection, protocol string
	others               bool // it holds other roles too
	acted                bool
}

type pair struct{ action, resource string }

// sight is how an action on a resource was let through.
type sight struct {
	protocol, connection string
	allowed              bool // without a reviewer, at least once
}

// Counts is how much a policy rests on.
type Counts struct {
	Sessions    int // that acted
	Actions     int // intents
	Held        int // of them, after a reviewer's approval
	Refused     int // refused actions
	OtherRoles  int // sessions that held other roles too
	Connections int
}

// NewCollector returns an empty one.
func NewCollector(q Question) *Collector {
	return &Collector{q: q, bounds: maxBytes, gateway: access.GatewayPrincipal().ID(), sessions: map[string]session{}, seen: map[pair]*sight{},
		refused: map[pair]int{}, omitted: map[string]int{}, folded: map[pair]int{}, template: map[string]bool{}, sets: map[string]bool{}}
}

// Add takes one event. An error means that more differs than a policy can hold.
func (c *Collector) Add(e *access.Event) error {
	switch e.Kind {
	case access.EventGatewayStarted:
		clear(c.sessions) // whatever was open died with the gateway before
	case access.EventSessionOpened:
		return c.open(e)
	case access.EventSessionClosed:
		delete(c.sessions, e.Session)
	case access.EventActionIntended, access.EventActionRefused:
		s, ours := c.sessions[e.Session]
		if !ours || e.Principal == c.gateway || e.Time.Before(c.q.Since) {
			return nil
		}
		c.act(e, s)
		if e.Kind == access.EventActionIntended {
			return c.intended(e, s)
		}
		c.refuse(e, s)
	}
	return nil
}

func (c *Collector) open(e *access.Event) error {
	if !slices.Contains(e.Roles, c.q.Role) || c.q.Connection != "" && e.Connection != c.q.Connection || c.q.Protocol != "" && e.Protocol != c.q.Protocol {
		return nil
	}
	if len(c.sessions) >= maxSessions {
		return fault.New(fault.Malformed, "insight.Add", "more than %d sessions of the role are open at once in the log: choose a connection", maxSessions)
	}
	c.sessions[e.Session] = session{connection: e.Connection, protocol: e.Protocol, others: len(e.Roles) > 1}
	return nil
}

// act counts a session once.
func (c *Collector) act(e *access.Event, s session) {
	if c.first.IsZero() {
		c.first = e.Time
	}
	c.last = e.Time
	if s.acted {
		return
	}
	s.acted = true
	c.sessions[e.Session] = s
	c.counts.Sessions++
	if s.others {
		c.counts.OtherRoles++
	}
}

func (c *Collector) intended(e *access.Event, s session) error {
	c.counts.Actions++
	if e.Approval != "" {
		c.counts.Held++
	}
	for _, a := range e.Actions {
		if c.q.Implied(s.protocol, a.Name) {
			continue
		}
		if why := unspeakable(a); why != "" {
			c.omitted[why]++
			continue
		}
		p := c.shape(s, a)
		have := c.seen[p]
		if have == nil {
			p = pair{strings.Clone(p.action), strings.Clone(p.resource)}
			have = &sight{protocol: s.protocol, connection: s.connection}
			c.seen[p] = have
			c.bytes += len(p.action) + len(p.resource)
			if a.Wild {
				c.sets[p.resource] = true
			}
		}
		have.allowed = have.allowed || e.Approval == ""
	}
	if c.bytes > c.bounds {
		return c.squeeze()
	}
	return nil
}

// unspeakable says why a policy cannot, or should not, name what was done.
func unspeakable(a access.Action) string {
	switch {
	case strings.HasSuffix(a.Name, opaque):
		return "were not understood: a policy has to name " + a.Name + " outright, which allows whatever is not understood"
	case !utf8.ValidString(a.Resource) || !utf8.ValidString(a.Name):
		return "are on resources whose names are no UTF-8, which no document can hold"
	case len(a.Resource) > maxPattern:
		return "are on resources whose names are longer than a policy can name"
	}
	return ""
}

// shape is an action on a resource, or on the template that a connection has for it.
func (c *Collector) shape(s session, a access.Action) pair {
	p := pair{a.Name, a.Resource}
	if c.q.Exact {
		return p
	}
	if pattern, ok := c.q.Template(s.protocol, s.connection, a.Resource); ok {
		p.resource = pattern
		c.template[strings.Clone(pattern)] = true
	}
	return p
}

// squeeze puts resources together early where there is much, and gives up where that does not help.
func (c *Collector) squeeze() error {
	if !c.q.Exact {
		c.fold()
		c.bytes = 0
		for p := range c.seen {
			c.bytes += len(p.action) + len(p.resource)
		}
	}
	if c.bytes <= c.bounds/2 {
		return nil
	}
	return fault.New(fault.Malformed, "insight.Add",
		"the role did more different things than one policy can hold: choose a connection, or a shorter time with --since")
}

func (c *Collector) refuse(e *access.Event, s session) {
	c.counts.Refused++
	for _, a := range e.Actions {
		p := pair{a.Name, a.Resource}
		if _, known := c.refused[p]; (known || len(c.refused) < maxRefused) && !c.q.Implied(s.protocol, a.Name) {
			c.refused[p]++
		}
	}
}
