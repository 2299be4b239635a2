package amqp

import (
	"strings"

	"gatehouse/internal/access"
)

// Bounds of what a session remembers.
const (
	maxOwned   = 10_000
	maxReplies = 4096
)

// known is what a session knows besides the bytes of a method, by which methods are read.
type known struct {
	connection string
	exchanges  *exchanges               // what all sessions on this connection know of its exchanges
	vouched    func() map[string]string // the types of exchanges that the connection's document names
	owned      map[string]struct{}      // queues that are this session's own: declared exclusive, or named for it by the server
	replies    map[string]struct{}      // routing keys that messages gave this session to reply to, of direct replies
	order      []string                 // of replies, the oldest first
	changes    uint64                   // how often what owns and mayReply say has changed
}

func newKnown(connection string, e *exchanges, vouched func() map[string]string) *known {
	return &known{connection: connection, exchanges: e, vouched: vouched, owned: map[string]struct{}{}, replies: map[string]struct{}{}}
}

// vouchedBy returns the types of exchanges that a document names.
func vouchedBy(c *access.Connection) map[string]string {
	if c.AMQP == nil {
		return nil
	}
	return c.AMQP.Exchanges
}

// owns reports whether a queue is the session's own.
func (k *known) owns(queue string) bool {
	_, ok := k.owned[queue]
	return ok
}

// own notes that a queue is the session's own.
func (k *known) own(queue string) {
	if len(k.owned) < maxOwned && !k.owns(queue) {
		k.owned[queue] = struct{}{}
		k.changes++
	}
}

// mayReply reports whether a message gave the session this routing key to reply to.
func (k *known) mayReply(key string) bool {
	_, ok := k.replies[key]
	return ok
}

// given notes the reply_to of a message that the client is shown, where it is the address of a direct reply; the oldest are forgotten.
func (k *known) given(key string) {
	if !strings.HasPrefix(key, replyKeys) || k.mayReply(key) {
		return
	}
	if len(k.order) == maxReplies {
		delete(k.replies, k.order[0])
		k.order = append(k.order[:0], k.order[1:]...)
	}
	k.changes++
	k.replies[key] = struct{}{}
	k.order = append(k.order, key)
}

// asked is a method that was sent to the broker, for learn, when the broker has agreed.
type asked struct {
	m     method
	since uint64 // of an exchange.declare
}

// sending notes that a method goes to the broker, on a channel. It is called in the order in which they go.
func (k *known) sending(n *naming, m method) asked {
	a := asked{m: m}
	switch m := m.(type) {
	case *queueDeclare:
		n.declaring(m)
	case *exchangeDeclare:
		if !m.Passive {
			if kind := k.vouched()[m.Exchange]; kind != "" && kind != m.Type {
				k.exchanges.deleting(m.Exchange) // it is no longer sure
			}
			a.since = k.exchanges.declaring(m.Exchange, m.Type)
		}
	case *exchangeDelete:
		k.exchanges.deleting(m.Exchange)
	}
	return a
}

// learn takes the broker's answer to what was asked, where it agreed. It is called in the order in which they were sent.
func (k *known) learn(n *naming, a asked, answer method) {
	switch m := a.m.(type) {
	case *queueDeclare:
		ok, is := answer.(*queueDeclareOk)
		if !is {
			return
		}
		n.declared(m, ok.Queue)
		if !m.Passive && (m.Exclusive || m.Queue == "") {
			k.own(ok.Queue)
		}
	case *exchangeDeclare:
		if _, is := answer.(*exchangeDeclareOk); is && !m.Passive {
			k.exchanges.declared(m.Exchange, m.Type, a.since)
		}
	}
}

// naming is what an empty name of a queue means on one channel: the queue that was declared last. The zero value is a fresh channel's.
type naming struct {
	last    string // "" where none was declared, or its name is not known
	unnamed int    // declares under way of queues that the broker is to name
	newest  bool   // one of those is the last
}

// declaring notes a declare that is sent. One with a name counts at once: if it fails, the channel ends.
func (n *naming) declaring(m *queueDeclare) {
	n.newest = m.Queue == "" && !m.Passive
	n.last = m.Queue
	if n.newest && !m.NoWait { // without an answer nobody learns the name
		n.unnamed++
	}
}

// declared notes the name that the broker gave.
func (n *naming) declared(m *queueDeclare, queue string) {
	if m.Queue != "" || m.Passive {
		return
	}
	if n.unnamed--; n.unnamed == 0 && n.newest && n.last == "" {
		n.last = queue
	}
}

// full returns m with the names that it leaves out. waits says that the name of a queue is on its way.
func (n *naming) full(m method) (out method, waits bool, err error) {
	queue := func(name *string) {
		if *name != "" {
			return
		}
		*name = n.last
		waits = n.newest && n.unnamed > 0
		if n.last == "" {
			err = notUnderstood("no queue was declared before whose name is known")
		}
	}
	bound := func(name, key *string) {
		if *name == "" && *key == "" {
			*key = n.last
		}
		queue(name)
	}
	switch m := m.(type) {
	case *basicConsume:
		c := *m
		queue(&c.Queue)
		return &c, waits, err
	case *basicGet:
		c := *m
		queue(&c.Queue)
		return &c, waits, err
	case *queueDelete:
		c := *m
		queue(&c.Queue)
		return &c, waits, err
	case *queuePurge:
		c := *m
		queue(&c.Queue)
		return &c, waits, err
	case *queueBind:
		c := *m
		bound(&c.Queue, &c.RoutingKey)
		return &c, waits, err
	case *queueUnbind:
		c := *m
		bound(&c.Queue, &c.RoutingKey)
		return &c, waits, err
	}
	return m, false, nil
}
