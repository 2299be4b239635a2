package aws

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// TestKeyOfSigV4A: the key that AWS's own test of the derivation has for these credentials.
func TestKeyOfSigV4A(t *testing.T) {
	key, err := deriveKey(aws.Credentials{AccessKeyID: "AKISORANDOMAASORANDOM", SecretAccessKey: "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom"})
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const x, y = "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb", "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0"
	if got := hex.EncodeToString(public); got != "04"+x+y {
		t.Errorf("got %s", got)
	}
}

// TestSignatureOfSigV4A: the signature holds for what is sent, by the public key.
func TestSignatureOfSigV4A(t *testing.T) {
	keys := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "session"}
	r, err := http.NewRequest("PUT", "https://m.accesspoint.s3-global.amazonaws.com/a%20b?x=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := signAsymmetric(r, keys, unsignedPayload, "s3", "*", now, rand.Reader); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`Credential=AKID/20260102/s3/aws4_request, SignedHeaders=(host;x-amz-date;x-amz-region-set;x-amz-security-token), Signature=([0-9a-f]+)$`).FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		t.Fatal(r.Header.Get("Authorization"))
	}
	canonical := "PUT\n/a%20b\nx=1\nhost:m.accesspoint.s3-global.amazonaws.com\nx-amz-date:20260102T030405Z\nx-amz-region-set:*\nx-amz-security-token:session\n\n" + m[1] + "\n" + unsignedPayload
	sum := sha256.Sum256([]byte(sigV4A + "\n20260102T030405Z\n20260102/s3/aws4_request\n" + digestOf([]byte(canonical))))
	key, err := deriveKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hex.DecodeString(m[2])
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
		t.Error("the signature does not hold", err)
	}
}

func TestStaticCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		user, secret string
		want         aws.Credentials
	}{
		"user and secret": {"AKID", "s\n", aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "s"}},
		"JSON":            {"", `{"access_key_id":"A","secret_access_key":"B","session_token":"C"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "B", SessionToken: "C"}},
		"JSON without":    {"", `{"access_key_id":"A","session_token":"CANARY"}`, aws.Credentials{}},
		"no JSON":         {"", `{"CANARY`, aws.Credentials{}},
		"nothing":         {"AKID", "", aws.Credentials{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := static(gate.Credential{User: c.user, Password: access.NewSecret([]byte(c.secret))})
			if got != c.want || (err == nil) != (c.want.AccessKeyID != "") {
				t.Errorf("%v, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Error("the error holds the secret")
			}
		})
	}
}

func TestReadRole(t *testing.T) {
	good := `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	keys, until, err := readRole(&gate.Fetched{Status: 200, Body: []byte(good)}, "acct")
	if err != nil || keys.AccessKeyID != "A" || keys.SecretAccessKey != "B" || keys.SessionToken != "C" || until.Year() != 2026 {
		t.Fatalf("%v %v %v", keys, until, err)
	}
	if _, _, err := readRole(&gate.Fetched{Status: 200, Body: []byte(strings.ReplaceAll(good, "AssumeRole", "AssumeRoleWithWebIdentity"))}, "acct"); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]*gate.Fetched{
		"refused":         {Status: 403, Body: []byte(`<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)},
		"a good one, 403": {Status: 403, Body: []byte(good)},
		"no expiry":       {Status: 200, Body: []byte(strings.Replace(good, "Expiration", "Other", 2))},
		"no XML":          {Status: 200, Body: []byte("<html>")},
	} {
		if _, _, err := readRole(f, "acct"); fault.KindOf(err) != fault.Backend {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatIsForwarded: headers that were not judged stay here.
func TestWhatIsForwarded(t *testing.T) {
	in := http.Header{}
	for _, n := range []string{
		"X-Amz-Acl", "X-Amz-Meta-A", "Content-Type", "If-Match", "Range", "Amz-Sdk-Request", "User-Agent",
		"Authorization", "X-Amz-Security-Token", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Trailer", "X-Amz-Decoded-Content-Length", "Cookie", "X-Http-Method-Override", "X-Forwarded-For",
		"X_amz_acl", "Connection", "Transfer-Encoding", "Content-Length", "Host", "X-Gatehouse-Token", "Gatehouse-Approval", "Forwarded", "X-Original-Url", "X-Amz-S3session-Token",
	} {
		in.Set(n, "v")
	}
	in.Set("Content-Encoding", "aws-chunked,gzip")
	out := forwarded(in)
	if got := out.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("Content-Encoding: %q", got)
	}
	out.Del("Content-Encoding")
	for _, n := range []string{"X-Amz-Acl", "X-Amz-Meta-A", "Content-Type", "If-Match", "Range", "Amz-Sdk-Request", "User-Agent"} {
		if out.Get(n) != "v" {
			t.Errorf("%s is not forwarded", n)
		}
		out.Del(n)
	}
	if len(out) > 0 {
		t.Errorf("forwarded besides: %v", out)
	}
}

// TestWhereCallsGo: the host and the path that a call is sent to.
func TestWhereCallsGo(t *testing.T) {
	for _, c := range []struct {
		name, service, method, target, bucket string
		conn                                  access.Connection
		want                                  string
		headers                               []string
	}{
		{"a region's host", "sqs", "POST", "/", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}, "https://sqs.eu-west-1.amazonaws.com:443/", []string{"X-Amz-Target", "AmazonSQS.ListQueues", "Content-Type", "application/x-amz-json-1.0"}},
		{"one host for all regions", "iam", "GET", "/?Action=ListRoles&Version=2010-05-08", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}, "https://iam.amazonaws.com:443/?Action=ListRoles&Version=2010-05-08", nil},
		{"a bucket in the host", "s3", "GET", "/reports/a/b%2fc", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}, "https://reports.s3.eu-west-1.amazonaws.com:443/a/b/c", nil},
		{"a bucket in the path", "s3", "GET", "/reports/a", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{PathStyle: true}}, "https://s3.eu-west-1.amazonaws.com:443/reports/a", nil},
		{"a bucket with dots", "s3", "GET", "/re.ports/a", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}, "https://s3.eu-west-1.amazonaws.com:443/re.ports/a", nil},
		{"from the client's host", "s3", "GET", "/a%20b", "reports", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}, "https://reports.s3.eu-west-1.amazonaws.com:443/a%20b", nil},
		{"from the client's host into the path", "s3", "GET", "/a?acl", "reports", access.Connection{Address: "http://127.0.0.1:9000/base", AWS: &access.AWSOptions{}}, "http://127.0.0.1:9000/base/reports/a?acl=", nil},
		{"a service of its own URL", "s3", "GET", "/reports/a", "", access.Connection{Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{Endpoints: map[string]string{"s3": "http://127.0.0.1:9000"}}}, "http://127.0.0.1:9000/reports/a", nil},
		{"keys with slashes", "s3", "GET", "/reports//a//b/?versionId=x%2By", "", access.Connection{Address: "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/reports//a//b/?versionId=x%2By", nil},
		{"keys as signatures have them", "s3", "GET", "/reports/(a)+b!*'~", "", access.Connection{Address: "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/reports/%28a%29%2Bb%21%2A%27~", nil},
		{"an ARN in a path", "lambda", "GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af", "", access.Connection{Address: "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := head{Method: c.method, Bucket: c.bucket, Header: http.Header{"Authorization": {strings.Replace(signedFor, "%", c.service, 1)}}}
			h.Path, h.Query, _ = strings.Cut(c.target, "?")
			for i := 0; i+1 < len(c.headers); i += 2 {
				h.Header.Set(c.headers[i], c.headers[i+1])
			}
			r, err := tableOf(t).route(h)
			if err != nil {
				t.Fatal(err)
			}
			call, err := understand(r, nil, here)
			if err != nil {
				t.Fatal(err)
			}
			v := &visit{conn: &c.conn, at: here, read: r, c: call}
			u, err := v.backend()
			if err != nil {
				t.Fatal(err)
			}
			if u.String() != c.want {
				t.Errorf("got  %s\nwant %s", u, c.want)
			}
		})
	}
}
