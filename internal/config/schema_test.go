package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

var update = flag.Bool("update", false, "write schema.json from the structs")

// TestSchemaIsCurrent proves that schema.json is exactly what the structs and their comments say: with -update it writes
// the file. The rules below hold what a struct cannot say.
func TestSchemaIsCurrent(t *testing.T) {
	want := generate(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		schemaJSON = want
	}
	if !bytes.Equal(Schema(), want) {
		t.Fatal("schema.json does not fit the structs: run go generate ./internal/config")
	}
	root, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	walk(root, func(s *schema) {
		if _, err := regexp.Compile(s.Pattern); err != nil {
			t.Error(err)
		}
		if s.Ref != "" && root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")] == nil {
			t.Errorf("%s leads nowhere", s.Ref)
		}
		for name, p := range s.Properties {
			if p.Description == "" {
				t.Errorf("%s has no description: write a comment on its field", name)
			}
		}
	})
}

func walk(s *schema, f func(*schema)) {
	if s == nil {
		return
	}
	f(s)
	for _, m := range []map[string]*schema{s.Properties, s.Defs} {
		for _, v := range m {
			walk(v, f)
		}
	}
	for _, v := range s.OneOf {
		walk(v, f)
	}
	walk(s.Items, f)
}

const (
	namePattern     = `^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`
	secretPattern   = `^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`
	envPattern      = `^[A-Za-z_][A-Za-z0-9_]{0,127}$`
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
	sizePattern     = `^[0-9]{1,9}(B|KiB|MiB|GiB)$`
	hostPattern     = `^[A-Za-z0-9.:_-]{1,253}$`
	urlPattern      = `^https?://[^\s]+$`
	tokenPattern    = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"
	regionPattern   = `^[a-z]{2,8}(-[a-z]+)+-[0-9]{1,2}$`
)

func num(n int64) *int64 { return &n }

// rules adds to the schema of a field what its Go type does not say.
func rules() map[string]func(*schema) {
	name := func(s *schema) { s.Pattern = namePattern }
	env := func(s *schema) { s.Pattern = envPattern }
	filled := func(s *schema) { s.MinLength = 1 }
	some := func(s *schema) { s.MinItems = 1 }
	words := func(w ...string) func(*schema) { return func(s *schema) { s.Enum = w } }
	each := func(f func(*schema)) func(*schema) { return func(s *schema) { f(s.Items) } }
	from := func(low, high int64) func(*schema) {
		return func(s *schema) { s.Minimum, s.Maximum = num(low), num(high) }
	}
	url := func(s *schema) { s.Pattern = urlPattern }
	pattern := func(p string) func(*schema) { return func(s *schema) { s.Pattern = p } }
	all := requestRules(words, each, from, pattern)
	maps.Copy(all, map[string]func(*schema){
		"Connection.Name": name, "Role.Name": name, "Policy.Name": name, "Issuer.Name": name,
		"Connection.Type": filled, "Connection.Address": filled,
		"Connection.Guardrails":    each(name),
		"Connection.Unproven":      words("mask", "refuse"),
		"Connection.RecordResults": from(0, 10_000),
		"Connection.MaxSessions":   from(0, 1_000_000),
		"Connection.Propagate":     func(s *schema) { s.Pattern = `^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$` },
		"BackendPool.Mode":         words("session", "transaction"),
		"BackendPool.Pin":          words("allow", "refuse"),
		"BackendPool.MaxBackends":  from(0, 100_000), "BackendPool.MaxPinned": from(0, 100_000),
		"Connection.HoldInTransaction": words("refuse", "hold"), "Connection.MaxHeldTransactions": from(0, 10_000),
		"BackendTLS.Mode":         words("verify-full", "verify-ca", "require", "disable"),
		"Credential.Secret":       pattern(secretPattern),
		"Credential.Env":          env,
		"Role.Bind":               some,
		"Role.Policies":           each(name),
		"Binding.Issuer":          name,
		"Policy.Statements":       some,
		"PolicyStatement.Effect":  words("allow", "deny", "approve", "mask"),
		"PolicyStatement.Actions": each(filled), "PolicyStatement.Resources": each(filled),
		"PolicyStatement.Reviewers": each(name), "PolicyStatement.Detect": each(filled),
		"PartialWith.KeepFirst": from(0, 1000), "PartialWith.KeepLast": from(0, 1000),
		"LookupBudget.Count": from(1, 1_000_000), "ResultBudget.Rows": from(0, 1<<50), "ResultBudget.Bytes": from(0, 1<<50),
		"TruncateWith.To":   words("month", "year"),
		"Issuer.URL":        url,
		"Issuer.Audiences":  func(s *schema) { some(s); filled(s.Items) },
		"Issuer.Algorithms": each(words("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")),
		"Issuer.Kind":       words("workload", "person"),

		"Server.State": filled, "Server.ServerNames": each(pattern(hostPattern)),
		"Server.LogLevel":   words("debug", "info", "warn", "error"),
		"Listener.Protocol": filled, "Listener.Address": filled, "API.Address": filled,
		"Proxy.Trusted":      func(s *schema) { some(s); filled(s.Items) },
		"Limits.MaxSessions": from(1, 1_000_000), "Limits.MaxHeld": from(1, 1_000_000),
		"Audit.Mode":           words(AuditFast, AuditStrict),
		"Approvals.MaxPending": from(1, 1_000_000), "Approvals.MaxPerPrincipal": from(1, 1_000_000),
		"VaultKey.File": filled, "VaultKey.Env": env, "VaultKey.PassphraseEnv": env,
	})
	return all
}

