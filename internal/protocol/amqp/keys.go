package amqp

import (
	"strings"
	"sync"

	"gatehouse/internal/access"
)

// The types of exchanges whose meaning is known.
const (
	kindDirect  = "direct"
	kindFanout  = "fanout"
	kindTopic   = "topic"
	kindHeaders = "headers"
)

// Bounds of what is kept and written of exchanges and keys.
const (
	maxKinds    = 10000 // exchanges of one connection whose types are kept
	maxPlaces   = 1000  // connections
	maxVariants = 2     // words # of a binding key that are written as with and without words
)

// keySet is the last segment of a resource below an exchange: one routing key, or a set of them.
type keySet struct {
	segment string // encoded
	wild    bool
}

// everyKey is the set of all keys of an exchange.
func everyKey() []keySet { return []keySet{{"**", true}} }

// oneKey is a routing key that a message carries.
func oneKey(key string) keySet {
	return keySet{segment: strings.TrimPrefix(access.SegmentResource("", key), "/")}
}

// boundKeys is what a binding key can match on an exchange of type direct or topic: a key with words * or # is read as a topic's, which
// is never less than what it is to a direct exchange. # stands for no word, too: both readings are sets of their own, as many as
// there may be; with more of them, one larger set stands for all.
func boundKeys(key string) []keySet {
	words := strings.Split(key, ".")
	words = compactRest(words)
	if !wildWords(words) {
		return []keySet{oneKey(key)}
	}
	rest := 0
	for _, w := range words {
		if w == "#" {
			rest++
		}
	}
	if rest > maxVariants {
		return []keySet{{access.WildSegment(strings.Join(words, "."), "*", "#", true), true}}
	}
	var sets []keySet
	for _, v := range variants(words) {
		text := strings.Join(v, ".")
		if wildWords(v) {
			sets = append(sets, keySet{access.WildSegment(text, "*", "#", false), true})
		} else if !(text == "" && len(words) == 1) { // the set of # alone holds the empty key
			sets = append(sets, oneKey(text))
		}
	}
	return sets
}

func wildWords(words []string) bool {
	for _, w := range words {
		if w == "*" || w == "#" {
			return true
		}
	}
	return false
}

// compactRest makes one # of several in a row: they stand for the same.
func compactRest(words []string) []string {
	out := words[:0:0]
	for i, w := range words {
		if w != "#" || i == 0 || words[i-1] != "#" {
			out = append(out, w)
		}
	}
	return out
}

// variants are the readings of a key: each # as words, and as none.
func variants(words []string) [][]string {
	for i, w := range words {
		if w != "#" {
			continue
		}
		var out [][]string
		for _, after := range variants(words[i+1:]) {
			with := append(append(append([]string{}, words[:i]...), "#"), after...)
			out = append(out, with, append(append([]string{}, words[:i]...), after...))
		}
		return out
	}
	return [][]string{words}
}

// places keeps what is known of the exchanges of each connection. It is safe for concurrent use.
type places struct {
	mu   sync.Mutex
	list map[string]*exchanges
}

// of returns what is known of a broker's exchanges. It is one for all sessions, so that what one of them changes is known to the others.
func (p *places) of(c *access.Connection) *exchanges {
	host := ""
	if c.AMQP != nil {
		host = c.AMQP.VirtualHost
	}
	key := c.Address + "\x00" + host
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.list[key]
	if e == nil {
		e = newExchanges()
		if len(p.list) >= maxPlaces {
			return e
		}
		if p.list == nil {
			p.list = map[string]*exchanges{}
		}
		p.list[key] = e
	}
	return e
}

// exchanges is what is known of the types of exchanges: by declares that the broker confirmed, all that go through this gateway. A type
// is forgotten as soon as somebody asks to remove the exchange, or to make it of another type.
type exchanges struct {
	mu      sync.Mutex
	kinds   map[string]string
	changes uint64            // counts what was forgotten
	changed map[string]uint64 // by exchange: changes when its type was last forgotten
	floor   uint64            // the same, for those that are not in changed
}

func newExchanges() *exchanges {
	return &exchanges{kinds: map[string]string{}, changed: map[string]uint64{}}
}

// kind is the type of an exchange; "" where it is not known.
func (e *exchanges) kind(exchange string) string {
	switch exchange {
	case "", defaultExchange, "amq.direct":
		return kindDirect
	case "amq.topic", "amq.rabbitmq.trace", "amq.rabbitmq.log", "amq.rabbitmq.event":
		return kindTopic
	case "amq.fanout":
		return kindFanout
	case "amq.headers", "amq.match":
		return kindHeaders
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kinds[exchange]
}

// declaring is called before a declare is sent. What it returns is for declared, when the broker has agreed.
func (e *exchanges) declaring(exchange, kind string) (since uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := e.kinds[exchange]; known != "" && known != kind {
		e.forget(exchange)
	}
	return e.since(exchange)
}

// declared learns a type, unless it may have changed since the declare was sent.
func (e *exchanges) declared(exchange, kind string, since uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.since(exchange) == since && (len(e.kinds) < maxKinds || e.kinds[exchange] != "") {
		e.kinds[exchange] = kind
	}
}

// deleting is called before a delete is sent.
func (e *exchanges) deleting(exchange string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(exchange)
}

func (e *exchanges) since(exchange string) uint64 {
	if n, ok := e.changed[exchange]; ok {
		return n
	}
	return e.floor
}

func (e *exchanges) forget(exchange string) {
	e.changes++
	delete(e.kinds, exchange)
	if len(e.changed) >= maxKinds { // nobody may fill memory with names: then every declare under way teaches nothing
		e.floor = e.changes
		clear(e.changed)
	}
	e.changed[exchange] = e.changes
}

// kindOr is the type of an exchange: what a document says it is, where nobody has asked to change it and it is not known by itself.
func (e *exchanges) kindOr(exchange, vouched string) string {
	if kind := e.kind(exchange); kind != "" || vouched == "" {
		return kind
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.since(exchange) != 0 {
		return ""
	}
	return vouched
}

// bound is the set of messages that a binding takes from an exchange, by their routing keys. Where keys mean nothing, or it is not known
// what they mean, it is all of them.
func (e *exchanges) bound(exchange, key, vouched string) []keySet {
	switch e.kindOr(exchange, vouched) {
	case kindDirect, kindTopic:
		return boundKeys(key)
	}
	return everyKey()
}
