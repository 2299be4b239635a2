package aws

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"pgregory.net/rapid"
)

// TestCredentialNeverComesBack: however an echo is cut, and beside what looks like it begins.
func TestCredentialNeverComesBack(t *testing.T) {
	keys := aws.Credentials{SecretAccessKey: "aab/aabaab+x", SessionToken: "SESSION=TOKEN"}
	part := rapid.SampledFrom([]string{"a", "aab", "aab/aabaab", keys.SecretAccessKey, keys.SessionToken, "SESSION%3DTOKEN", "aab%2Faabaab%2Bx", "SESSION", "x", strings.Repeat("-", 700)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		resp := &http.Response{Header: http.Header{"X-Echo": {text}}, Body: io.NopCloser(strings.NewReader(text))}
		if rapid.Bool().Draw(t, "slowly") {
			resp.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(text)))
		}
		scrub(resp, keys)
		got, err := io.ReadAll(resp.Body)
		if err != nil || len(got) != len(text) {
			t.Fatalf("%d bytes became %d: %v", len(text), len(got), err)
		}
		for _, s := range secretsOf(keys) {
			if strings.Contains(string(got), string(s)) || strings.Contains(resp.Header.Get("X-Echo"), string(s)) {
				t.Fatalf("%s came back in %s", s, got)
			}
		}
		for i := range got {
			if got[i] != text[i] && got[i] != '*' {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}
