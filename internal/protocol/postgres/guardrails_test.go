package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/config"
	"gatehouse/internal/policy"
	"gatehouse/internal/sql/pgsql"
)

// passes are the verbs that each guardrail that ships lets through. A verb that is new must be put into every list where it
// belongs, or be denied by the guardrail's document: TestGuardrailsTakeAStand fails until somebody has decided. Words ending
// in * stand for all that begin so and are not denied.
var passes = map[string]string{
	"read-only": `Select Evaluate Describe Explain Show ShowSetting SetConfig AlterSetting SetRole Transaction Prepare Execute
		Deallocate DeclareCursor Fetch CloseCursor Discard Listen Unlisten ReadServerFile`,
	"no-destructive-ddl": plainVerbs + schemaVerbs + rightsVerbs + ` Insert Update Delete CopyFromFile ReadServerFile LargeObject
		CreateServer AlterServer CreateForeignDataWrapper AlterForeignDataWrapper CreateForeignTable AlterForeignTable
		ImportForeignSchema CreateTablespace`,
	"no-unbounded-writes": plainVerbs + schemaVerbs + rightsVerbs + dropVerbs + ` Insert CopyFromFile ReadServerFile Replace
		CreateServer AlterServer CreateForeignDataWrapper AlterForeignDataWrapper CreateForeignTable AlterForeignTable
		ImportForeignSchema CreateTablespace`,
	"no-server-files": plainVerbs + schemaVerbs + rightsVerbs + dropVerbs + ` Insert Update Delete Truncate Replace RewriteColumn LargeObject`,
	"no-copy-program": plainVerbs + schemaVerbs + rightsVerbs + dropVerbs + ` Insert Update Delete Truncate Replace RewriteColumn
		LargeObject CopyFromFile ReadServerFile CreateServer AlterServer CreateForeignDataWrapper AlterForeignDataWrapper
		CreateForeignTable AlterForeignTable ImportForeignSchema CreateTablespace`,
	"no-privilege-change": plainVerbs + schemaVerbs + ` Insert Update Delete Truncate Replace RewriteColumn LargeObject
		CopyFromFile ReadServerFile CreateServer AlterServer CreateForeignDataWrapper AlterForeignDataWrapper CreateForeignTable
		AlterForeignTable ImportForeignSchema CreateTablespace DropPart DropAccessMethod DropAggregate DropCast DropCollation
		DropConversion DropDatabase DropDomain DropEventTrigger DropExtension DropForeignDataWrapper DropForeignTable DropFunction
		DropIndex DropLanguage DropMaterializedView DropOperator DropOperatorClass DropOperatorFamily DropProcedure
		DropPublication DropRule DropSchema DropSequence DropServer DropStatistics DropSubscription DropTable DropTablespace
		DropTextSearch DropTransform DropTrigger DropType DropView`,
}

const (
	// plainVerbs neither define nor write.
	plainVerbs = ` Select LockRows Lock Evaluate Describe UseSequence Explain AdvisoryLock Transaction PrepareTransaction Prepare
		Execute Deallocate DeclareCursor Fetch CloseCursor Discard SetConfig AlterSetting Show ShowSetting Listen Unlisten Notify
		Vacuum Analyze Reindex Cluster Checkpoint RefreshMaterializedView Comment`
	// schemaVerbs add to the schema or change it, lose nothing by it, and let no code run that the analysis does not see.
	schemaVerbs = ` CreateCollation CreateDatabase CreateDomain CreateIndex CreateMaterializedView CreateOperatorFamily
		CreatePublication CreateSchema CreateSequence CreateStatistics CreateTable CreateTextSearch CreateType CreateView
		AlterAccessMethod AlterAggregate AlterCast AlterCollation AlterConversion AlterDomain AlterEventTrigger AlterIndex
		AlterLanguage AlterMaterializedView AlterOperator AlterOperatorClass AlterOperatorFamily AlterPublication AlterRule
		AlterSchema AlterSequence AlterStatistics AlterTable AlterTablespace AlterTextSearch AlterTransform AlterTrigger AlterType
		AlterView`
	// rightsVerbs say who may do what.
	rightsVerbs = ` Grant Revoke GrantRole RevokeRole AlterDefaultPrivileges ChangeOwner Reassign SetRole CreateRole AlterRole
		AlterDatabase SecurityLabel CreatePolicy AlterPolicy AlterRowSecurity CreateUserMapping AlterUserMapping AlterLargeObject
		AlterFunction AlterProcedure`
	dropVerbs = " Drop*"
)

