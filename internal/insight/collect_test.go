package insight

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world asks about the role reader. Resources lie below each other at slashes, and ids stand in files/.
func world(q Question) *Collector {
	q.Role = "reader"
	q.Implied = func(_, action string) bool { return action == "mem:Connect" }
	q.Template = func(_, _, resource string) (string, bool) {
		if rest, ok := strings.CutPrefix(resource, "shop/files/"); ok && !strings.Contains(rest, "/") {
			return "shop/files/*", true
		}
		return "", false
	}
	q.Parent = func(_, resource string) (string, bool) {
		i := strings.LastIndexByte(strings.TrimSuffix(resource, "/"), '/')
		if i < 0 || strings.Count(resource[:i], "/") == 0 {
			return "", false
		}
		return resource[:i+1], true
	}
	return NewCollector(q)
}

func add(t *testing.T, c *Collector, events ...access.Event) {
	t.Helper()
	for i := range events {
		if err := c.Add(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func opened(id string, roles ...string) access.Event {
	return access.Event{Kind: access.EventSessionOpened, Time: start, Session: id, Connection: "shop", Protocol: "mem", Roles: roles}
}

func did(id, action, resource string) access.Event {
	return access.Event{Kind: access.EventActionIntended, Time: start.Add(time.Minute), Session: id, Effect: "allow",
		Actions: []access.Action{{Name: action, Resource: resource}}}
}

func held(id, action, resource string) access.Event {
	e := did(id, action, resource)
	e.Approval = "a-1"
	return e
}

func refused(id, action, resource string) access.Event {
	e := did(id, action, resource)
	e.Kind = access.EventActionRefused
	return e
}

func statement(effect string, actions, resources string) access.PolicyStatement {
	return access.PolicyStatement{Effect: effect, Actions: strings.Fields(actions), Resources: strings.Fields(resources)}
}

// TestCollector: what was let through in sessions of the role is in the policy, and nothing else is.
func TestCollector(t *testing.T) {
	c := world(Question{})
	early := did("s1", "mem:Early", "shop/a/x")
	early.Time = start.Add(-time.Hour)
	c.q.Since = start
	own := did("s1", "mem:Reset", "shop")
	own.Principal = access.GatewayPrincipal().ID()
	after := opened("s5", "reader")
	add(t, c, opened("s1", "reader"), opened("s2", "writer"), opened("s3", "reader", "writer"), opened("s4", "reader"), early,
		did("s1", "mem:Connect", "shop"), did("s1", "mem:Read", "shop/a/x"), did("s1", "mem:Read", "shop/a/y"), did("s3", "mem:List", "shop/a/x"),
		did("s3", "mem:List", "shop/a/y"), did("s2", "mem:Write", "shop/a/x"), own, held("s1", "mem:Drop", "shop/a/x"), held("s1", "mem:Read", "shop/a/x"),
		refused("s1", "mem:Truncate", "shop/a/x"), did("s1", "mem:Opaque", "shop"),
		access.Event{Kind: access.EventSessionClosed, Session: "s1"}, did("s1", "mem:Late", "shop/a/x"),
		access.Event{Kind: access.EventGatewayStarted}, did("s4", "mem:Gone", "shop/a/x"), after, did("s5", "mem:Read", "shop/files/1"))
	p, _, counts := c.Policy("seen")
	want := []access.PolicyStatement{
		statement("allow", "mem:Drop", "shop/a/x"),
		statement("allow", "mem:List", "shop/a/x shop/a/y"),
		statement("allow", "mem:Read", "shop/a/x shop/a/y shop/files/*"),
		statement("approve", "mem:Drop", "shop/a/x"),
	}
	if d := cmp.Diff(want, p.Statements); d != "" {
		t.Error(d)
	}
	if counts.Sessions != 3 || counts.Held != 2 || counts.Refused != 1 || counts.OtherRoles != 1 {
		t.Errorf("counts %+v", counts)
	}
}

// TestFold: more than Many below one prefix are the prefix; as many are not; what only ever ran after an approval never is; the
// order in which things happened does not matter.
func TestFold(t *testing.T) {
	var events []access.Event
	for i := range Many {
		events = append(events, did("s", "mem:Few", fmt.Sprintf("shop/few/%d", i)), did("s", "mem:Read", fmt.Sprintf("shop/many/%d", i)),
			held("s", "mem:Drop", fmt.Sprintf("shop/many/%d", i)))
	}
	events = append(events, did("s", "mem:Read", "shop/many/last"), held("s", "mem:Drop", "shop/many/last"))
	for day := range 31 { // few on each day, many in the month
		events = append(events, did("s", "mem:Read", fmt.Sprintf("shop/logs/2026/01/%02d/x", day)), did("s", "mem:Read", fmt.Sprintf("shop/logs/2026/01/%02d/y", day)))
	}
	for i := range 50 { // what is below the connection itself never becomes the whole connection
		events = append(events, did("s", "mem:Read", fmt.Sprintf("shop/top%02d", i)))
	}
	var first *access.Policy
	for seed := range uint64(5) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		c := world(Question{})
		add(t, c, opened("s", "reader"))
		add(t, c, events...)
		p, notes, _ := c.Policy("seen")
		if first == nil {
			first = p
		}
		if d := cmp.Diff(first, p); d != "" {
			t.Fatal(d)
		}
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "shop/logs/2026/01/* stands for 62 resources") }) {
			t.Errorf("no note of what a pattern stands for: %q", notes)
		}
	}
	resources := map[string][]string{}
	for _, s := range first.Statements {
		resources[s.Effect+" "+s.Actions[0]] = s.Resources
	}
	if got := resources["allow mem:Few"]; len(got) != Many {
		t.Errorf("%d resources are %v", Many, got)
	}
	read := resources["allow mem:Read"]
	if !slices.Contains(read, "shop/many/*") || !slices.Contains(read, "shop/logs/2026/01/*") || len(read) != 52 {
		t.Errorf("many are %v", read)
	}
	if got := resources["approve mem:Drop"]; len(got) != Many+1 {
		t.Errorf("what was held became %v", got)
	}
	c := world(Question{Exact: true})
	add(t, c, opened("s", "reader"))
	add(t, c, events...)
	add(t, c, did("s", "mem:Read", "shop/files/1"))
	p, _, _ := c.Policy("seen")
	for _, s := range p.Statements {
		for _, r := range s.Resources {
			if strings.Contains(r, "*") {
				t.Errorf("exactly, and yet %s", r)
			}
		}
	}
}

