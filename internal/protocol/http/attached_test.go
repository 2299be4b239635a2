package http

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/protocol/http/grpc"
	"gatehouse/internal/wire"
)

// replaced puts a file in the place of another, as an editor does it.
func replaced(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(name+"~", []byte(text), 0o600), os.Rename(name+"~", name)); err != nil {
		t.Fatal(err)
	}
}

const oneOperation = "openapi: 3.0.3\npaths:\n  /v1/a:\n    get: {operationId: getA, responses: {}}\n"

// TestAttachedFiles: a file that a connection names is noticed when it changes; one that cannot be used closes the connection until it is
// mended, and so does one whose actions the policies were not compiled with.
func TestAttachedFiles(t *testing.T) {
	now := time.Unix(0, 0)
	k := newEndpoints(func() time.Time { return now })
	dir := t.TempDir()
	c := &access.Connection{Name: "billing", Address: "https://api.example.com", HTTP: &access.HTTPOptions{
		OpenAPIFile: filepath.Join(dir, "api.yaml"), Descriptors: filepath.Join(dir, "api.pb")}}
	replaced(t, c.HTTP.OpenAPIFile, oneOperation)
	replaced(t, c.HTTP.Descriptors, "")
	verbs, err := actions(c)
	if err != nil || len(verbs) != 1 {
		t.Fatal(verbs, err)
	}
	c.Operations = wire.DigestOf(verbs)
	first, err := k.of(c)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(oneOperation, "/v1/a", "/v1/b", 1)
	replaced(t, c.HTTP.OpenAPIFile, moved)
	if e, err := k.of(c); e != first || err != nil {
		t.Error("it is looked at for each request:", err)
	}
	later := func() (*endpoint, error) { now = now.Add(lookAgain); return k.of(c) }
	second, err := later()
	if err != nil || second == first || second.api.ops[0]["GET"].path != "/v1/b" {
		t.Fatalf("a change is not noticed: %v", err)
	}
	if e, err := later(); e != second || err != nil {
		t.Error("what has not changed is compiled again:", err)
	}
	more := moved + "    post: {operationId: makeA, responses: {}}\n"
	for name, spoil := range map[string]func(){
		"a document that is none":   func() { replaced(t, c.HTTP.OpenAPIFile, "openapi: [") },
		"a document that is gone":   func() { _ = os.Remove(c.HTTP.OpenAPIFile) },
		"other actions":             func() { replaced(t, c.HTTP.OpenAPIFile, more) },
		"descriptors that are none": func() { replaced(t, c.HTTP.Descriptors, "no descriptors") },
		"descriptors that are gone": func() { _ = os.Remove(c.HTTP.Descriptors) },
	} {
		spoil()
		for range 2 {
			if _, err := later(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "billing") {
				t.Errorf("%s: %v", name, err)
			}
		}
		replaced(t, c.HTTP.OpenAPIFile, moved)
		replaced(t, c.HTTP.Descriptors, "")
		if _, err := later(); err != nil {
			t.Errorf("%s: mended, and %v", name, err)
		}
	}
	replaced(t, c.HTTP.OpenAPIFile, more)
	if verbs, err = actions(c); err != nil || len(verbs) != 2 {
		t.Fatal(verbs, err)
	}
	again := *c // as policies that know the new actions have it
	again.Operations = wire.DigestOf(verbs)
	now = now.Add(lookAgain)
	if _, err := k.of(&again); err != nil {
		t.Error(err)
	}
	if _, err := k.of(c); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("policies that were compiled before: %v", err)
	}
}

// TestEndpointsForget: what no connection uses any more is dropped.
func TestEndpointsForget(t *testing.T) {
	now := time.Unix(0, 0)
	k := newEndpoints(func() time.Time { return now })
	of := func(name string) {
		if _, err := k.of(&access.Connection{Name: name, Address: "https://api.example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		of("gone" + strconv.Itoa(i))
	}
	of("kept")
	now = now.Add(unused)
	of("kept")
	now = now.Add(time.Second)
	of("new")
	if len(k.all) != 2 || k.all["kept"] == nil {
		t.Errorf("%d are kept", len(k.all))
	}
}

// TestSlowReflection: a backend that takes its time to describe one service holds up those who call it, and nobody else; one question is
// on its way at a time, and whoever gives up leaves the others to ask.
func TestSlowReflection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &schemas{reflection: true, clock: time.Now}
		answer, asked := make(chan struct{}), 0
		hangs := func(ctx context.Context) asker {
			return func(string, []byte) ([]byte, error) {
				asked++
				select {
				case <-answer:
					return described(t, "shop.Slow"), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}
		first, giveUp := context.WithCancel(t.Context())
		type found struct {
			schema *grpc.Schema
			err    error
		}
		got := make(chan found, 3)
		of := func(ctx context.Context) {
			schema, err := s.of(ctx, "shop.Slow", hangs(ctx))
			got <- found{schema, err}
		}
		go of(first)
		synctest.Wait()
		bounded, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		go of(bounded)
		go of(t.Context())
		synctest.Wait()
		if asked != 1 {
			t.Errorf("%d questions", asked)
		}
		quick, err := s.of(t.Context(), "shop.Quick", func(string, []byte) ([]byte, error) { return described(t, "shop.Quick"), nil })
		if err != nil || quick == nil {
			t.Fatalf("another service has to wait: %v", err)
		}
		time.Sleep(time.Second)
		if f := <-got; !errors.Is(f.err, context.DeadlineExceeded) {
			t.Errorf("who waited for too long: %v", f.err)
		}
		giveUp()
		if f := <-got; !errors.Is(f.err, context.Canceled) {
			t.Errorf("who gave up: %v", f.err)
		}
		synctest.Wait()
		close(answer)
		if f := <-got; f.err != nil || f.schema == nil {
			t.Errorf("who still waited: %v", f.err)
		}
		before := asked
		if schema, err := s.of(t.Context(), "shop.Slow", hangs(t.Context())); err != nil || schema == nil || asked != before {
			t.Errorf("it is asked again: %v", err)
		}
	})
}

// described is what reflection answers about a service without methods.
func described(t *testing.T, service string) []byte {
	t.Helper()
	pkg, name, _ := strings.Cut(service, ".")
	file, err := proto.Marshal(&descriptorpb.FileDescriptorProto{Name: proto.String(service + ".proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String(name)}}})
	if err != nil {
		t.Fatal(err)
	}
	within := func(number byte, b []byte) []byte { return append([]byte{number<<3 | 2, byte(len(b))}, b...) }
	return grpc.Append(nil, within(4, within(1, file)))
}
