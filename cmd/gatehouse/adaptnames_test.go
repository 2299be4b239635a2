package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// described is a protocol whose connections have a document attached: their database names its operations.
func described() []wire.Protocol {
	return []wire.Protocol{
		{Name: "plain", Verbs: list("plain:Get")},
		{Name: "api", Verbs: list("api:Get"), Rootless: []string{"arn:"}, Exchange: struct{ wire.Exchanger }{}, Actions: func(c *access.Connection) ([]wire.Verb, error) {
			switch c.Database {
			case "":
				return nil, errors.New("the file is gone")
			case "quiet":
				return nil, errors.New("")
			}
			return []wire.Verb{{Name: c.Name + ":" + c.Database}}, nil
		}},
	}
}

func attached(name, operation string) *access.Connection {
	return &access.Connection{Name: name, Type: "api", Database: operation}
}

func forbids(name, action string) *access.Policy {
	return &access.Policy{Name: name, Statements: []access.PolicyStatement{{Effect: "deny", Actions: []string{action}, Resources: []string{"*"}}}}
}

// TestNamesOfConnections: the protocols say what attached documents add; one that cannot be read closes its connection only.
func TestNamesOfConnections(t *testing.T) {
	d := withNames(policy.Documents{Connections: []*access.Connection{attached("billing", "Refund"), attached("broken", ""), attached("mute", "quiet"),
		{Name: "db", Type: "plain"}, {Name: "odd", Type: "nope"}}}, described())
	if got := fmt.Sprint(d.Names); got != "map[billing:[{billing:Refund false}]]" {
		t.Error(got)
	}
	if len(d.Closed) != 2 || d.Closed["broken"] != "the file is gone" || d.Closed["mute"] == "" {
		t.Error(d.Closed)
	}
	if v := vocabulary(described()); len(v) != 2 || v[1].Rootless[0] != "arn:" || v[0].Actions[0].Name != "plain:Get" {
		t.Error(v)
	}
}

// TestCheckOfAttachedDocuments: what a document attached to a connection does to whoever writes: its own writer mends it, other
// writers are not in its way, and nobody writes a policy that names what nobody has.
func TestCheckOfAttachedDocuments(t *testing.T) {
	billing, broken := attached("billing", "Refund"), attached("broken", "")
	refund, gone := forbids("refund", "billing:Refund"), forbids("gone", "broken:Run")
	typo := forbids("typo", "billing:Refnd")
	for _, tc := range []struct {
		name    string
		stored  []access.Document
		written []access.Document
		want    string // of the problems, kind and name
	}{
		{"all is well", []access.Document{billing}, []access.Document{billing, refund}, "[]"},
		{"a new connection is broken", []access.Document{billing}, []access.Document{billing, broken}, "[Connection broken]"},
		{"a changed one is", []access.Document{attached("broken", "Run")}, []access.Document{broken}, "[Connection broken]"},
		{"it broke since", []access.Document{broken, gone}, []access.Document{broken, gone, billing, refund}, "[]"},
		{"it broke since, and another policy is wrong", []access.Document{broken, gone, billing}, []access.Document{broken, gone, billing, typo}, "[Policy typo]"},
		{"it broke since, and a new policy names its action", []access.Document{broken, billing}, []access.Document{broken, billing, gone}, "[Policy gone]"},
		{"it is deleted, and a policy is not", []access.Document{broken, gone}, []access.Document{gone}, "[Policy gone]"},
		{"an operation is taken away from under a policy", []access.Document{billing, refund}, []access.Document{attached("billing", "Other"), refund}, "[Policy refund]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, err := check(policy.Defaults{}, withNames(sorted(tc.written), described()), vocabulary(described()), tc.stored)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range found {
				got = append(got, p.Kind+" "+p.Name)
				if p.Kind == access.KindConnection && !strings.Contains(p.Say, "the file is gone") {
					t.Error(p.Say)
				}
			}
			if s := fmt.Sprint(got); s != tc.want {
				t.Errorf("%s, want %s: %v", s, tc.want, found)
			}
		})
	}
}

// TestMasksInsideDocumentsReachTheGate: masks that are neither by field nor by detector are masks all the same.
func TestMasksInsideDocumentsReachTheGate(t *testing.T) {
	d := withNames(policy.Documents{
		Issuers:     []*access.Issuer{{Name: "i", URL: "https://issuer.example"}},
		Connections: []*access.Connection{attached("billing", "Refund")},
		Policies: []*access.Policy{{Name: "p", Statements: []access.PolicyStatement{
			{Effect: "allow", Actions: []string{"billing:Refund"}, Resources: []string{"billing/*"}},
			{Effect: "deny", Actions: []string{"billing:Refund"}, Resources: []string{"billing/big"}, Condition: "request.body.amount > 100"},
			{Effect: "approve", Actions: []string{"billing:Refund"}, Resources: []string{"billing/held"}},
			{Effect: "mask", Resources: []string{"billing/*"}, Fields: []string{"**.ssn"}},
		}}},
		Roles: []*access.Role{{Name: "r", Policies: []string{"p"}, Bind: []access.Binding{{Issuer: "i", Condition: "true"}}}},
	}, described())
	set, err := policy.Compile(d, vocabulary(described()), 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Rules(&access.Principal{Issuer: "https://issuer.example", Subject: "s", Kind: access.Workload}, "billing")
	if err != nil {
		t.Fatal(err)
	}
	m := rules{r}.Masks()
	if m == nil || m.Document("billing/x", access.ToClient).None() {
		t.Fatal("the mask is left out")
	}
	for resource, want := range map[string]bool{"billing/x": false, "billing/big": true, "billing/held": true} {
		st := &access.Statement{Actions: []access.Action{{Name: "billing:Refund", Resource: resource}}}
		if got := (rules{r}).ReadsBody(st); got != want {
			t.Errorf("%s: reads the body: %t", resource, got)
		}
	}
}

// list is the verbs of a protocol.
func list(name string) func() []wire.Verb {
	return func() []wire.Verb { return []wire.Verb{{Name: name}} }
}
