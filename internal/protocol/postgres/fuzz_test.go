package postgres

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// FuzzMessages: no body of a client's message makes the reader panic or take more memory than the body is worth, and what
// is read of Parse and Bind is the whole of it: written again, it is the input.
func FuzzMessages(f *testing.F) {
	f.Add(byte(msgParse), []byte("name\x00SELECT $1\x00\x00\x01\x00\x00\x00\x17"))
	f.Add(byte(msgParse), []byte("\x00\x00\xff\xff"))
	f.Add(byte(msgBind), []byte("p\x00s\x00\x00\x01\x00\x01\x00\x02\x00\x00\x00\x04abcd\xff\xff\xff\xff\x00\x01\x00\x00"))
	f.Add(byte(msgBind), []byte("\x00\x00\x00\x00\x7f\xff"))
	f.Add(byte(msgBind), []byte("\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00"))
	f.Add(byte(msgDescribe), []byte("Sname\x00"))
	f.Add(byte(msgExecute), []byte("p\x00\x00\x00\x00\x00"))
	f.Add(byte(msgQuery), []byte("SELECT 1\x00"))
	f.Add(byte(ansRowDescription), []byte("\x00\x01id\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"))
	f.Add(byte(ansRowDescription), []byte("\x7f\xff"))
	f.Add(byte(ansError), []byte("SERROR\x00C42601\x00\x00"))
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		switch kind {
		case msgParse:
			if m, err := readParse(body); err == nil {
				if again := writeParse(m); !bytes.Equal(again, body) {
					t.Errorf("read %q as %q", body, again)
				}
			}
		case msgBind:
			if m, err := readBind(body, nil); err == nil {
				if again := writeBind(m); !bytes.Equal(again, body) {
					t.Errorf("read %q as %q", body, again)
				}
				if cap(m.values) > 2*len(body)+8 {
					t.Errorf("%d bytes took room for %d values", len(body), cap(m.values))
				}
				params(m, []uint32{oidInt4, oidBool, oidInt8, oidJSONB})
			}
		case msgDescribe, msgClose:
			_, _ = readTarget(body, "Describe")
		case msgExecute:
			_, _ = readExecute(body)
		case msgQuery:
			_, _ = readQuery(body)
		case ansRowDescription:
			if fields, err := readRowDescription(body); err == nil && len(fields)*19 > len(body) {
				t.Errorf("%d fields from %d bytes", len(fields), len(body))
			}
		default:
			errorCode(body)
			if out, _ := appendCoarse(nil, ansError, body, unmasked); len(frames(out)) != 1 {
				t.Errorf("a coarse error is not one message: %q", out)
			}
			readTypes(body)
			tagRows(body)
		}
	})
}

func writeParse(m parseMessage) []byte {
	b := append(append(append(append([]byte(nil), m.name...), 0), m.text...), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.types)))
	for _, t := range m.types {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return b
}

func writeBind(m bindMessage) []byte {
	b := append(append(append(append([]byte(nil), m.portal...), 0), m.name...), 0)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(m.formats)/2)), m.formats...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.values)))
	for _, v := range m.values {
		if v == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(m.results)/2)), m.results...)
}

// FuzzRowRebuild: a row without masks is rebuilt as it was, and one under a mask shows none of its bytes.
func FuzzRowRebuild(f *testing.F) {
	f.Add(rowOf([]byte("a"), nil, []byte("")), uint32(oidText), uint16(0))
	f.Add(rowOf([]byte(canary)), uint32(oidInt8), uint16(1))
	f.Add([]byte{0, 1, 0xff, 0xff, 0xff, 0xfe}, uint32(oidDate), uint16(1))
	f.Add([]byte{0x7f, 0xff}, uint32(oidJSONB), uint16(1))
	f.Fuzz(func(t *testing.T, body []byte, typ uint32, format uint16) {
		n := (&scan{b: body}).int16()
		if n < 0 || n > 100 {
			n = 1
		}
		s := benchSession(t, "shop")
		open, hidden := make([]column, n), make([]column, n)
		for i := range hidden {
			open[i] = column{typ: typ, format: format & 1}
			hidden[i] = column{typ: typ, format: format & 1, hidden: true, mask: redact}
		}
		r := &run{fields: make([]field, n), plan: &plan{columns: open}}
		if s.rebuild(r, body) == nil && !bytes.Equal(s.add, body) {
			t.Errorf("rebuilt %q as %q", body, s.add)
		}
		s.add = nil
		r = &run{fields: make([]field, n), plan: &plan{columns: hidden}}
		if s.rebuild(r, body) != nil {
			return
		}
		for _, c := range cellsOf(t, s.add) {
			if !strings.Contains("NULL [redacted] \"[redacted]\" \x01\"[redacted]\"", c) {
				t.Errorf("a redacted cell shows %q", c)
			}
		}
	})
}