// requestRules are the rules of connections of requests, and of masks inside of their documents.
func requestRules(words func(...string) func(*schema), each func(func(*schema)) func(*schema), from func(low, high int64) func(*schema),
	pattern func(string) func(*schema),
) map[string]func(*schema) {
	filled := func(s *schema) { s.MinLength = 1 }
	return map[string]func(*schema){
		"PolicyStatement.In": words("response", "request", "both"), "PolicyStatement.Fields": each(filled),
		"PolicyStatement.Headers": each(pattern(tokenPattern)),

		"HTTPOptions.Protocols": each(words("h2", "http/1.1", "h2c")), "HTTPOptions.Paths": each(pattern(`^/[^\s]*$`)),
		"HTTPOptions.MaxBody": from(1, 1<<26), "HTTPOptions.MaxBackends": from(1, 100_000), "HTTPOptions.Host": pattern(hostPattern),
		"HTTPOptions.OpenAPI": filled, "HTTPOptions.OpenAPIFile": filled, "HTTPOptions.Descriptors": filled,

		"Injection.As": words("bearer", "basic", "header", "query", "oauth2", "hmac", "none"), "Injection.Name": filled,
		"Injection.TokenURL": pattern(urlPattern), "Injection.Scopes": each(filled), "Injection.Algorithm": words("sha256", "sha384", "sha512"),
		"Injection.Encoding": words("hex", "base64"), "Injection.Template": filled, "Injection.TimeName": pattern(tokenPattern),

		"AMQPOptions.VirtualHost": filled, "AMQPOptions.MaxBody": from(1, 1<<26), "NATSOptions.MaxBody": from(1, 1<<26),
		"RecordWith.Above": from(0, 100_000), "RecordWith.Messages": from(1, 100_000),

		"AWSOptions.Account": pattern(`^[0-9]{12}$`), "AWSOptions.Region": pattern(regionPattern), "AWSOptions.Regions": each(pattern(regionPattern[:1] + `(\*|` + regionPattern[1:len(regionPattern)-1] + `)$`)),
		"AWSOptions.Partition": words(strings.Fields("aws aws-cn aws-us-gov")...), "AWSOptions.Presigned": words("refuse", "allow"),
		"AWSOptions.Unsigned": words("allow", "refuse"), "AWSOptions.Models": filled,
		"AWSRole.ARN":        pattern(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$`),
		"AWSRole.ExternalID": pattern(`^[A-Za-z0-9+=,.@:/_-]{2,}$`), "AWSRole.TokenFile": filled, "AWSRole.STS": pattern(urlPattern),
	}
}

type generator struct {
	t        *testing.T
	comments map[string]string // Struct.Field and Struct -> what its comment says
	rules    map[string]func(*schema)
	used     map[string]bool
	defs     map[string]*schema
}

func generate(t *testing.T) []byte {
	g := &generator{t: t, comments: comments(t, "../access", "."), rules: rules(), used: map[string]bool{}, defs: map[string]*schema{}}
	root := &schema{
		Dialect:     "https://json-schema.org/draft/2020-12/schema",
		Title:       "Gatehouse documents",
		Description: "One document of Gatehouse. The gateway's own configuration file is $defs/" + serverDef + ".",
		Defs:        g.defs,
	}
	for _, kind := range access.Kinds() {
		doc, _ := access.NewDocument(kind)
		s := g.object(reflect.TypeOf(doc).Elem())
		s.Properties["kind"] = &schema{Const: kind, Type: "string", Description: "what this document is"}
		s.Required = append([]string{"kind"}, s.Required...)
		g.defs[kind] = s
		root.OneOf = append(root.OneOf, &schema{Ref: "#/$defs/" + kind})
	}
	g.defs[serverDef] = g.object(reflect.TypeFor[Server]())
	for rule := range g.rules {
		if !g.used[rule] {
			t.Errorf("the rule for %s fits no field", rule)
		}
	}
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// object describes a struct by the json tags of its fields; a field without omitempty or omitzero is required.
func (g *generator) object(typ reflect.Type) *schema {
	no := false
	s := &schema{Type: "object", Description: g.comments[typ.Name()], Properties: map[string]*schema{}, Additional: &no}
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" {
			g.t.Fatalf("%s.%s has no json tag", typ.Name(), f.Name)
		}
		if key == "-" { // it is no part of the document
			continue
		}
		id := typ.Name() + "." + f.Name
		p := g.value(f.Type)
		p.Description = g.comments[id]
		if p.Description == "" {
			p.Description = strings.ReplaceAll(key, "_", " ")
		}
		if rule := g.rules[id]; rule != nil {
			rule(p)
			g.used[id] = true
		}
		s.Properties[key] = p
		if options == "" {
			s.Required = append(s.Required, key)
		}
	}
	return s
}

func (g *generator) value(typ reflect.Type) *schema {
	switch typ {
	case reflect.TypeFor[access.Duration]():
		return &schema{Type: "string", Pattern: durationPattern}
	case reflect.TypeFor[Size]():
		return &schema{Type: "string", Pattern: sizePattern}
	case reflect.TypeFor[*access.MaskWith]():
		return g.maskWith()
	case reflect.TypeFor[*access.RecordWith]():
		some := g.object(typ.Elem())
		some.MinProps = 1
		return &schema{OneOf: []*schema{{Type: "string", Enum: []string{"each"}}, some}}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return g.value(typ.Elem())
	case reflect.Struct:
		return g.object(typ)
	case reflect.Slice:
		return &schema{Type: "array", Items: g.value(typ.Elem())}
	case reflect.Map:
		return &schema{Type: "object"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Int:
		return &schema{Type: "integer"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	}
	g.t.Fatalf("no schema for %s", typ)
	return nil
}

// maskWith describes what MaskWith's own methods read: a word, or an object with one key.
func (g *generator) maskWith() *schema {
	partial, truncate := g.object(reflect.TypeFor[access.PartialWith]()), g.object(reflect.TypeFor[access.TruncateWith]())
	no := false
	return &schema{OneOf: []*schema{
		{Type: "string", Enum: []string{string(access.MaskRedact), string(access.MaskHash), string(access.MaskNull)}},
		{
			Type: "object", Properties: map[string]*schema{"partial": partial, "truncate": truncate},
			MinProps: 1, MaxProps: 1, Additional: &no,
		},
	}}
}

// comments reads what is written on structs and their fields.
func comments(t *testing.T, dirs ...string) map[string]string {
	all := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if decl, ok := d.(*ast.GenDecl); ok && decl.Tok == token.TYPE {
					structComments(decl, all)
				}
			}
		}
	}
	return all
}

func structComments(decl *ast.GenDecl, all map[string]string) {
	for _, spec := range decl.Specs {
		typ, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		body, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		all[typ.Name.Name] = oneLine(decl.Doc.Text())
		for _, f := range body.Fields.List {
			for _, name := range f.Names {
				all[typ.Name.Name+"."+name.Name] = oneLine(f.Doc.Text() + f.Comment.Text())
			}
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
