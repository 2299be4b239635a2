package nats

import (
	"context"
	"hash/maphash"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// Bounds of what a session holds.
const (
	maxSubs   = 1 << 15 // subscriptions of a session
	maxEnded  = 1 << 10 // ended ones that messages may still be under way for
	maxKinds  = 1 << 10 // subjects whose statements are kept
	maxGiven  = 1 << 14 // subjects that it was given to reply to
	maxOwed   = 1 << 12 // answers of the gateway's own that wait for their turn
	maxPings  = 1 << 12 // PINGs that are under way
	maxRecent = 1 << 16 // inboxes that sessions were given, of all sessions
)

// How long a session may reply to what it was given: a request as long as servers let one be answered (and a little more), an
// acknowledgement as long as a consumer may well wait for it. Each use begins the time anew.
const (
	replyTime = 10 * time.Minute
	ackTime   = 2 * time.Hour
)

// session is one client connection. What stands behind d is guarded by its lock.
type session struct {
	p      *protocol
	conn   net.Conn
	login  wire.Login
	client *hello
	limits gate.Limits
	info   serverInfo // as the server says it
	most   int        // bytes of a message, as the client was told

	g *gate.Gate
	d *gate.Duplex

	greeted bool // the client knows what its server is like
	subs    map[string]*sub
	ended   []*sub         // oldest first
	endings uint64         // how many have ended
	marks   []uint64       // for each PING that is under way: how many had ended before
	inboxes map[string]int // how many subscriptions lie in an inbox of one's own, by its second token
	sent    map[string]*kind
	arrives map[string]*kind
	given   given
	turns   turns
	know    knowledge
	waiting int // operations that wait for a reviewer
	up      []ending
	down    []ending
	scratch []byte

	draining atomic.Bool
}

// ending is the outcome of what is staged, for when it has left.
type ending struct {
	pass gate.Pass
	o    gate.Outcome
}

// sub is one subscription.
type sub struct {
	sid, subject, queue string
	inbox               string                  // the second token, where it lies in an inbox of one's own
	counted             bool                    // the gateway counts towards limit: some messages may not arrive
	agreed              bool                    // a reviewer agreed to it
	limit               int64                   // after how many messages it ends; 0 is never
	seen                int64                   // messages that the server delivered
	got                 int64                   // messages that the client was shown
	over                bool                    // it has ended, and messages may still be under way
	number              uint64                  // of its end
	shut                bool                    // the gateway ended it: no more messages
	cancel              context.CancelCauseFunc // ends its wait for a reviewer; nil where there is none
	kind                *kind                   // of what arrives in an inbox
}

// begin prepares what the relay needs.
func (s *session) begin(d *gate.Duplex) {
	s.d = d
	s.subs, s.inboxes = map[string]*sub{}, map[string]int{}
	s.sent, s.arrives = map[string]*kind{}, map[string]*kind{}
	s.turns.verbose = s.client.verbose
	s.most = int(s.told().MaxPayload)
	s.given = given{seed: maphash.MakeSeed(), when: map[uint64]time.Time{}}
	s.know = knowledge{connection: s.g.Connection().Name, domain: s.info.Domain, catalogue: &catalogue{}, own: s.mine, given: func(subject string) bool {
		return s.given.use([]byte(subject), s.g.Now())
	}}
}

// Login implements wire.Session.
func (s *session) Login() wire.Login { return s.login }

// Conn implements wire.Session.
func (s *session) Conn() net.Conn { return s.conn }

// Farewell implements wire.Session: clients of this protocol just leave.
func (s *session) Farewell() []byte { return nil }

// Drain implements wire.Session.
func (s *session) Drain() {
	s.draining.Store(true)
	s.g.Nudge()
}

// The first tokens of subjects that are not everybody's.
const inboxToken = "_INBOX"

// The second token of an inbox, so that nobody guesses it: clients take 22 random characters, and Go's takes 6 of 62 for the
// acknowledgements of what it publishes to streams.
const (
	leastInbox = 22
	ackInbox   = 6
)

// inboxOf returns the second token of a subject in an inbox that cannot be guessed; "" where it is no such subject. What follows
// the token may be anything.
func inboxOf(subject string) string {
	rest, ok := strings.CutPrefix(subject, inboxToken+".")
	if !ok {
		return ""
	}
	token, _, _ := cutToken(rest)
	if len(token) < leastInbox && len(token) != ackInbox || strings.ContainsAny(token, "*>") {
		return ""
	}
	return token
}

// mine reports whether a subject, or a set of subjects, lies in an inbox that is the session's alone.
func (s *session) mine(subject string) bool {
	token := inboxOf(subject)
	return token != "" && s.inboxes[token] > 0
}

// class is whose a subject is.
type class uint8

const (
	plain    class = iota
	ofInbox        // of some requester
	internal       // of servers
)

// classOf tells by the first token. A wildcard there is plain: what it matches besides is left out of what it delivers.
func classOf(subject string) class {
	token, _, _ := cutToken(subject)
	switch {
	case token == inboxToken:
		return ofInbox
	case token == "$SRV", token == "$KV", token == "$O": // services and buckets: users' own
		return plain
	case strings.HasPrefix(token, "$"), token == "_R_", token == "_GR_":
		return internal
	}
	return plain
}

// anywhere reports whether a pattern's first token is a wildcard.
func anywhere(pattern string) bool { return pattern[0] == '*' || pattern[0] == '>' }

// given is what a session was given to reply to: keyed digests of subjects, the newest maxGiven of them.
type given struct {
	seed maphash.Seed
	when map[uint64]time.Time // until when
	ring []uint64
	next int
}

// add notes a subject for a time.
func (g *given) add(subject []byte, until time.Time) {
	k := maphash.Bytes(g.seed, subject)
	if _, known := g.when[k]; !known {
		if len(g.ring) < maxGiven {
			g.ring = append(g.ring, k)
		} else {
			delete(g.when, g.ring[g.next])
			g.ring[g.next] = k
			g.next = (g.next + 1) % maxGiven
		}
	}
	g.when[k] = until
}

// use reports whether a subject was given, and is still good.
func (g *given) use(subject []byte, now time.Time) bool {
	k := maphash.Bytes(g.seed, subject)
	until, ok := g.when[k]
	if !ok || now.After(until) {
		return false
	}
	if again := now.Add(replyTimeOf(subject)); again.After(until) {
		g.when[k] = again
	}
	return true
}

// inboxes is what the sessions of one gateway know of each other's inboxes: an inbox is of one principal alone, and nobody who was
// given one to reply to may listen there.
type inboxes struct {
	mu     sync.Mutex
	owner  map[string]holder
	seen   map[string]struct{} // inboxes and the principals that were given them
	recent []string
	next   int
}

// holder is whose an inbox is, and how many subscriptions they have there: a client that connects again comes before the gateway
// has noticed that it left.
type holder struct {
	principal string
	n         int
}

var (
	errTaken = fault.New(fault.Denied, "nats.inbox", "permission denied: this inbox is somebody else's")
	errGiven = fault.New(fault.Denied, "nats.inbox", "permission denied: this inbox was given to reply to: it is somebody else's")
)

func inboxKey(connection, token string) string { return connection + "/" + token }

// claim makes an inbox a principal's own.
func (i *inboxes) claim(key, principal string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	h := i.owner[key]
	if h.n > 0 && h.principal != principal {
		return errTaken
	}
	if _, ok := i.seen[key+"\x00"+principal]; ok && h.n == 0 {
		return errGiven
	}
	i.owner[key] = holder{principal, h.n + 1}
	return nil
}

// leave gives an inbox back.
func (i *inboxes) leave(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	h := i.owner[key]
	if h.n--; h.n > 0 {
		i.owner[key] = h
	} else {
		delete(i.owner, key)
	}
}

// hand notes that a principal was given an inbox to reply to that is not its own.
func (i *inboxes) hand(key, principal string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if h := i.owner[key]; h.n > 0 && h.principal == principal {
		return
	}
	key += "\x00" + principal
	if _, ok := i.seen[key]; ok {
		return
	}
	i.seen[key] = struct{}{}
	if len(i.recent) < maxRecent {
		i.recent = append(i.recent, key)
		return
	}
	delete(i.seen, i.recent[i.next])
	i.recent[i.next] = key
	i.next = (i.next + 1) % maxRecent
}

// turns keeps the answers of a session in the order of its operations, where the client asked for one to each of them (verbose):
// the server's come when they come, and the gateway's own wait for those before them.
type turns struct {
	verbose  bool
	asked    uint64   // operations that the server answers
	answered uint64   // of those, how many it has
	pings    []uint64 // which of them were PING: its answer tells that all before it were answered
	mute     []uint64 // which of them are the gateway's own
	owed     []owed
}

// owed is an answer of the gateway's own.
type owed struct {
	after uint64
	text  []byte
}

// ask notes an operation that the server will answer.
func (t *turns) ask(ping, own bool) {
	if !t.verbose {
		return
	}
	t.asked++
	if ping {
		t.pings = append(t.pings, t.asked)
	}
	if own {
		t.mute = append(t.mute, t.asked)
	}
}

// answer notes an answer of the server, and reports whether the client is to see it.
func (t *turns) answer(pong bool) (show bool) {
	if !t.verbose {
		return true
	}
	if pong && len(t.pings) > 0 {
		t.answered = t.pings[0]
		t.pings = t.pings[1:]
	} else if t.answered < t.asked {
		t.answered++
	}
	show = true
	for len(t.mute) > 0 && t.mute[0] <= t.answered {
		show = show && (pong || t.mute[0] != t.answered)
		t.mute = t.mute[1:]
	}
	return show
}

// due takes the answers whose turn it is.
func (t *turns) due() []byte {
	var out []byte
	n := 0
	for n < len(t.owed) && t.owed[n].after <= t.answered {
		out = append(out, t.owed[n].text...)
		n++
	}
	t.owed = t.owed[n:]
	return out
}