// FuzzCopyText: what is cut from a line and put again is the same cells, and what was put is cut and put unchanged.
func FuzzCopyText(f *testing.F) {
	for _, line := range []string{"1\tada\t\\N\n", "a\\tb\\\\\\n\n", "\\.\n", "\\", "\t\t\n", "\\x41\\101\n", "a\r\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) { rebuildsItself(t, line, textCells{}) })
}

// FuzzCopyCSV is the same for CSV.
func FuzzCopyCSV(f *testing.F) {
	for _, line := range []string{"1,ada,\n", "\"a\"\"b\",\"c\nd\"\n", "\"\\.\"\n", "\"", ",,\n", "\"\",\n", "a\r\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) { rebuildsItself(t, line, csvCells{}) })
}

func rebuildsItself(t *testing.T, line []byte, f cells) {
	first, ok := cutAll(line, f)
	if !ok {
		return
	}
	s := benchSession(t, "shop")
	columns := make([]column, len(first))
	if !s.copyText(&run{plan: &plan{columns: columns}}, line, f) {
		t.Fatalf("%q was cut, but not rebuilt", line)
	}
	once := bytes.Clone(s.add)
	again, ok := cutAll(once, f)
	if !ok || len(again) != len(first) {
		t.Fatalf("%q was rebuilt as %q", line, once)
	}
	for i := range first {
		if (first[i] == nil) != (again[i] == nil) || !bytes.Equal(first[i], again[i]) {
			t.Fatalf("%q was rebuilt as %q", line, once)
		}
	}
	s.add = nil
	if !s.copyText(&run{plan: &plan{columns: columns}}, once, f) || !bytes.Equal(s.add, once) {
		t.Fatalf("%q was rebuilt as %q", once, s.add)
	}
}

// cutAll cuts a whole line; NULL is nil.
func cutAll(line []byte, f cells) ([][]byte, bool) {
	if len(line) == 0 || line[len(line)-1] != '\n' {
		return nil, false
	}
	var out [][]byte
	rest, more := bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), true
	for more {
		var cell []byte
		var null, ok bool
		if cell, null, rest, more, ok = f.cut(rest, nil); !ok {
			return nil, false
		}
		if null {
			out = append(out, nil)
			continue
		}
		out = append(out, append([]byte{}, cell...))
	}
	return out, true
}

// scripted is a backend that lets anybody in, answers the gateway's questions truthfully, and then says whatever it was
// given, and hangs up.
type scripted struct {
	state, catalogue []byte
	then             []byte
}

func (b scripted) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(n[:]))-4); err != nil {
		return
	}
	_, _ = c.Write(welcome(map[string]string{"client_encoding": "UTF8", "standard_conforming_strings": "on"}, cancelKey{1}))
	var asked []byte
	for {
		f, err := readFrame(r)
		switch {
		case err != nil || f[0] == msgTerminate:
			return
		case f[0] == msgParse:
			asked = f
		case f[0] == msgSync && bytes.Contains(asked, []byte(ownName)):
			answer := b.state
			if bytes.Contains(asked, []byte("pg_attribute")) {
				answer = b.catalogue
			}
			out := appendFrame(appendFrame(nil, ansParseComplete, nil), ansBindComplete, nil)
			out = appendFrame(appendFrame(out, ansDataRow, rowOf(answer)), ansCommandComplete, []byte("SELECT 1\x00"))
			out = appendReady(appendFrame(appendFrame(out, ansCloseComplete, nil), ansCloseComplete, nil), txIdle)
			_, _ = c.Write(out)
		case f[0] == msgQuery || f[0] == msgSync || f[0] == msgFlush:
			_, _ = c.Write(b.then)
			return
		}
	}
}

