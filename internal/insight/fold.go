package insight

import (
	"maps"
	"slices"
	"strings"
)

// Many is how many resources of one action below one prefix are named one by one; more of them become the prefix with a "*".
const Many = 20

// shelf is where pairs lie together: of one action, below one prefix.
type shelf struct {
	pair
	protocol, connection string
}

// fold puts together what more than Many resources have in common, the longest prefixes first, so that a wide prefix is taken only
// where narrow ones leave much. What never passed without a reviewer stays as it was seen: a pattern over it would hold, or let
// through, what it should not. The result does not depend on the order of the log.
func (c *Collector) fold() {
	levels := map[shelf][]pair{}
	for p, s := range c.seen {
		c.lay(levels, p, s)
	}
	for len(levels) > 0 {
		deepest := 0
		for at := range levels {
			deepest = max(deepest, len(at.resource))
		}
		for at := range maps.Clone(levels) {
			if len(at.resource) != deepest {
				continue
			}
			below := levels[at]
			delete(levels, at)
			c.take(levels, at, below)
		}
	}
}

// take replaces what lies on a shelf by one pattern where it is much, and hands it up otherwise.
func (c *Collector) take(levels map[shelf][]pair, at shelf, below []pair) {
	if len(below) > Many {
		pattern := pair{at.action, at.resource + "*"}
		stands := 0
		for _, p := range below {
			stands += max(1, c.folded[p])
			delete(c.seen, p)
			delete(c.folded, p)
		}
		c.seen[pattern] = &sight{protocol: at.protocol, connection: at.connection, allowed: true}
		c.folded[pattern] = stands
		below = []pair{pattern}
	}
	prefix, ok := c.q.Parent(at.protocol, at.resource)
	if !ok {
		return
	}
	up := at
	up.resource = prefix
	levels[up] = append(levels[up], below...)
}

func (c *Collector) lay(levels map[shelf][]pair, p pair, s *sight) {
	prefix, ok := c.q.Parent(s.protocol, p.resource)
	if !ok || !s.allowed {
		return
	}
	at := shelf{pair{p.action, prefix}, s.protocol, s.connection}
	levels[at] = append(levels[at], p)
}

// together groups actions that were seen on the same resources, so that a statement allows nothing that was not seen.
func together(pairs []pair) []group {
	resources := map[string][]string{}
	for _, p := range pairs {
		resources[p.action] = append(resources[p.action], p.resource)
	}
	groups := map[string]*group{}
	for _, action := range slices.Sorted(maps.Keys(resources)) {
		list := resources[action]
		slices.Sort(list)
		list = slices.Compact(list)
		list = slices.DeleteFunc(slices.Clone(list), func(r string) bool { return covered(r, list) })
		key := strings.Join(list, "\x00")
		if groups[key] == nil {
			groups[key] = &group{resources: list}
		}
		groups[key].actions = append(groups[key].actions, action)
	}
	out := make([]group, 0, len(groups))
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, *groups[key])
	}
	slices.SortStableFunc(out, func(a, b group) int { return strings.Compare(a.actions[0], b.actions[0]) })
	return out
}

type group struct{ actions, resources []string }

// covered reports whether another pattern of the list, a prefix with a "*" at its end, says the same of r.
func covered(r string, list []string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return wild && p != r && !strings.Contains(prefix, "*") && strings.HasPrefix(r, prefix)
	})
}
