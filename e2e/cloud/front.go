package cloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// kept is how much of each body is kept, and whole is how large the bodies of calls that are no objects may be.
const (
	kept  = 1 << 20
	whole = 16 << 20
)

// Arrival is a request as it reached the account.
type Arrival struct {
	Service string // as it was signed for
	Method  string
	URI     string
	Header  http.Header
	Body    []byte // its beginning
	Size    int64
	SHA256  string
	Who     string // whose key signed it
	Fault   string // why it was turned away
	Target  string // the operation, where a header or the form says it
}

// front is the account's one address: it checks every signature, keeps what came, and hands it to the service's server.
type front struct {
	server *httptest.Server
	folder string // of the servers' sockets
	host   string

	mu       sync.Mutex
	keys     map[string]key
	arrivals []*Arrival
	sessions []Session
}

func newFront(folder string) *front {
	f := &front{folder: folder, keys: map[string]key{AccessKey: {secret: SecretKey, who: "backend"}}}
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.StartTLS()
	f.host = f.server.Listener.Addr().String()
	return f
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &Arrival{Method: r.Method, URI: r.RequestURI, Header: r.Header.Clone(), Target: r.Header.Get("X-Amz-Target")}
	a.Header.Set("Host", r.Host)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.arrivals = append(f.arrivals, a)
	}()
	if r.Header.Get("Authorization") == "" && r.URL.RawQuery == "" && f.identified(w, r, a) {
		return
	}
	s, err := signatureOf(r)
	if err == nil {
		a.Service = s.service
		err = f.admit(r, s, a)
	}
	if err != nil {
		a.Fault = err.Error()
		w.Header().Set("X-Amzn-ErrorType", "SignatureDoesNotMatch")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error>", a.Fault)
		return
	}
	f.forward(w, r, s.service, a)
}

// admit checks who signed, and sees to it that the body is the one that was signed.
func (f *front) admit(r *http.Request, s *signature, a *Arrival) error {
	f.mu.Lock()
	k, ok := f.keys[s.accessKey]
	f.mu.Unlock()
	if !ok {
		return fmt.Errorf("nobody has the access key %.40q", s.accessKey)
	}
	a.Who = k.who
	seen := &observed{in: r.Body, a: a, sum: sha256.New()}
	declared := r.Header.Get("X-Amz-Content-Sha256")
	digest := ""
	if s.service != "s3" {
		body, err := io.ReadAll(io.LimitReader(seen, whole))
		if err != nil {
			return err
		}
		digest = hex.EncodeToString(seen.sum.Sum(nil))
		if len(declared) == 64 && declared != digest {
			return errors.New("the body is not the one that was signed")
		}
		a.SHA256 = digest
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil && a.Target == "" {
			a.Target = form.Get("Action")
		}
	} else {
		if len(declared) == 64 {
			seen.declared = declared
		}
		r.Body = seen
	}
	return s.check(r, k, digest, time.Now())
}

// observed is a body that is looked at as it passes.
type observed struct {
	in       io.ReadCloser
	a        *Arrival
	sum      hash.Hash
	declared string
}

func (o *observed) Read(b []byte) (int, error) {
	n, err := o.in.Read(b)
	o.a.Body = append(o.a.Body, b[:min(n, kept-min(kept, len(o.a.Body)))]...)
	o.a.Size += int64(n)
	o.sum.Write(b[:n])
	if err == io.EOF {
		o.a.SHA256 = hex.EncodeToString(o.sum.Sum(nil))
		if o.declared != "" && o.declared != o.a.SHA256 {
			o.a.Fault = "the body is not the one that was signed"
			return 0, fmt.Errorf("%s", o.a.Fault)
		}
	}
	return n, err
}

func (o *observed) Close() error { return o.in.Close() }

// memory is how buckets begin that are kept in memory by fauxqs: it takes keys that are no file's name.
const memory = "/memory-"

// forward hands a request to the server of its service, byte for byte.
func (f *front) forward(w http.ResponseWriter, r *http.Request, service string, a *Arrival) {
	socket := service
	switch {
	case service == "sts":
		f.sts(w, r, a)
		return
	case service == "sqs" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		socket = "query"
		r.URL.Path, r.URL.RawPath = "/", "" // older clients send a call to the URL of its queue, and name it in the form too
		fallthrough
	case service == "sqs":
		f.queueNames(r, socket)
	case strings.HasPrefix(r.RequestURI, memory):
		socket = "sqs"
	}
	p := &httputil.ReverseProxy{
		Transport: f.transport(socket),
		Rewrite: func(p *httputil.ProxyRequest) {
			path, query, _ := strings.Cut(p.In.RequestURI, "?")
			if service == "sqs" {
				path = "/"
			}
			p.Out.URL = &url.URL{Scheme: "http", Host: f.host, Opaque: "//" + f.host + path, RawQuery: query}
			p.Out.Host = p.In.Host
			p.Out.Header.Del("Expect") // it was answered
		},
		ModifyResponse: func(resp *http.Response) error {
			if service != "sqs" {
				return nil
			}
			return replaceBody(&resp.Body, &resp.ContentLength, resp.Header, f.queuesAt(socket), "https://"+f.host)
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	p.ServeHTTP(w, r)
}

// queuesAt is where a server of queues believes itself to be: it knows nothing of TLS, and one gives itself a name.
func (f *front) queuesAt(socket string) string {
	if socket == "query" {
		return "http://" + f.host
	}
	_, port, _ := strings.Cut(f.host, ":")
	return "http://sqs." + Region + ".localhost:" + port
}

// anyQueue is the beginning of a queue's URL, whose host SQS does not read.
var anyQueue = regexp.MustCompile(`https?(?:://|%3A%2F%2F)[A-Za-z0-9.:%-]+?(/|%2F)` + Account)

// queueNames gives the servers of queues the URLs that they made.
func (f *front) queueNames(r *http.Request, socket string) {
	made := f.queuesAt(socket)
	if socket == "query" {
		made = url.QueryEscape(made)
	}
	body, err := io.ReadAll(r.Body) // it is in memory
	if err == nil {
		body = anyQueue.ReplaceAll(body, []byte(made+"${1}"+Account))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	}
}

func replaceBody(body *io.ReadCloser, size *int64, h http.Header, from, to string) error {
	raw, err := io.ReadAll(*body)
	if err != nil {
		return err
	}
	_ = (*body).Close()
	raw = bytes.ReplaceAll(raw, []byte(from), []byte(to))
	*body, *size = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	if h.Get("Content-Length") != "" {
		h.Set("Content-Length", fmt.Sprint(len(raw)))
	}
	return nil
}

// transport reaches a server by its socket. A connection serves one request: nothing of one stays for the next.
func (f *front) transport(socket string) http.RoundTripper {
	return &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(f.folder, socket))
	}}
}
