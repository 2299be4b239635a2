package wiretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// RequestSuite describes a protocol of requests and answers to RunRequests. All fields but Shown are required.
type RequestSuite struct {
	// Protocol makes the protocol; each world gets one of its own.
	Protocol func() wire.Protocol
	// Serve runs the listener of a protocol, as session.Requests does when it is made from the parts.
	Serve func(p Parts, proto wire.Protocol, h wire.Hello) Listener
	Clock func() time.Time

	// Connection is a real backend, reached without TLS so that the suite can read along, which answers 200 and repeats what it was
	// sent, headers too; Password is its credential.
	Connection access.Connection
	Password   string
	// Shown is what of the credential the backend is sent, where that is not the whole of it.
	Shown string

	// Forms are the requests that are good, by name. What is judged of each holds mark, and so does what the backend is sent.
	Forms map[string]func(base, connection, token, mark string) *http.Request
	// Refused returns the words of a refusal, and the approval that it names; "" where there is none.
	Refused func(resp *http.Response, body []byte) (say, approval string)
	// Return makes a request one that comes back for an approval.
	Return func(r *http.Request, approval string)
}

// Listener is a protocol's listener.
type Listener interface {
	Run(ctx context.Context)
	Serve(ctx context.Context, conn net.Conn, done func())
}

// RunRequests runs the suite of protocols of requests: the same promises, without a stream to cut.
func RunRequests(t *testing.T, s RequestSuite) {
	before := goleak.IgnoreCurrent()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *visited)
	}{
		{"no token, no byte", requestWithoutToken},
		{"no policy, no byte", requestDenied},
		{"no record, no run", requestUnrecorded},
		{"one intent, one outcome, in order", requestOutcomes},
		{"approvals", requestApprovals},
		{"secrets stay", requestSecrets},
		{"a backend that breaks", requestBroken},
		{"many at once", requestsAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name := range s.Forms {
				t.Run(name, func(t *testing.T) { c.run(t, newVisited(t, &s, name)) })
			}
		})
	}
	goleak.VerifyNone(t, before)
}

// visited is a world whose protocol is one of requests, and a client of it.
type visited struct {
	*world
	r      *RequestSuite
	form   func(base, connection, token, mark string) *http.Request
	base   string
	client *http.Client
}

func newVisited(t *testing.T, s *RequestSuite, form string) *visited {
	t.Helper()
	var serve Listener
	w := newWorld(t, &Suite{Protocol: s.Protocol, Clock: s.Clock, Connection: s.Connection, Password: s.Password,
		Serve: func(p Parts) func(context.Context, net.Conn, wire.Protocol, wire.Hello) {
			p.Gate.Origins = gate.NewOrigins(s.Clock)
			t.Cleanup(p.Gate.Origins.Close)
			serve = s.Serve(p, s.Protocol(), wire.Hello{Plaintext: true, Limits: gate.Limits{Message: MaxMessage, Staged: 1 << 20, Actions: 64}})
			return nil
		}})
	w.authority.conn.Address = "http://" + nowhere
	v := &visited{world: w, r: s, form: s.Forms[form]}
	v.listen(t, serve)
	return v
}

// listen serves real sockets until the test ends.
func (v *visited) listen(t *testing.T, serve Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	v.base = "http://" + l.Addr().String()
	tr := &http.Transport{}
	v.client = &http.Client{Transport: tr, Timeout: patience}
	v.ending.Go(func() { serve.Run(ctx) })
	v.ending.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			v.ending.Add(1)
			go serve.Serve(ctx, conn, v.ending.Done)
		}
	})
	t.Cleanup(func() { // before the world waits for what was begun here
		tr.CloseIdleConnections()
		_ = l.Close()
		end()
	})
}

// reply is what a client got.
type reply struct {
	status        int
	say, approval string // of a refusal
	whole         []byte // status, headers and body, as a client reads them
	err           error
}

