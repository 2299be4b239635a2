package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

const (
	maxAnswer   = 64 << 20
	callTimeout = 60 * time.Second
	longTimeout = time.Hour // of what reads the whole audit log
)

// Client speaks to one gateway. It is safe for concurrent use.
type Client struct {
	s    Settings
	http *http.Client
}

// New makes a client; nothing is sent yet.
func New(s Settings) (*Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(s.CA) > 0 {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(s.CA) {
			return nil, fault.New(fault.Malformed, "client.New", "the CA file holds no PEM certificate: gatehouse ca print gives the right one")
		}
	}
	return &Client{s: s, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call sends one request and decodes the answer into out, where out is not nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callWithin(ctx, callTimeout, method, path, in, out)
}

func (c *Client) callWithin(ctx context.Context, timeout time.Duration, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fault.Wrap(fault.Malformed, "client.call", err, "this cannot be sent as JSON: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(err)
	}
	if len(b) > maxAnswer {
		return fault.New(fault.Malformed, "client.call", "the gateway's answer is larger than 64 MiB")
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fault.Wrap(fault.Malformed, "client.call", err, "the gateway's answer cannot be read: is it another version? gatehouse version shows both")
	}
	return nil
}

// send returns a successful answer; any other becomes an error.
func (c *Client) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.s.Address+path, bytes.NewReader(body))
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "client.send", err, "this request cannot be made")
	}
	req.Header.Set("Authorization", "Bearer "+string(c.s.Token.Reveal()))
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, c.refusal(resp)
}

// refusal turns a problem back into the fault that it was made from. The problem itself is in the chain.
func (c *Client) refusal(resp *http.Response) error {
	p := &message.Problem{}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || json.Unmarshal(b, p) != nil || p.Kind == "" {
		return fault.New(fault.Malformed, "client.refusal", "%s (from %s) does not answer like a gateway (HTTP %d): is it one?",
			c.s.Address, c.s.AddressFrom, resp.StatusCode)
	}
	kind := fault.Internal
	for k := fault.Internal; k <= fault.Conflict; k++ {
		if k.String() == p.Kind {
			kind = k
		}
	}
	e := &fault.Error{Op: "client", Kind: kind, Say: p.Detail, Hint: p.Hint, Err: p}
	if kind == fault.Unauthenticated && e.Hint == "" {
		e.Hint = "the token came from " + c.s.TokenFrom + "; gatehouse whoami --ref gives an administrator the exact reason"
	}
	return e
}

// unreachable says what could not be reached, who said that it would be there, and what to do.
func (c *Client) unreachable(err error) error {
	e := &fault.Error{Op: "client", Kind: fault.Unavailable, Err: err}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.Is(err, context.Canceled):
		e.Say = "interrupted"
	case errors.As(err, &unknown):
		e.Say = fmt.Sprintf("the certificate of %s (from %s) is not signed by a root that this client trusts", c.s.Address, c.s.AddressFrom)
		e.Hint = "give the gateway's root with --ca; gatehouse ca print on the gateway's machine prints it"
	case errors.As(err, &host):
		e.Say = fmt.Sprintf("the certificate of %s (from %s) is for other names", c.s.Address, c.s.AddressFrom)
		e.Hint = "use a name that it has, or add this one to tls.names of the gateway's configuration"
	default:
		e.Say = fmt.Sprintf("cannot reach the gateway at %s (address from %s): %s", c.s.Address, c.s.AddressFrom, rootCause(err))
		e.Hint = "is it running? Start it with gatehouse serve, or say where it is with --address"
	}
	return e
}

func rootCause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return strings.TrimPrefix(err.Error(), "dial ")
}

// decoded lists documents from their JSON.
func decoded(l *message.DocumentList) ([]access.Document, error) {
	docs := make([]access.Document, 0, len(l.Documents))
	for _, raw := range l.Documents {
		d, err := message.DecodeDocument(raw)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}
