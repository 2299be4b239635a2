package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// TestEveryActionIsInTheVocabulary: what calls are judged as besides their own action can be named by a policy.
func TestEveryActionIsInTheVocabulary(t *testing.T) {
	names := tableOf(t).actionNames()
	call, err := ask(t, "lambda", "POST", "/2015-03-31/functions", `{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Code":{}}`, "Content-Type", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	for _, touch := range call.touches {
		if !slices.Contains(names, touch.action) {
			t.Errorf("%s is asked for, and no policy can allow it", touch.action)
		}
	}
	if !slices.ContainsFunc(call.touches, func(x touch) bool { return x.action == "iam:PassRole" }) {
		t.Errorf("handing a role on is not asked for: %v", call.touches)
	}
}

func allowed(actions, resources string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "allow", Actions: strings.Fields(actions), Resources: strings.Fields(resources)}
}

// TestExportIAM writes what was seen as IAM reads it.
func TestExportIAM(t *testing.T) {
	p := &access.Policy{Name: "seen", Statements: []access.PolicyStatement{
		allowed("dynamodb:GetItem dynamodb:PutItem", "acct/arn:aws:dynamodb:eu-west-1:123456789012:table/orders"),
		allowed("s3:GetObject", "acct/arn:aws:s3:::reports/2026/* acct/arn:aws:s3:::reports/odd%2A?%25${x}"),
		allowed("s3:ListAllMyBuckets", "acct/arn:aws:s3:::%2A"),
		allowed("secretsmanager:GetSecretValue", "acct/arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????"),
		{Effect: "approve", Actions: []string{"dynamodb:PutItem"}, Resources: []string{"acct/arn:aws:dynamodb:eu-west-1:123456789012:table/orders"}},
	}}
	b, notes, err := exportIAM(p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Seen1Dynamodb",
      "Effect": "Allow",
      "Action": [
        "dynamodb:GetItem",
        "dynamodb:PutItem"
      ],
      "Resource": [
        "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
      ]
    },
    {
      "Sid": "Seen2S3",
      "Effect": "Allow",
      "Action": [
        "s3:GetObject"
      ],
      "Resource": [
        "arn:aws:s3:::reports/2026/*",
        "arn:aws:s3:::reports/odd${*}${?}%${$}{x}"
      ]
    },
    {
      "Sid": "Seen3S3",
      "Effect": "Allow",
      "Action": [
        "s3:ListAllMyBuckets"
      ],
      "Resource": [
        "*"
      ]
    },
    {
      "Sid": "Seen4Secretsmanager",
      "Effect": "Allow",
      "Action": [
        "secretsmanager:GetSecretValue"
      ],
      "Resource": [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????"
      ]
    }
  ]
}
`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Error(d)
	}
	for _, want := range []string{"s3:ListAllMyBuckets was called without a resource", "1 statements only ever ran after"} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note says %q: %q", want, notes)
		}
	}
	for _, st := range []access.PolicyStatement{{Effect: "deny", Actions: []string{"s3:GetObject"}, Resources: []string{"acct/arn:aws:s3:::a"}},
		{Effect: "allow", Actions: []string{"s3:GetObject"}, Resources: []string{"acct/arn:aws:s3:::a"}, Condition: "true"},
		allowed("s3:GetObject", "acct"), allowed("s3:GetObject", "*")} {
		if b, _, err := exportIAM(&access.Policy{Statements: []access.PolicyStatement{st}}); err == nil {
			t.Errorf("%+v became %s", st, b)
		}
	}
}

// TestFolds: objects stand below prefixes inside of their bucket; nothing else stands below anything.
func TestFolds(t *testing.T) {
	for resource, want := range map[string]string{
		"acct/arn:aws:s3:::reports/2026/a":                                    "acct/arn:aws:s3:::reports/2026/",
		"acct/arn:aws:s3:::reports/2026/":                                     "acct/arn:aws:s3:::reports/",
		"acct/arn:aws:s3:::reports/":                                          "",
		"acct/arn:aws:s3:::reports":                                           "",
		"acct/arn:aws:dynamodb:eu-west-1:1:table/orders":                      "",
		"acct/arn:aws:dynamodb:eu-west-1:1:table/orders/index/by-day":         "",
		"acct/arn:aws:s3:eu-west-1:123456789012:accesspoint/ap/object/2026/a": "",
		"acct": "",
	} {
		if got, ok := aboveObject(resource); got != want || ok != (want != "") {
			t.Errorf("above %s is %q, want %q", resource, got, want)
		}
	}
}

func document(statements ...string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

// one is a statement that allows reading an object, with some of it replaced.
func one(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`{"Sid":"a","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::reports/*"]}`)
}

// TestImportRefuses: what cannot be said is an error, and names itself.
func TestImportRefuses(t *testing.T) {
	withCondition := func(c string) string { return one(`]}`, `],"Condition":`+c+`}`) }
	denied := func(arn string) string { return one("Allow", "Deny", "arn:aws:s3:::reports/*", arn) }
	for name, c := range map[string]struct{ statement, want string }{
		"not actions":            {one(`"Action"`, `"NotAction"`), "NotAction"},
		"not resources":          {one(`"Resource"`, `"NotResource"`), "NotResource"},
		"a principal":            {one(`"Sid":"a"`, `"Principal":"*"`), "Principal"},
		"an element of nobody's": {one(`"Sid"`, `"Sidd"`), "no element"},
		"an element unnamed":     {one(`"Sid"`, `""`), "without a name"},
		"no effect":              {one("Allow", "allow"), "neither Allow nor Deny"},
		"an unknown action":      {one("s3:GetObject", "s3:GetObjekt"), "did you mean s3:GetObject"},
		"an unknown service":     {one("s3:GetObject", "s4:GetObject"), "no service has this prefix"},
		"any service":            {one("s3:GetObject", "*:GetObject"), "is no action"},
		"a pattern of nothing":   {one("s3:GetObject", "s3:Xyz*"), "no action that is known"},
		"one character":          {one("reports/*", "report?/*"), "stands for one character"},
		"a variable":             {one("reports/*", "reports/${aws:username}/*"), "depends on the caller"},
		"a variable unclosed":    {one("reports/*", "reports/${aws"), "depends on the caller"},
		"no ARN":                 {one("arn:aws:s3:::reports/*", "reports/*"), "is no resource"},
		"half an ARN":            {one("arn:aws:s3:::reports/*", "arn:aws:s3"), "no whole ARN"},
		"a long resource":        {one("reports/*", strings.Repeat("x", 600)), "longer than"},
		"a control character":    {one("reports/*", `r\u0001`), "control character"},
		"no resource":            {one(`["arn:aws:s3:::reports/*"]`, "[]"), "Resource has to be"},
		"resources of numbers":   {one(`["arn:aws:s3:::reports/*"]`, "[1]"), "Resource has to be"},
		"a key of nobody's":      {withCondition(`{"StringEquals":{"aws:PrincipalTag/team":"a"}}`), "not known of a call"},
		"an operator":            {withCondition(`{"IpAddress":{"aws:RequestedRegion":"10.0.0.0/8"}}`), "cannot be said"},
		"a value by variable":    {withCondition(`{"StringLike":{"s3:prefix":"${aws:username}/*"}}`), "depends on the caller"},
		"an exact variable":      {withCondition(`{"StringEquals":{"s3:prefix":"${aws:username}"}}`), "depends on the caller"},
		"any of more":            {withCondition(`{"ForAnyValue:StringEquals":{"dynamodb:LeadingKeys":["a"]}}`), "proves nothing"},
		"several without a word": {withCondition(`{"StringEquals":{"dynamodb:LeadingKeys":["a"]}}`), "ForAllValues or ForAnyValue"},
		"missing in an allow":    {withCondition(`{"Null":{"s3:prefix":"true"}}`), "not known"},
		"text as a number":       {withCondition(`{"NumericEquals":{"s3:prefix":"1"}}`), "another kind"},
		"a number as text":       {withCondition(`{"StringEquals":{"s3:max-keys":"1"}}`), "another kind"},
		"no values":              {withCondition(`{"StringEquals":{"s3:prefix":[]}}`), "no values"},
		"a long condition":       {withCondition(`{"StringEquals":{"s3:prefix":"` + strings.Repeat("x", 5000) + `"}}`), "longer than"},
		"all of more, denied":    {one("Allow", "Deny", `]}`, `],"Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["a"]}}}`), "deny less"},
		"there, denied":          {one("Allow", "Deny", `]}`, `],"Condition":{"Null":{"s3:prefix":"false"}}}`), "not known"},
		"a role by its path":     {denied("arn:aws:iam::123456789012:role/team/x"), "without their paths"},
		"a key of any case":      {one("Allow", "Deny", `]}`, `],"Condition":{"StringEquals":{"kms:EncryptionContext:App":"x"}}}`), "in any case"},
		"no operator of numbers": {withCondition(`{"NumericNotLessThan":{"s3:max-keys":"1"}}`), "operator cannot be said"},
		"letters of others":      {one("s3:GetObject", "\u212Ams:Decrypt"), "than those of ASCII"},
		"a prefix of services":   {one("s3:GetObject", "s?:GetObject"), "is no action"},
		"nobody":                 {one(`"Sid":"a"`, `"NotPrincipal":{"AWS":"*"}`), "NotPrincipal"},
		"a variable with a word": {one("reports/*", "reports/${aws:username, 'a'}/*"), "depends on the caller"},
		"missing, if it exists":  {withCondition(`{"NullIfExists":{"s3:delimiter":"false"}}`), "has to be true or false"},
		"a table of Glue":        {denied("arn:aws:glue:eu-west-1:123456789012:table/db/secret"), "would deny nothing"},
		"an instance":            {denied("arn:aws:ec2:*:*:instance/*"), "would deny nothing"},
		"a rule of events":       {denied("arn:aws:events:eu-west-1:123456789012:rule/x"), "would deny nothing"},
		"any service's resource": {denied("arn:aws:*:*:*:table/x"), "would deny nothing"},
		"a job of S3":            {denied("arn:aws:s3:eu-west-1:123456789012:job/x"), "would deny nothing"},
		"tags of what is made":   {one("Allow", "Deny", "s3:GetObject", "ec2:CreateTags", "arn:aws:s3:::reports/*", "*"), "tags what it creates"},
		"a pattern of tags":      {one("Allow", "Deny", "s3:GetObject", "dynamodb:*Tag*", "arn:aws:s3:::reports/*", "*"), "tags what it creates"},
		"a key behind aliases":   {denied("arn:aws:kms:eu-west-1:123456789012:key/k"), "alias"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := tableOf(t).importIAM(document(c.statement), "theirs", "acct")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v and %+v", c.want, err, p)
			}
		})
	}
	for _, doc := range []string{"", "[]", "{}", `{"Statement":[]}`, `{"Version":"2020-01-01","Statement":[` + one() + `]}`, `{"Statement":[1]}`,
		`{"Statement":[` + one() + `],"statement":[]}`, `{"Statement":[` + one() + `],"More":1}`, string(document(one())) + "x"} {
		if p, _, err := tableOf(t).importIAM([]byte(doc), "theirs", "acct"); err == nil {
			t.Errorf("%s was read as %+v", doc, p)
		}
	}
	for _, version := range []string{"", `"Version":"2008-10-17",`} {
		if p, _, err := tableOf(t).importIAM([]byte(`{`+version+`"Statement":[`+one("reports/*", `reports/\u0024{*}`)+`]}`), "theirs", "acct"); err == nil {
			t.Errorf("what is a text in IAM was read as %+v", p)
		}
	}
	for _, arn := range []string{"arn:aws:sqs:*:*:jobs", "arn:aws:dynamodb:*:*:tab*", "arn:aws:logs:*:*:log-group:x:*", "arn:aws:s3:::reports/*", "arn:aws:glue:*:*:*", "arn:aws:kms:*:*:alias/x", "arn:aws:sns:*:*:t"} {
		if _, _, err := tableOf(t).importIAM(document(denied(arn)), "theirs", "acct"); err != nil {
			t.Errorf("a deny of %s: %v", arn, err)
		}
	}
	if _, notes, err := tableOf(t).importIAM(document(one("arn:aws:s3:::reports/*", "arn:aws:glue:eu-west-1:123456789012:table/db/t")), "theirs", "acct"); err != nil || !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "allows nothing") }) {
		t.Errorf("an allow that allows nothing: %v %v", notes, err)
	}
	for _, arn := range []string{"arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????", "arn:aws:s3:::a${?}b"} { // which only a connection's resources can say
		if p, _, err := tableOf(t).importIAM(document(one("arn:aws:s3:::reports/*", arn)), "theirs", ""); err == nil {
			t.Errorf("%s was read as %+v", arn, p)
		}
	}
}

