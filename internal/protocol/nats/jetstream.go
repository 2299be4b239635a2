package nats

import (
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// JetStream is spoken by publishing to subjects of the server's own: requests to $JS.API (or $JS.<domain>.API), whose payload is
// JSON, and acknowledgements to $JS.ACK. What follows turns one such message into a statement. The operations and the keys of
// their payloads are closed lists, those of nats-server 2.9 to 2.12; a key or a subject beside them is one Opaque action.
//
// Whatever reads messages is judged by their subjects too, as sets: a consumer without a filter reads all that its stream has.

// knowledge is what a session knows that its calls are judged with. Every field but the first may be left out.
type knowledge struct {
	connection string
	domain     string                    // the server's own domain of JetStream, as its INFO says
	own        func(subject string) bool // whether a subject, or a set of them, lies in an inbox that is the session's alone
	given      func(subject string) bool // whether the session was given a subject to reply to
	catalogue  *catalogue                // what answers have told of streams and consumers
}

// isCall reports whether a publish to subject is one that understand judges, rather than a message.
func isCall(subject string) bool { return strings.HasPrefix(subject, "$JS.") }

// filtered reports whether a subject is that of a call that ends in a filter: its wildcards are words to the server, as in
// $JS.API.CONSUMER.CREATE.ORDERS.work.orders.>.
func filtered(subject []byte) bool { return isCall(string(subject)) && pattern(subject) }

// judged is what a call does.
type judged struct {
	access.Statement
	copies []string // resources whose messages it takes to where masks do not follow
}

// refuses says why a call is refused under masks, whatever policy says of it. m may be nil.
func (j *judged) refuses(m access.Masks) error { return refuses(m, j.copies) }

func refuses(m access.Masks, copies []string) error {
	if m == nil {
		return nil
	}
	for _, resource := range copies {
		if !m.Document(resource, access.ToClient).None() {
			return fault.New(fault.Denied, "nats.jetstream", "this would take messages that are masked to where no mask follows them (%s)", resource)
		}
	}
	return nil
}

// call is one request while it is being judged.
type call struct {
	knowledge
	subject, reply string
	payload        []byte
	prefix         []string // segments that resources begin with: none, or those of another domain
	actions        []access.Action
	related        []access.Action
	unknown        []string // what was not understood
	copies         []string
	targets        []string // resources of the subjects that a message is sent on to
	stored         []string // resources whose messages the answer holds
	shape          string   // of the payload: its keys, without values
	unbounded      bool
	err            error
}

// understand judges a publish to a subject for which isCall holds. An error says what cannot be read.
func (k knowledge) understand(subject, reply string, payload []byte) (*judged, error) {
	c := &call{knowledge: k, subject: subject, reply: reply, payload: payload}
	words := strings.Split(subject, ".")
	switch {
	case len(words) < 3:
		c.opaque("the subject")
	case words[1] == "API":
		c.api(words[2:])
	case words[1] == "ACK", words[1] == "FC":
		c.acknowledge(words[1], words[2:])
	case words[1] == "SNAPSHOT":
		c.chunk(words[2:])
	case words[2] == "API":
		if k.domain == "" || words[1] != k.domain {
			c.prefix = []string{"domain", words[1]}
		}
		c.api(words[3:])
	default:
		c.opaque("the subject")
	}
	if c.err != nil {
		return nil, c.err
	}
	c.answered()
	return c.judged(), nil
}

// opaque says that something is not understood.
func (c *call) opaque(what string) { c.unknown = append(c.unknown, what) }

func (c *call) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fault.New(fault.Malformed, "nats.jetstream", format, args...)
	}
}

// answered asks for what the answer does: the server sends it wherever the request says, with permissions of its own.
func (c *call) answered() {
	if c.reply != "" && !c.mine(c.reply) {
		c.sends(c.reply)
		c.copies = append(c.copies, c.stored...)
	}
}

func (c *call) mine(subject string) bool { return c.own != nil && c.own(subject) }

// operation is one request of the API.
type operation struct {
	path  string
	names int  // how many names follow the path
	rest  bool // a subject may follow the names
	judge func(c *call, names []string, rest string)
}

// operations is the closed list.
func operations() []operation {
	return []operation{
		{"INFO", 0, false, (*call).account},
		{"STREAM.CREATE", 1, false, (*call).createStream},
		{"STREAM.UPDATE", 1, false, (*call).updateStream},
		{"STREAM.NAMES", 0, false, (*call).listStreams},
		{"STREAM.LIST", 0, false, (*call).listStreams},
		{"STREAM.INFO", 1, false, (*call).streamInfo},
		{"STREAM.DELETE", 1, false, (*call).deleteStream},
		{"STREAM.PURGE", 1, false, (*call).purgeStream},
		{"STREAM.SNAPSHOT", 1, false, (*call).snapshotStream},
		{"STREAM.RESTORE", 1, false, (*call).restoreStream},
		{"STREAM.MSG.DELETE", 1, false, (*call).deleteMessage},
		{"STREAM.MSG.GET", 1, false, (*call).getMessage},
		{"STREAM.PEER.REMOVE", 1, false, (*call).manageStream},
		{"STREAM.LEADER.STEPDOWN", 1, false, (*call).manageStream},
		{"DIRECT.GET", 1, true, (*call).directGet},
		{"CONSUMER.CREATE", 1, false, (*call).createConsumer},
		{"CONSUMER.CREATE", 2, true, (*call).createConsumer},
		{"CONSUMER.DURABLE.CREATE", 2, false, (*call).createConsumer},
		{"CONSUMER.NAMES", 1, false, (*call).listConsumers},
		{"CONSUMER.LIST", 1, false, (*call).listConsumers},
		{"CONSUMER.INFO", 2, false, (*call).consumerInfo},
		{"CONSUMER.DELETE", 2, false, (*call).deleteConsumer},
		{"CONSUMER.PAUSE", 2, false, (*call).pauseConsumer},
		{"CONSUMER.UNPIN", 2, false, (*call).pauseConsumer},
		{"CONSUMER.LEADER.STEPDOWN", 2, false, (*call).pauseConsumer},
		{"CONSUMER.MSG.NEXT", 2, false, (*call).next},
		{"META.LEADER.STEPDOWN", 0, false, (*call).manage},
		{"SERVER.REMOVE", 0, false, (*call).manage},
		{"ACCOUNT.PURGE", 1, false, (*call).manage},
		{"ACCOUNT.STREAM.MOVE", 2, false, (*call).manage},
		{"ACCOUNT.STREAM.CANCEL_MOVE", 2, false, (*call).manage},
	}
}

// api judges a request by what follows the prefix.
func (c *call) api(words []string) {
	for _, op := range operations() {
		path := strings.Split(op.path, ".")
		names := len(words) - len(path)
		if names < op.names || names > op.names && !op.rest || !startsWith(words, path) {
			continue
		}
		words = words[len(path):]
		for _, n := range words[:op.names] {
			if n == "" || strings.ContainsAny(n, "*>/\\ \t") {
				c.fail("%q is no name of a stream or a consumer", n)
				return
			}
		}
		op.judge(c, words[:op.names], strings.Join(words[op.names:], "."))
		return
	}
	c.opaque("the subject")
}

func startsWith(words, path []string) bool {
	for i, p := range path {
		if words[i] != p {
			return false
		}
	}
	return true
}
