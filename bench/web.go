package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/child"
	"gatehouse/e2e/gateway"
)

// web is a server of documents and everything that stands before it.
type web struct {
	direct, nginx, bare site
	gate                *webGate
}

// webGate is a gateway in front of the server of documents.
type webGate struct{ *gate }

// webSettings are the gateway's: clients come from loopback, with TLS or in clear.
const webSettings = `
api: {address: "127.0.0.1:0"}
listeners:
  - {protocol: http, address: "127.0.0.1:0", plaintext: true}
limits: {max_sessions: 5000}
`

// webDocuments are the rules: roles that may read, without masks, with two fields masked and with all detectors, and a
// guardrail that every request passes.
const webDocuments = `
kind: Connection
name: web
type: http
address: $backend
credential: {secret: bench}
guardrails: [no-changes]
---
kind: Policy
name: no-changes
statements:
  - effect: deny
    actions: [http:Delete, http:Put]
    resources: ["*"]
---
kind: Policy
name: reader
statements:
  - effect: allow
    actions: [http:Get]
    resources: ["web/*"]
---
kind: Policy
name: two-fields
statements:
  - effect: mask
    resources: ["web/*"]
    fields: ["$.items[*].email"]
    with: {partial: {keep_last: 4}}
  - effect: mask
    resources: ["web/*"]
    fields: ["**.name"]
    with: redact
---
kind: Policy
name: detectors
statements:
  - effect: mask
    detect: [CREDIT_CARD, EMAIL_ADDRESS, US_SSN, PHONE_NUMBER, IBAN_CODE, IP_ADDRESS]
    with: redact
---
kind: Role
name: reader
bind: [{issuer: dev, claims: {sub: "fn:reader"}}]
policies: [reader]
---
kind: Role
name: masked
bind: [{issuer: dev, claims: {sub: "fn:masked"}}]
policies: [reader, two-fields]
---
kind: Role
name: scanned
bind: [{issuer: dev, claims: {sub: "fn:scanned"}}]
policies: [reader, detectors]
`

// serverConf and proxyConf are nginx's, as for a busy server: workers for both cores, connections that are kept.
const serverConf = `worker_processes 2; pid $dir/$name.pid; error_log $dir/$name.log; daemon off; worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; types { application/json json; }
  server { listen 127.0.0.1:$port; root $dir/www; open_file_cache max=10; } }
`

const proxyConf = `worker_processes 2; pid $dir/$name.pid; error_log $dir/$name.log; daemon off; worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; proxy_temp_path $dir/temp;
  upstream backend { server 127.0.0.1:$backend; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:$port; location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
`