// TestNotes: what a policy cannot say is noted, in words that no client can make into something else.
func TestNotes(t *testing.T) {
	c := world(Question{})
	long := strings.Repeat("x", maxPattern)
	add(t, c, opened("s", "reader", "other"), did("s", "mem:Opaque", "shop"), did("s", "mem:Read", "shop/a\xff"), did("s", "mem:Read", "shop/"+long),
		held("s", "mem:Drop", "shop/a"), refused("s", "mem:Drop", "shop/b\u0085# c\nkind: Policy\x1b"), refused("s", "mem:Drop", "shop/b"), refused("s", "mem:Drop", "shop/b"))
	p, notes, _ := c.Policy("seen")
	if len(p.Statements) != 2 {
		t.Errorf("statements %v", p.Statements)
	}
	text := strings.Join(notes, "\n")
	for _, want := range []string{"mem:Opaque outright", "no UTF-8", "longer than", "after a reviewer", "held other roles", "Refused 2 times: mem:Drop on shop/b.", "the log's beginning"} {
		if !strings.Contains(text, want) {
			t.Errorf("no note says %q:\n%s", want, text)
		}
	}
	for _, n := range notes {
		if strings.ContainsFunc(n, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("a note holds what a client wrote: %q", n)
		}
	}
	empty := world(Question{})
	add(t, empty, opened("s", "reader"), refused("s", "mem:Drop", "shop/a"))
	if p, _, _ := empty.Policy("seen"); p != nil {
		t.Errorf("nothing was let through, and the policy is %v", p)
	}
}

// TestBounds: more than a policy can hold is refused, not kept; below one prefix it is put together in time.
func TestBounds(t *testing.T) {
	feed := func(c *Collector, resource string) error {
		c.bounds = 10_000
		add(t, c, opened("s", "reader"))
		for i := range 5000 {
			e := did("s", "mem:Read", fmt.Sprintf(resource, i))
			if err := c.Add(&e); err != nil {
				return err
			}
			if c.bytes > 2*c.bounds {
				t.Fatalf("%d bytes are kept", c.bytes)
			}
		}
		return nil
	}
	if err := feed(world(Question{}), "shop/%d"); fault.KindOf(err) != fault.Malformed {
		t.Errorf("without a prefix: %v", err)
	}
	if err := feed(world(Question{Exact: true}), "shop/a/%d"); fault.KindOf(err) != fault.Malformed {
		t.Errorf("exactly: %v", err)
	}
	if err := feed(world(Question{}), "shop/a/%d"); err != nil {
		t.Errorf("below one prefix: %v", err)
	}
}

// TestSetsBecomeThePatternThatAllowsThem: what was asked for with a wildcard is in the policy as it was asked for, which covers it.
func TestSetsBecomeThePatternThatAllowsThem(t *testing.T) {
	c := world(Question{})
	set := did("s1", "mem:Subscribe", "shop/subject/orders.*.**")
	set.Actions[0].Wild = true
	add(t, c, opened("s1", "reader"), set, did("s1", "mem:Subscribe", "shop/subject/payments.%2A"))
	p, notes, _ := c.Policy("seen")
	if !slices.Contains(notes, "shop/subject/orders.*.** was asked for with wildcards; in a policy its * also stands for names of more parts.") {
		t.Errorf("%q", notes)
	}
	if d := cmp.Diff([]access.PolicyStatement{statement("allow", "mem:Subscribe", "shop/subject/orders.*.** shop/subject/payments.%2A")}, p.Statements); d != "" {
		t.Error(d)
	}
}
