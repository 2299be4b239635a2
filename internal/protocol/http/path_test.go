package http

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ raw, path, sent string }{
		{"/", "/", "/"},
		{"/v1/invoices/42", "/v1/invoices/42", "/v1/invoices/42"},
		{"/v1/invoices/", "/v1/invoices", "/v1/invoices/"},
		{"/v1/a%20b", "/v1/a b", "/v1/a%20b"},
		{"/v1/%41%7e", "/v1/A~", "/v1/A~"},
		{"/v1/caf%c3%a9", "/v1/café", "/v1/caf%C3%A9"},
		{"/v1/100%25", "/v1/100%", "/v1/100%25"},
		{"/v1/a+b%2Bc", "/v1/a+b+c", "/v1/a%2Bb%2Bc"},
		{"/v1/[x]{y}|", "/v1/[x]{y}|", "/v1/%5Bx%5D%7By%7D%7C"},
		{"/v1/foo:cancel", "/v1/foo:cancel", "/v1/foo:cancel"},
		{"/v1/report.csv", "/v1/report.csv", "/v1/report.csv"},
		{"/v1/...x/.hidden", "/v1/...x/.hidden", "/v1/...x/.hidden"},
		{"/pkg.Service/Method", "/pkg.Service/Method", "/pkg.Service/Method"},
	} {
		got, err := normalise(c.raw, false)
		if err != nil || got.path != c.path || got.sent != c.sent {
			t.Errorf("%s is judged as %q and sent as %q (%v), not %q and %q", c.raw, got.path, got.sent, err, c.path, c.sent)
		}
	}
}

// TestAttackByPath: what two servers read in two ways is refused.
func TestAttackByPath(t *testing.T) {
	for what, list := range map[string][]string{
		"no path": {"", "v1", "*", "https://billing.example/v1", "//evil.example/v1", "billing.example:443", "?a=1", "\\v1"},
		"dot segments": {"/.", "/..", "/v1/./a", "/v1/../admin", "/v1/..", "/v1/../", "/v1/%2e%2e/admin", "/v1/.%2e/admin", "/v1/%2E./admin",
			"/v1/%2e/a", "/v1/%252e%252e/admin", "/v1/..%2fadmin", "/v1/%c0%ae%c0%ae/admin"},
		"names that servers shorten": {"/v1/admin.", "/v1/admin%20", "/v1/%20admin", "/v1/admin%2e", "/v1/.../a", "/v1/a. ."},
		"separators":                 {"/v1//a", "//", "/v1/a//", "/v1/a%2fb", "/v1/a%2Fb", "/v1/a%5cb", "/v1/a\\b", "/v1/a%255cb", "/v1/a%252fb", "/v1/a%%32%66b", "/v1/a%25%32%66b", "/v1/a%u002fb", "/v1/a%25u002fb", "/v1/a%c0%afb"},
		"path parameters":            {"/v1/a;jsessionid=1", "/v1/..;/admin", "/v1/a%3bb", "/;/admin"},
		"the query's mark":           {"/v1/a%3fadmin=1", "/v1/a%23b", "/v1/a#b"},
		"control characters":         {"/v1/a%00", "/v1/a%00.png", "/v1/a%0d%0aHost:x", "/v1/a%0a", "/v1/a%7f", "/v1/a\x00", "/v1/a\n", "/v1/a\tb", "/v1/a b", "/v1/a%c2%85", "/v1/a%e2%80%a8b"},
		"wrong escapes":              {"/v1/a%", "/v1/a%2", "/v1/a%zz", "/v1/a%2/", "/v1/a%g0"},
		"no UTF-8":                   {"/v1/\xff", "/v1/%ff", "/v1/%ed%a0%80", "/v1/%f8%88%80%80%80", "/v1/é"},
		"look-alikes": {"/v1/a%ef%bc%8fb", "/v1/%ef%bc%8e%ef%bc%8e", "/v1/a%e2%88%95b", "/v1/a%e2%81%84b", "/v1/%e2%80%a4%e2%80%a4", "/v1/%e2%80%a5", "/v1/a%ef%bc%bcb", "/v1/a%e2%88%96b",
			"/v1/%ef%bd%81dmin", "/v1/a%cd%beb", "/v1/a%e2%84%80b", "/v1/a%c2%a5b", "/v1/admin%e2%80%8b", "/v1/%e2%80%aeadmin", "/v1/admin%ef%bb%bf", "/v1/a%c2%a0b", "/v1/ad%c2%admin"},
		"length": {"/" + strings.Repeat("{", maxPath/2), "/?a=" + strings.Repeat("{", maxQuery/2), "/" + strings.Repeat("a", maxPath), "/" + strings.Repeat("a/", maxSegments) + "a"},
	} {
		for _, raw := range list {
			if got, err := normalise(raw, false); err == nil {
				t.Errorf("%s: %q is accepted as %q", what, raw, got.path)
			}
		}
	}
}

func TestIgnoreCase(t *testing.T) {
	got, err := normalise("/V1/Invoices/%C3%89?Expand=A&expand=b", true)
	if err != nil || got.path != "/v1/invoices/é" || got.sent != "/V1/Invoices/%C3%89" || got.query.String() != "Expand=A&expand=b" {
		t.Errorf("read %+v (%v)", got, err)
	}
	if list, _ := got.query.values()["expand"].([]any); len(list) != 2 {
		t.Errorf("the query is judged as %v", got.query.values())
	}
}