// document is a list of customers as an API answers with, of about so many bytes.
func document(size int) string {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := 0; b.Len() < size-160; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"Customer Number %d","email":"c%d@example.org","city":"Utrecht","placed":"2026-01-01T00:00:%02dZ","amount":%d.50,"state":"open"}`,
			i, i, i, i%60, i*7)
	}
	b.WriteString(`],"next":null}`)
	return b.String()
}

// startWeb starts the server, nginx and Go's ReverseProxy in front of it, and a gateway.
func (w *world) startWeb(ctx context.Context) (*web, error) {
	w.progress("the server of documents and its proxies")
	root := filepath.Join(w.dir, "www")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(w.dir, 0o755); err != nil { // nginx's workers are another user
		return nil, err
	}
	for name, size := range map[string]int{"1k": 1 << 10, "100k": 100 << 10} {
		if err := os.WriteFile(filepath.Join(root, name+".json"), []byte(document(size)), 0o644); err != nil {
			return nil, err
		}
	}
	backend, _, err := w.startNginx(ctx, "server", serverConf, "")
	if err != nil {
		return nil, err
	}
	proxy, pids, err := w.startNginx(ctx, "proxy", proxyConf, backend)
	if err != nil {
		return nil, err
	}
	s := &web{direct: site{base: "http://127.0.0.1:" + backend}, nginx: site{pids: pids, base: "http://127.0.0.1:" + proxy}}
	address, pid, err := w.startReverse(s.direct.base)
	if err != nil {
		return nil, err
	}
	s.bare = site{pids: []int{pid}, base: "http://" + address}
	s.gate, err = w.startWebGate(ctx, s.direct.base)
	return s, err
}

// startNginx returns where nginx listens, and its workers.
func (w *world) startNginx(ctx context.Context, name, conf, backend string) (port string, workers []int, err error) {
	if port, err = freePort(); err != nil {
		return "", nil, err
	}
	file := filepath.Join(w.dir, name+port+".conf")
	text := strings.NewReplacer("$dir", w.dir, "$name", name+port, "$port", port, "$backend", backend).Replace(conf)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", nil, err
	}
	cmd := exec.Command("/usr/sbin/nginx", "-q", "-p", w.dir, "-e", filepath.Join(w.dir, name+port+".log"), "-c", file)
	var said strings.Builder
	cmd.Stderr = &said
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", nil, err
	}
	w.stops = append(w.stops, func() error { p.End(syscall.SIGTERM, syscall.SIGKILL); return nil })
	if err := answers(ctx, p, port); err != nil {
		return "", nil, fmt.Errorf("nginx: %w: %s", err, said.String())
	}
	workers, err = children(p.PID())
	return port, workers, err
}

// children returns the processes that a process has started (proc(5): task/TID/children).
func children(pid int) ([]int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	var all []int
	for f := range strings.FieldsSeq(string(raw)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// startReverse runs bench/reverse, which lies beside the relay.
func (w *world) startReverse(to string) (address string, pid int, err error) {
	binary, err := filepath.Abs(filepath.Join(filepath.Dir(w.o.relay), "reverse"))
	if err != nil {
		return "", 0, err
	}
	cmd := exec.Command(binary, "-to", to)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, err
	}
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", 0, err
	}
	w.stops = append(w.stops, func() error { p.End(syscall.SIGKILL); return nil })
	line, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line), p.PID(), err
}

func (w *world) startWebGate(ctx context.Context, backend string) (*webGate, error) {
	binary, err := filepath.Abs(w.o.gatehouse)
	if err != nil {
		return nil, err
	}
	state := "web" + strconv.Itoa(len(w.gates))
	conf := filepath.Join(w.dir, state+".yaml")
	if err := os.WriteFile(conf, []byte(webSettings), 0o600); err != nil {
		return nil, err
	}
	gw, err := gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(w.dir, state), Config: conf})
	if err != nil {
		return nil, err
	}
	g := &gate{Gateway: gw, tokens: map[string]string{}}
	w.gates = append(w.gates, g)
	w.stops = append(w.stops, func() error { g.end(); return nil })
	secret := gw.CLI(ctx, "the-backends-token", "secrets", "set", "bench")
	apply := gw.CLI(ctx, strings.ReplaceAll(webDocuments, "$backend", backend), "apply", "-f", "-")
	if secret.Code != 0 || apply.Code != 0 {
		return nil, errors.New(secret.Out + secret.Err + apply.Out + apply.Err)
	}
	return &webGate{g}, g.renew(ctx)
}

// site is the way through the gateway for a subject, in clear.
func (g *webGate) site(subject string) site {
	return site{pids: []int{g.PID()}, base: "http://" + g.Listener["http"] + "/c/web", token: g.tokens[subject]}
}

// keep has n clients send one request each with TLS, and returns how many KiB the gateway holds for each of them.
func (g *webGate) keep(ctx context.Context, n int) (float64, error) {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(g.CAFile())
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return 0, errors.Join(errors.New("the gateway's root"), err)
	}
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for range min(n, 50) {
		c, err := g.once(ctx, conf)
		if err != nil {
			return 0, err
		}
		_ = c.Close()
	}
	before, err := after(ctx, g.PID())
	if err != nil {
		return 0, err
	}
	for range n {
		c, err := g.once(ctx, conf)
		if err != nil {
			return 0, err
		}
		all = append(all, c)
	}
	now, err := after(ctx, g.PID())
	return float64(now-before) / 1024 / float64(n), err
}

// once sends one request over a connection of its own, which stays open.
func (g *webGate) once(ctx context.Context, conf *tls.Config) (net.Conn, error) {
	d := tls.Dialer{Config: conf, NetDialer: &net.Dialer{Timeout: 10 * time.Second}}
	c, err := d.DialContext(ctx, "tcp", g.Listener["http"])
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.Listener["http"]+"/c/web/1k.json", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+g.tokens[reader])
	if err := r.Write(c); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return c, err
}
