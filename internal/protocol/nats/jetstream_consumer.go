package nats

import (
	"bytes"
	"strconv"
	"strings"
)

// createConsumer judges the three forms: a name that the server chooses, a name in the subject, and a name with a filter.
func (c *call) createConsumer(names []string, filter string) {
	stream, name := names[0], ""
	if len(names) > 1 {
		name = names[1]
		c.act(actCreateConsumer, c.consumer(stream, name))
	}
	o := c.read()
	o.known("pedantic")
	if s := o.text("stream_name"); s != stream {
		c.fail("the subject names the stream %q, the payload %q", stream, s)
	}
	switch o.text("action") {
	case "", "create", "update":
	default:
		c.opaque("the action")
	}
	config := o.object("config")
	if config == nil {
		c.fail("the payload has no config")
		return
	}
	o.done()
	for _, key := range []string{"name", "durable_name"} {
		switch said := config.text(key); {
		case said == "" || said == name:
		case name == "" && !strings.ContainsAny(said, "*>./\\ \t"):
			name = said
		default:
			c.fail("the subject names the consumer %q, the payload %q", name, said)
		}
	}
	sets, filtered := c.filters(config, stream, filter)
	c.act(actCreateConsumer, c.consumer(stream, name))
	c.reading(sets)
	if to := c.delivered(config); to != "" {
		c.act(actConsume, c.consumer(stream, name))
		if !c.mine(to) {
			if !filtered {
				sets = everything()
			}
			c.takes(stream, sets)
		}
	}
	config.known("description", "deliver_policy", "opt_start_seq", "opt_start_time", "ack_policy", "ack_wait", "max_deliver", "backoff",
		"replay_policy", "rate_limit_bps", "sample_freq", "max_waiting", "max_ack_pending", "headers_only", "max_batch", "max_expires",
		"max_bytes", "flow_control", "idle_heartbeat", "deliver_group", "inactive_threshold", "num_replicas", "mem_storage", "metadata",
		"pause_until", "priority_groups", "priority_policy", "priority_timeout")
	config.done()
}

// filters returns the subjects that a consumer reads, and whether it says so itself. The filter of the subject has to be that of the
// payload.
func (c *call) filters(config *object, stream, filter string) (sets []string, filtered bool) {
	sets = config.subjects("filter_subjects")
	if one := config.subject("filter_subject"); one != "" {
		sets = append(sets, one)
	}
	if filter != "" && (len(sets) != 1 || sets[0] != filter || config.has("filter_subjects")) {
		c.fail("the filter in the subject is not that of the payload")
	}
	if len(sets) == 0 {
		return c.subjectsOf(stream), false
	}
	return sets, true
}

func (c *call) listConsumers(names []string, _ string) {
	o := c.read()
	o.known("offset")
	o.done()
	c.act(actListConsumers, c.stream(names[0]))
}

func (c *call) consumerInfo(names []string, _ string) {
	c.empty()
	c.act(actConsumerInfo, c.consumer(names[0], names[1]))
}

func (c *call) deleteConsumer(names []string, _ string) {
	c.empty()
	c.act(actDeleteConsumer, c.consumer(names[0], names[1]))
}

func (c *call) pauseConsumer(names []string, _ string) {
	o := c.read()
	o.known("pause_until", "group", "placement")
	o.done()
	c.act(actPauseConsumer, c.consumer(names[0], names[1]))
}

// next asks a consumer for messages: a number of them, or an object that says how many and for how long.
func (c *call) next(names []string, _ string) {
	if payload := bytes.TrimSpace(c.payload); !isNumber(payload) {
		c.wanted(c.read())
	}
	c.consumes(names[0], names[1])
}

// wanted reads what a request for messages says.
func (c *call) wanted(o *object) {
	o.known("batch", "max_bytes", "expires", "no_wait", "idle_heartbeat", "group", "min_pending", "min_ack_pending", "failover", "id", "priority")
	o.done()
}

func (c *call) consumes(stream, consumer string) {
	sets := c.filtersOf(stream, consumer)
	c.act(actConsume, c.consumer(stream, consumer))
	c.reading(sets)
	c.stored = append(c.stored, c.messages(stream, everything())...)
}

func isNumber(b []byte) bool {
	_, err := strconv.ParseUint(string(b), 10, 31)
	return err == nil
}

// acknowledge judges what is said of a message that was delivered, or the answer to flow control. A subject that the session was
// given is its own to answer; any other is judged as being delivered the message.
func (c *call) acknowledge(kind string, words []string) {
	stream, consumer, ok := acknowledged(kind, words)
	if !ok {
		c.opaque("the subject")
		return
	}
	if domain := words[0]; len(words) >= longAck && domain != "_" && domain != c.domain {
		c.prefix = []string{"domain", domain}
	}
	word, rest, _ := bytes.Cut(bytes.TrimSpace(c.payload), []byte(" "))
	rest = bytes.TrimSpace(rest)
	switch string(word) {
	case "", "+ACK", "+OK", "+WPI", "-NAK":
		if len(rest) > 0 {
			c.wordsOf(rest)
		}
	case "+TERM":
		c.shape = "+TERM" // what follows is a reason for people
	case "+NXT":
		if len(rest) > 0 && !isNumber(rest) {
			c.wordsOf(rest)
		}
		c.consumes(stream, consumer)
		return
	default:
		c.opaque("the acknowledgement")
	}
	if c.given != nil && c.given(c.subject) {
		c.act(actAck, c.consumer(stream, consumer))
		return
	}
	c.act(actConsume, c.consumer(stream, consumer))
}

// wordsOf reads the object that follows the word of an acknowledgement.
func (c *call) wordsOf(rest []byte) {
	whole := c.payload
	c.payload = rest
	o := c.read()
	o.known("delay")
	c.wanted(o)
	c.payload = whole
}

// longAck is how many words the long form has at least: domain and account stand first in it, and a word may stand at its end.
const longAck = 9

// acknowledged returns whose message a subject for acknowledgements is about, by what follows $JS.ACK or $JS.FC. There are a short
// form and one that names domain and account.
func acknowledged(kind string, words []string) (stream, consumer string, ok bool) {
	switch {
	case kind == "FC" && len(words) == 3, kind == "ACK" && len(words) == 7:
		return words[0], words[1], true
	case kind == "ACK" && (len(words) == longAck || len(words) == longAck+1):
		return words[2], words[3], true
	}
	return "", "", false
}
