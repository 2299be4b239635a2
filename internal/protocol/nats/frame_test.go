package nats

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// told is a frame as tests compare it.
type told struct {
	op                               op
	subject, reply, queue, sid, text string
	header, payload                  string
	limit                            int64
}

func tell(t testing.TB, b []byte, from side) (told, int, error) {
	t.Helper()
	f, ok, err := parse(b, from)
	if err != nil || !ok || !f.whole(b) {
		return told{}, 0, err
	}
	out := told{op: f.op, subject: string(f.subject), reply: string(f.reply), queue: string(f.queue), sid: string(f.sid),
		text: string(f.text), limit: f.limit}
	if f.carries() {
		out.header, out.payload = string(f.header(b)), string(f.payload(b))
	}
	return out, f.length, nil
}

func TestFrames(t *testing.T) {
	for text, want := range map[string]told{
		"PUB a.b 5\r\nhello\r\n":                        {op: opPub, subject: "a.b", payload: "hello"},
		"pub a.b  c 0\r\n\r\n":                          {op: opPub, subject: "a.b", reply: "c"},
		"pUb\ta.b\t2 \r\n\r\n\r\n":                      {op: opPub, subject: "a.b", payload: "\r\n"},
		"HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n":        {op: opHPub, subject: "a", header: "NATS/1.0\r\n\r\n", payload: "hi"},
		"HPUB a r 0 2\r\nhi\r\n":                        {op: opHPub, subject: "a", reply: "r", payload: "hi"},
		"HPUB a r 17 17\r\nNATS/1.0\r\na:b\r\n\r\n\r\n": {op: opHPub, subject: "a", reply: "r", header: "NATS/1.0\r\na:b\r\n\r\n"},
		"SUB a.* 1\r\n":                                 {op: opSub, subject: "a.*", sid: "1"},
		"SUB a.> q  x7\r\n":                             {op: opSub, subject: "a.>", queue: "q", sid: "x7"},
		"UNSUB 1\r\n":                                   {op: opUnsub, sid: "1"},
		"UNSUB 1 5\r\n":                                 {op: opUnsub, sid: "1", limit: 5},
		"PING\r\n":                                      {op: opPing},
		"pong \r\n":                                     {op: opPong},
		"CONNECT {\"a\": 1}\r\n":                        {op: opConnect, text: `{"a": 1}`},
	} {
		got, n, err := tell(t, []byte(text), fromClient)
		if err != nil || got != want || n != len(text) {
			t.Errorf("%q: %+v, %d, %v", text, got, n, err)
		}
	}
	for text, want := range map[string]told{
		"MSG a 1 2\r\nhi\r\n":                          {op: opMsg, subject: "a", sid: "1", payload: "hi"},
		"MSG a 1 r 2\r\nhi\r\n":                        {op: opMsg, subject: "a", sid: "1", reply: "r", payload: "hi"},
		"HMSG a 1 16 18\r\nNATS/1.0 503\r\n\r\nhi\r\n": {op: opHMsg, subject: "a", sid: "1", header: "NATS/1.0 503\r\n\r\n", payload: "hi"},
		"INFO {}\r\n":                                  {op: opInfo, text: "{}"},
		"+OK\r\n":                                      {op: opOK},
		"-ERR 'Stale Connection'\r\n":                  {op: opErr, text: "'Stale Connection'"},
	} {
		got, n, err := tell(t, []byte(text), fromServer)
		if err != nil || got != want || n != len(text) {
			t.Errorf("%q: %+v, %d, %v", text, got, n, err)
		}
	}
}

func TestFramesRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a bare LF":                       "PUB a 1\nx\r\n",
		"a CR in the line":                "PUB a\r b 1\r\nx\r\n",
		"an empty line":                   "\r\n",
		"an unknown verb":                 "PUBX a 1\r\nx\r\n",
		"a verb that only servers say":    "MSG a 1 1\r\nx\r\n",
		"INFO of a client":                "INFO {}\r\n",
		"an acknowledgement of a client":  "+OK\r\n",
		"an error of a client":            "-ERR 'x'\r\n",
		"a message of a route":            "RMSG $G a 1\r\nx\r\n",
		"no size":                         "PUB a\r\n",
		"a sign":                          "PUB a +1\r\nx\r\n",
		"a negative size":                 "PUB a -1\r\nx\r\n",
		"hexadecimal":                     "PUB a 0x1\r\nx\r\n",
		"too many words":                  "PUB a b c 1\r\nx\r\n",
		"a size of ten digits":            "PUB a 1000000000\r\n",
		"a payload that is longer":        "PUB a 1\r\nxyz\r\n",
		"a payload that ends in LF alone": "PUB a 1\r\nx\n\n",
		"headers larger than all":         "HPUB a 13 12\r\nNATS/1.0\r\n\r\n\r\n",
		"headers without room":            "HPUB a 4 12\r\nNATS/1.0\r\n\r\n\r\n",
		"HMSG without headers":            "HMSG a 1 0 2\r\nhi\r\n",
		"PING with words":                 "PING x\r\n",
		"a sid with a control character":  "SUB a 1\x01\r\n",
		"a long sid":                      "SUB a " + strings.Repeat("1", maxSid+1) + "\r\n",
		"a control line that is too long": "PUB " + strings.Repeat("a", maxLine) + " 1\r\nx\r\n",
		"one that does not end":           "PUB " + strings.Repeat("a", maxLine),
		"CONNECT that is too long":        "CONNECT {" + strings.Repeat(" ", maxConnect) + "}\r\n",
		"UNSUB with a sign":               "UNSUB 1 -1\r\n",
	} {
		if f, ok, err := parse([]byte(text), fromClient); err == nil {
			t.Errorf("%s: %+v, %v", name, f, ok)
		}
	}
	long := "CONNECT {" + strings.Repeat(" ", maxLine) + "}\r\n"
	if _, ok, err := parse([]byte(long), fromClient); !ok || err != nil {
		t.Errorf("CONNECT with a long token: %v, %v", ok, err)
	}
}

// TestFramesInPieces: what is cut anywhere is read as not there yet, never as something else.
func TestFramesInPieces(t *testing.T) {
	text := []byte("HPUB a.b r 17 22\r\nNATS/1.0\r\na:b\r\n\r\nhello\r\n")
	for n := range text {
		f, ok, err := parse(text[:n], fromClient)
		if err != nil || ok && f.whole(text[:n]) {
			t.Fatalf("%q: %+v, %v", text[:n], f, err)
		}
	}
}

func TestSubjects(t *testing.T) {
	for subject, want := range map[string][2]bool{ // as a message has it, as a subscription has it
		"a": {true, true}, "a.b.c": {true, true}, "é.b": {true, true}, "$JS.API.INFO": {true, true},
		"*": {false, true}, "a.*.b": {false, true}, ">": {false, true}, "a.>": {false, true},
		"": {}, ".a": {}, "a.": {}, "a..b": {}, "a b": {}, "a\tb": {}, "a\x00": {}, "a\x7f": {}, "a\xff": {},
		">.a": {}, "a.>.b": {}, "a*": {}, "a.b>": {}, "**": {}, ">>": {},
		strings.Repeat("a.", maxTokens) + "a": {}, strings.Repeat("a", maxSubject+1): {},
	} {
		if got := [2]bool{literal([]byte(subject)), pattern([]byte(subject))}; got != want {
			t.Errorf("%q: %v", subject, got)
		}
	}
}

