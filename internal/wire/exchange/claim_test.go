package exchange

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

func request(target, host string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RequestURI, r.Host = target, host
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// TestRoute: the path or the host names the connection, and never both.
func TestRoute(t *testing.T) {
	for _, c := range []struct{ target, host, domain, connection, rest string }{
		{"/c/billing/v1/x?q=1", "gw:8444", "", "billing", "/v1/x?q=1"},
		{"/c/billing", "gw", "", "billing", "/"},
		{"/c/billing?q", "gw", "", "billing", "/?q"},
		{"/c/billing//x", "gw", "", "billing", "//x"},
		{"/c/bil%6cing/x", "gw", "", "bil%6cing", "/x"}, // as written: there is no such connection
		{"/v1/x", "billing.gw.example", "gw.example", "billing", "/v1/x"},
		{"/v1/x", "BILLING.GW.example:8444", "gw.example", "billing", "/v1/x"},
		{"/c/other/x", "billing.gw.example", "gw.example", "billing", "/c/other/x"},
		{"/c/other/x", "gw.example", "gw.example", "other", "/x"},
		{"/c/other/x", ".gw.example", "gw.example", "other", "/x"},
		{"/c/other/x", "billing.gw.example.evil", "gw.example", "other", "/x"},
		{"/c/other/x", "billing.gw.example", "", "other", "/x"},
		{"/v1/x", "gw.example", "gw.example", "", ""},
		{"/", "gw", "", "", ""},
		{"/C/billing/x", "gw", "", "", ""},
		{"//c/billing/x", "gw", "", "", ""},
		{"http://gw/c/billing/x", "gw", "", "", ""},
		{"*", "gw", "", "", ""},
	} {
		connection, rest, err := Route(request(c.target, c.host), c.domain)
		if connection != c.connection || rest != c.rest || (err == nil) != (c.connection != "") {
			t.Errorf("%s at %s below %q: %q %q %v", c.target, c.host, c.domain, connection, rest, err)
		}
	}
}

// TestBearer: the token is taken from one place, and leaves none behind that a backend could read.
func TestBearer(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		token   string
		left    string // of Authorization
	}{
		{"authorization", []string{"Authorization", "Bearer t"}, "t", ""},
		{"the scheme in other letters", []string{"Authorization", "bEARER  t "}, "t", ""},
		{"proxy", []string{"Proxy-Authorization", "Bearer t", "Authorization", "Basic eDp5"}, "t", "Basic eDp5"},
		{"own header", []string{HeaderToken, "t", "Authorization", "Bearer backend"}, "t", "Bearer backend"},
		{"own header before proxy", []string{HeaderToken, "t", "Proxy-Authorization", "Bearer other"}, "t", ""},
		{"own header, and again", []string{HeaderToken, "t", "Authorization", "bearer  t "}, "t", ""},
		{"own header, and again behind another", []string{HeaderToken, "t", "Authorization", "Basic eDp5", "Authorization", "Bearer t"}, "t", ""},
		{"none", nil, "", ""},
		{"another scheme", []string{"Authorization", "Basic eDp5"}, "", ""},
		{"twice", []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "", ""},
		{"own header twice", []string{HeaderToken, "a", HeaderToken, "b"}, "", ""},
		{"a bad one is not passed over", []string{"Proxy-Authorization", "Digest x", "Authorization", "Bearer t"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("/", "gw", c.headers...)
			token, err := bearer(r)
			if string(token.Reveal()) != c.token || (err == nil) != (c.token != "") || err != nil && fault.KindOf(err) != fault.Unauthenticated {
				t.Fatalf("%s %v", token.Reveal(), err)
			}
			if err == nil && (r.Header.Get("Authorization") != c.left || r.Header.Get("Proxy-Authorization") != "" || r.Header.Get(HeaderToken) != "") {
				t.Errorf("left: %v", r.Header)
			}
		})
	}
}

// TestReturn: how a client comes back is read, bounded, and not passed on.
func TestReturn(t *testing.T) {
	for _, c := range []struct {
		prefer   []string
		patience time.Duration
		left     string
	}{
		{nil, 0, ""},
		{[]string{"wait=10"}, 10 * time.Second, ""},
		{[]string{`respond-async, Wait = "10"`}, 10 * time.Second, "respond-async"},
		{[]string{"return=minimal", "wait=7"}, 7 * time.Second, "return=minimal"},
		{[]string{"wait=999999999999999999999"}, 0, ""},
		{[]string{"wait=100000"}, maxPatience, ""},
		{[]string{"wait=-1"}, 0, ""},
		{[]string{"wait"}, 0, ""},
	} {
		r := request("/", "gw", HeaderApproval, "a1")
		for _, p := range c.prefer {
			r.Header.Add("Prefer", p)
		}
		back := Return(r)
		if back.Approval != "a1" || back.Patience != c.patience || r.Header.Get("Prefer") != c.left || r.Header.Get(HeaderApproval) != "" {
			t.Errorf("%q: %+v, left %v", c.prefer, back, r.Header)
		}
	}
}

// TestLocation: a client that follows Location comes back to the connection as it reaches it, whatever it sent.
func TestLocation(t *testing.T) {
	for target, want := range map[string]string{"/c/billing/v1/x?a=/c/b": "/c/billing", "/c/billing?x": "/c/billing", "/v1/x": ""} {
		if got := here(request(target, "gw")); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// TestHold: what fits is held whole, what does not is there from its beginning.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		text  string
		whole bool
	}{{"", true}, {"12345678", true}, {"123456789", false}} {
		b, err := Hold(http.NoBody, 8)
		if c.text != "" {
			b, err = Hold(readCloser{strings.NewReader(c.text)}, 8)
		}
		if err != nil || b.Whole != c.whole {
			t.Fatalf("%q: %+v %v", c.text, b, err)
		}
		if c.whole && string(b.Held) != c.text {
			t.Errorf("%q: held %q", c.text, b.Held)
		}
		if got := drain(t, b.Stream()); !c.whole && got != c.text {
			t.Errorf("%q: the stream is %q", c.text, got)
		}
	}
}
