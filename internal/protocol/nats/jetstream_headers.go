package nats

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// meaning is what a header of a publish does on the server.
type meaning uint8

const (
	meansNothing  meaning = iota // it says something of the message, or guards it: what is stored does not depend on it otherwise
	meansRollup                  // messages stored before are removed
	meansSend                    // its value is a subject that the server publishes to
	meansRead                    // its value is a subject whose message the server publishes
	meansSchedule                // the server publishes it later
	meansTotal                   // the answer tells what was stored under the subject before
	meansLast                    // a refusal tells the identifier of the stream's last message
	meansForged                  // only a server says it
)

// meaningOf is the closed list of headers that begin as the server's own do; ok is false for one that is not on it.
func meaningOf(name string) (m meaning, ok bool) {
	switch name {
	case "Nats-Msg-Id", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence",
		"Nats-Expected-Last-Subject-Sequence-Subject", "Nats-TTL", "Nats-Batch-Id",
		"Nats-Batch-Sequence", "Nats-Batch-Commit", "Nats-Required-Api-Level", "Nats-Service-Error", "Nats-Service-Error-Code",
		"Nats-Schedule-TTL", "Nats-Schedule-Time-Zone", "Nats-Trace-Only", "Nats-Trace-Hop":
		return meansNothing, true
	case "Nats-Rollup", "Nats-Schedule-Rollup":
		return meansRollup, true
	case "Nats-Schedule":
		return meansSchedule, true
	case "Nats-Incr":
		return meansTotal, true
	case "Nats-Expected-Last-Msg-Id":
		return meansLast, true
	case "Nats-Schedule-Target", "Nats-Trace-Dest":
		return meansSend, true
	case "Nats-Schedule-Source":
		return meansRead, true
	case headerStream, headerSubject, "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence", "Nats-Num-Pending", "Nats-UpTo-Sequence",
		"Nats-Marker-Reason", "Nats-Stream-Source", "Nats-Counter-Sources", "Nats-Scheduler", "Nats-Schedule-Next", "Nats-Pin-Id",
		"Nats-Consumer-Stalled", "Nats-Pending-Messages", "Nats-Pending-Bytes", "Nats-Last-Consumer", "Nats-Last-Stream":
		return meansForged, true
	}
	return meansNothing, false
}

// published is what a publish of a message does besides publishing it.
type published struct {
	actions, related []access.Action
	targets          []string // resources of the subjects that the server sends it to
	copies           []string // resources whose messages the server sends on, or tells of, without masks
}

// none reports whether it does nothing else.
func (p *published) none() bool {
	return len(p.actions) == 0 && len(p.related) == 0 && len(p.copies) == 0
}

// publishes returns what a publish of a message does besides publishing it: by its headers, and by being a change of a bucket. An
// error says which header cannot be sent on.
func (k knowledge) publishes(subject string, h *headers) (published, error) {
	c := &call{knowledge: k, subject: subject}
	if h != nil {
		for _, e := range h.list {
			c.header(e)
		}
	}
	if len(c.unknown) > 0 {
		c.act(actOpaque, c.subjectResource(subject))
	}
	c.imported()
	return published{actions: c.actions, related: c.related, targets: c.targets, copies: c.copies}, c.err
}

// imported says what a subject would do were it a request to the API under a prefix of an administrator's own, by which accounts
// import that of others: deny and approve of streams bind it. Its payload is not looked at.
func (c *call) imported() {
	_, request, found := strings.Cut(c.subject, ".API.")
	if !found || isCall(c.subject) {
		return
	}
	inner := &call{knowledge: c.knowledge, subject: c.subject}
	inner.api(strings.Split(request, "."))
	for _, a := range slices.Concat(inner.actions, inner.related) {
		c.relate(a.Name, a)
	}
}

func (c *call) header(e header) {
	if e.name == "KV-Operation" {
		c.change(e.value)
		return
	}
	if len(e.name) < 5 || !strings.EqualFold(e.name[:5], "Nats-") {
		return
	}
	m, ok := meaningOf(e.name)
	switch {
	case !ok:
		c.opaque("the header " + e.name)
	case m == meansForged:
		c.fail("only servers say %s", e.name)
	case m == meansRollup:
		c.rollup(e.value)
	case m == meansSchedule:
		c.act(actSchedule, c.subjectResource(c.subject))
	case m == meansTotal:
		a := c.subjectResource(c.subject)
		c.relate(actSubscribe, a)
		c.copies = append(c.copies, a.Resource)
	case m == meansLast:
		c.copies = append(c.copies, c.subjectResource(everySubject).Resource)
	case m == meansSend, m == meansRead:
		if !literal([]byte(e.value)) {
			c.fail("the value of %s is no subject", e.name)
			return
		}
		a := c.subjectResource(e.value)
		if m == meansSend {
			c.sends(e.value)
			c.targets = append(c.targets, a.Resource)
			return
		}
		c.act(actSubscribe, a)
		c.copies = append(c.copies, a.Resource, c.resource("stream")+"/*") // of a stream that is not known
	}
}

// rollup removes what was stored under the subject, or in the whole stream.
func (c *call) rollup(kind string) {
	set := c.subject
	stream, bucket := bucketOf(c.subject)
	switch {
	case kind == "sub":
	case bucket:
		set = c.subject[:bucketEnd(c.subject)] + everySubject
	default:
		set = everySubject // of a stream that is not known
	}
	c.act(actRollup, c.subjectResource(set))
	if bucket {
		c.relate(actPurgeStream, c.stream(stream))
	}
}

// bucketEnd returns where the name of a bucket ends in a subject of one, with its dot.
func bucketEnd(subject string) int {
	first := strings.IndexByte(subject, '.') + 1
	if next := strings.IndexByte(subject[first:], '.'); next >= 0 {
		return first + next + 1
	}
	return len(subject)
}

// change is a key of a bucket that is marked as removed.
func (c *call) change(kind string) {
	stream, ok := bucketOf(c.subject)
	if ok && kind != "PUT" {
		c.relate(actDeleteMessage, c.stream(stream))
	}
}
