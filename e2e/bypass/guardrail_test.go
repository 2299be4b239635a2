package bypass

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// readyGuardrails are those that ship; each binds a connection of its own to the first database.
var readyGuardrails = []string{"no-destructive-ddl", "no-unbounded-writes", "no-server-files", "no-privilege-change", "read-only", "no-copy-program"}

// guardrails are attacks on what a connection's guardrail forbids, by a role that may do everything, on a server where the
// gateway is a superuser. Steps run in the first database; everything on the server has to be as it was, and the client has
// to be told, in step.
var guardrails = slices.Concat(roleAttacks, ddlAttacks, hiddenAttacks, boundAttacks, readOnlyAttacks, fileAttacks, programAttacks, rightsAttacks)

var roleAttacks = []attack{
	{Technique: "a table is dropped, by a role that may not", Channel: "simple", Role: "narrow", Steps: simple("DROP TABLE items")},
	{Technique: "a table is dropped, by a role that may not", Channel: "text", Role: "narrow", Steps: extended("DROP TABLE items", false)},
}

// guarded are the connections and the role of these cases. The guardrails are only named: they ship with the gateway.
func guarded() string {
	var docs strings.Builder
	for _, g := range readyGuardrails {
		fmt.Fprintf(&docs, "\n---\nkind: Connection\nname: %s\ntype: postgres\naddress: ${ADDRESS}\ndatabase: orders\n"+
			"tls: {ca_file: \"${CA_FILE}\"}\ncredential: {user: app, secret: shop}\nguardrails: [%s]\n", g, g)
	}
	fmt.Fprintf(&docs, "---\nkind: Connection\nname: guarded\ntype: postgres\naddress: ${ADDRESS}\ndatabase: orders\n"+
		"tls: {ca_file: \"${CA_FILE}\"}\ncredential: {user: app, secret: shop}\nguardrails: [%s]\n",
		strings.ReplaceAll(strings.Join(readyGuardrails, ", "), "read-only, ", ""))
	docs.WriteString("---\nkind: Policy\nname: all\nstatements:\n  - {effect: allow, actions: [\"postgres:*\", \"postgres:Opaque\"], resources: [\"*\"]}\n" +
		"---\nkind: Role\nname: all\nbind: [{issuer: dev, claims: {sub: \"fn:all\"}}]\npolicies: [all]\n")
	return docs.String()
}

// fileCanary is in a file of the server that no client may read.
const fileCanary = "canary-of-a-server-file-7731"

// TestGuardrails: nothing that is denied happens.
func TestGuardrails(t *testing.T) {
	secret := filepath.Join(shared.files, "secret")
	if err := os.WriteFile(secret, []byte(fileCanary+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(secret) }() // the world goes with its folder
	for _, a := range guardrails {
		scores.count(t, "guardrail", a, func(t *testing.T) {
			where := left
			if a.Guardrail != "" {
				a.Role, where.connection = "all", a.Guardrail
			}
			before := shared.snap(t, 0)
			s := a.run(t, a.Role, where)
			if changed := before.changes(shared.snap(t, 0)); changed != "" {
				t.Errorf("this has changed: %s", changed)
			}
			if bytes.Contains(s.raw.Bytes(), []byte(fileCanary)) {
				t.Error("the client has read a file of the server")
			}
			if got := s.heard.String(); !refused(got) && !strings.Contains(got, "ERROR 0A000") { // what the gateway never runs
				t.Error("nothing was refused")
			}
			if t.Failed() {
				t.Logf("heard:\n%.4000s", s.heard.String())
			}
		})
	}
}

// TestGuardrailsAreNeeded: what the cases try does work where no guardrail stands in the way, or they would prove nothing. It
// runs them around the gateway, in a copy of the database each.
func TestGuardrailsAreNeeded(t *testing.T) {
	secret := filepath.Join(shared.files, "secret")
	if err := os.WriteFile(secret, []byte(fileCanary+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(secret) }() // the world goes with its folder
	maintenance, err := pgx.Connect(t.Context(), strings.Replace(shared.pg.AdminDSN, "dbname="+left.database, "dbname=postgres", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = maintenance.Close(context.Background()) }() // the statements' errors are the ones to tell
	exec := func(text string) {
		t.Helper()
		if _, err := maintenance.PgConn().Exec(t.Context(), text).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE DATABASE pristine OWNER app")
	defer exec("DROP DATABASE pristine")
	if err := shared.run(t.Context(), strings.Replace(shared.pg.AdminDSN, "dbname="+left.database, "dbname=pristine", 1), "SET ROLE app",
		"CREATE EXTENSION dblink", strings.NewReplacer("CREATE ROLE bob;", "", "CREATE ROLE eve;", "").Replace(file("guardrails.sql"))); err != nil {
		t.Fatal(err)
	}
	arena := left
	arena.database = "arena"
	fresh := func() {
		t.Helper()
		exec("DROP DATABASE IF EXISTS arena WITH (FORCE)")
		exec("CREATE DATABASE arena TEMPLATE pristine")
	}
	fresh()
	defer exec("DROP DATABASE arena WITH (FORCE)")
	for _, a := range guardrails {
		if a.Guardrail == "" || a.Unproven != "" {
			continue
		}
		got, stays := a.rehearse(t, arena, true)
		if strings.Contains(got, "ERROR 25001") || stays { // it cannot run in a transaction that is rolled back
			fresh()
			if !stays {
				got, _ = a.rehearse(t, arena, false)
				fresh()
			}
			for _, text := range a.Undo {
				exec(text)
			}
		}
		if strings.Contains(got, "ERROR") {
			t.Errorf("%s, %s: it does not work by itself:\n%.2000s", a.Guardrail, a.name(), got)
		}
	}
	made, err := filepath.Glob(filepath.Join(shared.files, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range made {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

// rehearse runs a case around the gateway, and returns what was heard. Within a transaction that is rolled back it leaves the
// database as it was, unless stays says that the case has ended that transaction, or worked beside it.
func (a attack) rehearse(t *testing.T, where values, within bool) (heard string, stays bool) {
	t.Helper()
	s := open(t, direct, where)
	defer s.leave()
	if within {
		s.say(query("BEGIN"))
	}
	from := s.heard.Len()
	s.sent.Reset()
	for _, do := range a.Steps {
		do(s)
	}
	heard = s.heard.String()[from:]
	stays = !within || bytes.Contains(s.sent.Bytes(), []byte("COMMIT")) || bytes.Contains(s.sent.Bytes(), []byte("dblink"))
	if within && !stays {
		s.say(query("ROLLBACK"))
	}
	return heard, stays && within
}
