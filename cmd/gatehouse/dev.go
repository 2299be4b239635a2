package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/cli"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/devissuer"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/store"
)

// The local issuers: where each is below the local address, and the Issuer document that trusts it.
const (
	devAudience  = "gatehouse"
	devWorkloads = "/workloads"
	devPeople    = "/people"
	devAddress   = "dev.address" // where they listened last
)

// dev serves with an issuer of tokens on loopback.
func dev(ctx context.Context, o cli.ServeOptions) error {
	return run(ctx, o, func(ctx context.Context, g *gateway, r *client.Reach) error {
		base, err := g.serveIssuers(ctx)
		if err != nil {
			return err
		}
		r.Issuer = base
		return g.trustIssuers(ctx, base)
	})
}

// serveIssuers serves both issuers on one free loopback port and returns its URL.
func (g *gateway) serveIssuers(ctx context.Context) (string, error) {
	secret, err := keys.LoadOrCreateToken(g.state.path(keysDir, devSecret), rand.Reader)
	if err != nil {
		return "", err
	}
	l, err := g.issuerSocket(ctx)
	if err != nil {
		return "", err
	}
	base := "http://" + l.Addr().String()
	mux := http.NewServeMux()
	for _, at := range []string{devWorkloads, devPeople} {
		issuer, err := g.issuer(at, secret)
		if err != nil {
			return "", err
		}
		issuer.SetURL(base + at)
		mux.Handle(at+"/", http.StripPrefix(at, issuer.Handler()))
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return base, nil
}

// issuerSocket listens where the last run did, if that is free, so that tokens outlive a restart.
func (g *gateway) issuerSocket(ctx context.Context) (net.Listener, error) {
	var conf net.ListenConfig
	path := g.state.path(keysDir, devAddress)
	if b, err := os.ReadFile(path); err == nil {
		if l, err := conf.Listen(ctx, "tcp", strings.TrimSpace(string(b))); err == nil {
			return l, nil
		}
	}
	l, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l, os.WriteFile(path, []byte(l.Addr().String()+"\n"), 0o600)
}

// issuer makes the issuer at a path, with the key of the last run.
func (g *gateway) issuer(at string, secret access.Secret) (*devissuer.Issuer, error) {
	path := g.state.path(keysDir, "dev"+strings.ReplaceAll(at, "/", "-")+".pem")
	key, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	issuer, err := devissuer.New(devissuer.Options{Clock: time.Now, Rand: rand.Reader, Key: access.NewSecret(key), Secret: secret})
	if err != nil || len(key) > 0 {
		return issuer, err
	}
	fresh, err := issuer.Key()
	if err != nil {
		return nil, err
	}
	return issuer, os.WriteFile(path, fresh.Reveal(), 0o600)
}

// trustIssuers writes the documents that trust the issuers of this run.
func (g *gateway) trustIssuers(ctx context.Context, base string) error {
	_, revision, err := g.state.store.Documents(ctx)
	if err != nil {
		return err
	}
	const about = "The local issuer of `gatehouse dev`: never trust it where it matters."
	_, err = g.state.store.Apply(ctx, access.GatewayPrincipal().ID(), revision,
		store.Put(&access.Issuer{Name: "dev", Description: about, URL: base + devWorkloads, Audiences: []string{devAudience}, Algorithms: []string{"ES256"}}),
		store.Put(&access.Issuer{Name: "dev-people", Description: about, URL: base + devPeople, Audiences: []string{devAudience},
			Algorithms: []string{"ES256"}, Kind: string(access.Person)}))
	if err != nil {
		return err
	}
	return g.policies.Refresh(ctx)
}

// mint asks the running local issuer for a token.
func mint(ctx context.Context, o cli.MintOptions) (access.Secret, error) {
	r, err := client.ReadReach(o.State)
	if fault.KindOf(err) == fault.NotFound {
		return access.Secret{}, fault.New(fault.NotFound, "main.mint", "no gateway runs on %s: start one with gatehouse dev --state %s", o.State, o.State)
	}
	if err != nil {
		return access.Secret{}, err
	}
	if r.Issuer == "" {
		return access.Secret{}, fault.New(fault.NotFound, "main.mint", "the gateway on %s has no local issuer: only gatehouse dev has one", o.State)
	}
	secret, err := os.ReadFile(filepath.Join(o.State, keysDir, devSecret))
	if err != nil {
		return access.Secret{}, err
	}
	at := devWorkloads
	if o.Kind == access.Person {
		at = devPeople
	}
	return askToken(ctx, r.Issuer+at+"/token", string(bytes.TrimSpace(secret)), devissuer.TokenRequest{Subject: o.Subject,
		Audience: []string{devAudience}, Lifetime: o.TTL.String(), Claims: o.Claims})
}

func askToken(ctx context.Context, url, secret string, ask devissuer.TokenRequest) (access.Secret, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return access.Secret{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return access.Secret{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Unavailable, "main.askToken", err, "the local issuer does not answer: is gatehouse dev still running?")
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return access.Secret{}, err
	}
	if res.StatusCode != http.StatusOK {
		return access.Secret{}, fault.New(fault.Malformed, "main.askToken", "the local issuer refused: %s", bytes.TrimSpace(b))
	}
	var t devissuer.TokenResponse
	if err := json.Unmarshal(b, &t); err != nil {
		return access.Secret{}, fmt.Errorf("the local issuer's answer cannot be read: %w", err)
	}
	return access.NewSecret([]byte(t.Token)), nil
}
