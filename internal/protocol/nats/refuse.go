package nats

import (
	"context"
	"errors"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// maxWords bounds what an error says.
const maxErr = 1 << 10

// appendErr appends -ERR with words, in which nothing ends the quotes or the line.
func appendErr(dst []byte, words string) []byte {
	dst = append(dst, "-ERR '"...)
	if len(words) > maxErr {
		words = strings.ToValidUTF8(words[:maxErr], "")
	}
	for i := range len(words) {
		switch c := words[i]; {
		case c == '\'':
			dst = append(dst, "\u2019"...)
		case c < ' ' || c == 0x7f:
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, "'\r\n"...)
}

// worded is what a client may read of an error, in one line.
func worded(err error) string {
	say, hint := fault.Say(err)
	if hint != "" {
		say += ". " + hint
	}
	return say
}

// loginWords says no to a login. Clients know an error by how it begins, whatever the case, and what follows is for people. One that
// reads twice that it has no permission gives up: that is only said where trying again would not help.
func loginWords(err error) string {
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.Denied, fault.Pending, fault.NotFound:
		return "Authorization Violation: " + worded(err)
	default:
		return worded(err)
	}
}

// Refuse implements wire.Session: the last words before the connection is closed.
func (s *session) Refuse(err error) {
	words := loginWords(err)
	if s.d != nil {
		words = s.lastWords(err)
	}
	_, _ = s.conn.Write(appendErr(nil, words))
}

// errPayload and errProtocol end a connection, as servers do.
var errPayload = fault.New(fault.Malformed, "nats.relay", "Maximum Payload Violation")

// lastWords says why a session ends. A client that reads that its connection is stale connects again by itself; so it does where
// its login is over, with a new token.
func (s *session) lastWords(err error) string {
	switch fault.KindOf(err) {
	case fault.Backend:
		return "Stale Connection"
	case fault.Malformed:
		say, _ := fault.Say(err)
		return say
	case fault.Unauthenticated:
		return "User Authentication Expired: " + worded(err)
	default:
		return "User Authentication Revoked: " + worded(err)
	}
}

// fatal reports whether an error ends the session, rather than refuses one operation.
func fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, gate.ErrMoved) || errors.Is(err, gate.ErrBusy)
}

// notPublished is the refusal of a message.
func notPublished(subject string, why error) []byte {
	return appendErr(nil, "Permissions Violation for Publish to \""+shown(subject)+"\": "+worded(why))
}

// notSubscribed is the refusal of a subscription.
func notSubscribed(subject, queue string, why error) []byte {
	words := "Permissions Violation for Subscription to \"" + shown(subject) + "\""
	if queue != "" {
		words += " using queue \"" + shown(queue) + "\""
	}
	return appendErr(nil, words+": "+worded(why))
}

// shown is a subject between quotes.
func shown(s string) string {
	if len(s) > maxErr/2 {
		s = s[:maxErr/2] + "..."
	}
	return strings.ReplaceAll(s, "\"", "`")
}

// passedOn are how errors of a server begin that its clients know, and that tell nothing of the gateway's login.
func passedOn(text string) bool {
	text = strings.ToLower(strings.Trim(text, "' "))
	for _, known := range []string{"permissions violation", "maximum subscriptions exceeded", "invalid subject", "invalid publish subject",
		"slow consumer", "stale connection", "maximum payload violation", "maximum control line exceeded"} {
		if strings.HasPrefix(text, known) {
			return true
		}
	}
	return false
}
