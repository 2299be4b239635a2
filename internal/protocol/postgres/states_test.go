package postgres

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"gatehouse/internal/sql/pgsql"
)

// talker is a backend that answers every message as a server would, in any order: of what is said only the shape is right.
type talker struct{ state, catalogue []byte }

// talk is one connection to it.
type talk struct {
	talker
	stmts, portals map[string]string
	tx             byte
	skipping       bool
	out            []byte
}

func (b talker) serve(c net.Conn) {
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
	answers := make(chan []byte, 4*longestScript) // a pipe holds nothing, and a server does not stop reading
	defer close(answers)
	go func() {
		for out := range answers {
			_, _ = c.Write(out)
		}
	}()
	s := &talk{talker: b, stmts: map[string]string{}, portals: map[string]string{}, tx: txIdle}
	for {
		f, err := readFrame(r)
		if err != nil || f[0] == msgTerminate {
			return
		}
		s.take(f[0], f[head:])
		if f[0] == msgQuery || f[0] == msgSync || f[0] == msgFlush {
			answers <- s.out
			s.out = nil
		}
	}
}

func (s *talk) say(kind byte, body string) { s.out = appendFrame(s.out, kind, []byte(body)) }

func (s *talk) fail(code, word string) {
	s.say(ansError, "SERROR\x00VERROR\x00C"+code+"\x00M"+word+"\x00\x00")
	if s.tx == txOpen {
		s.tx = txFailed
		clear(s.portals) // a server still describes those that return no rows: the gateway has let go of all
	}
}

// ready ends what was said together; without a transaction its portals end too.
func (s *talk) ready() {
	if s.tx == txIdle {
		clear(s.portals)
	}
	s.out = appendReady(s.out, s.tx)
}

// name cuts the first zero-terminated string off.
func name(b *[]byte) string {
	n, rest, _ := bytes.Cut(*b, []byte{0})
	*b = rest
	return string(n)
}

func (s *talk) take(kind byte, body []byte) {
	switch {
	case kind == msgSync:
		s.skipping = false
		s.ready()
	case s.skipping:
	case kind == msgQuery:
		delete(s.stmts, "")
		delete(s.portals, "")
		for _, text := range strings.Split(name(&body), ";") {
			if !s.run(strings.TrimSpace(text), msgQuery) {
				break
			}
		}
		s.ready()
	default:
		s.skipping = !s.extended(kind, body)
	}
}

// extended answers a message of the extended protocol; false where it fails.
func (s *talk) extended(kind byte, body []byte) bool {
	switch kind {
	case msgParse:
		n := name(&body)
		text := name(&body)
		if _, ok := s.stmts[n]; ok && n != "" {
			s.fail("42P05", "exists")
			return false
		}
		if s.refuses(text) {
			return false
		}
		s.stmts[n] = text
		s.say(ansParseComplete, "")
	case msgBind:
		p := name(&body)
		text, ok := s.stmts[name(&body)]
		_, taken := s.portals[p]
		switch {
		case !ok:
			s.fail("26000", "no such statement")
			return false
		case taken && p != "":
			s.fail("42P03", "exists")
			return false
		case s.refuses(text):
			return false
		}
		s.portals[p] = text
		s.say(ansBindComplete, "")
	case msgDescribe:
		return s.describe(body)
	case msgExecute:
		text, ok := s.portals[name(&body)]
		if !ok {
			s.fail("34000", "no such portal")
			return false
		}
		return s.run(text, msgExecute)
	case msgClose:
		of := map[byte]map[string]string{'S': s.stmts, 'P': s.portals}[body[0]]
		body = body[1:]
		delete(of, name(&body))
		s.say(ansCloseComplete, "")
	}
	return true
}

func (s *talk) describe(body []byte) bool {
	of, statement := s.portals, body[0] == 'S'
	if statement {
		of = s.stmts
	}
	body = body[1:]
	text, ok := of[name(&body)]
	if !ok {
		s.fail("26000", "no such thing")
		return false
	}
	if s.tx == txFailed && strings.HasPrefix(text, "SELECT") {
		s.fail("25P02", "aborted")
		return false
	}
	if statement {
		s.say(ansParameters, "\x00\x00")
	}
	if strings.HasPrefix(text, "SELECT") {
		s.describeRow(text)
	} else {
		s.say(ansNoData, "")
	}
	return true
}

func (s *talk) describeRow(text string) {
	s.say(ansRowDescription, "\x00\x01x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00")
}

// refuses fails what is not to be said: in a failed transaction, or what no server would take.
func (s *talk) refuses(text string) bool {
	switch {
	case s.tx == txFailed && text != "COMMIT" && text != "ROLLBACK" && text != "":
		s.fail("25P02", "aborted")
	case text == rejectText || text == steeredText:
		s.fail("42501", canary)
	default:
		return false
	}
	return true
}

