package nats

import (
	"crypto/sha256"
	"encoding/hex"

	"gatehouse/internal/access"
	"gatehouse/internal/wire"
)

// The actions of messages that calls do not ask for. Those that they do are in jetstream_verbs.go.
const (
	actConnect = "nats:Connect"
	actReply   = "nats:Reply"
	actInbox   = "nats:Inbox"
)

// verbs is the closed list of actions.
func verbs() []wire.Verb {
	return append([]wire.Verb{
		{Name: actConnect, Implied: true, About: "reaching the server"},
		{Name: actPublish, About: "publishing a message to a subject, or having others answer there"},
		{Name: actSubscribe, About: "subscribing to a subject, or to a set of them: all of the set has to be allowed"},
		{Name: actDeliver, Implied: true, About: "being sent a message: asked of each one, with its own subject, beside nats:Subscribe"},
		{Name: actReply, Implied: true, About: "answering a message, at the subject that came with it"},
		{Name: actInbox, Implied: true, About: "subscribing to an inbox of one's own, for answers"},
		{Name: actOpaque, About: "what is not understood, and subjects of servers and of other clients' inboxes; only allowed by its own name"},
	}, jetstreamVerbs()...)
}

// statement puts a statement together whose text is one line.
func statement(text string, actions, related []access.Action) *access.Statement {
	sum := sha256.Sum256([]byte(text))
	return &access.Statement{Text: text, Normal: text, Fingerprint: hex.EncodeToString(sum[:16]), Actions: actions, Related: related, Bounded: true}
}

func named(name string, a access.Action) access.Action {
	a.Name = name
	return a
}
