package aws

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"pgregory.net/rapid"

	"gatehouse/internal/wire/exchange"
)

// answered is a visit to a service that has an answer.
func answered(name string) *visit {
	return &visit{p: &protocol{buffers: new(exchange.Buffers)}, r: httptest.NewRequest(http.MethodGet, "/", nil), c: &call{routed: &routed{service: &service{id: name}}},
		keys: aws.Credentials{SecretAccessKey: "aab/aabaab+x", SessionToken: "SESSION=TOKEN"}}
}

// TestCredentialNeverComesBack: however an echo is cut, and beside what looks like it begins.
func TestCredentialNeverComesBack(t *testing.T) {
	v := answered("dynamodb")
	spoken := []string{v.keys.SecretAccessKey, v.keys.SessionToken, "SESSION%3DTOKEN", "SESSION%3dTOKEN", "aab%2Faabaab%2Bx", `aab\/aabaab+x`, `SESSION\u003DTOKEN`, "aab&#x2F;aabaab+x",
		base64.RawStdEncoding.EncodeToString([]byte(v.keys.SessionToken))[:17]}
	part := rapid.SampledFrom(append(spoken, "a", "aab", "aab/aabaab", "SESSION", "x", strings.Repeat("-", 700)))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		resp := &http.Response{Header: http.Header{"X-Echo": {text}}, Body: io.NopCloser(strings.NewReader(text))}
		if rapid.Bool().Draw(t, "slowly") {
			resp.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(text)))
		}
		if err := v.scrub(resp); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || len(got) != len(text) {
			t.Fatalf("%d bytes became %d: %v", len(text), len(got), err)
		}
		for _, s := range spoken {
			if strings.Contains(string(got), s) || strings.Contains(resp.Header.Get("X-Echo"), s) {
				t.Fatalf("%s came back in %s", s, got)
			}
		}
	})
}

// TestPackedAnswers: what a service packs though nobody asked for that is looked through, too, and what is stored stays as it is.
func TestPackedAnswers(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("before SESSION=TOKEN after"))
	_ = z.Close()
	for name, unpacks := range map[string]bool{"dynamodb": true, "s3": false} {
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {"gzip"}, "X-Amz-Crc32": {"1"}}, Body: io.NopCloser(bytes.NewReader(packed.Bytes()))}
		if err := answered(name).scrub(resp); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if unpacks && (err != nil || string(got) != "before [redacted]*** after" || resp.Header.Get("Content-Encoding")+resp.Header.Get("X-Amz-Crc32") != "") {
			t.Errorf("%s: %q %v %v", name, got, err, resp.Header)
		}
		if !unpacks && (!bytes.Equal(got, packed.Bytes()) || resp.Header.Get("Content-Encoding") != "gzip") {
			t.Errorf("%s: %q %v", name, got, resp.Header)
		}
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {"lzma"}}, Body: http.NoBody}
	if err := answered("lambda").scrub(resp); err == nil {
		t.Error("an encoding that nobody knows passes")
	}
}

// TestUnknownServicesAreScrubbed: so is the answer of a service that the table does not have.
func TestUnknownServicesAreScrubbed(t *testing.T) {
	v := answered("")
	v.c.service = nil
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("before SESSION=TOKEN after"))}
	if err := v.scrub(resp); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(got), "SESSION=TOKEN") {
		t.Errorf("%s %v", got, err)
	}
}
