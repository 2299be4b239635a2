package aws

import (
	"crypto/rand"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/session"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
	"gatehouse/internal/wire/wiretest"
)

func testDeps() wire.Deps {
	return wire.Deps{Mask: mask.NewKey([32]byte{7}), Clock: time.Now, Random: rand.Reader}
}

// echo answers with all that it was sent.
func echo(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+"\n")
		_ = r.Header.Write(w)
		_, _ = w.Write(body)
		w.Header().Set("X-Echo", r.Header.Get("X-Amz-Security-Token"))
	}))
	t.Cleanup(s.Close)
	return s
}

// refusal reads an error of S3's form, or of JSON's.
func refusal(resp *http.Response, body []byte) (say, approval string) {
	if resp.StatusCode < 400 {
		return "", ""
	}
	var e struct{ Message string }
	if xml.Unmarshal(body, &e) != nil {
		_, e.Message, _ = strings.Cut(string(body), `"message":"`)
		e.Message, _, _ = strings.Cut(e.Message, `"`)
	}
	return e.Message, resp.Header.Get(exchange.HeaderApproval)
}

func call1(base, connection, method, target, body, service, token string) *http.Request {
	r, err := http.NewRequest(method, base+"/c/"+connection+target, strings.NewReader(body))
	if err != nil {
		panic(err) // the test's own words
	}
	r.Header.Set("Authorization", strings.Replace(signedFor, "%", service, 1))
	r.Header.Set("X-Amz-Security-Token", token)
	r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
	return r
}

// TestConformance runs the suite that every protocol passes.
func TestConformance(t *testing.T) {
	backend := echo(t)
	wiretest.RunRequests(t, wiretest.RequestSuite{
		Protocol: func() wire.Protocol { return New(testDeps()) },
		Serve: func(p wiretest.Parts, proto wire.Protocol, h wire.Hello) wiretest.Listener {
			return session.NewServer(session.Options{
				Gate: p.Gate, Identity: p.Identity, Refusal: p.Refusal, NewID: p.NewID, Log: p.Log,
				Sessions: 1000, Login: time.Minute, Grace: time.Minute,
			}).Requests(proto, h)
		},
		Clock: time.Now,
		Connection: access.Connection{
			Name: "acct", Type: name, Address: strings.TrimPrefix(backend.URL, "http://"), TLS: access.BackendTLS{Mode: "disable"},
			Credential: access.Credential{Secret: "acct"}, AWS: &access.AWSOptions{Account: "123456789012", Region: "eu-west-1", Unsigned: "allow"},
		},
		Password: `{"access_key_id":"AKIDCONFORMANCE","secret_access_key":"the-secret-key","session_token":"the-session+token/of=AWS"}`,
		Shown:    "the-session+token/of=AWS",
		Forms: map[string]func(base, connection, token, mark string) *http.Request{
			"an object": func(base, connection, token, mark string) *http.Request {
				return call1(base, connection, http.MethodGet, "/reports/"+mark, "", "s3", token)
			},
			"an upload": func(base, connection, token, mark string) *http.Request {
				return call1(base, connection, http.MethodPut, "/reports/"+mark, strings.Repeat("x", 1000), "s3", token)
			},
			"an item": func(base, connection, token, mark string) *http.Request {
				r := call1(base, connection, http.MethodPost, "/", `{"TableName":"`+mark+`","Key":{"id":{"S":"1"}}}`, "dynamodb", token)
				r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
				r.Header.Set("Content-Type", "application/x-amz-json-1.0")
				return r
			},
		},
		Refused: refusal,
		Return:  func(r *http.Request, approval string) { r.Header.Set(exchange.HeaderApproval, approval) },
	})
}
