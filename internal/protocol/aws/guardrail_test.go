package aws

import (
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/config"
	"gatehouse/internal/policy"
)

// TestGuardrailNamesWhatThereIs: the guardrail that ships compiles, which it would not with an action that nobody has, and denies
// what hands out credentials, whatever a role allows.
func TestGuardrailNamesWhatThereIs(t *testing.T) {
	p := New(testDeps())
	docs, err := config.ParseDocuments("aws-no-credentials", noCredentials)
	if err != nil {
		t.Fatal(err)
	}
	guardrail, ok := docs[0].Doc.(*access.Policy)
	if !ok || guardrail.Name != p.Guardrails[0].Name {
		t.Fatalf("it is not one policy of its name: %v", docs)
	}
	v := policy.Vocabulary{Type: name, Rootless: p.Rootless}
	for _, verb := range p.Verbs() {
		v.Actions = append(v.Actions, policy.ActionName{Name: verb.Name, Implied: verb.Implied})
	}
	set, err := policy.Compile(policy.Documents{
		Issuers: []*access.Issuer{{Name: "i", URL: "https://issuer.test", Audiences: []string{"a"}}},
		Policies: []*access.Policy{guardrail, {Name: "all", Statements: []access.PolicyStatement{
			{Effect: "allow", Actions: []string{"*", opaqueAction}, Resources: []string{"arn:*"}}}}},
		Connections: []*access.Connection{{Name: "acct", Type: name, Address: "https://aws.test", Guardrails: []string{guardrail.Name},
			AWS: &access.AWSOptions{Account: here.account, Region: here.region}}},
		Roles: []*access.Role{{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"sub": "fn"}}}, Policies: []string{"all"}}},
	}, []policy.Vocabulary{v}, 1)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := set.Rules(&access.Principal{Issuer: "https://issuer.test", Subject: "fn", Kind: access.Workload, Claims: map[string]any{"sub": "fn"}}, "acct")
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]access.Effect{
		"sts:AssumeRole": access.Deny, "sts:AssumeRoleWithSAML": access.Deny, "iam:CreateAccessKey": access.Deny, opaqueAction: access.Deny,
		"sts:GetCallerIdentity": access.Allow, "s3:GetObject": access.Allow,
	} {
		st := &access.Statement{Text: "x", Bounded: true, Actions: []access.Action{{Name: action, Resource: "acct/arn:aws:x:::y"}}}
		if got := rules.Decide(st, &access.Input{Connection: "acct", Type: name, Now: time.Unix(0, 0)}).Effect; got != want {
			t.Errorf("%s: %s, want %s", action, got, want)
		}
	}
}