func (v *visited) do(r *http.Request) reply {
	resp, err := v.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	a := reply{status: resp.StatusCode, err: err}
	a.say, a.approval = v.r.Refused(resp, body)
	var b bytes.Buffer
	_ = resp.Header.Write(&b)
	_ = resp.Trailer.Write(&b)
	a.whole = append(b.Bytes(), body...)
	return a
}

func (v *visited) ask(token, mark string) reply {
	return v.do(v.form(v.base, v.r.Connection.Name, token, mark))
}

// good asks for something permitted, and checks the answer.
func (v *visited) good(t *testing.T) string {
	t.Helper()
	mark := v.mark("good")
	if a := v.ask(goodToken, mark); a.err != nil || a.say != "" || !bytes.Contains(a.whole, []byte(mark)) {
		t.Errorf("want an answer with %s, got %d %q %v", mark, a.status, a.say, a.err)
	}
	return mark
}

func requestWithoutToken(t *testing.T, v *visited) {
	for _, token := range []string{"", "forged", goodToken + "x", strings.Repeat("a", 16<<10)} {
		a := v.ask(token, v.mark("good"))
		if a.err == nil && (a.say == "" || a.status < 400 || a.status > 499) {
			t.Errorf("%.20q: %d %q", token, a.status, a.say)
		}
	}
	if a := v.do(v.form(v.base, "other", goodToken, v.mark("good"))); a.say == "" {
		t.Errorf("another connection: %d", a.status)
	}
	if n := v.tap.dials(); n != 0 {
		t.Errorf("the backend was dialled %d times", n)
	}
}

func requestDenied(t *testing.T, v *visited) {
	v.good(t)
	before := v.tap.sent()
	if a := v.ask(goodToken, v.mark(markDenied)); a.say == "" || a.err != nil {
		t.Errorf("not refused: %d %v", a.status, a.err)
	}
	v.authority.set(true)
	if a := v.ask(goodToken, v.mark("good")); a.say == "" || a.err != nil {
		t.Errorf("the policy was changed, and not asked: %d %v", a.status, a.err)
	}
	v.authority.set(false)
	if n := v.tap.sent(); n != before {
		t.Errorf("the backend was sent %d bytes", n-before)
	}
	v.good(t)
}

func requestUnrecorded(t *testing.T, v *visited) {
	for name, fail := range map[string][2]bool{"append fails": {true, false}, "barrier fails": {false, true}} {
		v.good(t)
		v.outcomes(t, -1) // it follows the answer, and must not be what fails
		before := v.tap.sent()
		v.recorder.fail(fail[0], fail[1])
		if a := v.ask(goodToken, v.mark("good")); a.say != errLog.Say {
			t.Errorf("%s: %d %q %v", name, a.status, a.say, a.err)
		}
		v.recorder.fail(false, false)
		if n := v.tap.sent(); n != before {
			t.Errorf("%s: the backend was sent %d bytes", name, n-before)
		}
	}
	v.good(t)
}

// requestOutcomes: an intent lasts before its bytes leave, and has one outcome.
func requestOutcomes(t *testing.T, v *visited) {
	var marks []string
	for range 3 {
		marks = append(marks, v.good(t))
	}
	v.outcomes(t, len(marks))
	for _, e := range v.recorder.all() {
		if e.Kind != access.EventActionIntended {
			continue
		}
		for _, mark := range marks {
			if !strings.Contains(e.Text, mark) {
				continue
			}
			left, sent := v.tap.find(mark)
			if !sent || e.lasting < 0 || e.lasting > left {
				t.Errorf("%s: %d bytes had left when it was made to last, its own left after %d", mark, e.lasting, left)
			}
		}
	}
}

