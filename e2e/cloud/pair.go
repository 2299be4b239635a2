package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/e2e/gateway"
)

//go:embed documents.yaml
var documents string

// Subjects of tokens.
const (
	Everything = "fn:everything" // may do all
	Reader     = "fn:reader"     // may read what is public of the reports, and nothing else
	Reviewed   = "fn:reviewed"   // may do all, but a person answers before a report is deleted
	Masked     = "fn:masked"     // may do all, and sees no e-mail address and no card
)

// Pair is an account and a gateway before it.
type Pair struct {
	*World
	Gateway *gateway.Gateway
}

// NewPair starts both. ctx bounds the start only; the caller stops it.
func NewPair(ctx context.Context) (*Pair, error) {
	w, err := Start(ctx)
	if err != nil {
		return nil, err
	}
	p := &Pair{World: w}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Pair) start(ctx context.Context) error {
	binary, err := gateway.Build(ctx, p.Folder)
	if err != nil {
		return err
	}
	p.Gateway, err = gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(p.Folder, "state"), Args: []string{"--listen", "aws=127.0.0.1:0"}})
	if err != nil {
		return err
	}
	secret := fmt.Sprintf(`{"access_key_id": %q, "secret_access_key": %q}`, AccessKey, SecretKey)
	if r := p.Gateway.CLI(ctx, secret, "secrets", "set", "acct"); r.Code != 0 {
		return fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
	}
	return p.Apply(ctx, documents)
}

// Apply applies documents, with the account's values in them.
func (p *Pair) Apply(ctx context.Context, docs string) error {
	docs = strings.NewReplacer("${URL}", p.URL, "${CA_FILE}", p.CAFile, "${ACCOUNT}", Account, "${REGION}", Region).Replace(docs)
	if r := p.Gateway.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

// As is what a function has to be told to call a connection with its token: nothing else that it knows means anything.
func (p *Pair) As(ctx context.Context, subject, connection string) ([]string, error) {
	token, err := p.Gateway.Token(ctx, subject)
	if err != nil {
		return nil, err
	}
	return environment("https://"+p.Gateway.Listener["aws"]+"/c/"+connection, p.Gateway.CAFile(), "gatehouse", "meaningless", token), nil
}

// trusting is a client of HTTP that trusts the gateway.
func (p *Pair) trusting() (*http.Client, error) {
	pem, err := os.ReadFile(p.Gateway.CAFile())
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the gateway has no root")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}

// Stop ends both.
func (p *Pair) Stop() error {
	if p.Gateway != nil {
		p.Gateway.Stop()
	}
	return p.World.Stop()
}
