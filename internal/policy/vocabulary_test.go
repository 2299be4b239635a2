package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// cloud is a vocabulary whose actions begin with other words than its type, and whose resources have a form of their own; it
// shares an action with db, for which that one is implied.
func cloud() []policy.Vocabulary {
	return append(vocab(), policy.Vocabulary{Type: "cl", Rootless: []string{"arn:"}, Actions: []policy.ActionName{
		{Name: "kv:GetItem"}, {Name: "kv:PutItem"}, {Name: "blob:GetObject"}, {Name: "cl:Opaque"}, {Name: "db:Transaction"},
	}})
}

// clouds is a world with two connections of the type cl, and billing, which is of the type mq and has actions added.
func clouds(names map[string][]policy.ActionName, statements ...access.PolicyStatement) policy.Documents {
	d := world([]*access.Policy{pol("app", statements...)}, nil)
	d.Connections = append(d.Connections, &access.Connection{Name: "acct", Type: "cl"}, &access.Connection{Name: "acct2", Type: "cl"},
		&access.Connection{Name: "billing", Type: "mq"})
	d.Names = names
	return d
}

func refunds() map[string][]policy.ActionName {
	return map[string][]policy.ActionName{"billing": {{Name: "billing:CreateRefund"}, {Name: "billing:ListRefunds", Implied: true}}}
}

