package amqp

import (
	"strings"

	"gatehouse/internal/access"
)

// message is what conditions read of a message. queue is where it is delivered from; "" where it is published through an exchange. size is
// that of the body; body gives it as access.ReadJSON has it, and may be nil. A message with copies goes by more than one routing key: which
// one a condition means is not known then.
func message(exchange, key, queue string, p *properties, size int64, redelivered *bool, body func() any) *access.Message {
	m := &access.Message{Exchange: called(exchange), RoutingKey: key, Queue: queue, Size: &size, Redelivered: redelivered,
		Headers: map[string]any{}, Properties: map[string]any{}, Body: body}
	if queue == "" && isDefault(exchange) {
		m.Queue = key
	}
	if p == nil {
		return m
	}
	media, _, _ := strings.Cut(p.ContentType, ";")
	m.ContentType = strings.ToLower(strings.TrimSpace(media))
	m.ContentEncoding = strings.ToLower(p.ContentEncoding)
	m.ReplyTo = p.ReplyTo
	m.Headers = p.Headers.Map()
	for _, name := range routingHeaders {
		if _, copies := p.Headers.Get(name); copies {
			m.Exchange, m.RoutingKey, m.Queue = "", "", queue
		}
	}
	p.each(func(name string, v any) {
		if name != "headers" {
			m.Properties[name] = plain(v)
		}
	})
	return m
}

// each calls f for each property that is there, by the name that conditions and texts have for it.
func (p *properties) each(f func(name string, v any)) {
	for _, e := range []struct {
		flag  uint16
		name  string
		value any
	}{
		{hasContentType, "content_type", p.ContentType},
		{hasContentEncoding, "content_encoding", p.ContentEncoding},
		{hasDeliveryMode, "delivery_mode", p.DeliveryMode},
		{hasPriority, "priority", p.Priority},
		{hasCorrelationID, "correlation_id", p.CorrelationID},
		{hasReplyTo, "reply_to", p.ReplyTo},
		{hasExpiration, "expiration", p.Expiration},
		{hasMessageID, "message_id", p.MessageID},
		{hasTimestamp, "timestamp", stamp(p.Timestamp)},
		{hasType, "type", p.Type},
		{hasUserID, "user_id", p.UserID},
		{hasAppID, "app_id", p.AppID},
		{hasClusterID, "cluster_id", p.ClusterID},
		{hasHeaders, "headers", p.Headers},
	} {
		if p.has&e.flag != 0 {
			f(e.name, e.value)
		}
	}
}