// outcomes waits until every one of n intents has its outcome, and fails where there are more of either. n may be -1: any number.
func (v *visited) outcomes(t *testing.T, n int) {
	t.Helper()
	by := v.s.Clock().Add(patience)
	for {
		open := map[string]int{}
		intents := 0
		for _, e := range v.recorder.all() {
			id := fmt.Sprint(e.Session, e.Action)
			switch e.Kind {
			case access.EventActionIntended:
				intents++
				open[id]++
			case access.EventActionEnded:
				open[id]--
			}
		}
		wrong := 0
		for _, left := range open {
			if left != 0 {
				wrong++
			}
		}
		if (intents == n || n < 0) && wrong == 0 {
			return
		}
		if v.s.Clock().After(by) {
			t.Fatalf("%d intents, want %d; %d without one outcome", intents, n, wrong)
		}
		time.Sleep(time.Millisecond) // the outcome follows the answer, and says so to nobody
	}
}

func requestApprovals(t *testing.T, v *visited) {
	mark := v.mark(markHeld)
	request := func() *http.Request { return v.form(v.base, v.r.Connection.Name, goodToken, mark) }
	first := v.do(request())
	if first.say == "" || first.approval == "" {
		t.Fatalf("%d %q %v", first.status, first.say, first.err)
	}
	if _, sent := v.tap.find(mark); sent {
		t.Fatal("the backend was sent what waits for a reviewer")
	}
	v.approvals.settle(access.ApprovalApproved)
	other := request()
	v.r.Return(other, "another")
	if a := v.do(other); a.say == "" {
		t.Errorf("with another approval's name: %d %v", a.status, a.err)
	}
	if _, sent := v.tap.find(mark); sent {
		t.Fatal("the backend was sent what another approval is for")
	}
	again := func() reply {
		r := request()
		v.r.Return(r, first.approval)
		return v.do(r)
	}
	if a := again(); a.say != "" || a.err != nil {
		t.Errorf("approved: %d %q %v", a.status, a.say, a.err)
	}
	if a := again(); a.say == "" {
		t.Errorf("used twice: %d", a.status)
	}
}

// requestSecrets: a backend that repeats all it was sent tells the client nothing that it may not know, and the client's token
// goes no further than the gateway.
func requestSecrets(t *testing.T, v *visited) {
	a := v.ask(goodToken, v.mark("good"))
	if a.err != nil || a.say != "" {
		t.Fatalf("%d %q %v", a.status, a.say, a.err)
	}
	shown := v.r.Shown
	if shown == "" {
		shown = v.r.Password
	}
	if bytes.Contains(a.whole, []byte(v.r.Password)) || bytes.Contains(a.whole, []byte(shown)) {
		t.Errorf("the client was told the credential: %s", a.whole)
	}
	sent := bytes.Join(v.tap.snapshot(), nil)
	if !bytes.Contains(sent, []byte(shown)) {
		t.Error("the backend was not sent its credential: nothing is shown here")
	}
	if bytes.Contains(sent, []byte(goodToken)) {
		t.Error("the token reached the backend")
	}
	for _, e := range v.recorder.all() {
		if text := fmt.Sprintf("%+v", e.Event); strings.Contains(text, v.r.Password) || strings.Contains(text, shown) || strings.Contains(text, goodToken) {
			t.Errorf("on record: %s", text)
		}
	}
}

// requestBroken: a backend that goes away is an outcome, a refusal in the protocol's words, and nothing that looks like an answer.
func requestBroken(t *testing.T, v *visited) {
	v.good(t)
	v.tap.breakLines()
	a := v.ask(goodToken, v.mark("good"))
	if a.err == nil && a.say == "" {
		t.Errorf("an answer from nowhere: %d %s", a.status, a.whole)
	}
	v.outcomes(t, 2)
}

// requestsAtOnce: each of many requests over few connections has its own answer and its own record.
func requestsAtOnce(t *testing.T, v *visited) {
	const many = 32
	var all sync.WaitGroup
	for range many {
		mark := v.mark("good")
		all.Go(func() {
			if a := v.ask(goodToken, mark); a.err != nil || !bytes.Contains(a.whole, []byte(mark)) {
				t.Errorf("%s: %d %q %v", mark, a.status, a.say, a.err)
			}
		})
	}
	all.Wait()
	v.outcomes(t, many)
}