// world is what one session of FuzzSession asks.
type fuzzWorld struct {
	quietLog
	protocol *protocol
	backend  interface{ serve(c net.Conn) }
	masks    access.Masks
}

func (*fuzzWorld) Version() (uint64, error) { return 1, nil }
func (w *fuzzWorld) Rules(*access.Principal, string) (gate.Rules, *access.Connection, error) {
	return fuzzRules{w.masks}, &access.Connection{Name: "db", Type: "postgres", Address: "backend.invalid:1", RecordResults: 2, TLS: access.BackendTLS{Mode: "disable"}}, nil
}
func (*fuzzWorld) Lease(context.Context, access.Credential) (access.Secret, error) {
	return access.Secret{}, nil
}
func (*fuzzWorld) Token(string) string                       { return "t" }
func (*fuzzWorld) Sensitive([]access.Detection, string) bool { return false }
func (w *fuzzWorld) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go w.backend.serve(far)
	return near, nil
}

type fuzzRules struct{ masks access.Masks }

func (fuzzRules) Static(*access.Statement) (access.Verdict, bool) {
	return access.Verdict{Effect: access.Allow}, true
}
func (fuzzRules) Decide(*access.Statement, *access.Input) access.Verdict {
	return access.Verdict{Effect: access.Allow}
}
func (r fuzzRules) Masks() access.Masks { return r.masks }
func (fuzzRules) Roles() []string       { return nil }

// hidesAll masks every field.
type hidesAll struct{}

func (hidesAll) Field(string) (access.Mask, bool)                 { return redact, true }
func (hidesAll) Fields() bool                                     { return true }
func (hidesAll) Detect() []access.Detection                       { return nil }
func (hidesAll) Document(string, access.Way) access.DocumentMasks { return access.DocumentMasks{} }

// FuzzSession: whatever a backend says, and whatever a client says, the session ends without a panic, and under a mask
// none of the backend's canary reaches the client.
func FuzzSession(f *testing.F) {
	state, catalogue := []byte(`{"path":["pg_catalog","public"],"user":"app","session":"app","strings":"on","encoding":"UTF8","temp":[]}`), testCatalogue(f)
	query := appendQuery(nil, maskedText)
	extended := appendFrame(unnamed(nil, maskedText), msgSync, nil)
	description := appendFrame(nil, ansRowDescription, []byte("\x00\x01x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"))
	row := appendFrame(nil, ansDataRow, rowOf([]byte(canary)))
	complete := appendFrame(nil, ansCommandComplete, []byte("SELECT 1\x00"))
	good := appendReady(append(append(append([]byte(nil), description...), row...), complete...), txIdle)
	f.Add(query, good)
	f.Add(query, append(row, good...))
	f.Add(query, appendReady(appendFrame(nil, ansError, append(appendErrorField(appendErrorField(nil, 'C', "22012"), 'M', canary), 0)), txFailed))
	f.Add(query, appendFrame(nil, ansNotice, append(appendErrorField(nil, 'M', canary), 0)))
	f.Add(query, appendFrame(nil, ansNotification, append([]byte("\x00\x00\x00\x01ch\x00"+canary), 0)))
	f.Add(query, []byte{ansDataRow, 0x7f, 0xff, 0xff, 0xff})
	f.Add(query, []byte{ansCopyIn, 0, 0, 0, 4})
	f.Add(query, appendReady(nil, txIdle))
	f.Add(extended, appendReady(append(append(appendFrame(appendFrame(nil, ansParseComplete, nil), ansBindComplete, nil), row...), complete...), txIdle))
	f.Add(extended, appendFrame(nil, ansPortalSuspended, nil))
	f.Add(append(appendParse(nil, "a", maskedText), msgFlush, 0, 0, 0, 4), good)
	f.Add([]byte{msgFunction, 0, 0, 0, 4}, good)
	f.Add([]byte{0, 0, 0, 0, 0}, []byte{})
	shared := newProtocol(testDeps())
	f.Fuzz(func(t *testing.T, said, answered []byte) {
		w := &fuzzWorld{protocol: shared, backend: scripted{state, catalogue, answered}, masks: hidesAll{}}
		told := w.run(t, said)
		if !bytes.Equal(said, query) && !bytes.Equal(said, extended) {
			return // another statement may not be masked
		}
		for _, f := range frames(told) {
			if strings.IndexByte("DdENA", f[0]) >= 0 && bytes.Contains(f, []byte(canary)) {
				t.Errorf("the client was told %q", f)
			}
		}
	})
}