// run runs one statement; false where it fails.
func (s *talk) run(text string, by byte) bool {
	if s.refuses(text) {
		return false
	}
	switch {
	case text == "":
		s.say(ansEmptyQuery, "")
	case text == "BEGIN":
		s.tx = txOpen
		s.say(ansCommandComplete, "BEGIN\x00")
	case text == "COMMIT" || text == "ROLLBACK":
		tag := text
		if s.tx == txFailed {
			tag = "ROLLBACK"
		}
		s.tx = txIdle
		clear(s.portals)
		s.say(ansCommandComplete, tag+"\x00")
	case text == divideText:
		s.fail("22012", "division by zero")
		return false
	case text == pgsql.CatalogueQuery:
		s.rows(s.catalogue)
	case text == pgsql.StateQuery:
		s.rows(s.state)
	case strings.HasPrefix(text, "SELECT"):
		if by == msgQuery {
			s.describeRow(text)
		}
		if strings.Contains(text, "email") {
			s.rows([]byte(canary))
		} else {
			s.rows([]byte("1"))
		}
	default:
		s.say(ansCommandComplete, "LISTEN\x00")
	}
	return true
}

func (s *talk) rows(cell []byte) {
	s.out = appendFrame(s.out, ansDataRow, rowOf(cell))
	s.say(ansCommandComplete, "SELECT 1\x00")
}

const longestScript = 64

const (
	steeredText = "SELECT id FROM customers WHERE email LIKE 'a%'"
	divideText  = "SELECT 1/0"
	plainText   = "SELECT 1"
)

// words are what a client of FuzzStates may say. Named portals are left out: the gateway knows only at ReadyForQuery that a
// COMMIT in a pipeline has taken them away, and refuses their names until then. So is Close of a statement, with which the gateway
// lets go of its portals, as the protocol has it and servers do not.
func words() [][]byte {
	frame := func(kind byte, body string) []byte { return appendFrame(nil, kind, []byte(body)) }
	var all [][]byte
	for _, text := range []string{maskedText, steeredText, divideText, plainText, "BEGIN", "COMMIT", "ROLLBACK", "", "BEGIN;" + plainText, plainText + ";" + maskedText} {
		all = append(all, appendQuery(nil, text))
	}
	for _, text := range []string{maskedText, steeredText, divideText, plainText, "BEGIN", "COMMIT", "ROLLBACK"} {
		all = append(all, appendParse(nil, "", text), unnamed(nil, text))
	}
	all = append(all, appendParse(nil, "a", maskedText), appendParse(nil, "b", plainText), appendParse(nil, "b", steeredText))
	for _, s := range []string{"", "a", "b"} {
		all = append(all, appendBind(nil, "", s), frame(msgDescribe, "S"+s+"\x00"))
	}
	return append(all, frame(msgDescribe, "P\x00"), frame(msgExecute, "\x00\x00\x00\x00\x00"), frame(msgClose, "P\x00"), frame(msgSync, ""), frame(msgFlush, ""), frame(msgSync, ""))
}

// FuzzStates: whatever messages a client sends in whatever order, it gets the answers that the server gives to the same
// messages, in the same order, and the value that is masked for it in none of them.
func FuzzStates(f *testing.F) {
	said := words()
	for i := range said {
		f.Add([]byte{byte(i)})
		f.Add([]byte{4, byte(i), byte(len(said) - 1), byte(i), 6})
		f.Add([]byte{12, byte(i), byte(i + 1), byte(len(said) - 1), byte(i)})
	}
	state, catalogue := []byte(`{"path":["pg_catalog","public"],"user":"app","session":"app","strings":"on","encoding":"UTF8","temp":[]}`), testCatalogue(f)
	shared := newProtocol(testDeps())
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > longestScript {
			return
		}
		var text []byte
		for _, at := range script {
			text = append(text, said[int(at)%len(said)]...)
		}
		text = appendFrame(text, msgSync, nil)
		server := talker{state, catalogue}
		w := &fuzzWorld{protocol: shared, backend: server, masks: hidesAll{}}
		told := frames(w.run(t, text))
		for _, m := range told {
			if bytes.Contains(m, []byte(canary)) {
				t.Errorf("%q: the client was told %q", frames(text), m)
			}
		}
		s := &talk{talker: server, stmts: map[string]string{}, portals: map[string]string{}, tx: txIdle}
		for _, m := range frames(text) {
			s.take(m[0], m[head:])
		}
		if got, want := kinds(afterLogin(told)), kinds(frames(s.out)); got != want {
			t.Errorf("%q:\n%s\n%s", frames(text), got, want)
		}
	})
}

// afterLogin is what follows the greeting.
func afterLogin(answers [][]byte) [][]byte {
	for i, m := range answers {
		if m[0] == ansReady {
			return answers[i+1:]
		}
	}
	return nil
}

// kinds is a letter for each answer, with the transaction's state.
func kinds(answers [][]byte) string {
	var b strings.Builder
	for _, m := range answers {
		b.WriteByte(m[0])
		if m[0] == ansReady {
			b.WriteByte(m[head])
		}
	}
	return b.String()
}
