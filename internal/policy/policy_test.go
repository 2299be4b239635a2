package policy_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
)

const issuerURL = "https://issuer.example"

// vocab is a small vocabulary of two connection types.
func vocab() []policy.Vocabulary {
	db := policy.Vocabulary{Type: "db", Documents: true}
	for _, verb := range []string{"Select", "Insert", "Update", "Delete", "Truncate", "DropTable", "DropIndex", "Opaque"} {
		db.Actions = append(db.Actions, policy.ActionName{Name: "db:" + verb})
	}
	db.Actions = append(db.Actions, policy.ActionName{Name: "db:Transaction", Implied: true})
	mq := policy.Vocabulary{Type: "mq", Documents: true, Messages: true, Actions: []policy.ActionName{{Name: "mq:Publish"}}}
	return []policy.Vocabulary{db, mq}
}

// world is a set of documents around some policies: role "app" with the policies of app, connection "orders-db" with
// those of guard as guardrails, a second connection, and reviewers.
func world(app, guard []*access.Policy) policy.Documents {
	d := policy.Documents{
		Issuers: []*access.Issuer{{Name: "ci", URL: issuerURL}},
		Roles: []*access.Role{
			{Name: "app", Bind: []access.Binding{{Issuer: "ci", Claims: map[string]any{"sub": "app"}}}},
			{Name: "dba", Bind: []access.Binding{{Issuer: "ci", Claims: map[string]any{"group": "dba"}}}},
			{Name: "lead", Bind: []access.Binding{{Issuer: "ci", Claims: map[string]any{"group": "lead"}}}},
		},
		Connections: []*access.Connection{{Name: "orders-db", Type: "db"}, {Name: "jobs", Type: "mq"}},
	}
	for _, p := range app {
		d.Policies = append(d.Policies, p)
		d.Roles[0].Policies = append(d.Roles[0].Policies, p.Name)
	}
	for _, p := range guard {
		d.Policies = append(d.Policies, p)
		d.Connections[0].Guardrails = append(d.Connections[0].Guardrails, p.Name)
	}
	return d
}

func caller() *access.Principal {
	return &access.Principal{Issuer: issuerURL, Subject: "app", Kind: access.Workload,
		Claims: map[string]any{"sub": "app", "env": "prod", "level": int64(3)}}
}

func pol(name string, statements ...access.PolicyStatement) *access.Policy {
	return &access.Policy{Name: name, Statements: statements}
}

func allow(action, resource string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "allow", Actions: []string{action}, Resources: []string{resource}}
}

func deny(action, resource string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "deny", Actions: []string{action}, Resources: []string{resource}}
}

func approve(action, resource string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "approve", Actions: []string{action}, Resources: []string{resource}}
}

func masked(with *access.MaskWith, resources ...string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "mask", Resources: resources, With: with}
}

func when(s access.PolicyStatement, condition string) access.PolicyStatement {
	s.Condition = condition
	return s
}

func stmt(actions ...access.Action) *access.Statement {
	return &access.Statement{Text: "t", Normal: "delete from public.customers", Actions: actions, Bounded: true}
}

func act(name, resource string, fields ...string) access.Action {
	return access.Action{Name: name, Resource: resource, Fields: fields}
}

