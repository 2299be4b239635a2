package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lasts writes the policy of the connections that last, with more of it.
func lasts(t *testing.T, more string) {
	t.Helper()
	streaming.open(t)
	documents := fmt.Sprintf(`
kind: Connection
name: lasting
type: http
address: %s
credential: {secret: billing}
http: {websocket: true}
---
kind: Connection
name: lasting-rpc
type: http
address: %s
credential: {secret: billing}
http: {protocols: [h2c], descriptors: %q}
---
kind: Policy
name: lasting
statements:
  - effect: allow
    actions: ["http:*"]
    resources: ["lasting/*", "lasting-rpc/*"]
%s---
kind: Role
name: laster
bind:
  - issuer: dev
    claims: {sub: "fn:stream"}
policies: [lasting]
`, streaming.plain.URL, shop.address, shop.descriptors, more)
	if r := shared.gw.CLI(t.Context(), documents, "apply", "-f", "-"); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
}

const (
	nothingMore = ""
	elsewhere   = "  - effect: deny\n    actions: [\"*\"]\n    resources: [\"lasting/elsewhere\"]\n  - effect: mask\n    resources: [\"lasting/elsewhere\"]\n    fields: [\"$.x\"]\n    with: redact\n"
	denied      = "  - effect: deny\n    actions: [\"*\"]\n    resources: [\"lasting/*\", \"lasting-rpc/*\"]\n"
	masked      = "  - effect: mask\n    resources: [\"lasting/*\", \"lasting-rpc/*\"]\n    detect: [EMAIL_ADDRESS]\n    with: redact\n"
)

// TestPoliciesEndWhatLasts: an answer that lasts ends when policies no longer allow it, or hide something else in it, also where nobody
// says anything; what changes elsewhere is nothing to it.
func TestPoliciesEndWhatLasts(t *testing.T) {
	for name, after := range map[string]string{"denied": denied, "masked": masked} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("events, %s, HTTP/2 %v", name, h2), func(t *testing.T) {
				lasts(t, nothingMore)
				say, gone := make(chan string), make(chan struct{})
				path := far(t, func(w http.ResponseWriter, r *http.Request) {
					defer close(gone)
					w.Header().Set("Content-Type", "text/event-stream")
					for {
						select {
						case s := <-say:
							_, _ = io.WriteString(w, s)
							_ = http.NewResponseController(w).Flush()
						case <-r.Context().Done():
							return
						}
					}
				})
				opened := make(chan *http.Response)
				go func() { opened <- start(t, via(t, h2), http.MethodGet, on("lasting", path), nil) }()
				say <- "data: one\n"
				in := bufio.NewReader((<-opened).Body)
				if got, err := in.ReadString('\n'); err != nil || got != "data: one\n" {
					t.Fatal(got, err)
				}
				lasts(t, elsewhere)
				settled(t)
				say <- "data: two\n"
				if got, err := in.ReadString('\n'); err != nil || got != "data: two\n" {
					t.Fatal("what changes elsewhere ended it:", got, err)
				}
				lasts(t, after)
				if got, err := in.ReadString('\n'); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("it goes on, or looks whole: %q %v", got, err)
				}
				<-gone
				if o := ended(t, "lasting", "GET "+path); o["status"] != "error" || o["code"] != "200 ended=policies" {
					t.Errorf("recorded as %v", o)
				}
			})
		}
	}
}

// settled waits until the gateway has taken up the policies that were written.
func settled(t *testing.T) {
	t.Helper()
	for t.Context().Err() == nil {
		resp := start(t, via(t, false), http.MethodGet, on("lasting", "/elsewhere"), nil)
		if _ = resp.Body.Close(); resp.StatusCode == http.StatusForbidden {
			return
		}
	}
}

// TestPoliciesEndCalls: so does a call of gRPC on which nobody says anything.
func TestPoliciesEndCalls(t *testing.T) {
	for name, after := range map[string]string{"denied": denied, "masked": masked} {
		t.Run(name, func(t *testing.T) {
			lasts(t, nothingMore)
			c := caller(t, "lasting-rpc")
			s, err := c.NewStream(authorized(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/shop.Orders/Chat")
			if err != nil {
				t.Fatal(err)
			}
			q, _ := shop.made("shop.Query", `{"id":"1"}`)
			a, _ := shop.made("shop.Order", "{}")
			if err := errors.Join(s.SendMsg(q), s.RecvMsg(a)); err != nil {
				t.Fatal(err)
			}
			lasts(t, after)
			if err := s.RecvMsg(a); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "the policies changed") {
				t.Error(err)
			}
		})
	}
}

// TestPoliciesEndUploads: what a client still sends does not reach the backend under policies that deny it.
func TestPoliciesEndUploads(t *testing.T) {
	lasts(t, nothingMore)
	got, over := make(chan string, 100), make(chan error, 1)
	path := far(t, func(_ http.ResponseWriter, r *http.Request) {
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				over <- err
				return
			}
			got <- line
		}
	})
	body, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, on("lasting", path), body)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+streaming.token)
			var resp *http.Response
			if resp, err = via(t, true).Do(r); err == nil {
				_ = resp.Body.Close()
				err = fmt.Errorf("%s", resp.Status)
			}
		}
		done <- err
		_ = body.Close()
	}()
	if _, err := io.WriteString(w, "before\n"); err != nil || <-got != "before\n" {
		t.Fatal(err)
	}
	lasts(t, elsewhere+denied)
	settled(t)
	_, _ = io.WriteString(w, "after\n")
	if err := <-over; errors.Is(err, io.EOF) || len(got) != 0 {
		t.Errorf("the backend got %d lines more, and %v", len(got), err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("the client is told %v", err)
	}
}

// TestPoliciesEndSilentSockets: a WebSocket ends when the policies change, not with its next message; and what changes elsewhere is nothing
// to it.
func TestPoliciesEndSilentSockets(t *testing.T) {
	lasts(t, nothingMore)
	path, _ := talker(t, echo)
	c := socket(t, "lasting", path)
	lasts(t, elsewhere)
	settled(t)
	if got, err := says(t, c, websocket.MessageText, "still"); err != nil || got != "still" {
		t.Fatal("what changes elsewhere ended it:", got, err)
	}
	lasts(t, masked)
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Error(err)
	}
}
