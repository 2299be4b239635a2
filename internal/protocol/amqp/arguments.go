package amqp

import "slices"

// maxArgument bounds, in bytes, what an argument names: names and keys have no more.
const maxArgument = 255

// The arguments whose meaning is known. One that is not listed needs Opaque.
var (
	queueArguments = []string{"x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-overflow", "x-dead-letter-exchange",
		"x-dead-letter-routing-key", "x-dead-letter-strategy", "x-single-active-consumer", "x-max-priority", "x-queue-mode",
		"x-queue-version", "x-queue-type", "x-queue-master-locator", "x-queue-leader-locator", "x-max-in-memory-length",
		"x-max-in-memory-bytes", "x-delivery-limit", "x-quorum-initial-group-size", "x-initial-cluster-size", "x-max-age",
		"x-stream-max-segment-size-bytes"}
	exchangeArguments = []string{"alternate-exchange"}
	consumeArguments  = []string{"x-priority", "x-cancel-on-ha-failover", "x-stream-offset"}
	// discardArguments make a queue lose messages by itself, or end with what is in it.
	discardArguments = []string{"x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-age", "x-delivery-limit"}
)

func unknownArgument(list []string, args table) bool {
	return slices.ContainsFunc(args, func(e entry) bool { return !slices.Contains(list, e.Name) })
}

// discards reports whether a queue with these arguments loses messages by itself.
func discards(args table) bool {
	return slices.ContainsFunc(args, func(e entry) bool { return slices.Contains(discardArguments, e.Name) })
}

// textArgument returns an argument that names something.
func textArgument(args table, name string) (value string, ok bool, err error) {
	v, ok := args.Get(name)
	if !ok {
		return "", false, nil
	}
	s, isText := v.(string)
	if !isText || len(s) > maxArgument {
		return "", false, notUnderstood("the argument " + name + " is not a short text")
	}
	return s, true, checkName(s)
}

// maxRoutes bounds the keys of one message.
const maxRoutes = 64

// routingHeaders are the headers by which a sender names further routing keys.
var routingHeaders = [...]string{"CC", "BCC"}

// checkProperties refuses properties by which a client would say what is not for it to say, and returns the further keys that the
// message goes by.
func checkProperties(p *properties) (more []string, err error) {
	if p == nil {
		return nil, nil
	}
	if p.has&hasUserID != 0 {
		return nil, notUnderstood("user_id is not the client's to say: the broker knows the gateway's own user only")
	}
	for _, name := range routingHeaders {
		v, ok := p.Headers.Get(name)
		if !ok {
			continue
		}
		l, isList := v.(list)
		if !isList {
			return nil, notUnderstood("the header " + name + " is not a list of routing keys")
		}
		for _, v := range l {
			key, isText := v.(string)
			if !isText || len(more) == maxRoutes {
				return nil, notUnderstood("the header " + name + " is not a list of routing keys, or a long one")
			}
			if err := checkKey(key); err != nil {
				return nil, err
			}
			if !slices.Contains(more, key) {
				more = append(more, key)
			}
		}
	}
	return more, nil
}
