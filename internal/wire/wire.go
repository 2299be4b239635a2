// Package wire is the contract between a protocol and the rest of Gatehouse: a protocol is one value, made in one folder,
// named in one list (internal/protocol). Nothing else knows its name.
//
// A stream protocol accepts a client's connection, learns which connection and token it claims (Login), welcomes the client
// (Open), and relays: every action asks the gate first (Relay). It leases a backend, logged in with the vault's credential,
// when it first needs one. wiretest is the suite that every protocol passes.
//
// A protocol of requests and answers is an Exchanger instead: net/http speaks with clients, and each request is a login, a
// question to the gate and a round trip that only the gate can make (docs/adr/0014-exchanges.md).
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask"
)

// Protocol is one protocol, as its folder exports it.
type Protocol struct {
	Name    string        // as connections name it in `type`
	Address string        // where its listener listens unless told otherwise
	Verbs   func() []Verb // the closed list of its actions; called when it is needed, since one of thousands takes its time
	// Actions are those that a document attached to a connection adds to Verbs. An error says what is wrong with the document: it
	// is for the administrator who writes the connection, and until it is gone nobody reaches the connection. It may read a file
	// that the connection names; it may be nil.
	Actions func(c *access.Connection) ([]Verb, error)
	// Files are those that Actions reads: where one has changed, it is asked again. It may be nil.
	Files func(c *access.Connection) []string
	// Rootless is how resources begin that policies write without a connection before them, such as "arn:"; it may be nil. Such a
	// pattern is about the resources of every connection of this protocol.
	Rootless []string
	// Messages says that a stream protocol carries messages: masks reach inside of their bodies and headers, as with documents.
	Messages bool
	// Guardrails are the policies that ship with the protocol: a connection may name them without anyone applying them.
	Guardrails []Guardrail
	// Formats are the policy languages of others that policies about the protocol's connections can be written in or read from.
	Formats []Format
	// Folds says which resources stand together where a policy is made of what was seen.
	Folds Folds
	// Accept speaks with a fresh client until it is known which connection it wants and with which token. ErrServed means
	// that the connection was something shorter, and is over.
	Accept func(ctx context.Context, conn net.Conn, h Hello) (Session, error)
	// Exchange is what a protocol of requests and answers has in place of Accept; nil elsewhere.
	Exchange Exchanger
	// Test logs in to a backend and out again.
	Test func(ctx context.Context, l gate.Lease) error
	// Understand tells what a text would do on a connection, for `policy test`: nothing of the text is sent. aside is a gate
	// without a backend, which Understand opens and its caller closes.
	Understand func(ctx context.Context, aside *gate.Gate, text string) ([]Understood, error)
}

// Understood is one statement of a text.
type Understood struct {
	access.Statement
	// Sent is what conditions can read of it, in protocols of requests and messages; nil elsewhere.
	Sent *access.Sent
	// Refuses says why the protocol itself would refuse the statement under masks, whatever policy says of it; nil where it
	// would not. The masks may be nil.
	Refuses func(m access.Masks) error
}

// Verb is one action name.
type Verb struct {
	Name    string // "type:Verb"; of attached documents and of clouds, their own words before the colon
	Implied bool   // whoever may connect may do it, unless denied: it touches no data of users
	About   string // one line for people
}

// Guardrail is a policy that ships.
type Guardrail struct {
	Name     string
	Document []byte // YAML, as `apply` reads it
}

// Format is a policy language of others. What cannot be said in the other language is an error or a note, never left out in silence.
type Format struct {
	Name string // as the command line names it
	// Export writes a policy of which every statement allows or approves, on connections of this protocol. Notes are for whoever
	// reviews it.
	Export func(p *access.Policy) (document []byte, notes []string, err error)
	// Import reads a document as a policy of that name, about one connection, or about all of the protocol where connection is "".
	// The error names all that cannot be said.
	Import func(document []byte, name, connection string) (p *access.Policy, notes []string, err error)
}

// Folds says which resources stand together. The zero value puts none together.
type Folds struct {
	// Template returns the patterns that a connection's own document has for its resources, such as those with ids in their paths:
	// ok is false for a resource without one. nil where the document has none at all.
	Template func(c *access.Connection) func(resource string) (pattern string, ok bool)
	// Parent is the prefix that a resource, or a prefix, lies below, with the separator at its end; ok is false where nothing above it
	// may ever stand for it.
	Parent func(resource string) (prefix string, ok bool)
}

// ErrServed is returned by Accept when the connection asked for something shorter than a session, and got it.
var ErrServed = errors.New("served without a session")

// Hello is what a listener knows about a fresh connection.
type Hello struct {
	TLS       *tls.Config // always there
	Plaintext bool        // the listener is on loopback, and its configuration says that tokens may come in clear
	Limits    gate.Limits
	Domain    string // connections are reached as hosts below it, too; "" where they are not
}

// Exchanger speaks a protocol of requests and answers. It is safe for concurrent use.
type Exchanger interface {
	// Claim is what a request claims: not yet believed. It takes the token out of the request.
	Claim(r *http.Request, h Hello) (Login, error)
	// Serve judges one request, has the gate send it, and answers. Revocation arrives as the cause of the request's context.
	// An error that it returns is told with Refuse, unless the answer has begun: then the client's connection is cut.
	Serve(w http.ResponseWriter, r *http.Request, x *gate.Exchange, h Hello) error
	// Refuse says no in the protocol's own words.
	Refuse(w http.ResponseWriter, r *http.Request, err error)
}

// Session is one client connection, as its protocol's folder speaks it.
type Session interface {
	// Login is what the client claims: not yet believed.
	Login() Login
	// Open tells the client that it may begin. It leases a backend where that cannot be told without one. g is the session's gate.
	Open(ctx context.Context, g *gate.Gate) error
	// Relay is the loop: every action asks first. Revocation arrives as the cause of ctx. nil means that the client left.
	Relay(ctx context.Context) error
	// Refuse says no in the protocol's own words, in any state.
	Refuse(err error)
	// Conn is the connection to the client, with TLS on it where that was agreed.
	Conn() net.Conn
	// Farewell is what a polite client tells a backend before it leaves; may be nil.
	Farewell() []byte
	// Drain asks the session to end as soon as no transaction is open and no answer is due. Any goroutine may call it.
	Drain()
}

// Login is a claim: a connection and a token.
type Login struct {
	Connection string
	Token      access.Secret
}

// Connect is the statement that a login asks for, in every protocol: type:Connect on the connection.
func Connect(protocol, connection string) access.Statement {
	return access.Statement{Normal: "connect", Bounded: true,
		Actions: []access.Action{{Name: protocol + ":Connect", Resource: access.Resource(connection)}}}
}

// Deps is what protocols are built from.
type Deps struct {
	Mask   *mask.Key
	Clock  func() time.Time
	Random interface{ Read([]byte) (int, error) }
}
