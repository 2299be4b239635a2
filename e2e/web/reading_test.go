package web

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func framed(message string) string {
	return "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(message)))) + message
}

// TestAttackByOtherReadings: messages that a backend may read otherwise than the gateway does count against the caller where a condition
// reads them, and are refused where they are masked; so are values of headers that lose their spaces on the way.
func TestAttackByOtherReadings(t *testing.T) {
	streaming.open(t)
	before, _, _ := shop.since()
	for _, x := range []struct{ name, connection, kind, message string }{
		{"the field twice", "rpc", "application/grpc", "\x0a\x01x\x0a\x09forbidden"},
		{"another wire type", "rpc", "application/grpc", "\x0a\x01x\x0d\x00\x00\x00\x00"},
		{"a field that nobody knows", "rpc", "application/grpc", "\x0a\x01x\xfa\x3f\x01x"},
		{"in JSON", "rpc", "application/grpc+json", "\x0a\x09" + `{"id":1} `},
		{"in JSON, to be masked", "rpc-file", "application/grpc+json", `{"id":"7"}`},
		{"in a form of one's own, to be masked", "rpc-file", "application/grpc;v=1", "\x0a\x017"},
	} {
		resp := start(t, via(t, true), http.MethodPost, on(x.connection, "/shop.Orders/Get"), strings.NewReader(framed(x.message)), "Content-Type", x.kind, "Te", "trailers")
		if resp.StatusCode != http.StatusOK || !strings.Contains("3 7", resp.Header.Get("Grpc-Status")) {
			t.Errorf("%s: %d %v", x.name, resp.StatusCode, resp.Header)
		}
	}
	resp := start(t, via(t, true), http.MethodPost, on("rpc", "/shop.Orders/Get"), strings.NewReader(framed("\x0a\x01x")), "Content-Type", "application/grpc", "Te", "trailers", "X-Mode", " admin")
	if resp.Header.Get("Grpc-Status") != "3" {
		t.Errorf("a space before a value: %d %v", resp.StatusCode, resp.Header)
	}
	if after, _, _ := shop.since(); after != before {
		t.Errorf("the backend was called %d times", after-before)
	}
}

// TestSocketCookies: a backend cannot give the client a cookie for the whole of the gateway's host with its answer 101.
func TestSocketCookies(t *testing.T) {
	path := far(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b; Domain=example.com; Path=/")
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		echo(context.WithoutCancel(r.Context()), c, r)
	})
	c, resp, err := websocket.Dial(t.Context(), on("plain", path), &websocket.DialOptions{HTTPClient: via(t, false), HTTPHeader: http.Header{"X-Gatehouse-Token": {streaming.token}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	if got := fmt.Sprint(resp.Header["Set-Cookie"]); got != "[a=b; Path=/c/plain]" {
		t.Error(got)
	}
}
