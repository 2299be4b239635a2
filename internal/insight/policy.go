package insight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// maxNamed is how many refusals and patterns the notes name; the others are counted.
const maxNamed = 20

// Policy is what was seen so far, as a policy of that name, and what a reviewer has to know about it. It allows what was let
// through, and asks for approval of what never was without one. nil where nothing was let through that a policy could name.
func (c *Collector) Policy(name string) (*access.Policy, []string, Counts) {
	if !c.q.Exact {
		c.fold()
	}
	var all, held []pair
	connections := map[string]bool{}
	for p, s := range c.seen {
		all = append(all, p)
		connections[s.connection] = true
		if !s.allowed {
			held = append(held, p)
		}
	}
	c.counts.Connections = len(connections)
	if len(all) == 0 {
		return nil, c.notes(), c.counts
	}
	out := &access.Policy{Name: name, Description: fmt.Sprintf("What the role %s did from %s to %s, to be reviewed", c.q.Role, day(c.first), day(c.last))}
	for _, g := range together(all) {
		out.Statements = append(out.Statements, access.PolicyStatement{Effect: access.Allow.String(), Actions: g.actions, Resources: g.resources})
	}
	for _, g := range together(held) {
		out.Statements = append(out.Statements, access.PolicyStatement{Effect: access.Approve.String(), Actions: g.actions, Resources: g.resources})
	}
	return out, c.notes(), c.counts
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// notes says what a policy that is made of what was seen cannot say. They are of one line each, in ASCII where a client chose words.
func (c *Collector) notes() []string {
	since := "the log's beginning"
	if !c.q.Since.IsZero() {
		since = day(c.q.Since)
	}
	out := []string{fmt.Sprintf("It rests on %s in %s since %s: what the role did not do in that time is not in it.",
		counted(c.counts.Actions, "action"), counted(c.counts.Sessions, "session"), since),
		"Conditions, masks and denials are not inferred, and columns and attributes not told apart: what was seen is on whole resources."}
	if n := c.counts.OtherRoles; n > 0 {
		out = append(out, fmt.Sprintf("%d of the sessions held other roles too: some of what they did may be theirs.", n))
	}
	if n := c.counts.Held; n > 0 {
		out = append(out, fmt.Sprintf("%d of the actions ran after a reviewer's approval.", n))
	}
	for _, why := range slices.Sorted(maps.Keys(c.omitted)) {
		out = append(out, fmt.Sprintf("Not in it: %d actions that %s.", c.omitted[why], why))
	}
	return append(append(out, c.patterns()...), c.refusals()...)
}

// patterns says what stands for more than it is.
func (c *Collector) patterns() []string {
	var out []string
	for _, p := range slices.Sorted(maps.Keys(c.template)) {
		out = append(out, fmt.Sprintf("%s is a path template of its connection.", ascii(p)))
	}
	for i, p := range slices.Sorted(maps.Keys(c.sets)) {
		if i == maxNamed {
			out = append(out, fmt.Sprintf("%d more were asked for with wildcards.", len(c.sets)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s was asked for with wildcards; in a policy its * also stands for names of more parts.", ascii(p)))
	}
	most := map[string]int{}
	for p, n := range c.folded {
		most[p.resource] = max(most[p.resource], n)
	}
	for i, p := range slices.Sorted(maps.Keys(most)) {
		if i == maxNamed {
			return append(out, fmt.Sprintf("%d more patterns stand for many resources.", len(most)-i))
		}
		out = append(out, fmt.Sprintf("%s stands for %d resources that were seen; --exact names each.", ascii(p), most[p]))
	}
	return out
}

// refusals names what was refused, most often first: it is not granted.
func (c *Collector) refusals() []string {
	if c.counts.Refused == 0 {
		return nil
	}
	pairs := slices.SortedFunc(maps.Keys(c.refused), func(a, b pair) int {
		return cmp.Or(c.refused[b]-c.refused[a], strings.Compare(a.action, b.action), strings.Compare(a.resource, b.resource))
	})
	out := []string{fmt.Sprintf("%d actions were refused, and are not in it.", c.counts.Refused)}
	for i, p := range pairs {
		if i == maxNamed {
			return append(out, fmt.Sprintf("Refused: %d other actions on resources.", len(pairs)-i))
		}
		out = append(out, fmt.Sprintf("Refused %s: %s on %s.", counted(c.refused[p], "time"), ascii(p.action), ascii(p.resource)))
	}
	return out
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// ascii makes a name that a client chose safe for comments and terminals.
func ascii(s string) string {
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}