// TestMeets holds what patterns have in common against every short subject.
func TestMeets(t *testing.T) {
	var subjects, patterns []string
	var grow func(s string, depth int)
	grow = func(s string, depth int) {
		if pattern([]byte(s)) {
			patterns = append(patterns, s)
		}
		if literal([]byte(s)) {
			subjects = append(subjects, s)
		}
		if depth == 4 {
			return
		}
		for _, token := range []string{"a", "b", "*", ">"} {
			grow(strings.TrimPrefix(s+"."+token, "."), depth+1)
		}
	}
	grow("", 0)
	for _, a := range patterns {
		for _, b := range patterns {
			if strings.Count(a, ".") > 2 || strings.Count(b, ".") > 2 {
				continue
			}
			common := false
			for _, s := range subjects {
				common = common || matches(a, s) && matches(b, s)
			}
			if meets(a, b) != common {
				t.Errorf("meets(%s, %s) is %v", a, b, !common)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	h, err := readHeaders([]byte("NATS/1.0 100 Idle Heartbeat\r\nA:1\r\na: 2 \r\nA: \r\n\r\n"))
	if err != nil || h.status != "100 Idle Heartbeat" || len(h.list) != 3 || h.list[1] != (header{"a", "2"}) {
		t.Fatalf("%+v, %v", h, err)
	}
	if got, ok := h.facts()["A"].([]any); !ok || len(got) != 2 || got[0] != "1" || got[1] != "" {
		t.Errorf("%v", h.facts())
	}
	for name, text := range map[string]string{
		"no version":           "A: 1\r\n\r\n",
		"another version":      "NATS/2.0\r\n\r\n",
		"a longer version":     "NATS/1.01\r\n\r\n",
		"no end":               "NATS/1.0\r\nA: 1\r\n",
		"bytes behind the end": "NATS/1.0\r\n\r\nA: 1\r\n\r\n",
		"a lone LF":            "NATS/1.0\r\nA: 1\nB: 2\r\n\r\n",
		"a lone CR":            "NATS/1.0\r\nA: 1\rB: 2\r\n\r\n",
		"a line that goes on":  "NATS/1.0\r\nA: 1\r\n 2\r\n\r\n",
		"no name":              "NATS/1.0\r\n: 1\r\n\r\n",
		"a blank in the name":  "NATS/1.0\r\nA : 1\r\n\r\n",
		"no colon":             "NATS/1.0\r\nA\r\n\r\n",
		"half a character":     "NATS/1.0\r\nA: \xff\r\n\r\n",
		"a control character":  "NATS/1.0\r\nA: \x00\r\n\r\n",
		"too many":             "NATS/1.0\r\n" + strings.Repeat("A: 1\r\n", maxHeaders+2) + "\r\n",
	} {
		if h, err := readHeaders([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// TestMessagesAreReadAsWritten writes messages and reads them again.
func TestMessagesAreReadAsWritten(t *testing.T) {
	token := rapid.StringMatching(`[a-z0-9$_-]{1,8}`)
	rapid.Check(t, func(rt *rapid.T) {
		subject := strings.Join(rapid.SliceOfN(token, 1, 4).Draw(rt, "subject"), ".")
		reply := strings.Join(rapid.SliceOfN(token, 0, 3).Draw(rt, "reply"), ".")
		payload := rapid.SliceOf(rapid.Byte()).Draw(rt, "payload")
		var head []byte
		if rapid.Bool().Draw(rt, "headers") {
			h := headers{}
			for _, v := range rapid.SliceOfN(token, 0, 3).Draw(rt, "values") {
				h.list = append(h.list, header{"X-" + v, v})
			}
			head = h.append(nil)
			if again, err := readHeaders(head); err != nil || !bytes.Equal(again.append(nil), head) {
				rt.Fatalf("%q: %v", head, err)
			}
		}
		for from, b := range map[side][]byte{
			fromClient: appendPub(nil, subject, reply, head, payload),
			fromServer: appendMsg(nil, subject, "9", reply, head, payload),
		} {
			got, n, err := tell(t, b, from)
			if err != nil || n != len(b) || got.subject != subject || got.reply != reply || got.header != string(head) || got.payload != string(payload) {
				rt.Fatalf("%q: %+v, %v", b, got, err)
			}
		}
	})
}

// FuzzFrames: whatever comes is read within its bounds, and what is read stands in what came.
func FuzzFrames(f *testing.F) {
	for _, text := range []string{"PUB a.b r 2\r\nhi\r\n", "HPUB a 17 19\r\nNATS/1.0\r\na:b\r\n\r\nhi\r\n", "SUB a.> q 1\r\n", "UNSUB 1 2\r\n", "PING\r\n",
		"CONNECT {}\r\n", "MSG a 1 r 2\r\nhi\r\n", "HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", "INFO {}\r\n", "-ERR 'x'\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, from := range []side{fromClient, fromServer} {
			got, n, err := tell(t, b, from)
			if err != nil || n == 0 {
				continue
			}
			if n > len(b) || b[n-1] != '\n' || b[n-2] != '\r' {
				t.Fatalf("%q: %d bytes", b, n)
			}
			for _, part := range []string{got.subject, got.reply, got.queue, got.sid} {
				if strings.ContainsAny(part, " \t\r\n") {
					t.Fatalf("%q: the word %q", b, part)
				}
			}
			if got.header == "" {
				continue
			}
			if h, err := readHeaders([]byte(got.header)); err == nil {
				again, err := readHeaders(h.append(nil))
				if err != nil || len(again.list) != len(h.list) || again.status != h.status {
					t.Fatalf("%q is written as %q", got.header, h.append(nil))
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	msg := appendPub(nil, "orders.eu.created", "_INBOX.abcdefghijklmnopqrstuv.1", nil, make([]byte, 1024))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := parse(msg, fromClient); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
