package aws

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// vault holds one secret.
type vault struct {
	gate.Vault
	secret string
}

func (v vault) Lease(context.Context, access.Credential) (access.Secret, error) {
	if v.secret == "" {
		return access.Secret{}, fault.New(fault.NotFound, "vault", "there is no such secret")
	}
	return access.NewSecret([]byte(v.secret)), nil
}

// TestConnectionsTest: an account whose credential is missing, or cannot sign, does not pass for one that works.
func TestConnectionsTest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("words"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ secret, tokenFile, want string }{
		{`{"access_key_id":"AK","secret_access_key":"s"}`, "", ""},
		{"", "", "no such secret"},
		{`{"access_key_id":"AK"}`, "", "secret_access_key"},
		{"", file, ""},
		{"", file + "x", "cannot be read"},
	} {
		conn := &access.Connection{Name: "acct", Address: "https://*.amazonaws.com", AWS: &access.AWSOptions{}}
		if c.tokenFile != "" {
			conn.AWS.AssumeRole = &access.AWSRole{TokenFile: c.tokenFile}
		}
		err := test(t.Context(), gate.NewLease(&gate.Services{Vault: vault{secret: c.secret}}, conn, gate.Limits{}))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v", c.secret, c.tokenFile, err)
		}
	}
}

// TestNoCall: what is no call is answered with how to write one.
func TestNoCall(t *testing.T) {
	conn := &access.Connection{Name: "acct", AWS: &access.AWSOptions{Account: "123456789012", Region: "eu-west-1"}}
	p := &protocol{models: newShelf(func() *models { return tableOf(t) })}
	if _, hint := fault.Say(second(p.explained(conn, "hello"))); !strings.Contains(hint, "s3 GET /") {
		t.Errorf("%q", hint)
	}
	if _, err := p.explained(conn, "s3 GET /reports/a.json"); err != nil {
		t.Error(err)
	}
}

func second(_ *call, err error) error { return err }