// TestSlashAtTheEnd: a path with a slash at its end is judged without it, and under both names by what denies.
func TestSlashAtTheEnd(t *testing.T) {
	got, err := normalise("/v1/invoices/", false)
	if err != nil {
		t.Fatal(err)
	}
	if r := got.resource("billing"); r != "billing/v1/invoices" {
		t.Errorf("judged as %s", r)
	}
	if r, ok := got.otherResource("billing"); !ok || r != "billing/v1/invoices/" {
		t.Errorf("judged as %s too", r)
	}
	u := &url.URL{}
	if got.on("/base path", u); u.RequestURI() != "/base%20path/v1/invoices/" {
		t.Errorf("sent as %s", u.RequestURI())
	}
}

// checkTarget holds for every target that is accepted: it is read alike by whoever decodes once or twice, resolves dot
// segments or merges slashes, and reading what is sent gives the same again.
func checkTarget(t interface{ Errorf(string, ...any) }, raw string) {
	got, err := normalise(raw, false)
	if err != nil {
		return
	}
	again, err := normalise(got.uri(), false)
	if err != nil || again.path != got.path || again.uri() != got.uri() || again.slash != got.slash {
		t.Errorf("%q is sent as %q, which is read as %q (%v)", raw, got.uri(), again.path, err)
	}
	below := &url.URL{}
	if got.on("/base", below); below.RequestURI() != "/base"+got.uri() {
		t.Errorf("%q is written as %q", raw, below.RequestURI())
	}
	u, err := url.ParseRequestURI(got.uri())
	if err != nil {
		t.Errorf("%q is sent as %q, which net/url cannot read: %v", raw, got.uri(), err)
		return
	}
	plain := got.path
	if got.slash {
		plain += "/"
	}
	if u.Path != plain {
		t.Errorf("%q is judged as %q, and net/url reads %q", raw, plain, u.Path)
	}
	if path.Clean(u.Path) != got.path {
		t.Errorf("%q is judged as %q, and cleaned it is %q", raw, got.path, path.Clean(u.Path))
	}
	if twice := decodeAgain(u.Path); twice != plain {
		t.Errorf("%q is judged as %q, and decoded twice it is %q", raw, plain, twice)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Errorf("%q is sent with a query that net/url cannot read: %v", raw, err)
	}
	for name, v := range got.query.values() {
		switch v := v.(type) {
		case string:
			if len(values[name]) != 1 || values[name][0] != v {
				t.Errorf("%q: %s is judged as %q, and read as %q", raw, name, v, values[name])
			}
		case []any:
			if len(values[name]) != len(v) {
				t.Errorf("%q: %s is judged as %q, and read as %q", raw, name, v, values[name])
			}
		}
	}
}

// decodeAgain is the naive decoder of a server that decodes what was decoded: what is no escape stays.
func decodeAgain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(fromHex(s[i+1])<<4 | fromHex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// TestTargetsAreReadAlike is checkTarget for what an attacker's grammar makes.
func TestTargetsAreReadAlike(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "B", "v1", "/", "/", "/", ".", "..", "%2e", "%2f", "%5c", "%25", "2f", "%", "%2", "+", "%20", ";", "?", "&", "=", "#", "%00", "é", "%c3%a9",
		"%c0%ae", "%ef%bc%8f", ":", "@", "*", "~", "%41", "%u002f", "[", "]", "|", "\"", "\\", "%3f", "%3b", "%26", "%3d", "%23"})
	rapid.Check(t, func(t *rapid.T) {
		checkTarget(t, "/"+strings.Join(rapid.SliceOfN(token, 0, 12).Draw(t, "tokens"), ""))
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/v1/a%20b?x=1&x=2", "/v1/%252e", "/a/?q=%zz", "/a?b;c", "/%e2%84%aa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkTarget(t, raw) })
}

func TestQuery(t *testing.T) {
	for _, c := range []struct{ raw, sent string }{
		{"a=1&b=2", "a=1&b=2"},
		{"a=x+y&b=%2B", "a=x%20y&b=%2B"},
		{"a&b=", "a&b="},
		{"&a=1&&", "a=1"},
		{"a=1=2", "a=1%3D2"},
		{"a%5B%5D=1&a[]=2", "a%5B%5D=1&a%5B%5D=2"},
		{"to=ada@example.com&at=10:30,11:30", "to=ada@example.com&at=10:30,11:30"},
		{"a=1&a=2&f[x]=1&f[y]=2&f.g=3&f-g=4", "a=1&a=2&f%5Bx%5D=1&f%5By%5D=2&f.g=3&f-g=4"},
		{"u=https%3a%2f%2fa%3Fb%26c%3b", "u=https://a%3Fb%26c%3B"},
	} {
		q, err := parseQuery(c.raw, false)
		if err != nil || q.String() != c.sent {
			t.Errorf("%s is sent as %s (%v), not %s", c.raw, q, err, c.sent)
		}
	}
	for _, raw := range []string{"a=1;b=2", "a=%", "a=%z1", "=1", "a=%ff", "a=%00", "a=b c", "a=\x01", "a=é",
		"user_id=7&user.id=1", "user_id=7&user%20id=1", "role=user&%20role=admin", "role=user&ROLE=admin", "user_id=7&user[id=1", "a_b[x]=7&a.b[x]=1", strings.Repeat("a&", maxPairs) + "a", strings.Repeat("a", maxQuery+1)} {
		if q, err := parseQuery(raw, false); err == nil {
			t.Errorf("%.40q is accepted as %v", raw, q)
		}
	}
}