// effectOn decides on one action; a connection that is out of reach is "unreachable".
func effectOn(t *testing.T, d policy.Documents, connection, action, resource string) string {
	t.Helper()
	s, err := policy.Compile(d, cloud(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rules(caller(), connection)
	if err != nil {
		return "unreachable"
	}
	return r.Decide(stmt(act(action, resource)), input()).Effect.String()
}

// TestNamesFromElsewhere: a type's actions may begin with other words than its name, types may share them, and documents add
// others to single connections.
func TestNamesFromElsewhere(t *testing.T) {
	const table = "acct/arn:aws:kv:eu-west-1:123456789012:table/Orders"
	both := []access.PolicyStatement{allow("kv:GetItem", "*"), allow("billing:CreateRefund", "*"), allow("db:Select", "*")}
	all := []access.PolicyStatement{allow("*", "*")}
	for _, tc := range []struct {
		name       string
		app        []access.PolicyStatement
		connection string
		action     string
		resource   string
		want       string
	}{
		{"named", both, "acct", "kv:GetItem", table, "allow"},
		{"another of the type", both, "acct", "kv:PutItem", table, "deny"},
		{"by a glob", []access.PolicyStatement{allow("kv:*", "*")}, "acct", "kv:PutItem", table, "allow"},
		{"a glob of other words", []access.PolicyStatement{allow("kv:*", "*")}, "acct", "blob:GetObject", table, "deny"},
		{"a glob in the middle", []access.PolicyStatement{allow("*:Get*", "*")}, "acct", "blob:GetObject", table, "allow"},
		{"an action of another type", all, "acct", "db:Select", table, "deny"},
		{"an action of the type, elsewhere", all, "orders-db", "kv:GetItem", customers, "deny"},
		{"connecting is implied", both, "acct", "cl:Connect", "acct", "allow"},
		{"opaque is named outright", append(all, allow("cl:*", "*")), "acct", "cl:Opaque", table, "deny"},
		{"opaque, named", append(all, allow("cl:Opaque", "*")), "acct", "cl:Opaque", table, "allow"},
		{"implied for another type only", both, "acct", "db:Transaction", table, "deny"},
		{"implied where it is", both, "orders-db", "db:Transaction", "orders-db", "allow"},
		{"added", both, "billing", "billing:CreateRefund", "billing/v1/refunds", "allow"},
		{"added, and never implied", both, "billing", "billing:ListRefunds", "billing/v1/refunds", "deny"},
		{"added, by a glob", []access.PolicyStatement{allow("billing:*", "*")}, "billing", "billing:ListRefunds", "billing/v1/refunds", "allow"},
		{"added, and denied", append(all, deny("billing:Create*", "*")), "billing", "billing:CreateRefund", "billing/v1/refunds", "deny"},
		{"added to another connection of the type", all, "jobs", "billing:CreateRefund", "jobs/v1/refunds", "deny"},
		{"the type's own, beside what is added", all, "billing", "mq:Publish", "billing/x", "allow"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := effectOn(t, clouds(refunds(), tc.app...), tc.connection, tc.action, tc.resource); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// TestResourcesWithoutConnection: a pattern that begins as the resources of a type do is about all connections of that type and
// no others, and never about the connection's own name.
func TestResourcesWithoutConnection(t *testing.T) {
	const table = "arn:aws:kv:eu-west-1:123456789012:table/Orders"
	item := func(resource string) []access.PolicyStatement { return []access.PolicyStatement{allow("*", resource)} }
	denied := func(resource string) []access.PolicyStatement {
		return []access.PolicyStatement{allow("*", "*"), deny("*:*", resource)}
	}
	for _, tc := range []struct {
		name       string
		app        []access.PolicyStatement
		connection string
		action     string
		resource   string
		want       string
	}{
		{"as it stands", item(table), "acct", "kv:GetItem", "acct/" + table, "allow"},
		{"on every connection of the type", item(table), "acct2", "kv:GetItem", "acct2/" + table, "allow"},
		{"with its connection", item("acct/" + table), "acct", "kv:GetItem", "acct/" + table, "allow"},
		{"with another connection", item("acct2/" + table), "acct", "kv:GetItem", "acct/" + table, "unreachable"},
		{"another table", item(table), "acct", "kv:GetItem", "acct/" + table + "2", "deny"},
		{"a star", item("arn:aws:kv:*:table/Ord*"), "acct", "kv:GetItem", "acct/" + table, "allow"},
		{"the bucket's dots part nothing", item("arn:aws:blob:::my.bucket/*"), "acct", "blob:GetObject", "acct/arn:aws:blob:::my.bucket/a/b.json", "allow"},
		{"another bucket", item("arn:aws:blob:::my.bucket/*"), "acct", "blob:GetObject", "acct/arn:aws:blob:::my.bucket.evil/a", "deny"},
		{"deeper than it is", item(table), "acct", "kv:GetItem", "acct/x/" + table, "deny"},
		{"a deny covers what is below", denied(table), "acct", "kv:GetItem", "acct/" + table + "/index/by-day", "deny"},
		{"a deny of another table", denied(table), "acct", "kv:GetItem", "acct/" + table + "2", "allow"},
		{"a deny of all of them", denied("arn:*"), "acct", "kv:GetItem", "acct/" + table, "deny"},
		{"what is not one of them", denied("arn:*"), "acct", "kv:GetItem", "acct/x", "allow"},
		{"the connection itself", denied("arn:*"), "acct", "cl:Connect", "acct", "allow"},
		{"other types are out of reach", item("arn:*"), "orders-db", "db:Select", "orders-db/arn:x", "unreachable"},
		{"other types, beside a pattern of theirs", []access.PolicyStatement{edit(allow("*", "arn:*"), func(s *access.PolicyStatement) { s.Resources = append(s.Resources, customers) })}, "orders-db", "db:Select", "orders-db/arn:x", "deny"},
		{"the same word on another type is none of it", denied("arn:*"), "orders-db", "db:Select", "orders-db/arn:x", "allow"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := effectOn(t, clouds(nil, tc.app...), tc.connection, tc.action, tc.resource); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	for text, say := range map[string]string{
		"arn:aws:blob:::b/?x": "stand for themselves", "arn:aws:blob:::b/${aws:username}/*": "stand for themselves", "arn:aws:blob:::b/%41": "%",
		"arn.aws:blob": "begins with the connection's name",
	} {
		_, err := policy.Compile(clouds(nil, allow("kv:GetItem", text)), cloud(), 1)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := policy.Compile(clouds(nil, allow("kv:GetItem", "arn:aws:blob:::b%2F%2E/*")), cloud(), 1); err != nil {
		t.Error(err)
	}
}

// TestAddedNamesAreChecked: what an attached document adds is a name that means nothing else, and what nobody has is an error.
func TestAddedNamesAreChecked(t *testing.T) {
	for name, say := range map[string]string{
		"": "two parts", "CreateRefund": "two parts", "a:*": "asterisk", "a:b c": "signs", "a:é": "signs", "a:\n": "signs", ":x": "two parts",
		"x::": "two parts", strings.Repeat("a", 300) + ":b": "longer", "billing:Opaque": "meaning of its own", "other:Connect": "meaning of its own",
		"mq:Publish": "an action of a type", "db:CreateRefund": "another name", "kv:New": "an action of a type",
	} {
		d := clouds(map[string][]policy.ActionName{"billing": {{Name: name}}}, allow("db:Select", "*"))
		_, err := policy.Compile(d, cloud(), 1)
		found := policy.Problems(err)
		if len(found) != 1 || found[0].Kind != access.KindConnection || found[0].Name != "billing" || !strings.Contains(found[0].Say, say) {
			t.Errorf("%q: %v", name, err)
		}
	}
	d := clouds(map[string][]policy.ActionName{"billing": {{Name: "db:CreateRefund"}}}, allow("db:Select", "*"))
	d.Stored = true // a type that came after the document
	if s, err := policy.Compile(d, cloud(), 1); err != nil || !strings.Contains(s.Closed()["billing"], "another name") {
		t.Errorf("stored: %v", err)
	}
	_, err := policy.Compile(clouds(refunds(), allow("billing:CreateRefnd", "*")), cloud(), 1)
	if err == nil || !strings.Contains(err.Error(), "did you mean billing:CreateRefund?") {
		t.Error(err)
	}
	d = clouds(refunds(), allow("db:Select", "*"))
	d.Connections[4].Type = "nope"
	if _, err := policy.Compile(d, cloud(), 1); err == nil || !strings.Contains(err.Error(), "unknown connection type") {
		t.Error(err)
	}
}

// TestClosedConnections: where the actions of a connection cannot be had, or policies name one that it no longer has, nobody
// reaches it, and the other connections go on.
func TestClosedConnections(t *testing.T) {
	rest := allow("mq:Publish", "*")
	twins := map[string][]policy.ActionName{"billing": refunds()["billing"], "jobs": {{Name: "jobs:Run"}}}
	for _, tc := range []struct {
		name   string
		names  map[string][]policy.ActionName
		broken bool
		extra  access.PolicyStatement
		closed string // the connections, or the error
	}{
		{"all is well", twins, false, deny("billing:CreateRefund", "*"), "map[]"},
		{"it cannot be had", map[string][]policy.ActionName{"jobs": twins["jobs"]}, true, deny("billing:CreateRefund", "*"), "billing"},
		{"an operation is gone", twins, false, deny("billing:DeleteRefund", "*"), "billing"},
		{"all of a pattern is gone", twins, false, deny("billing:Del*", "*"), "billing"},
		{"a pattern of any of them", twins, false, deny("*:Vanish*", "*"), "billing jobs"},
		{"a pattern without a colon", twins, false, deny("*Refnd", "*"), "billing jobs"},
		{"a type's own action is gone", twins, true, deny("mq:Purge", "*"), "error: unknown action"},
		{"a pattern of a type's own", twins, true, deny("mq:Pur*", "*"), "error: matches no action"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := clouds(tc.names, rest, tc.extra)
			d.Stored = true
			if tc.broken {
				d.Closed = map[string]string{"billing": "its file is gone"}
			}
			s, err := policy.Compile(d, cloud(), 1)
			if want, fails := strings.CutPrefix(tc.closed, "error: "); fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, connection := range []string{"billing", "jobs"} {
				_, err := s.Rules(caller(), connection)
				_, closed := s.Closed()[connection]
				if want := strings.Contains(tc.closed, connection); closed != want || (err != nil) != want {
					t.Errorf("%s: closed %t, %v", connection, closed, err)
				}
			}
			if d.Stored = false; tc.name != "all is well" {
				if _, err := policy.Compile(d, cloud(), 1); err == nil {
					t.Error("what nobody has can be written")
				}
			}
		})
	}
}

// TestOptionsOfAnotherType: a key of a connection that is called as a type is for that type.
func TestOptionsOfAnotherType(t *testing.T) {
	vocabulary := append(vocab(), policy.Vocabulary{Type: "http"})
	d := world([]*access.Policy{pol("app", allow("db:Select", "*"))}, nil)
	d.Connections[0].HTTP = &access.HTTPOptions{}
	_, err := policy.Compile(d, vocabulary, 1)
	if found := policy.Problems(err); len(found) != 1 || found[0].Path != "http" || found[0].Name != "orders-db" {
		t.Error(err)
	}
	d.Connections[0].Type = "http"
	if _, err := policy.Compile(d, vocabulary, 1); err != nil {
		t.Error(err)
	}
}

// TestRapidRootless: with an ordinary pattern for each connection of the type in its place, a pattern without a root decides
// the same.
func TestRapidRootless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "arn:" + rapid.StringMatching(`[ab:/.*]{0,8}`).Draw(t, "pattern")
		effect := rapid.SampledFrom([]string{"allow", "deny"}).Draw(t, "effect")
		resource := rapid.SampledFrom([]string{"", "x/"}).Draw(t, "above") + "arn:" + rapid.StringMatching(`[ab:/.]{0,8}`).Draw(t, "resource")
		decide := func(resources ...string) access.Effect {
			st := access.PolicyStatement{Effect: effect, Actions: []string{"kv:GetItem"}, Resources: resources}
			base := allow("kv:*", "acct/zzz")
			if effect == "deny" {
				base = allow("kv:*", "*")
			}
			s, err := policy.Compile(clouds(nil, base, st), cloud(), 1)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Rules(caller(), "acct")
			if err != nil {
				t.Fatal(err)
			}
			return r.Decide(stmt(act("kv:GetItem", "acct/"+resource)), input()).Effect
		}
		if a, b := decide(text), decide("acct/"+text); a != b {
			t.Fatalf("%s against %s: %s, and %s with its connection", text, resource, a, b)
		}
	})
}

// thousands is a vocabulary as large as a cloud's.
func thousands() []policy.Vocabulary {
	v := policy.Vocabulary{Type: "cl", Rootless: []string{"arn:"}}
	for i := range 300 {
		for j := range 50 {
			v.Actions = append(v.Actions, policy.ActionName{Name: fmt.Sprintf("svc%d:Action%d", i, j)})
		}
	}
	return append(vocab(), v)
}

func BenchmarkCompileThousands(b *testing.B) {
	d := world(many(100), nil)
	for i := range 100 {
		d.Policies = append(d.Policies, pol(fmt.Sprintf("c%d", i), allow(fmt.Sprintf("svc%d:*", i), "arn:*"), deny("*", "arn:x"), allow("*:Action1*", "*")))
	}
	v := thousands()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Compile(d, v, 1); err != nil {
			b.Fatal(err)
		}
	}
}