func mustCompile(t testing.TB, d policy.Documents) *policy.Set {
	t.Helper()
	s, err := policy.Compile(d, vocab(), 7)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRules(t testing.TB, d policy.Documents) *policy.Rules {
	t.Helper()
	r, err := mustCompile(t, d).Rules(caller(), "orders-db")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func input() *access.Input {
	return &access.Input{Principal: caller(), Connection: "orders-db", Type: "db",
		Now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Params: []any{"x", nil, []byte{1}}}
}

func rows(n int64) *access.Input {
	in := input()
	in.Estimated = &n
	return in
}

const customers = "orders-db/public.customers"

func TestDecide(t *testing.T) {
	all := allow("db:*", "orders-db/*")
	reads := allow("db:Select", customers)
	for _, tc := range []struct {
		name  string
		app   []access.PolicyStatement
		guard []access.PolicyStatement
		st    *access.Statement
		in    *access.Input
		want  access.Effect
	}{
		{"nothing allows", []access.PolicyStatement{reads}, nil, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"allowed", []access.PolicyStatement{reads}, nil, stmt(act("db:Select", customers)), input(), access.Allow},
		{"a longer name is another table", []access.PolicyStatement{reads}, nil, stmt(act("db:Select", customers+"-evil")), input(), access.Deny},
		{"a table is not its schema", []access.PolicyStatement{allow("db:Select", "orders-db/public")}, nil, stmt(act("db:Select", customers)), input(), access.Deny},
		{"every action must be allowed", []access.PolicyStatement{reads}, nil, stmt(act("db:Select", customers), act("db:Insert", customers)), input(), access.Deny},
		{"no action at all", []access.PolicyStatement{all}, nil, stmt(), input(), access.Deny},
		{"nil statement", []access.PolicyStatement{all}, nil, nil, input(), access.Deny},
		{"unknown action", []access.PolicyStatement{all}, nil, stmt(act("db:Explode", customers)), input(), access.Deny},
		{"an action of another type", []access.PolicyStatement{all, allow("mq:*", "*")}, nil, stmt(act("mq:Publish", customers)), input(), access.Deny},
		{"a resource of another connection", []access.PolicyStatement{allow("db:*", "*")}, nil, stmt(act("db:Select", "other/public.customers")), input(), access.Deny},
		{"a connection whose name begins alike", []access.PolicyStatement{allow("db:*", "*")}, nil, stmt(act("db:Select", "orders-db2/x")), input(), access.Deny},
		{"a field of another connection", []access.PolicyStatement{allow("db:*", "*")}, nil, stmt(act("db:Select", customers, "other/public.customers.id")), input(), access.Deny},
		{"the principal in a condition", []access.PolicyStatement{when(all, `principal.kind == "workload" && principal.subject == "app" && principal.issuer != ""`)}, nil, stmt(act("db:Select", customers)), input(), access.Allow},
		{"opaque is never allowed by a glob", []access.PolicyStatement{allow("db:*", "*"), allow("db:Opaqu*", "*")}, nil, stmt(act("db:Opaque", "orders-db")), input(), access.Deny},
		{"opaque by name", []access.PolicyStatement{allow("db:Opaque", "orders-db")}, nil, stmt(act("db:Opaque", "orders-db")), input(), access.Allow},
		{"opaque is denied by a glob", []access.PolicyStatement{allow("db:Opaque", "*"), deny("db:*que", "*")}, nil, stmt(act("db:Opaque", "orders-db")), input(), access.Deny},
		{"implied", []access.PolicyStatement{reads}, nil, stmt(act("db:Transaction", "orders-db")), input(), access.Allow},
		{"connect is implied", []access.PolicyStatement{reads}, nil, stmt(act("db:Connect", "orders-db")), input(), access.Allow},
		{"implied but denied", []access.PolicyStatement{reads, deny("db:Transaction", "*")}, nil, stmt(act("db:Transaction", "orders-db")), input(), access.Deny},
		{"implied but held", []access.PolicyStatement{reads, approve("db:Transaction", "*")}, nil, stmt(act("db:Transaction", "orders-db")), input(), access.Approve},
		{"deny beats allow", []access.PolicyStatement{all, deny("db:Drop*", "*")}, nil, stmt(act("db:DropTable", customers)), input(), access.Deny},
		{"deny beats approve", []access.PolicyStatement{all, approve("db:*", "*"), deny("db:Delete", "*")}, nil, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"approve beats allow", []access.PolicyStatement{all, approve("db:Delete", "*")}, nil, stmt(act("db:Delete", customers)), input(), access.Approve},
		{"approve alone allows nothing", []access.PolicyStatement{reads, approve("db:Delete", "*")}, nil, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"a guardrail denies", []access.PolicyStatement{all}, []access.PolicyStatement{deny("db:Delete", "*")}, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"a guardrail holds", []access.PolicyStatement{all}, []access.PolicyStatement{approve("db:Delete", "*")}, stmt(act("db:Delete", customers)), input(), access.Approve},
		{"deny on a schema covers its tables", []access.PolicyStatement{all, deny("db:Select", "orders-db/public")}, nil, stmt(act("db:Select", customers)), input(), access.Deny},
		{"deny on a field", []access.PolicyStatement{all, deny("db:Select", "*.ssn")}, nil, stmt(act("db:Select", customers, customers+".id", customers+".ssn")), input(), access.Deny},
		{"deny on a field not touched", []access.PolicyStatement{all, deny("db:Select", "*.ssn")}, nil, stmt(act("db:Select", customers, customers+".id")), input(), access.Allow},
		{"allow by fields", []access.PolicyStatement{allow("db:Select", customers+".id")}, nil, stmt(act("db:Select", customers, customers+".id")), input(), access.Allow},
		{"allow needs every field", []access.PolicyStatement{allow("db:Select", customers+".id")}, nil, stmt(act("db:Select", customers, customers+".id", customers+".ssn")), input(), access.Deny},
		{"allow by fields needs fields", []access.PolicyStatement{allow("db:Select", customers+".id")}, nil, stmt(act("db:Select", customers)), input(), access.Deny},
		{"a dot inside a name separates nothing", []access.PolicyStatement{all, deny("db:Select", customers)}, nil, stmt(act("db:Select", access.Resource("orders-db", "public.customers"))), input(), access.Allow},
		{"condition true", []access.PolicyStatement{when(reads, `claims.env == "prod" && claims.level > 2`)}, nil, stmt(act("db:Select", customers)), input(), access.Allow},
		{"a condition that fails does not allow", []access.PolicyStatement{allow("db:Insert", "*"), when(reads, `claims.nope == "x"`)}, nil, stmt(act("db:Select", customers)), input(), access.Deny},
		{"a condition that fails denies", []access.PolicyStatement{all, when(deny("db:Select", "*"), `claims.nope == "x"`)}, nil, stmt(act("db:Select", customers)), input(), access.Deny},
		{"a condition that fails holds", []access.PolicyStatement{all, when(approve("db:Select", "*"), `params[9] == "x"`)}, nil, stmt(act("db:Select", customers)), input(), access.Approve},
		{"a condition over its cost holds", []access.PolicyStatement{all, when(deny("db:Select", "*"), `action.text.matches("(a|b|c|d|e|f|g)+x") || action.text.matches("(a|b|c|d|e|f|g)+y")`)}, nil, &access.Statement{Normal: strings.Repeat("abcdefg", 1<<16), Actions: []access.Action{act("db:Select", customers)}}, input(), access.Deny},
		{"estimate unknown holds", []access.PolicyStatement{all, when(approve("db:Delete", "*"), `!action.bounded || action.estimated_rows > 100`)}, nil, stmt(act("db:Delete", customers)), input(), access.Approve},
		{"estimate small", []access.PolicyStatement{all, when(approve("db:Delete", "*"), `!action.bounded || action.estimated_rows > 100`)}, nil, stmt(act("db:Delete", customers)), rows(100), access.Allow},
		{"estimate large", []access.PolicyStatement{all, when(approve("db:Delete", "*"), `!action.bounded || action.estimated_rows > 100`)}, nil, stmt(act("db:Delete", customers)), rows(101), access.Approve},
		{"an unknown estimate does not allow", []access.PolicyStatement{allow("db:Insert", "*"), when(allow("db:Delete", "*"), `action.estimated_rows < 10`)}, nil, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"text tightens", []access.PolicyStatement{all, when(deny("db:*", "*"), `action.text.matches("(?i)DELETE")`)}, nil, stmt(act("db:Delete", customers)), input(), access.Deny},
		{"time", []access.PolicyStatement{when(all, `now.getHours() >= 5 && now.getHours() < 6`)}, nil, stmt(act("db:Delete", customers)), input(), access.Allow},
		{"each action is judged with its own name", []access.PolicyStatement{all, when(deny("db:*", "*"), `action.name == "db:Delete" && action.resource.endsWith("customers")`)}, nil, stmt(act("db:Select", customers), act("db:Delete", customers)), input(), access.Deny},
		{"connection in a condition", []access.PolicyStatement{when(all, `connection.name == "orders-db" && connection.type == "db"`)}, nil, stmt(act("db:Delete", customers)), input(), access.Allow},
		{"no input", []access.PolicyStatement{when(all, `size(params) == 0`)}, nil, stmt(act("db:Delete", customers)), nil, access.Allow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var guard []*access.Policy
			if tc.guard != nil {
				guard = append(guard, pol("guard", tc.guard...))
			}
			r := mustRules(t, world([]*access.Policy{pol("app", tc.app...)}, guard))
			v := r.Decide(tc.st, tc.in)
			if v.Effect != tc.want {
				t.Fatalf("got %s (%+v), want %s", v.Effect, v.Because, tc.want)
			}
			if tc.st == nil {
				return
			}
			if e := r.Explain(tc.st, tc.in); tc.in != nil && e.Effect != tc.want.String() {
				t.Errorf("Explain says %s\n%s", e.Effect, e)
			}
			if s, ok := r.Static(tc.st); ok && s.Effect != tc.want {
				t.Errorf("Static says %s for sure, Decide says %s", s.Effect, tc.want)
			} else if !ok && s.Effect != access.Deny {
				t.Errorf("Static is not sure and yet says %s", s.Effect)
			}
		})
	}
}

func TestRulesReach(t *testing.T) {
	reads := allow("db:Select", customers)
	for _, tc := range []struct {
		name       string
		app        []access.PolicyStatement
		connection string
		who        *access.Principal
		ok         bool
	}{
		{"reached", []access.PolicyStatement{reads}, "orders-db", caller(), true},
		{"by a leading star", []access.PolicyStatement{allow("db:Select", "*.id")}, "orders-db", caller(), true},
		{"by part of the name", []access.PolicyStatement{allow("db:Select", "ord*")}, "orders-db", caller(), true},
		{"by the connection itself", []access.PolicyStatement{allow("db:Select", "orders-db")}, "orders-db", caller(), true},
		{"other connection", []access.PolicyStatement{allow("db:Select", "other/*")}, "orders-db", caller(), false},
		{"name that begins alike", []access.PolicyStatement{allow("db:Select", "orders-db2/*")}, "orders-db", caller(), false},
		{"actions of another type", []access.PolicyStatement{allow("mq:*", "*")}, "orders-db", caller(), false},
		{"unknown connection", []access.PolicyStatement{reads}, "nope", caller(), false},
		{"connection that no role reaches", []access.PolicyStatement{reads}, "jobs", caller(), false},
		{"connect denied", []access.PolicyStatement{reads, deny("db:Connect", "orders-db")}, "orders-db", caller(), false},
		{"connect denied to this caller", []access.PolicyStatement{reads, when(deny("db:Connect", "*"), `claims.env == "prod"`)}, "orders-db", caller(), false},
		{"connect denied to others", []access.PolicyStatement{reads, when(deny("db:Connect", "*"), `claims.env == "dev"`)}, "orders-db", caller(), true},
		{"everything inside denied", []access.PolicyStatement{reads, deny("db:*", "orders-db/*")}, "orders-db", caller(), true},
		{"allow that is false for this caller", []access.PolicyStatement{when(reads, `claims.env == "dev"`)}, "orders-db", caller(), false},
		{"another subject", []access.PolicyStatement{reads}, "orders-db", &access.Principal{Issuer: issuerURL, Kind: access.Workload, Claims: map[string]any{"sub": "app2"}}, false},
		{"another issuer", []access.PolicyStatement{reads}, "orders-db", &access.Principal{Issuer: issuerURL + "/", Kind: access.Workload, Claims: map[string]any{"sub": "app"}}, false},
		{"the operator holds no roles", []access.PolicyStatement{reads}, "orders-db", &access.Principal{Issuer: issuerURL, Kind: access.Operator, Claims: map[string]any{"sub": "app"}}, false},
		{"nobody", []access.PolicyStatement{reads}, "orders-db", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := mustCompile(t, world([]*access.Policy{pol("app", tc.app...)}, nil))
			r, err := s.Rules(tc.who, tc.connection)
			if (err == nil) != tc.ok {
				t.Fatalf("err %v, want ok %v", err, tc.ok)
			}
			if err != nil && fault.KindOf(err) != fault.Denied {
				t.Fatalf("kind %s", fault.KindOf(err))
			}
			if err == nil && (r.Connection().Name != tc.connection || len(r.Roles()) != 1 || r.Version() != 7 || s.Version() != 7) {
				t.Fatal(r.Connection(), r.Roles(), r.Version())
			}
		})
	}
}

// TestExistenceIsNotTold compares the words for a connection that does not exist and one that is out of reach.
func TestExistenceIsNotTold(t *testing.T) {
	s := mustCompile(t, world([]*access.Policy{pol("app", allow("db:Select", customers))}, nil))
	_, reach := s.Rules(caller(), "jobs")
	_, exist := s.Rules(caller(), "nope")
	if got, want := strings.ReplaceAll(reach.Error(), "jobs", "nope"), exist.Error(); got != want {
		t.Fatalf("%q\n%q", got, want)
	}
}
