package bypass

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/e2e/mqtest"
)

// natsCanaries are what no attack may hear: they are in messages of denied subjects, in masked fields, and in somebody else's inbox.
var natsCanaries = []string{"canary-secret-8812", "078-05-1120", "canary-inbox-4471"}

const (
	natsSecret = "canary-secret-8812"
	natsPerson = `{"name":"Ada","ssn":"078-05-1120"}`
	natsLetter = "canary-inbox-4471"
	natsForged = "forged-by-the-attack" // what attacks publish: it may not be seen where they may not publish
	natsVictim = "_INBOX.victimvictimvictimvictim"
)

// natsSession speaks the protocol by hand, to the gateway or to the server itself.
type natsSession struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	heard  strings.Builder
	inbox  string
	asked  int
	closed bool
}

// natsOpen logs in as a role through the gateway, or as the application's user where role is direct.
func natsOpen(t *testing.T, role string) *natsSession {
	t.Helper()
	login := fmt.Sprintf(`"user":%q,"pass":%q`, mqtest.AppUser, mqtest.AppPassword)
	address, ca := queues.nats.Address(), queues.nats.CAFile
	if role != direct {
		login = fmt.Sprintf(`"user":"events","pass":%q`, shared.token(t, role))
		address, ca = shared.gw.Listener["nats"], shared.gw.CAFile()
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // most have left before
	s := &natsSession{t: t, conn: conn, r: bufio.NewReader(conn), inbox: "_INBOX." + nats.NewInbox()[7:]}
	if line, err := s.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
		t.Fatalf("greeted with %q, %v", line, err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: roots(t, ca), ServerName: "localhost"})
	s.conn, s.r = secured, bufio.NewReader(secured)
	s.say("CONNECT {" + login + `,"verbose":false,"pedantic":false,"tls_required":true,"headers":true,"no_responders":true,"lang":"go","version":"1"}` + "\r\n")
	s.settle()
	if s.closed {
		t.Fatalf("%s: not let in: %s", role, s.heard.String())
	}
	return s
}

func (s *natsSession) say(text string) {
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.closed = true
	}
}

// until hears what the other side says until a line contains one of words, or it is silent for as long as anything takes.
func (s *natsSession) until(patience time.Duration, words ...string) bool {
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for !s.closed {
		line, err := s.r.ReadString('\n')
		s.heard.WriteString(line)
		if err != nil {
			s.closed = !errorsIsTimeout(err)
			return false
		}
		if f := strings.Fields(line); len(f) > 3 && (f[0] == "MSG" || f[0] == "HMSG") {
			s.body(f[len(f)-1])
		}
		if strings.HasPrefix(line, "PING") {
			s.say("PONG\r\n")
		}
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

func errorsIsTimeout(err error) bool {
	n, ok := err.(net.Error) //nolint:errorlint // as read
	return ok && n.Timeout()
}

func (s *natsSession) body(size string) {
	n := 0
	if _, err := fmt.Sscan(size, &n); err != nil || n > 1<<20 {
		s.t.Fatalf("a message of %q bytes", size)
	}
	b := make([]byte, n+2)
	_, err := io.ReadFull(s.r, b)
	s.closed = s.closed || err != nil
	s.heard.Write(b)
}

const natsPatience = 20 * time.Second

// settle waits until all that was said has been answered.
func (s *natsSession) settle() {
	s.say("PING\r\n")
	s.until(natsPatience, "PONG")
}

func (s *natsSession) leave() { _ = s.conn.Close() } // it has heard enough

// The steps of a case.

type natsStep func(s *natsSession)

func said(text string) natsStep {
	return func(s *natsSession) { s.say(strings.ReplaceAll(text, "${inbox}", s.inbox)) }
}

func pub(subject, payload string) natsStep { return pubReply(subject, "", payload) }

func pubReply(subject, reply, payload string) natsStep {
	return said(fmt.Sprintf("PUB %s %s %d\r\n%s\r\n", subject, reply, len(payload), payload))
}

// hpub publishes with header lines, which end in CR LF each.
func hpub(subject, lines, payload string) natsStep {
	head := "NATS/1.0\r\n" + lines + "\r\n"
	return said(fmt.Sprintf("HPUB %s %d %d\r\n%s%s\r\n", subject, len(head), len(head)+len(payload), head, payload))
}

func sub(subject, sid string) natsStep { return said("SUB " + subject + " " + sid + "\r\n") }

// slowly says a text byte by byte.
func slowly(text string) natsStep {
	return func(s *natsSession) {
		for i := range len(text) {
			s.say(text[i : i+1])
		}
	}
}

// ask makes a request, and waits for an answer, or for a refusal.
func ask(subject, payload string) natsStep {
	return func(s *natsSession) {
		if s.asked++; s.asked == 1 {
			s.say("SUB " + s.inbox + ".* 900\r\n")
		}
		payload := strings.ReplaceAll(payload, "${inbox}", s.inbox)
		reply := fmt.Sprintf("%s.%d", s.inbox, s.asked)
		s.say(fmt.Sprintf("PUB %s %s %d\r\n%s\r\n", subject, reply, len(payload), payload))
		s.until(natsPatience, "MSG "+reply, "MSG mix.", "MSG people.", "MSG secret.", "MSG $KV.", "-ERR")
		// What comes after the answer comes before this one's.
		s.settle()
	}
}

// live has others publish while the client listens.
func live(s *natsSession) {
	s.settle()
	c := queues.events
	for subject, payload := range map[string]string{
		"secret.live": natsSecret, "mix.secret.live": natsSecret, "people.live": natsPerson, "staff.live": natsPerson, "open.live": "nothing", natsVictim + ".1": natsLetter,
		"$KV.vault.live": natsSecret,
	} {
		if err := c.Publish(subject, []byte(payload)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// push waits for what a consumer delivers by itself.
func push(s *natsSession) {
	if !strings.Contains(s.heard.String(), "-ERR") {
		s.until(2*time.Second, "MSG mix.secret", "MSG people.", "MSG secret.", "MSG $KV.", "-ERR")
	}
	s.settle()
}

// leaked returns the canaries that were heard, also as JSON holds bytes.
func (s *natsSession) leaked() (out []string) {
	heard := s.heard.String()
	for _, canary := range natsCanaries {
		for _, form := range natsForms(canary) {
			if strings.Contains(heard, form) {
				out = append(out, "heard "+canary)
				break
			}
		}
	}
	return out
}

// natsForms are a canary as it may stand in an answer: plain, or inside of base64 at any of its three places.
func natsForms(canary string) []string {
	forms := []string{canary}
	for shift := range 3 {
		b := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{'x'}, shift), canary...))
		forms = append(forms, b[4:len(b)-4]) // without what its neighbours change
	}
	return forms
}

// natsState is what the server has: its streams, what they do, and what lies in them.
func natsState(t *testing.T, js nats.JetStreamContext) map[string]string {
	t.Helper()
	out := map[string]string{}
	for info := range js.Streams() {
		config, err := json.Marshal(info.Config)
		if err != nil {
			t.Fatal(err)
		}
		out["stream "+info.Config.Name] = string(config)
		out["messages of "+info.Config.Name] = fmt.Sprint(info.State.FirstSeq)
		for c := range js.Consumers(info.Config.Name) {
			out["consumer "+c.Name+" of "+info.Config.Name] = fmt.Sprintf("%+v, %d waiting", c.AckFloor, c.NumAckPending)
		}
	}
	return out
}
