package config

import (
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// TestConnectionsOfRequests: what the keys of connections of requests may hold, and which of them exclude or need each other.
func TestConnectionsOfRequests(t *testing.T) {
	const head = "kind: Connection\nname: c\ntype: t\naddress: https://api.example.com\n"
	inject := func(s string) string { return head + "credential: {user: u, secret: s, inject: {" + s + "}}\n" }
	options := func(s string) string { return head + "credential: {}\nhttp: {" + s + "}\n" }
	cloud := func(s string) string {
		return head + "credential: {}\naws: {account: \"123456789012\", region: eu-west-1" + s + "}\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"all of http":              {options("protocols: [h2, http/1.1], paths: [\"/v1/{id}\"], openapi_file: x.yaml, max_body: 1, host: a.example:1, headers: {X-A: b}, reflection: true, idle_timeout: 5m, max_backends: 2, body_deadline: 30s"), ""},
		"all of aws":               {cloud(", regions: [us-gov-west-1, eusc-de-east-1, \"*\"], partition: aws-cn, endpoints: {s3: \"http://127.0.0.1:1\"}, assume_role: {arn: \"arn:aws-us-gov:iam::123456789012:role/a/b\", external_id: x1, duration: 1h, token_file: f, sts: \"https://sts\"}, presigned: allow, unsigned: refuse, models: m"), ""},
		"bearer":                   {inject("as: bearer"), ""},
		"basic":                    {inject("as: basic"), ""},
		"header":                   {inject("as: header, name: X-Key, prefix: \"Key \""), ""},
		"query":                    {inject("as: query, name: \"api key\""), ""},
		"oauth2":                   {inject("as: oauth2, token_url: \"https://t/x\", scopes: [a], audience: b, in_body: true"), ""},
		"hmac":                     {inject("as: hmac, name: X-Sig, template: \"{method}\", algorithm: sha512, encoding: base64, time_name: X-Time"), ""},
		"the certificate":          {head + "credential: {inject: {as: none}}\n", ""},
		"two credentials":          {head + "credential: {secret: s, file: f}\n", "credential excludes another key: give only one of secret, env and file"},
		"no way":                   {inject("as: cookie"), `"cookie" is not a value of credential.inject.as`},
		"no word for it":           {inject("name: x"), `the key "as" is missing in credential.inject`},
		"header without name":      {inject("as: header"), "credential.inject needs name with as: header"},
		"header that is none":      {inject("as: header, name: \"X Key\""), "credential.inject.name is no name of a header"},
		"prefix with a line end":   {inject("as: header, name: X, prefix: \"a\\r\\nb\""), "credential.inject.prefix holds what no header can"},
		"oauth2 without a server":  {inject("as: oauth2"), "credential.inject needs token_url"},
		"oauth2 at no URL":         {inject("as: oauth2, token_url: \"ftp://x\""), "does not fit credential.inject.token_url"},
		"oauth2 without a user":    {head + "credential: {secret: s, inject: {as: oauth2, token_url: \"https://t\"}}\n", "credential needs user, with inject.as: oauth2"},
		"basic without a user":     {head + "credential: {secret: s, inject: {as: basic}}\n", "credential needs user, with inject.as: basic"},
		"hmac of nothing":          {inject("as: hmac, name: X"), "credential.inject needs template"},
		"an unknown digest":        {inject("as: hmac, name: X, template: x, algorithm: md5"), `"md5" is not a value of credential.inject.algorithm`},
		"an unknown encoding":      {inject("as: hmac, name: X, template: x, encoding: base32"), `"base32" is not a value of credential.inject.encoding`},
		"a key of another way":     {inject("as: bearer, template: x"), "credential.inject.template does nothing with as: bearer"},
		"a secret that stays here": {inject("as: none"), "credential.inject.as is none, and the credential would never be sent"},
		"an unknown protocol":      {options("protocols: [h3]"), `"h3" is not a value of http.protocols[0]`},
		"h2c beside others":        {options("protocols: [h2c, http/1.1]"), "http.protocols has h2c beside others"},
		"a path without a slash":   {options("paths: [v1]"), `"v1" does not fit http.paths[0]`},
		"no body at all":           {options("max_body: 0"), "http.max_body must be at least 1"},
		"a huge body":              {options("max_body: 100000000"), "http.max_body must be at most"},
		"two descriptions":         {options("openapi: x, openapi_file: y"), "only one of openapi and openapi_file"},
		"two ways to read":         {options("descriptors: x, reflection: true"), "only one of descriptors and reflection"},
		"an endless silence":       {options("idle_timeout: 48h"), "http.idle_timeout must be from 1s to 24h0m0s"},
		"no time for a body":       {options("body_deadline: 1ms"), "http.body_deadline must be from 1s to 1h0m0s"},
		"a header that is none":    {options("headers: {\"X A\": b}"), `http.headers has the key "X A", which is no name of a header`},
		"a header with a line end": {options("headers: {X-A: \"b\\nX-B: c\"}"), "http.headers.X-A must be text"},
		"a header twice":           {options("headers: {X-A: b, x-a: c}"), "http.headers.x-a is there twice"},
		"a header of a number":     {options("headers: {X-A: 1}"), "this Connection cannot be read"},
		"an endless header":        {options("headers: {X-A: " + strings.Repeat("a", 5000) + "}"), "up to 4096 bytes"},
		"a host with a path":       {options("host: a/b"), `"a/b" does not fit http.host`},
		"no account":               {head + "credential: {}\naws: {region: eu-west-1}\n", `the key "account" is missing in aws`},
		"a short account":          {head + "credential: {}\naws: {account: \"1234\", region: eu-west-1}\n", `"1234" does not fit aws.account`},
		"an account as a number":   {head + "credential: {}\naws: {account: 123456789012, region: eu-west-1}\n", "aws.account must be text"},
		"no region":                {head + "credential: {}\naws: {account: \"123456789012\", region: Europe}\n", `"Europe" does not fit aws.region`},
		"another that is none":     {cloud(", regions: [eu-west-1, \"eu west\"]"), `"eu west" does not fit aws.regions[1]`},
		"an unknown partition":     {cloud(", partition: aws-moon"), `"aws-moon" is not a value of aws.partition`},
		"an endpoint that is none": {cloud(", endpoints: {s3: \"127.0.0.1\"}"), "aws.endpoints.s3 must be a URL"},
		"an endpoint with a user":  {cloud(", endpoints: {s3: \"https://u:p@h\"}"), "aws.endpoints.s3 must be a URL"},
		"a role that is none":      {cloud(", assume_role: {arn: \"arn:aws:iam::1:role/x\"}"), "does not fit aws.assume_role.arn"},
		"a user as a role":         {cloud(", assume_role: {arn: \"arn:aws:iam::123456789012:user/x\"}"), "does not fit aws.assume_role.arn"},
		"a role for a minute":      {cloud(", assume_role: {arn: \"arn:aws:iam::123456789012:role/x\", duration: 1m}"), "aws.assume_role.duration must be from 15m0s to 12h0m0s"},
		"an unknown word":          {cloud(", presigned: maybe"), `"maybe" is not a value of aws.presigned`},
		"another one":              {cloud(", unsigned: maybe"), `"maybe" is not a value of aws.unsigned`},
		"a direction":              {"kind: Policy\nname: p\nstatements: [{effect: mask, resources: [x], fields: [$.a], headers: [X-A], in: both}]\n", ""},
		"an unknown direction":     {"kind: Policy\nname: p\nstatements: [{effect: mask, resources: [x], fields: [$.a], in: reply}]\n", `"reply" is not a value of statements[0].in`},
		"a mask of no header":      {"kind: Policy\nname: p\nstatements: [{effect: mask, resources: [x], headers: [\"a b\"]}]\n", `"a b" does not fit statements[0].headers[0]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDocuments("f.yaml", []byte(c.text))
			if c.want == "" {
				if err != nil {
					t.Fatal(fault.Say(err))
				}
				return
			}
			say, _ := fault.Say(err)
			if err == nil || fault.KindOf(err) != fault.Malformed || !strings.Contains(say, c.want) {
				t.Fatalf("%s\nwant %s", say, c.want)
			}
		})
	}
}
