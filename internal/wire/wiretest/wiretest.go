// Package wiretest is the conformance suite that every protocol passes: Run for streams, RunRequests for requests and answers. It knows no protocol: a protocol's folder
// describes itself as a Suite (its login, a request, how an answer is read, the states that a session can be in) and Run
// attacks the promises of the gate through the real server, the real gate and a real backend.
//
// What it holds on to: without a valid token the backend sees nothing; what the backend sees is exactly what was judged,
// and the gateway's own listed statements; a record that cannot be written stops the bytes; no cut of a message changes
// an answer; what is too large is refused before it is held; a refusal leaves the session in step; every intent comes
// before its bytes and has one outcome; revocation and approvals hold in every state; nothing is left running.
//
// TestConformance in each protocol's folder runs it.
package wiretest

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// Suite describes a protocol to Run. All fields are required but Rendered, Cancel and Duplex.
type Suite struct {
	// Protocol makes the protocol; each world gets one of its own.
	Protocol func() wire.Protocol
	// Serve runs one client connection, as session.Server does when it is made from the parts.
	Serve func(Parts) func(context.Context, net.Conn, wire.Protocol, wire.Hello)
	Clock func() time.Time

	// Connection is a real backend, reached without TLS so that the suite can read along; Password logs in to it.
	Connection access.Connection
	Password   string

	// Login is everything that a client sends to log in, in clear.
	Login func(connection, token string) []byte
	// Welcome reads what a client is told up to where it may begin. A refusal is an Answer with Refused.
	Welcome func(r *bufio.Reader) (Answer, error)
	// Answer reads one whole answer.
	Answer func(r *bufio.Reader) (Answer, error)
	// Frames cuts what a client sends into messages.
	Frames func(stream []byte) [][]byte
	// Rendered returns how long the rendering of a judged message is at the start of what a backend was sent, where a listed
	// rewrite sends it as anything but itself; 0 where it is not there. nil where there is no such rewrite.
	Rendered func(sent, judged []byte) int
	// LoginEnds returns how much of what a backend was sent is the gateway's login.
	LoginEnds func(sent []byte) int
	// Own is the closed list of what the gateway sends by itself.
	Own []Own
	// Farewell is what the gateway sends when a session ends.
	Farewell []byte
	// Oversize are messages that a session must refuse by their header alone.
	Oversize [][]byte
	// Flood is a request whose answer is larger than what any buffer on the way holds. Its text holds mark.
	Flood func(mark string) []byte
	// Cancel is the request, on a connection of its own, to cancel what the session that got this welcome does. nil where
	// the protocol has no such request.
	Cancel func(welcome Answer) []byte
	// Withdraw is what a protocol may have in its place: it takes back, on the session's own connection, the request that holds mark.
	Withdraw func(mark string) []byte
	// Duplex says that both sides speak at any time: a session has a backend of its own, which nobody uses again, and outcomes come
	// in the order in which things end.
	Duplex bool
	// States are the states that a session can be in; the first is the idle one.
	States []State
}

// Own is something that the gateway may send by itself.
type Own struct {
	Text  string // as the record names it; empty for punctuation, which is not recorded
	Bytes []byte
}

// State is a state of a session, and how to get there from the idle one and back.
type State struct {
	Name  string
	Enter []Step
	// Request is a request that is good in this state. Its text holds mark, and so does a good answer's Data. nil where
	// nothing can be asked in this state.
	Request func(mark string) []byte
	After   string // Answer.State after a request that was answered
	Refused string // Answer.State after a request that was refused: what a server that refused would say
	// Fails says that a server fails whatever is asked in this state, so that the gateway need not send it.
	Fails bool
	Leave []Step // to the idle state
}

// Step is something to send, and the answer to it.
type Step struct {
	Send  []byte
	Await func(r *bufio.Reader) (Answer, error) // nil where no answer is due
}

// Answer is an answer, as a client reads it.
type Answer struct {
	Refused string // the words of a refusal; empty where there was none
	Data    string // what came back
	State   string // the state that the server says it is in
	Over    bool   // the server ended the session
}

// Parts is what a server is made from.
type Parts struct {
	Gate     *gate.Services
	Identity interface {
		Verify(ctx context.Context, token access.Secret) (*access.Principal, error)
	}
	Refusal func(err error) (ref string, told error)
	NewID   func() (string, error)
	Log     *slog.Logger
}

// MaxMessage is the message limit of the sessions that the suite opens, in bytes: the least that a configuration may ask for.
const MaxMessage = 64 << 10

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	before := goleak.IgnoreCurrent()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *Suite)
	}{
		{"no token, no byte", noToken},
		{"a login that is cut reaches nobody", cutLogin},
		{"a login in two pieces is a login", splitLogin},
		{"judged bytes are the sent bytes", sentBytes},
		{"no record, no run", recorderDown},
		{"messages in pieces", pieces},
		{"answers in pieces", answerPieces},
		{"too large", oversize},
		{"a refusal leaves the session in step", inStep},
		{"one intent, one outcome, in order", outcomes},
		{"revocation", revocation},
		{"revocation of a client that does not read", deaf},
		{"approvals", approvals},
		{"a backend is used again", reuse},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, &s) })
	}
	goleak.VerifyNone(t, before)
}