// shop is a connection with one guardrail, and a role that may do everything on it.
func shop(t *testing.T, guardrail *access.Policy) *policy.Rules {
	t.Helper()
	v := policy.Vocabulary{Type: "postgres"}
	for _, verb := range verbs() {
		v.Actions = append(v.Actions, policy.ActionName{Name: verb.Name, Implied: verb.Implied})
	}
	d := policy.Documents{
		Issuers: []*access.Issuer{{Name: "i", URL: "https://issuer.test", Audiences: []string{"a"}}},
		Policies: []*access.Policy{guardrail, {Name: "all", Statements: []access.PolicyStatement{
			{Effect: "allow", Actions: []string{"postgres:*", "postgres:Opaque"}, Resources: []string{"*"}}}}},
		Connections: []*access.Connection{{Name: "shop", Type: "postgres", Address: "db.test:5432", Guardrails: []string{guardrail.Name}}},
		Roles:       []*access.Role{{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"sub": "fn"}}}, Policies: []string{"all"}}},
	}
	set, err := policy.Compile(d, []policy.Vocabulary{v}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Rules(&access.Principal{Issuer: "https://issuer.test", Subject: "fn", Kind: access.Workload, Claims: map[string]any{"sub": "fn"}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ready parses the guardrails that ship.
func ready(t *testing.T) []*access.Policy {
	t.Helper()
	var out []*access.Policy
	for _, g := range guardrails() {
		docs, err := config.ParseDocuments(g.Name, g.Document)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := docs[0].Doc.(*access.Policy)
		if !ok || len(docs) != 1 || p.Name != g.Name || p.Description == "" {
			t.Fatalf("%s is not one policy of that name with a description", g.Name)
		}
		out = append(out, p)
	}
	return out
}

// effect is what a set of rules makes of one verb.
func effect(r *policy.Rules, verb, resource string, bounded bool) access.Effect {
	st := &access.Statement{Text: "x", Bounded: bounded, Actions: []access.Action{{Name: pgsql.Prefix + verb, Resource: resource}}}
	return r.Decide(st, &access.Input{Connection: "shop", Type: "postgres", Now: time.Unix(0, 0)}).Effect
}

// TestGuardrailsTakeAStand holds every guardrail that ships to a decision about every verb.
func TestGuardrailsTakeAStand(t *testing.T) {
	names := map[string]bool{"row-budget": true} // it bounds results and stops no verb
	for _, p := range ready(t) {
		names[p.Name] = true
		list, ok := passes[p.Name]
		if !ok {
			if p.Name != "row-budget" {
				t.Errorf("%s is in no list of this test", p.Name)
			}
			continue
		}
		through := strings.Fields(list)
		stars := slices.DeleteFunc(slices.Clone(through), func(w string) bool { return !strings.HasSuffix(w, "*") })
		r := shop(t, p)
		known := map[string]bool{}
		for _, v := range pgsql.Verbs() {
			known[v.Name] = true
			denied := effect(r, v.Name, "shop/public.t", false) == access.Deny
			listed := slices.Contains(through, v.Name) ||
				slices.ContainsFunc(stars, func(s string) bool { return strings.HasPrefix(v.Name, strings.TrimSuffix(s, "*")) })
			switch {
			case denied && slices.Contains(through, v.Name):
				t.Errorf("%s denies %s, which the list lets through", p.Name, v.Name)
			case !denied && !listed:
				t.Errorf("%s lets %s through: deny it in the document, or put it into the list", p.Name, v.Name)
			}
		}
		for _, w := range through {
			if !known[w] && !strings.HasSuffix(w, "*") {
				t.Errorf("%s is no verb", w)
			}
		}
	}
	for name := range passes {
		if !names[name] {
			t.Errorf("the guardrail %s does not ship", name)
		}
	}
}

// TestGuardrailsByCondition looks at what depends on more than the verb.
func TestGuardrailsByCondition(t *testing.T) {
	for _, p := range ready(t) {
		r := shop(t, p)
		for _, c := range []struct {
			guardrail, verb, resource string
			bounded                   bool
			want                      access.Effect
		}{
			{"no-unbounded-writes", "Delete", "shop/public.t", true, access.Allow},
			{"no-unbounded-writes", "Delete", "shop/public.t", false, access.Deny},
			{"no-unbounded-writes", "Update", "shop/public.t", false, access.Deny},
			{"no-server-files", "Select", "shop/public.t", true, access.Allow},
			{"no-server-files", "Select", "shop/pg_catalog.pg_hba_file_rules", true, access.Deny},
			{"no-server-files", "Select", "shop/pg_catalog.pg_file_settings", true, access.Deny},
			{"no-server-files", "Select", "shop/pg_catalog.pg_ident_file_mappings", true, access.Deny},
			{"read-only", "Connect", "shop", true, access.Allow},
		} {
			if got := effect(r, c.verb, c.resource, c.bounded); c.guardrail == p.Name && got != c.want {
				t.Errorf("%s: %s on %s (bounded: %v): %v", p.Name, c.verb, c.resource, c.bounded, got)
			}
		}
	}
}
