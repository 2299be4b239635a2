package amqp

// Bounds of what a session remembers.
const (
	maxOwned   = 10_000
	maxKinds   = 10_000
	maxReplies = 4096
)

// known is what a session knows besides the bytes of a method, by which methods are read.
type known struct {
	connection string
	owned      map[string]struct{} // queues that are this session's own: declared exclusive, or named for it by the server
	kinds      map[string]string   // the types of exchanges that this session declared, and the server agreed
	replies    map[string]struct{} // routing keys that messages gave this session to reply to, of direct replies
	order      []string            // of replies, the oldest first
}

func newKnown(connection string) *known {
	return &known{connection: connection, owned: map[string]struct{}{}, kinds: map[string]string{}, replies: map[string]struct{}{}}
}

// owns reports whether a queue is the session's own.
func (k *known) owns(queue string) bool {
	_, ok := k.owned[queue]
	return ok
}

// own notes that a queue is the session's own.
func (k *known) own(queue string) {
	if len(k.owned) < maxOwned {
		k.owned[queue] = struct{}{}
	}
}

// kindOf returns the type of an exchange; "" where the session does not know it.
func (k *known) kindOf(exchange string) string { return k.kinds[exchange] }

// learnt notes the type of an exchange.
func (k *known) learnt(exchange, kind string) {
	if len(k.kinds) < maxKinds {
		k.kinds[exchange] = kind
	}
}

// mayReply reports whether a message gave the session this routing key to reply to.
func (k *known) mayReply(key string) bool {
	_, ok := k.replies[key]
	return ok
}

// given notes a routing key to reply to; the oldest are forgotten.
func (k *known) given(key string) {
	if k.mayReply(key) {
		return
	}
	if len(k.order) == maxReplies {
		delete(k.replies, k.order[0])
		k.order = append(k.order[:0], k.order[1:]...)
	}
	k.replies[key] = struct{}{}
	k.order = append(k.order, key)
}
