package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// maxHeaderValue bounds the value of a header in a document, in bytes.
const maxHeaderValue = 4096

// wrongConnection checks what the schema cannot say: which keys of a connection exclude or need each other, the bounds of
// durations, and what stands in maps.
func wrongConnection(c *access.Connection) []wrong {
	all := excludes("credential", choice{"secret", c.Credential.Secret != ""}, choice{"env", c.Credential.Env != ""},
		choice{"file", c.Credential.File != ""})
	if c.Credential.Inject != nil {
		all = append(all, wrongInjection(c.Credential)...)
	}
	if c.HTTP != nil {
		all = append(all, wrongHTTP(c.HTTP)...)
	}
	if c.AWS != nil {
		all = append(all, wrongAWS(c.AWS)...)
	}
	if c.AMQP != nil {
		all = append(all, wrongAMQP(c.AMQP)...)
	}
	return all
}

// choice is a key, and whether it is given.
type choice struct {
	key   string
	given bool
}

// excludes allows one of some keys.
func excludes(path string, choices ...choice) []wrong {
	var keys []string
	given := 0
	for _, c := range choices {
		keys = append(keys, c.key)
		if c.given {
			given++
		}
	}
	if given < 2 {
		return nil
	}
	return []wrong{{path, "excludes another key: give only one of " + strings.Join(keys[:len(keys)-1], ", ") + " and " + keys[len(keys)-1]}}
}

// within checks the bounds of a duration, where it is given.
func within(path string, d access.Duration, low, high time.Duration) []wrong {
	if v := time.Duration(d); v == 0 || v >= low && v <= high {
		return nil
	}
	return []wrong{{path, fmt.Sprintf("must be from %s to %s", low, high)}}
}

// wrongInjection refuses keys that do nothing with the way in which a credential is carried, and misses those it needs.
func wrongInjection(c access.Credential) []wrong {
	const path = "credential.inject"
	i := c.Inject
	keys := []choice{{"name", i.Name != ""}, {"prefix", i.Prefix != ""}, {"token_url", i.TokenURL != ""}, {"scopes", len(i.Scopes) > 0},
		{"audience", i.Audience != ""}, {"in_body", i.InBody}, {"algorithm", i.Algorithm != ""}, {"encoding", i.Encoding != ""},
		{"template", i.Template != ""}, {"time_name", i.TimeName != ""}}
	goes := map[string]struct{ needs, may []string }{
		"header": {[]string{"name"}, []string{"prefix"}},
		"query":  {[]string{"name"}, nil},
		"oauth2": {[]string{"token_url"}, []string{"scopes", "audience", "in_body"}},
		"hmac":   {[]string{"name", "template"}, []string{"prefix", "algorithm", "encoding", "time_name"}},
	}[i.As]
	var all []wrong
	for _, k := range keys {
		switch {
		case k.given && !slices.Contains(goes.needs, k.key) && !slices.Contains(goes.may, k.key):
			all = append(all, wrong{path + "." + k.key, "does nothing with as: " + i.As})
		case !k.given && slices.Contains(goes.needs, k.key):
			all = append(all, wrong{path, fmt.Sprintf("needs %s with as: %s", k.key, i.As)})
		}
	}
	switch i.As {
	case "basic", "oauth2":
		if c.User == "" {
			all = append(all, wrong{"credential", "needs user, with inject.as: " + i.As})
		}
	case "none":
		if c.Named() {
			all = append(all, wrong{path + ".as", "is none, and the credential would never be sent: remove one of them"})
		}
	case "header", "hmac":
		if i.Name != "" && !headerName(i.Name) {
			all = append(all, wrong{path + ".name", "is no name of a header"})
		}
	}
	if !headerText(i.Prefix) {
		all = append(all, wrong{path + ".prefix", "holds what no header can"})
	}
	return all
}

func wrongHTTP(o *access.HTTPOptions) []wrong {
	const path = "http."
	all := slices.Concat(
		excludes("http.openapi_file", choice{"openapi", o.OpenAPI != ""}, choice{"openapi_file", o.OpenAPIFile != ""}),
		excludes("http.reflection", choice{"descriptors", o.Descriptors != ""}, choice{"reflection", o.Reflection}),
		within(path+"idle_timeout", o.IdleTimeout, time.Second, 24*time.Hour),
		within(path+"body_deadline", o.BodyDeadline, time.Second, time.Hour),
	)
	if len(o.Protocols) > 1 && slices.Contains(o.Protocols, "h2c") {
		all = append(all, wrong{path + "protocols", "has h2c beside others: without TLS there is nothing to choose a protocol by"})
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		at, lower := path+"headers."+name, strings.ToLower(name)
		switch value := o.Headers[name]; {
		case !headerName(name):
			all = append(all, wrong{path + "headers", fmt.Sprintf("has the key %q, which is no name of a header", name)})
		case seen[lower]:
			all = append(all, wrong{at, "is there twice, in another case"})
		case len(value) > maxHeaderValue || !headerText(value):
			all = append(all, wrong{at, fmt.Sprintf("must be text of up to %d bytes without line ends", maxHeaderValue)})
		}
		seen[lower] = true
	}
	return all
}

func wrongAMQP(o *access.AMQPOptions) []wrong {
	all := within("amqp.heartbeat", o.Heartbeat, time.Second, 10*time.Minute)
	for _, name := range slices.Sorted(maps.Keys(o.Exchanges)) {
		if !slices.Contains([]string{"direct", "topic", "fanout", "headers"}, o.Exchanges[name]) {
			all = append(all, wrong{"amqp.exchanges." + name, "must be direct, topic, fanout or headers"})
		}
	}
	return all
}

func wrongAWS(o *access.AWSOptions) []wrong {
	var all []wrong
	for _, service := range slices.Sorted(maps.Keys(o.Endpoints)) {
		u, err := url.Parse(o.Endpoints[service])
		if err != nil || u.Host == "" || !matches("^https?$", u.Scheme) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			all = append(all, wrong{"aws.endpoints." + service, "must be a URL such as https://host:8443, without a user or a query"})
		}
	}
	if r := o.AssumeRole; r != nil {
		all = append(all, within("aws.assume_role.duration", r.Duration, 15*time.Minute, 12*time.Hour)...)
	}
	return all
}

// headerName reports whether s can be the name of a header (RFC 9110, 5.1).
func headerName(s string) bool { return matches("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", s) }

// headerText reports whether s can stand in a header: visible ASCII, spaces between.
func headerText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