// TestImportIAM: what can be said is said so.
func TestImportIAM(t *testing.T) {
	for name, c := range map[string]struct {
		statement, connection, effect string
		actions, resources            string
		condition                     string
	}{
		"as it stands":                   {one(), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::reports/*", ""},
		"any connection":                 {one(), "", "allow", "s3:GetObject", "arn:aws:s3:::reports/*", ""},
		"a connection's name is encoded": {one(), "a.b", "allow", "s3:GetObject", "a%2Eb/arn:aws:s3:::reports/*", ""},
		"case does not matter":           {one("s3:GetObject", "S3:getobject"), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::reports/*", ""},
		"a pattern of actions":           {one("s3:GetObject", "sqs:Send*"), "acct", "allow", "sqs:Send*", "acct/arn:aws:s3:::reports/*", ""},
		"a pattern in another case":      {one("s3:GetObject", "sqs:send*"), "acct", "allow", "sqs:SendMessage", "acct/arn:aws:s3:::reports/*", ""},
		"everything":                     {one("s3:GetObject", "*", "arn:aws:s3:::reports/*", "*"), "", "allow", "*", "arn:*", ""},
		"everything, denied":             {one("Allow", "Deny", "s3:GetObject", "*", "arn:aws:s3:::reports/*", "*"), "acct", "deny", "*", "acct/arn:*", ""},
		"characters":                     {one("reports/*", "r/%${*}${?}${$}{x}é"), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::r/%25%2A?${x}é", ""},
		"parts":                          {one("arn:aws:s3:::reports/*", "arn:aws:s3:*:*:a/*"), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:*:*:a/*", `action.resource.matches("^acct/arn:aws:s3:[^:]*:[^:]*:a/.*$")`},
		"a region's all":                 {one("arn:aws:s3:::reports/*", "arn:aws:sqs:*:*:*"), "acct", "allow", "s3:GetObject", "acct/arn:aws:sqs:*:*:*", ""},
		"a secret by its name":           {one("arn:aws:s3:::reports/*", "arn:aws:secretsmanager:e:1:secret:db-??????"), "acct", "allow", "s3:GetObject", "acct/arn:aws:secretsmanager:e:1:secret:db-??????", ""},
		"a secret denied by either name": {one("Allow", "Deny", "arn:aws:s3:::reports/*", "arn:aws:secretsmanager:e:1:secret:db-AbCdEf"), "acct", "deny", "s3:GetObject",
			"acct/arn:aws:secretsmanager:e:1:secret:db-AbCdEf acct/arn:aws:secretsmanager:e:1:secret:db-??????", ""},
		"conditions": {one(`]}`, `],"Condition":{"StringLike":{"S3:Prefix":["a/*","b?"]},"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["x","y"]},"DateLessThan":{"aws:CurrentTime":"2026-12-31"},"NumericLessThanEquals":{"s3:max-keys":100},"Bool":{"ssm:Recursive":"false"},"StringNotEqualsIfExists":{"sns:Protocol":"http"}}}`),
			"acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::reports/*",
			`string(request.params["ssm:Recursive"]) == "false" && now < timestamp("2026-12-31T00:00:00Z") && ` +
				`request.params["dynamodb:LeadingKeys"].all(v, string(v) in ["x", "y"]) && double(request.params["s3:max-keys"]) <= 100.0 && ` +
				`(string(request.params["s3:prefix"]).matches("(?s)^a/.*$") || string(request.params["s3:prefix"]).matches("(?s)^b.$")) && ` +
				`!(string(request.params["sns:Protocol"]) == "http")`},
		"conditions of a deny": {one("Allow", "Deny", `]}`, `],"Condition":{"StringEquals":{"s3:x-amz-acl":"public-read"},"StringNotLike":{"s3:prefix":"a*"},"Null":{"kms:RequestAlias":"true"}}}`),
			"acct", "deny", "s3:GetObject", "acct/arn:aws:s3:::reports/*",
			`!("kms:RequestAlias" in request.params) && ("s3:x-amz-acl" in request.params && string(request.params["s3:x-amz-acl"]) == "public-read") && ` +
				`!(string(request.params["s3:prefix"]).matches("(?s)^a.*$"))`},
		"a limited list":    {one(`]}`, `],"Condition":{"Null":{"s3:prefix":"false"}}}`), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::reports/*", `("s3:prefix" in request.params && request.params["s3:prefix"] != "")`},
		"an unlimited list": {one("Allow", "Deny", `]}`, `],"Condition":{"Null":{"s3:prefix":"true"}}}`), "acct", "deny", "s3:GetObject", "acct/arn:aws:s3:::reports/*", `!(("s3:prefix" in request.params && request.params["s3:prefix"] != ""))`},
		"either case": {one(`]}`, `],"Condition":{"StringEqualsIgnoreCase":{"s3:prefix":"aé."}}}`), "acct", "allow", "s3:GetObject", "acct/arn:aws:s3:::reports/*",
			`string(request.params["s3:prefix"]).matches("(?s)^[aA]é\\.$")`},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := tableOf(t).importIAM(document(c.statement), "theirs", c.connection)
			if err != nil {
				t.Fatal(err)
			}
			st := p.Statements[0]
			if len(p.Statements) != 1 || st.Effect != c.effect || !slices.Contains(st.Actions, strings.Fields(c.actions)[0]) ||
				!slices.Equal(st.Resources, strings.Fields(c.resources)) || st.Condition != c.condition {
				t.Errorf("%+v", p.Statements)
			}
			compiled(t, p)
		})
	}
}

// compiled are the rules of a caller with one policy, on a connection called acct, which they reach by another.
func compiled(t interface {
	Helper()
	Fatal(args ...any)
}, p *access.Policy) *policy.Rules {
	t.Helper()
	set, err := policy.Defaults{Wait: time.Minute}.Compile(policy.Documents{
		Policies:    []*access.Policy{p, {Name: "reach", Statements: []access.PolicyStatement{allowed("kms:ListKeys", "acct/reach")}}},
		Connections: []*access.Connection{{Name: "acct", Type: name, Address: "https://amazonaws.test", AWS: &access.AWSOptions{Account: here.account, Region: here.region}}},
		Issuers:     []*access.Issuer{{Name: "dev", URL: "https://issuer.test", Audiences: []string{"gatehouse"}}},
		Roles:       []*access.Role{{Name: "fn", Bind: []access.Binding{{Issuer: "dev", Claims: map[string]any{"sub": "fn"}}}, Policies: []string{p.Name, "reach"}}},
	}, iamVocabulary(), 1)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := set.Rules(caller(), "acct")
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func caller() *access.Principal {
	return &access.Principal{Issuer: "https://issuer.test", Subject: "fn", Kind: access.Workload, Claims: map[string]any{"sub": "fn"}}
}

func iamVocabulary() []policy.Vocabulary {
	m, err := table()
	if err != nil {
		panic(err)
	}
	v := policy.Vocabulary{Type: name, Rootless: []string{"arn:"}}
	for _, verb := range verbs(m) { // of some services: compiling all is slow
		if service, _, _ := strings.Cut(verb.Name, ":"); !slices.Contains([]string{"s3", "dynamodb", "sqs", "kms"}, service) && verb.Name != opaqueAction {
			continue
		}
		v.Actions = append(v.Actions, policy.ActionName{Name: verb.Name, Implied: verb.Implied})
	}
	return []policy.Vocabulary{v}
}

// decides is what a policy makes of one action.
func decides(r *policy.Rules, action, resource string, params map[string]any) access.Effect {
	st := &access.Statement{Bounded: true, Actions: []access.Action{{Name: action, Resource: resource}}}
	return r.Decide(st, &access.Input{Principal: caller(), Connection: "acct", Type: name, Now: time.Unix(1_790_000_000, 0), Request: &access.Sent{Method: "POST", Path: "/", Params: params}}).Effect
}

var universe = struct{ actions, arns []string }{
	actions: []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket", "dynamodb:GetItem", "dynamodb:Query", "sqs:SendMessage"},
	arns: []string{"arn:aws:s3:::reports", "arn:aws:s3:::reports/a", "arn:aws:s3:::reports/a/b", "arn:aws:s3:::reports/a*b", "arn:aws:s3:::reports/a?b",
		"arn:aws:s3:::reports/${x}", "arn:aws:s3:::reports/100%", "arn:aws:s3:::other/a:reports/a", "arn:aws:s3:::other/é x",
		"arn:aws:dynamodb:eu-west-1:123456789012:table/orders", "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/index/day",
		"arn:aws:dynamodb:eu-west-1:999999999999:table/orders", "arn:aws:sqs:eu-west-1:123456789012:jobs", "arn:aws:sqs:us-east-1:123456789012:jobs"},
}

func resourceOf(arn string) string { return access.PathResource("acct", arn) }

// TestRapidRoundTrip: what a policy of allows decides, it decides after an export and an import.
func TestRapidRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &access.Policy{Name: "seen"}
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			st := access.PolicyStatement{Effect: "allow", Actions: rapid.SliceOfNDistinct(rapid.SampledFrom(universe.actions), 1, 3, rapid.ID).Draw(t, "actions")}
			for _, arn := range rapid.SliceOfNDistinct(rapid.SampledFrom(universe.arns), 1, 4, rapid.ID).Draw(t, "arns") {
				r := resourceOf(arn)
				if prefix, ok := aboveObject(r); ok && rapid.Bool().Draw(t, "folded") {
					r = prefix + "*"
				}
				st.Resources = append(st.Resources, r)
			}
			p.Statements = append(p.Statements, st)
		}
		b, _, err := exportIAM(p)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := tableOfRapid(t).importIAM(b, "seen", "acct")
		if err != nil {
			t.Fatal(err)
		}
		before, after := compiled(t, p), compiled(t, back)
		for _, action := range universe.actions {
			for _, arn := range universe.arns {
				if was, is := decides(before, action, resourceOf(arn), nil), decides(after, action, resourceOf(arn), nil); was != is {
					t.Fatalf("%s on %s was %v and is %v\n%s", action, arn, was, is, b)
				}
			}
		}
	})
}

func tableOfRapid(t *rapid.T) *models {
	m, err := table()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// foreign is a statement of IAM, as the reference below judges it.
type foreign struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// applies is what IAM makes of a statement, written down again, in the simplest way.
func (f *foreign) applies(action, arn string, params map[string]any) bool {
	hit := func(list []string, match func(string) bool) bool { return slices.ContainsFunc(list, match) }
	if !hit(f.Action, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(action)) }) {
		return false
	}
	if !hit(f.Resource, func(p string) bool {
		want, have := strings.SplitN(p, ":", 6), strings.SplitN(arn, ":", 6)
		if p == "*" || len(want) < 6 && strings.HasSuffix(p, "*") { // a wildcard at the end goes beyond colons
			return glob(p, arn)
		}
		for i := range have {
			if i >= len(want) || !glob(want[i], have[i]) {
				return false
			}
		}
		return true
	}) {
		return false
	}
	for operator, keys := range f.Condition {
		for key, values := range keys {
			if !holds(operator, params[key], values) {
				return false
			}
		}
	}
	return true
}

func holds(operator string, have any, values []string) bool {
	quantity, op, quantified := strings.Cut(operator, ":")
	if !quantified {
		op = operator
	}
	op, ifExists := strings.CutSuffix(op, "IfExists")
	negated := strings.Contains(op, "Not")
	match := func(s string) bool {
		for _, v := range values {
			if strings.HasSuffix(op, "Like") && glob(v, s) || strings.HasSuffix(op, "Equals") && v == s {
				return !negated
			}
		}
		return negated
	}
	var list []string
	switch have := have.(type) {
	case nil:
		return ifExists || quantity == "ForAllValues" || negated && quantity != "ForAnyValue"
	case string:
		list = []string{have}
	case []any:
		for _, e := range have {
			list = append(list, fmt.Sprint(e))
		}
	}
	if quantity == "ForAllValues" {
		return !slices.ContainsFunc(list, func(s string) bool { return !match(s) })
	}
	return slices.ContainsFunc(list, match)
}

// TestImportIsNeverLooser: what IAM would not allow, a policy that was imported does not allow, whatever the call.
func TestImportIsNeverLooser(t *testing.T) {
	actions := []string{"*", "s3:*", "S3:get*", "s3:GetObject", "s3:ListBucket", "dynamodb:GetItem", "dynamodb:*", "s3:???Object", "sqs:SendMessage"}
	arns := []string{"*", "arn:*", "arn:aws:s3:::reports/*", "arn:aws:s3:::reports", "arn:aws:s3:*:*:reports/*", "arn:*:s3:::reports/a", "arn:aws:s3:::*/a",
		"arn:aws:dynamodb:*:123456789012:table/*", "arn:aws:dynamodb:eu-west-1:*:table/orders", "arn:aws:sqs:*:*:*", "arn:aws:sqs:*:*:jobs"}
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists", "ForAllValues:StringEquals", "ForAllValues:StringLike",
		"ForAnyValue:StringEquals", "ForAnyValue:StringNotEquals", "ForAllValues:StringNotEquals"}
	keys := []string{"s3:prefix", "s3:delimiter", "dynamodb:LeadingKeys", "kms:EncryptionContextKeys"}
	imported, passed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var statements []foreign
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			f := foreign{Effect: rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"),
				Action:   rapid.SliceOfN(rapid.SampledFrom(actions), 1, 2).Draw(t, "actions"),
				Resource: rapid.SliceOfN(rapid.SampledFrom(arns), 1, 3).Draw(t, "resources")}
			if rapid.Bool().Draw(t, "conditional") {
				f.Condition = map[string]map[string][]string{rapid.SampledFrom(operators).Draw(t, "operator"): {
					rapid.SampledFrom(keys).Draw(t, "key"): rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a*", "b", "/"}), 1, 2).Draw(t, "values")}}
			}
			statements = append(statements, f)
		}
		b, err := json.Marshal(map[string]any{"Version": iamVersion, "Statement": statements})
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := tableOfRapid(t).importIAM(b, "theirs", "acct")
		if err != nil {
			return // refused: nothing is looser
		}
		imported++
		rules := compiled(t, p)
		params := map[string]any{}
		for _, key := range keys[:2] {
			if rapid.Bool().Draw(t, "there") {
				params[key] = rapid.SampledFrom([]string{"a", "ab", "b", "/"}).Draw(t, "value")
			}
		}
		for _, key := range keys[2:] {
			if rapid.Bool().Draw(t, "there") {
				params[key] = anys(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "b", "/"}), 1, 3).Draw(t, "list"))
			}
		}
		for _, action := range universe.actions {
			for _, arn := range universe.arns {
				allow, deny := false, false
				for i := range statements {
					hit := statements[i].applies(action, arn, params)
					allow, deny = allow || hit && statements[i].Effect == "Allow", deny || hit && statements[i].Effect == "Deny"
				}
				got := decides(rules, action, resourceOf(arn), params) == access.Allow
				if got && (!allow || deny) {
					t.Fatalf("%s on %s with %v is allowed, and IAM would not\n%s\n%+v", action, arn, params, b, p.Statements)
				}
				if got {
					passed++
				}
			}
		}
	})
	if imported == 0 || passed == 0 {
		t.Errorf("%d documents were imported, and %d actions allowed: nothing was compared", imported, passed)
	}
}
