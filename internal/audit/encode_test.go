package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gatehouse/internal/access"
)

// anyString draws strings as hostile clients send them: text, control bytes, bytes that are not UTF-8.
func anyString() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "\x00", "\"\\\n\t\r", "\u2028</script>", "{\"base64\":\"\"}", "\xff\xfe", "caf\xe9", "\xed\xa0\x80"}),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
}

func validString() *rapid.Generator[string] {
	return rapid.Map(anyString(), func(s string) string { return strings.ToValidUTF8(s, "?") })
}

func anyClaim(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), validString().AsAny(),
		rapid.SampledFrom([]any{0.5, -1e300, 1e-9}),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return anyClaim(depth - 1) }), 0, 3).AsAny(),
			rapid.MapOfN(validString(), rapid.Deferred(func() *rapid.Generator[any] { return anyClaim(depth - 1) }), 0, 3).AsAny())
	}
	return rapid.OneOf(leaves...)
}

func anyEvent() *rapid.Generator[access.Event] {
	return rapid.Custom(func(t *rapid.T) access.Event {
		str := func(name string) string { return anyString().Draw(t, name) }
		strs := func(name string) []string { return rapid.SliceOfN(anyString(), 0, 3).Draw(t, name) }
		e := access.Event{
			Kind: access.EventKind(str("kind")), Time: time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(t, "time")).UTC(),
			Session: str("session"), Action: rapid.Uint64().Draw(t, "action"), Principal: str("principal"),
			Claims: rapid.MapOfN(validString(), anyClaim(2), 0, 3).Draw(t, "claims"), Roles: strs("roles"),
			Connection: str("connection"), Protocol: str("protocol"), Peer: str("peer"), Text: str("text"),
			Fingerprint: str("fingerprint"), Params: strs("params"), Effect: str("effect"),
			Because: access.Because{Policy: str("because"), Statement: rapid.Int().Draw(t, "statement"), Guardrail: rapid.Bool().Draw(t, "guardrail")},
			Policy:  rapid.Uint64().Draw(t, "policy"), Catalogue: str("catalogue"), Phase: str("phase"), Approval: str("approval"), Status: access.Status(str("status")),
			Rows: rapid.Int64().Draw(t, "rows"), Bytes: rapid.Int64().Draw(t, "bytes"), Masked: rapid.Int64().Draw(t, "masked"),
			Digest: str("digest"), Code: str("code"), Backend: time.Duration(rapid.Int64().Draw(t, "backend")), Ref: str("ref"), Reason: str("reason"),
			Detail: rapid.MapOfN(validString(), anyString(), 0, 3).Draw(t, "detail"),
		}
		if rapid.Bool().Draw(t, "window") {
			e.Window = &access.Window{Messages: rapid.Int().Draw(t, "messages"), Within: time.Duration(rapid.Int64().Draw(t, "within"))}
		}
		for range rapid.IntRange(0, 2).Draw(t, "actions") {
			e.Actions = append(e.Actions, access.Action{Name: str("name"), Resource: str("resource"), Fields: strs("fields"), Wild: rapid.Bool().Draw(t, "wild")})
		}
		if rapid.Bool().Draw(t, "result") {
			cell := rapid.Ptr(anyString(), true)
			e.Result = &access.Result{
				Columns:   strs("columns"),
				Rows:      rapid.SliceOfN(rapid.SliceOfN(cell, 0, 3), 0, 3).Draw(t, "cells"),
				Truncated: rapid.Bool().Draw(t, "truncated"),
			}
		}
		return e
	})
}

func TestEveryEventIsReadBackExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyEvent().Draw(t, "event")
		b, err := appendEvent(nil, &want, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatalf("not JSON: %q", b)
		}
		got, err := decodeEvent(b)
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s\nin %q", d, b)
		}
		again, err := appendEvent(nil, &got, time.Time{})
		if err != nil || string(again) != string(b) {
			t.Fatalf("%q\nis written a second time as\n%q", b, again)
		}
	})
}

func TestEventsAreWrittenInOneOrderWithoutZeros(t *testing.T) {
	b, err := appendEvent(nil, &access.Event{Kind: access.EventSessionClosed, Session: "s"}, time.Unix(1, 5).UTC())
	if want := `{"kind":"session.closed","time":"1970-01-01T00:00:01.000000005Z","session":"s"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}

// TestWindowsAreWrittenAsTheReferenceSays: the records of a flood, byte by byte.
func TestWindowsAreWrittenAsTheReferenceSays(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for want, e := range map[string]access.Event{
		`{"kind":"action.intended","time":"2026-11-24T03:00:00Z","session":"s","action":7,"text":"publish","actions":[{"name":"mq:Publish","resource":"jobs/subject/orders.**","wild":true}],` +
			`"effect":"allow","because":{"policy":"p","statement":1},"policy":3,"window":{"messages":1000,"within_ns":1000000000},"approval":"a"}`: {
			Kind: access.EventActionIntended, Time: at, Session: "s", Action: 7, Text: "publish",
			Actions: []access.Action{{Name: "mq:Publish", Resource: "jobs/subject/orders.**", Wild: true}},
			Effect:  "allow", Because: access.Because{Policy: "p", Statement: 1}, Policy: 3, Window: &access.Window{Messages: 1000, Within: time.Second}, Approval: "a"},
		`{"kind":"action.ended","time":"2026-11-24T03:00:00Z","session":"s","action":7,"status":"error","rows":3,"bytes":3,"digest":"cac3","code":"1 error 312"}`: {
			Kind: access.EventActionEnded, Time: at, Session: "s", Action: 7, Status: access.StatusError, Rows: 3, Bytes: 3, Digest: "cac3", Code: "1 error 312"},
	} {
		got, err := appendEvent(nil, &e, at)
		if err != nil || string(got) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
}

func TestClaimsThatNestTooDeepAreRefused(t *testing.T) {
	var v any = "x"
	for range maxClaimDepth + 2 {
		v = []any{v}
	}
	if _, err := appendEvent(nil, &access.Event{Claims: map[string]any{"c": v}}, time.Time{}); err == nil {
		t.Error("claims without a bound on their depth were taken")
	}
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"kind":"action.intended","text":{"base64":"/w=="},"claims":{"a":[1,2.5,null]}}`))
	f.Add([]byte(`{"result":{"columns":["a"],"rows":[["b",null]]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if err != nil {
			return
		}
		if _, err := appendEvent(nil, &e, time.Time{}); err != nil && !strings.Contains(err.Error(), "claims nest") {
			t.Fatal(err)
		}
	})
}

// TestPlainTextIsToldFromTheRest tries every byte at every place of texts around the eight bytes that are looked at at
// once, among bytes that a borrow could come from or go to.
func TestPlainTextIsToldFromTheRest(t *testing.T) {
	for size := range 18 {
		for at := range size {
			for c := range 256 {
				for _, around := range []byte{0x20, '!', '#', '[', ']', 0x7f} {
					b := bytes.Repeat([]byte{around}, size)
					b[at] = byte(c)
					want := c >= 0x20 && c < 0x80 && c != '"' && c != '\\'
					if got := plainASCII(string(b)); got != want {
						t.Fatalf("%q: %v", b, got)
					}
				}
			}
		}
	}
}