// maskedText reads a field that hidesAll masks.
const maskedText = "SELECT email FROM customers"

func testCatalogue(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("../../sql/pgsql/testdata/catalogue.json")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// monologue is a client that says its piece, listens, and leaves.
type monologue struct {
	net.Conn
	said *bytes.Reader
	told bytes.Buffer
}

func (m *monologue) Read(b []byte) (int, error)    { return m.said.Read(b) }
func (m *monologue) Write(b []byte) (int, error)   { return m.told.Write(b) }
func (*monologue) SetDeadline(time.Time) error     { return nil }
func (*monologue) SetReadDeadline(time.Time) error { return nil }

// run runs one session to its end and returns everything that its client was told after its login.
func (w *fuzzWorld) run(t *testing.T, said []byte) []byte {
	far := &monologue{said: bytes.NewReader(said)}
	svc := &gate.Services{Authority: w, Recorder: w, Vault: w, Tokens: w, Dial: w.dial, Clock: time.Now, Pools: gate.NewPools(time.Now)}
	p := &access.Principal{Issuer: "i", Subject: "s"}
	limits := gate.Limits{Message: 1 << 20, Staged: 1 << 20, Actions: 256}
	g, err := gate.Open(t.Context(), svc, gate.Caller{Session: "s1", Principal: p, Protocol: "postgres"}, "db", access.Statement{Actions: []access.Action{{}}}, far, limits)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(w.protocol, far, &startup{}, limits)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, fault.New(fault.Unavailable, "test", "it does not end"))
	defer cancel()
	if err := s.Open(ctx, g); err != nil {
		t.Fatal(err)
	}
	err = s.Relay(ctx)
	if err != nil {
		t.Logf("relay: %v", err)
	}
	if ctx.Err() != nil {
		t.Errorf("the session did not end: %v", err)
	}
	g.Close(nil, err)
	return far.told.Bytes()
}

// FuzzFrames: however a stream is cut into pieces, the same messages come of it, none is larger than what was sent, and what
// was read is written the same.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendQuery(nil, "SELECT 1"), msgSync, nil), uint8(3))
	f.Add([]byte{msgQuery, 0, 0, 0, 3}, uint8(1))
	f.Add([]byte{msgQuery, 0x80, 0, 0, 0, 0}, uint8(2))
	f.Add([]byte{msgQuery, 0x7f, 0xff, 0xff, 0xff, 0}, uint8(5))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		whole := frames(stream)
		var held []byte
		var cut [][]byte
		for at := 0; at < len(stream); at += int(piece) + 1 {
			held = append(held, stream[at:min(at+int(piece)+1, len(stream))]...)
			got := frames(held)
			for _, m := range got {
				cut = append(cut, bytes.Clone(m))
				held = held[len(m):]
			}
		}
		if len(cut) != len(whole) {
			t.Fatalf("%d messages in pieces, %d whole", len(cut), len(whole))
		}
		var again []byte
		for i, m := range whole {
			if !bytes.Equal(m, cut[i]) {
				t.Fatalf("%q in pieces, %q whole", cut[i], m)
			}
			again = appendFrame(again, m[0], m[head:])
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%q was written again as %q", stream, again)
		}
		if kind, size, ok, err := peekHead(stream); err == nil && ok && (size < head || kind != stream[0]) {
			t.Fatalf("a message of %d bytes", size)
		}
	})
}
