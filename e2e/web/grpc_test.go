package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// TestCall: a stock client calls methods of every kind, with deadlines; the backend sees the gateway's credential only.
func TestCall(t *testing.T) {
	c := caller(t, "rpc")
	var trailer metadata.MD
	got, err := invoke(t, c, authorized(t), "Get", `{"id":"7"}`, grpc.Trailer(&trailer))
	if err != nil || !strings.Contains(got, "canary@example.com") {
		t.Fatalf("%s %v", got, err)
	}
	if v := trailer.Get("x-credential"); len(v) != 1 || strings.Contains(v[0], credential) {
		t.Errorf("the trailer says %v", v)
	}
	if _, _, head := shop.since(); head.Get("authorization")[0] != "Bearer "+credential {
		t.Errorf("the backend got %v", head)
	}
	s, err := c.NewStream(authorized(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/shop.Orders/Chat")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		q, _ := shop.made("shop.Query", `{"id":"1"}`)
		a, _ := shop.made("shop.Order", "{}")
		if err := errors.Join(s.SendMsg(q), s.RecvMsg(a)); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := shop.made("shop.Order", "{}")
	if err := errors.Join(s.CloseSend(), s.RecvMsg(a)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	late, end := context.WithTimeout(authorized(t), 200*time.Millisecond)
	defer end()
	if s, err = c.NewStream(late, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/shop.Orders/Chat"); err == nil {
		err = s.RecvMsg(a)
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if _, err := invoke(t, c, authorized(t), "Fail", `{}`); status.Code(err) != codes.DataLoss || !strings.Contains(err.Error(), "canary@example.com was lost") {
		t.Error(err)
	}
	if o := ended(t, "rpc", "POST /shop.Orders/Fail"); o["status"] != "error" || o["code"] != "200 grpc-status=15" {
		t.Errorf("recorded as %v", o)
	}
}

// TestCallRefused: refusals are said in gRPC's words, and nothing of what is refused reaches the backend.
func TestCallRefused(t *testing.T) {
	c := caller(t, "rpc")
	before, _, _ := shop.since()
	for _, x := range []struct {
		name, method, ask string
		ctx               context.Context
		code              codes.Code
		say               string
	}{
		{"denied", "Forbidden", `{}`, authorized(t), codes.PermissionDenied, "Nobody calls this."},
		{"no token", "Get", `{}`, t.Context(), codes.Unauthenticated, "no token"},
		{"by what its message says", "Get", `{"id":"forbidden"}`, authorized(t), codes.PermissionDenied, "policy calling"},
		{"no such approval", "Delete", `{}`, authorized(t, "gatehouse-approval", "nonsense"), codes.FailedPrecondition, "nonsense"},
	} {
		if _, err := invoke(t, c, x.ctx, x.method, x.ask); status.Code(err) != x.code || !strings.Contains(err.Error(), x.say) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if _, err := invoke(t, caller(t, "nowhere"), authorized(t), "Get", `{}`); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	for _, connection := range []string{"rpc-blind"} {
		if _, err := invoke(t, caller(t, connection), authorized(t), "Get", `{}`); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "descriptors") {
			t.Errorf("%s: %v", connection, err)
		}
	}
	if _, err := invoke(t, caller(t, "rpc-file"), authorized(t), "Unknown", `{}`); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	for _, kind := range []string{"application/grpc-web", "application/grpc-web-text+proto"} {
		resp := start(t, via(t, true), http.MethodPost, on("rpc", "/shop.Orders/Get"), strings.NewReader("\x00\x00\x00\x00\x00"), "Content-Type", kind)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", kind, resp.StatusCode)
		}
	}
	resp := start(t, via(t, false), http.MethodPost, on("rpc", "/shop.Orders/Get"), strings.NewReader("\x00\x00\x00\x00\x00"), "Content-Type", "application/grpc")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("over HTTP/1.1: %d", resp.StatusCode)
	}
	if after, _, _ := shop.since(); after != before {
		t.Errorf("the backend was called %d times", after-before)
	}
}

// TestCallApproval: a call that needs a reviewer names its approval, and runs once with it.
func TestCallApproval(t *testing.T) {
	c := caller(t, "rpc")
	before, _, _ := shop.since()
	var trailer metadata.MD
	_, err := invoke(t, c, authorized(t), "Delete", `{"id":"7"}`, grpc.Trailer(&trailer))
	id := trailer.Get("gatehouse-approval")
	if status.Code(err) != codes.FailedPrecondition || len(id) != 1 || !strings.Contains(err.Error(), id[0]) {
		t.Fatal(err, trailer)
	}
	approve(t, id[0])
	if _, err := invoke(t, c, authorized(t, "gatehouse-approval", id[0]), "Delete", `{"id":"8"}`); status.Code(err) != codes.FailedPrecondition {
		t.Error("for another message:", err)
	}
	if n, _, _ := shop.since(); n != before {
		t.Error("the backend was called before the approval was used")
	}
	if _, err := invoke(t, c, authorized(t, "gatehouse-approval", id[0]), "Delete", `{"id":"7"}`); err != nil {
		t.Error(err)
	}
	if _, err := invoke(t, c, authorized(t, "gatehouse-approval", id[0]), "Delete", `{"id":"7"}`); status.Code(err) != codes.FailedPrecondition {
		t.Error("twice:", err)
	}
	if n, _, _ := shop.since(); n != before+1 {
		t.Errorf("the backend was called %d times", n-before)
	}
}

// TestCallHidden: fields are hidden by either of their names, in lists, maps and free structures, compressed or not, in messages, in
// statuses, and on the way to the backend; what the descriptors do not know does not pass.
func TestCallHidden(t *testing.T) {
	want, _ := shopWanted(t)
	for _, connection := range []string{"rpc-file", "rpc-asked"} {
		c := caller(t, connection)
		for name, o := range map[string][]grpc.CallOption{"plain": nil, "gzip": {grpc.UseCompressor(gzip.Name)}} {
			got, err := invoke(t, c, authorized(t), "Get", `{"id":"7","card":"4111"}`, o...)
			if err != nil || strings.Contains(got, "canary") {
				t.Fatalf("%s %s: %s %v", connection, name, got, err)
			}
			if connection == "rpc-file" {
				a, _ := shop.made("shop.Order", got)
				if !proto.Equal(a, want) {
					t.Errorf("%s: %s", name, got)
				}
				_, asked, _ := shop.since()
				if b, _ := protojson.Marshal(asked); !strings.Contains(string(b), "[redacted]") {
					t.Errorf("%s: the backend was asked %s", name, b)
				}
			}
		}
		s, err := c.NewStream(authorized(t), &grpc.StreamDesc{ServerStreams: true}, "/shop.Orders/Watch")
		if err != nil {
			t.Fatal(err)
		}
		q, _ := shop.made("shop.Query", `{"id":"1"}`)
		if err := errors.Join(s.SendMsg(q), s.CloseSend()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			a, _ := shop.made("shop.Order", "{}")
			if err := s.RecvMsg(a); err != nil || strings.Contains(protojson.Format(a), "canary") {
				t.Errorf("%v %v", a, err)
			}
		}
		if _, err := invoke(t, c, authorized(t), "Fail", `{}`); status.Code(err) != codes.DataLoss || strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
	}
}

func shopWanted(t *testing.T) (proto.Message, error) {
	t.Helper()
	streaming.open(t)
	return shop.made("shop.Order", `{"id": "7 [redacted]", "customer": {"emailAddress": "[redacted]", "name": "Ada"},
 "others": [{"emailAddress": "[redacted]", "name": "Bob"}, {"name": "Eve"}], "notes": {"secret": "[redacted]", "other": "x"}, "extra": {"email": "[redacted]", "plain": "y"}}`)
}
