package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// queues are the rules of a connection of messages, with the policies of app and of guard.
func queues(t testing.TB, app []access.PolicyStatement, guard ...access.PolicyStatement) *policy.Rules {
	t.Helper()
	d := world([]*access.Policy{pol("app", app...)}, nil)
	if len(guard) > 0 {
		d.Policies = append(d.Policies, pol("guard", guard...))
		d.Connections[1].Guardrails = []string{"guard"}
	}
	verbs := []policy.ActionName{{Name: "mq:Publish"}, {Name: "mq:Subscribe"}, {Name: "mq:Bind"}, {Name: "mq:Deliver", Implied: true}}
	names := append(vocab()[:1], policy.Vocabulary{Type: "mq", Documents: true, Messages: true, Actions: verbs})
	s, err := policy.Compile(d, names, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rules(caller(), "jobs")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// set is an action on a set of resources.
func set(name, resource string) access.Action {
	return access.Action{Name: name, Resource: resource, Wild: true}
}

// TestSetsAreDecidedAsAWhole: an allow has to cover all of a set by one pattern; a deny or an approve binds where it meets any of it.
func TestSetsAreDecidedAsAWhole(t *testing.T) {
	all := allow("mq:*", "jobs/*")
	one := func(patterns ...string) access.PolicyStatement {
		return access.PolicyStatement{Effect: "allow", Actions: []string{"mq:*"}, Resources: patterns}
	}
	for _, tc := range []struct {
		name string
		app  []access.PolicyStatement
		set  string
		want access.Effect
	}{
		{"covered by a wider pattern", []access.PolicyStatement{one("jobs/subject/orders.*")}, "jobs/subject/orders.*", access.Allow},
		{"one word of any", []access.PolicyStatement{one("jobs/subject/orders.*")}, "jobs/subject/orders.*.new", access.Allow},
		{"all below", []access.PolicyStatement{one("jobs/subject/orders.*")}, "jobs/subject/orders.**", access.Allow},
		{"part of it", []access.PolicyStatement{one("jobs/subject/orders.eu")}, "jobs/subject/orders.*", access.Deny},
		{"part of it, with a wildcard", []access.PolicyStatement{one("jobs/subject/orders.e*")}, "jobs/subject/orders.*", access.Deny},
		{"the end of it", []access.PolicyStatement{one("jobs/subject/*.new")}, "jobs/subject/orders.**", access.Deny},
		{"each half by a pattern of its own", []access.PolicyStatement{one("jobs/subject/orders.eu", "jobs/subject/orders.us", "jobs/subject/orders.e*")}, "jobs/subject/orders.*", access.Deny},
		{"what is above covers nothing in an allow", []access.PolicyStatement{one("jobs/subject/orders")}, "jobs/subject/orders.*", access.Deny},
		{"everything", []access.PolicyStatement{one("jobs/subject/orders.*")}, "jobs/subject/**", access.Deny},
		{"a name that begins alike", []access.PolicyStatement{one("jobs/subject/orders.*")}, "jobs/subject/orders**", access.Deny},
		{"an encoded asterisk is a name", []access.PolicyStatement{one("jobs/subject/orders.%2A")}, "jobs/subject/orders.*", access.Deny},

		{"denied in part", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.secret")}, "jobs/subject/orders.*", access.Deny},
		{"denied in part, far below", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.eu.secret.*")}, "jobs/subject/**", access.Deny},
		{"denied by a pattern that begins with a wildcard", []access.PolicyStatement{all, deny("mq:*", "*.secret")}, "jobs/subject/orders.*", access.Deny},
		{"denied above", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders")}, "jobs/subject/orders.*.new", access.Deny},
		{"denied below one of them", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.eu")}, "jobs/subject/*.eu.new", access.Deny},
		{"one word is not two", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.eu.secret")}, "jobs/subject/orders.*", access.Allow},
		{"another name", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/payments.*")}, "jobs/subject/orders.**", access.Allow},
		{"the whole set above is not meant by what is below", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.eu.*")}, "jobs/subject/orders", access.Allow},
		{"held in part", []access.PolicyStatement{all, approve("mq:*", "jobs/subject/orders.secret")}, "jobs/subject/orders.*", access.Approve},
		{"a condition reads the set as it is written", []access.PolicyStatement{all, when(deny("mq:*", "*"), `action.resource.endsWith(".*")`)}, "jobs/subject/orders.*", access.Deny},
		{"a condition that is false", []access.PolicyStatement{all, when(deny("mq:*", "*"), `action.resource == "jobs/subject/orders.secret"`)}, "jobs/subject/orders.*", access.Allow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := queues(t, tc.app)
			if v := r.Decide(stmt(set("mq:Subscribe", tc.set)), input()); v.Effect != tc.want {
				t.Errorf("%s\n%s", v.Effect, r.Explain(stmt(set("mq:Subscribe", tc.set)), input()))
			}
		})
	}
	guarded := queues(t, []access.PolicyStatement{all}, deny("mq:Subscribe", "jobs/subject/secret.*"))
	if v := guarded.Decide(stmt(set("mq:Subscribe", "jobs/subject/*.x")), input()); v.Effect != access.Deny || !v.Because.Guardrail {
		t.Errorf("%+v", v)
	}
	if v := guarded.Decide(stmt(set("mq:Subscribe", "other/subject/*")), input()); v.Effect != access.Deny {
		t.Error("a set of another connection")
	}
	related := stmt(act("mq:Publish", "jobs/exchange/x/k"))
	related.Related = []access.Action{set("mq:Subscribe", "jobs/subject/*.x")}
	if v := guarded.Decide(related, input()); v.Effect != access.Deny {
		t.Error("a set that is only related")
	}
}

// TestSetsThatAreAskedApart: where each of a set is asked about by itself as it comes, a deny of a part leaves the rest, and what
// conditions read of messages is asked of those.
func TestSetsThatAreAskedApart(t *testing.T) {
	all := allow("mq:*", "jobs/*")
	for _, tc := range []struct {
		name string
		app  []access.PolicyStatement
		want access.Effect
	}{
		{"denied in part", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.secret")}, access.Allow},
		{"denied as a whole", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders.*")}, access.Deny},
		{"denied above", []access.PolicyStatement{all, deny("mq:*", "jobs/subject/orders")}, access.Deny},
		{"allowed in part", []access.PolicyStatement{allow("mq:*", "jobs/subject/orders.eu")}, access.Deny},
		{"held in part", []access.PolicyStatement{all, approve("mq:*", "jobs/subject/orders.secret")}, access.Approve},
		{"denied by what messages say", []access.PolicyStatement{all, when(deny("mq:*", "jobs/*"), "message.size > 10")}, access.Allow},
		{"allowed by what messages say", []access.PolicyStatement{when(allow("mq:*", "jobs/*"), "message.size < 10")}, access.Allow},
		{"held by what messages say", []access.PolicyStatement{all, when(approve("mq:*", "jobs/*"), "message.size > 10")}, access.Approve},
		{"not allowed whatever they say", []access.PolicyStatement{when(allow("mq:*", "jobs/*"), `message.size < 10 && principal.subject == "nobody"`)}, access.Deny},
		{"denied by something else", []access.PolicyStatement{all, when(deny("mq:*", "jobs/*"), `principal.subject != "nobody"`)}, access.Deny},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := set("mq:Subscribe", "jobs/subject/orders.*")
			a.Apart = true
			if v := queues(t, tc.app).Decide(stmt(a), input()); v.Effect != tc.want {
				t.Errorf("%s", v.Effect)
			}
		})
	}
}

// TestMasksOfSets: of a set it is hidden whatever is hidden of any of it, together; what only looks like one, on connections whose
// names hold asterisks of their own, stays a name.
func TestMasksOfSets(t *testing.T) {
	m := queues(t, []access.PolicyStatement{
		allow("mq:*", "jobs/*"),
		inside("hash", "", []string{"$.card"}, nil, "jobs/queue/refunds", "jobs/exchange/refunds/*"),
		inside("redact", "both", []string{"**.ssn"}, nil, "jobs/exchange/refunds/eu.*"),
		inside("null", "request", nil, []string{"X-Card"}, "jobs/exchange/refunds"),
		finding("redact", "", "US_SSN", "jobs/subject/people.*"),
	}).Masks()
	for resource, want := range map[string][2]string{
		"jobs/queue/refunds":               {"$.card hash 2", ""},
		"jobs/queue/refunds2":              {"", ""},
		"jobs/queue/re*":                   {"$.card hash 2", ""},
		"jobs/exchange/refunds/eu.card":    {"$.**.ssn redact 3, $.card hash 2", "$.**.ssn redact 3, header x-card null 4"},
		"jobs/exchange/refunds/us.card":    {"$.card hash 2", "header x-card null 4"},
		"jobs/exchange/refunds/*.card":     {"$.**.ssn redact 3, $.card hash 2", "$.**.ssn redact 3, header x-card null 4"},
		"jobs/exchange/refunds/us.**":      {"$.card hash 2", "header x-card null 4"},
		"jobs/subject/people.*":            {"US_SSN redact 5", ""},
		"jobs/subject/*":                   {"", ""},
		"jobs/subject/*.eu":                {"US_SSN redact 5", ""},
		"jobs/subject/**":                  {"US_SSN redact 5", ""},
		"jobs/queue/**":                    {"$.card hash 2", ""},
		"jobs/**":                          {"", ""},
		"jobs/exchange/refunds/%2A.people": {"$.card hash 2", "header x-card null 4"},
	} {
		if got := sayDocument(m.Document(resource, access.ToClient)); got != want[0] {
			t.Errorf("%s shown: %q, want %q", resource, got, want[0])
		}
		if got := sayDocument(m.Document(resource, access.ToBackend)); got != want[1] {
			t.Errorf("%s sent: %q, want %q", resource, got, want[1])
		}
	}
	names := append(vocab(), policy.Vocabulary{Type: "kv", Documents: true, Rootless: []string{"arn:"}, Actions: []policy.ActionName{{Name: "kv:Get"}}})
	d := world([]*access.Policy{pol("app", allow("kv:*", "*"), inside("hash", "", []string{"$.card"}, nil, "arn:table/a"))}, nil)
	d.Connections = append(d.Connections, &access.Connection{Name: "acct", Type: "kv"})
	s, err := policy.Compile(d, names, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rules(caller(), "acct")
	if err != nil {
		t.Fatal(err)
	}
	if got := sayDocument(r.Masks().Document("acct/arn:table/*", access.ToClient)); got != "" {
		t.Errorf("an asterisk that is a name of its own: %q", got)
	}
}

// TestExplainSets: an explanation of a subscription says what would be hidden of anything in it, and how messages are recorded.
func TestExplainSets(t *testing.T) {
	r := queues(t, []access.PolicyStatement{
		recorded("mq:*", "jobs/*", &access.RecordWith{Messages: 50}),
		inside("hash", "", []string{"$.card"}, nil, "jobs/subject/refunds.eu"),
		deny("mq:Subscribe", "jobs/subject/secret.*"),
	})
	for resource, want := range map[string]string{
		"jobs/subject/refunds.*": "$.card in each response of jobs/subject/refunds.*: hash",
		"jobs/subject/orders.*":  "recorded    each message by itself up to 100 a second, beyond in windows of up to 50 messages within 1s",
		"jobs/**":                "+ allow   statement 1 of policy app: action and resource match",
		"jobs/subject/*.eu":      "+ deny    statement 3 of policy app: action and resource match",
	} {
		if e := r.Explain(stmt(set("mq:Subscribe", resource)), input()).String(); !strings.Contains(e, want) {
			t.Errorf("no %q in\n%s", want, e)
		}
	}
	part := queues(t, []access.PolicyStatement{allow("mq:Subscribe", "jobs/subject/refunds.eu"), allow("mq:*", "jobs/queue/*")})
	e := part.Explain(stmt(set("mq:Subscribe", "jobs/subject/refunds.*")), input()).String()
	if !strings.Contains(e, "statement 1 of policy app: no one of its resources covers all that is asked for") || !strings.Contains(e, "statement 2 of policy app: other resources") {
		t.Error(e)
	}
}

// message is an input with a message.
func message(body string, change ...func(*access.Message)) *access.Input {
	in, size, again := input(), int64(len(body)), true
	m := &access.Message{
		Exchange: "refunds", RoutingKey: "eu.card", Queue: "q", Subject: "refunds.eu", ReplyTo: "answers", ContentType: "application/json",
		ContentEncoding: "identity", Size: &size, Redelivered: &again,
		Headers:    map[string]any{"x-team": "billing", "n": int64(3), "f": 1.5, "yes": true, "list": []any{"a", int64(1)}, "inner": map[string]any{"k": "v"}, "at": time.Unix(0, 0), "raw": []byte{1}, "none": nil},
		Properties: map[string]any{"user_id": "app", "priority": int64(9)},
		Body: func() any {
			v, err := access.ReadJSON([]byte(body))
			if err != nil {
				return nil
			}
			return v
		},
	}
	for _, f := range change {
		f(m)
	}
	in.Request = &access.Sent{Message: m}
	return in
}

// TestMessageConditions: what conditions read of a message, and that what is not known tightens: 1 is true, 0 is false, -1 is
// unknown, which denies, holds and does not allow.
func TestMessageConditions(t *testing.T) {
	body := `{"amount": 250, "items": [{"sku": "a", "n": 1}]}`
	full := message(body)
	bare := message(body, func(m *access.Message) { *m = access.Message{} })
	plain := message(body, func(m *access.Message) { *m = access.Message{Headers: map[string]any{}} })
	fanout := message(body, func(m *access.Message) { m.RoutingKey = "" })
	for _, tc := range []struct {
		condition string
		in        *access.Input
		want      int
	}{
		{`message.exchange == "refunds" && message.routing_key.startsWith("eu.")`, full, 1},
		{`message.routing_key == ""`, fanout, 1},
		{`message.exchange != "x"`, bare, -1},
		{`message.routing_key == ""`, bare, -1},
		{`message.queue == "q"`, full, 1},
		{`message.queue != "q"`, bare, -1},
		{`message.subject == "refunds.eu"`, full, 1},
		{`message.subject != "refunds.eu"`, bare, -1},
		{`message.reply_to == "answers"`, full, 1},
		{`message.reply_to == ""`, plain, 1},
		{`message.reply_to == ""`, bare, -1},
		{`message.content_type == "application/json" && message.content_encoding == "identity"`, full, 1},
		{`message.content_type == "" && message.content_encoding == ""`, plain, 1},
		{`message.content_type != "text/evil"`, bare, -1},
		{`message.content_encoding != "gzip"`, bare, -1},
		{`message.size < 1000`, full, 1},
		{`message.size < 1000`, bare, -1},
		{`message.redelivered`, full, 1},
		{`message.redelivered`, bare, -1},
		{`message.headers["x-team"] == "billing" && message.headers.n == 3 && message.headers.f > 1 && message.headers.yes`, full, 1},
		{`message.headers.list[1] == 1 && message.headers.inner.k == "v" && message.headers.none == null && message.headers.raw == b"\x01"`, full, 1},
		{`message.headers.at < timestamp("2000-01-01T00:00:00Z")`, full, 1},
		{`"nope" in message.headers`, full, 0},
		{`"nope" in message.headers`, bare, -1},
		{`message.headers.nope == "x"`, full, -1},
		{`message.properties.user_id == "app" && message.properties.priority > 8`, full, 1},
		{`has(message.properties.nope)`, full, 0},
		{`has(message.properties.nope)`, bare, -1},
		{`message.body.amount > 100`, full, 1},
		{`message.body.items.all(i, i.n > 1)`, full, 0},
		{`message.body.amount > 100`, message(`amount`), -1},
		{`message.body.amount > 100`, message(`{"amount": 1, "Amount": 999}`), -1},
		{`message.body.amount != 250`, bare, -1},
		{`message.queue == "q" || message.body.amount > 1`, message(`x`), 1},
		{`message.size > 1`, post(body), -1},
		{`message.body.amount > 1`, post(body), -1},
		{`message.reply_to == ""`, input(), -1},
		{`request.content_type == ""`, full, -1},
		{`request.body.amount > 1`, full, -1},
		{`request.method == ""`, full, -1},
		{`message.size > 1`, nil, -1},
	} {
		t.Run(tc.condition, func(t *testing.T) {
			all, st := allow("mq:*", "*"), stmt(act("mq:Publish", "jobs/exchange/refunds/eu.card"))
			for _, x := range []struct {
				effect string
				app    []access.PolicyStatement
				want   [3]access.Effect // where the condition is unknown, false, true
			}{
				{"allow", []access.PolicyStatement{allow("mq:Bind", "*"), when(allow("mq:Publish", "*"), tc.condition)}, [3]access.Effect{access.Deny, access.Deny, access.Allow}},
				{"deny", []access.PolicyStatement{all, when(deny("mq:Publish", "*"), tc.condition)}, [3]access.Effect{access.Deny, access.Allow, access.Deny}},
				{"approve", []access.PolicyStatement{all, when(approve("mq:Publish", "*"), tc.condition)}, [3]access.Effect{access.Approve, access.Allow, access.Approve}},
			} {
				r := queues(t, x.app)
				if v := r.Decide(st, tc.in); v.Effect != x.want[tc.want+1] {
					t.Errorf("%s: %s, want %s\n%s", x.effect, v.Effect, x.want[tc.want+1], r.Explain(st, tc.in))
				}
				if _, static := r.Static(st); static {
					t.Errorf("%s: decided before there is a message", x.effect)
				}
				if body := strings.Contains(tc.condition, ".body"); (r.Needs(st)&policy.NeedsBody != 0) != body {
					t.Errorf("%s: needs %b", x.effect, r.Needs(st))
				}
			}
		})
	}
}

// TestABodyIsReadOnce: however many conditions ask.
func TestABodyIsReadOnce(t *testing.T) {
	n := 0
	in := message("", func(m *access.Message) {
		m.Body = func() any { n++; return map[string]any{"amount": int64(1)} }
	})
	r := queues(t, []access.PolicyStatement{allow("mq:*", "*"), when(deny("mq:*", "*"), "message.body.amount > 2"), when(approve("mq:*", "*"), "message.body.amount > 3")})
	if v := r.Decide(stmt(act("mq:Publish", "jobs/exchange/x/k"), act("mq:Publish", "jobs/queue/k")), in); v.Effect != access.Allow || n != 1 {
		t.Errorf("%s, read %d times", v.Effect, n)
	}
}

// recorded is an allow with a recording.
func recorded(action, resource string, with *access.RecordWith) access.PolicyStatement {
	s := allow(action, resource)
	s.Record = with
	return s
}

// TestRecordingsMergeToTheStrictest: of the allow statements that apply, each wins, then the higher rate, the smaller and the
// shorter window.
func TestRecordingsMergeToTheStrictest(t *testing.T) {
	none, many := 0, 500
	pub := act("mq:Publish", "jobs/exchange/x/k")
	all := allow("mq:*", "*")
	for _, tc := range []struct {
		name   string
		app    []access.PolicyStatement
		st     *access.Statement
		want   access.Recording
		static bool
	}{
		{"nobody says", []access.PolicyStatement{all}, stmt(pub), access.Recording{}, true},
		{"each", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Word: "each"})}, stmt(pub), access.Recording{Each: true}, true},
		{"all defaults", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{})}, stmt(pub), access.DefaultRecording(), true},
		{"always windows", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Above: &none})}, stmt(pub), access.Recording{Messages: 1000, Within: time.Second}, true},
		{"part of it", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Messages: 7})}, stmt(pub), access.Recording{Above: 100, Messages: 7, Within: time.Second}, true},
		{"two", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Above: &none, Messages: 7, Within: access.Duration(2 * time.Second)}), recorded("mq:Publish", "jobs/*", &access.RecordWith{Above: &many, Within: access.Duration(3 * time.Second)})}, stmt(pub), access.Recording{Above: 500, Messages: 7, Within: 2 * time.Second}, true},
		{"two, one of which says each", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Messages: 7}), recorded("mq:Publish", "jobs/*", &access.RecordWith{Word: "each"})}, stmt(pub), access.Recording{Each: true}, true},
		{"one that says nothing says nothing", []access.PolicyStatement{all, recorded("mq:Publish", "jobs/*", &access.RecordWith{Above: &none})}, stmt(pub), access.Recording{Messages: 1000, Within: time.Second}, true},
		{"of other actions", []access.PolicyStatement{all, recorded("mq:Bind", "*", &access.RecordWith{Word: "each"})}, stmt(pub), access.Recording{}, true},
		{"of other resources", []access.PolicyStatement{all, recorded("mq:*", "jobs/queue/*", &access.RecordWith{Word: "each"})}, stmt(pub), access.Recording{}, true},
		{"of an action that is implied", []access.PolicyStatement{recorded("mq:*", "jobs/queue/*", &access.RecordWith{Word: "each"})}, stmt(act("mq:Deliver", "jobs/queue/q")), access.Recording{Each: true}, true},
		{"of any action", []access.PolicyStatement{all, recorded("mq:Bind", "*", &access.RecordWith{Word: "each"})}, stmt(pub, act("mq:Bind", "jobs/queue/q")), access.Recording{Each: true}, true},
		{"a condition that holds", []access.PolicyStatement{all, when(recorded("mq:*", "*", &access.RecordWith{Word: "each"}), "message.size > 0")}, stmt(pub), access.Recording{Each: true}, false},
		{"a condition that does not", []access.PolicyStatement{all, when(recorded("mq:*", "*", &access.RecordWith{Word: "each"}), "message.size > 1000")}, stmt(pub), access.Recording{}, false},
		{"denied", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Word: "each"}), deny("mq:Publish", "*")}, stmt(pub), access.Recording{}, true},
		{"held", []access.PolicyStatement{recorded("mq:*", "*", &access.RecordWith{Word: "each"}), approve("mq:Publish", "*")}, stmt(pub), access.Recording{Each: true}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := queues(t, tc.app)
			v := r.Decide(tc.st, message("{}"))
			if v.Record != tc.want {
				t.Errorf("%+v, want %+v", v.Record, tc.want)
			}
			s, static := r.Static(tc.st)
			if static != tc.static || static && s.Record != tc.want {
				t.Errorf("static %t %+v", static, s.Record)
			}
			if e := r.Explain(tc.st, message("{}")); (e.Record != "") != (tc.want != access.Recording{}) {
				t.Errorf("explained as %q", e.Record)
			}
		})
	}
}

// TestRecordIsChecked: what a document says of recording is right, or an error where it stands.
func TestRecordIsChecked(t *testing.T) {
	less, more, most := -1, 100_001, 100_000
	for _, tc := range []struct {
		st   access.PolicyStatement
		want string
	}{
		{recorded("mq:*", "*", &access.RecordWith{Word: "each"}), ""},
		{recorded("mq:*", "*", &access.RecordWith{Above: &most, Messages: most, Within: access.Duration(10 * time.Second)}), ""},
		{recorded("mq:*", "*", &access.RecordWith{Messages: 1, Within: access.Duration(100 * time.Millisecond)}), ""},
		{recorded("mq:*", "*", &access.RecordWith{Word: "all"}), `statements[0].record: unknown word "all"; each, or an object`},
		{recorded("mq:*", "*", &access.RecordWith{Above: &less}), "statements[0].record.above: above is from 0 to 100000"},
		{recorded("mq:*", "*", &access.RecordWith{Above: &more}), "statements[0].record.above: above is from 0 to 100000"},
		{recorded("mq:*", "*", &access.RecordWith{Messages: -1}), "statements[0].record.messages: a window holds from 1 to 100000"},
		{recorded("mq:*", "*", &access.RecordWith{Messages: more}), "statements[0].record.messages: a window holds from 1 to 100000"},
		{recorded("mq:*", "*", &access.RecordWith{Within: access.Duration(99 * time.Millisecond)}), "statements[0].record.within: a window lasts from 100ms to 10s"},
		{recorded("mq:*", "*", &access.RecordWith{Within: access.Duration(11 * time.Second)}), "statements[0].record.within: a window lasts from 100ms to 10s"},
		{recorded("*", "*", &access.RecordWith{Word: "each"}), ""},
		{recorded("db:*", "*", &access.RecordWith{Word: "each"}), "statements[0].record: record is about messages, and none of the actions"},
		{access.PolicyStatement{Effect: "deny", Actions: []string{"db:*"}, Resources: []string{"*"}, Record: &access.RecordWith{Word: "each"}}, "record does not go with effect deny"},
		{access.PolicyStatement{Effect: "approve", Actions: []string{"db:*"}, Resources: []string{"*"}, Record: &access.RecordWith{}}, "record does not go with effect approve"},
		{access.PolicyStatement{Effect: "mask", Resources: []string{"*"}, Record: &access.RecordWith{}}, "record does not go with effect mask"},
	} {
		_, err := policy.Compile(world([]*access.Policy{pol("app", tc.st)}, nil), vocab(), 1)
		if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || !strings.Contains(got, tc.want) && tc.want != "" {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}
