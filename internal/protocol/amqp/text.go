package amqp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
)

// line writes what a method does as one line that a person can read, and that explain can read again: the method, then name=value and
// bare words.
type line struct {
	text, normal strings.Builder
	literals     []access.Span
}

// write writes the texts of a method's statement. nowait is left out: it changes nothing but whether there is an answer. more are the further
// keys of a message.
func write(st *access.Statement, m method, more []string) {
	var l line
	l.method(m)
	l.copies(more)
	l.into(st)
}

// writeMessage writes the texts of a publish with all that is published, for a reviewer: an approval is bound to it. The body is nil where it
// is not held.
func writeMessage(st *access.Statement, m *basicPublish, more []string, p *properties, body []byte) {
	var l line
	l.method(m)
	l.copies(more)
	l.into(st) // what the message holds is none of its normal form
	l.properties(p)
	if body != nil {
		l.body(body)
	}
	st.Text, st.Literals = l.text.String(), l.literals
}

// writeDelivery writes the texts of a message on its way to the client.
func writeDelivery(st *access.Statement, queue, exchange, key string) {
	var l line
	l.both("basic.deliver")
	l.name("queue", queue)
	l.name("exchange", called(exchange))
	l.key(key)
	l.into(st)
}

func (l *line) into(st *access.Statement) {
	st.Text, st.Normal, st.Literals = l.text.String(), l.normal.String(), l.literals
	sum := sha256.Sum256([]byte(st.Normal))
	st.Fingerprint = hex.EncodeToString(sum[:16])
}

func (l *line) both(s string) {
	l.text.WriteString(s)
	l.normal.WriteString(s)
}

// name writes the name of a thing.
func (l *line) name(field, value string) { l.both(" " + field + "=" + word(value)) }

// flag writes what is set.
func (l *line) flag(field string, set bool) {
	if set {
		l.both(" " + field)
	}
}

// key writes a routing key. Its words that are rather values than names are left out of the normal form.
func (l *line) key(key string) { l.keyOf("key", key) }

// copies writes the further keys that a message goes by.
func (l *line) copies(keys []string) {
	for _, k := range keys {
		l.keyOf("cc", k)
	}
}

func (l *line) keyOf(field, key string) {
	l.text.WriteString(" " + field + "=" + word(key))
	words := strings.Split(key, ".")
	for i, w := range words {
		if looksLikeID(w) {
			words[i] = "{id}"
		}
	}
	l.normal.WriteString(" " + field + "=" + word(strings.Join(words, ".")))
}

// literal writes a value.
func (l *line) literal(field, value string) {
	l.text.WriteString(" " + field + "=")
	l.span(value)
}

func (l *line) span(value string) {
	l.literals = append(l.literals, access.Span{Start: l.text.Len(), End: l.text.Len() + len(value)})
	l.text.WriteString(value)
}

// arguments writes a table; of its names the normal form has all, of its values none.
func (l *line) arguments(t table) {
	if len(t) == 0 {
		return
	}
	l.literal("arguments", string(appendJSON(nil, t)))
	l.normal.WriteString(" arguments={")
	for i := range t {
		if i > 0 {
			l.normal.WriteByte(',')
		}
		l.normal.WriteString(word(t[i].Name))
	}
	l.normal.WriteByte('}')
}

func (l *line) method(m method) {
	l.both(m.name())
	switch m := m.(type) {
	case *basicPublish:
		l.name("exchange", called(m.Exchange))
		l.key(m.RoutingKey)
		l.flag("mandatory", m.Mandatory)
	case *basicConsume:
		l.name("queue", m.Queue)
		l.flag("no_ack", m.NoAck)
		l.flag("exclusive", m.Exclusive)
		l.arguments(m.Arguments)
	case *basicGet:
		l.name("queue", m.Queue)
		l.flag("no_ack", m.NoAck)
	case *queueDelete:
		l.name("queue", m.Queue)
		l.flag("if_unused", m.IfUnused)
		l.flag("if_empty", m.IfEmpty)
	case *queuePurge:
		l.name("queue", m.Queue)
	case *queueBind:
		l.name("queue", m.Queue)
		l.binding(m.Exchange, m.RoutingKey, m.Arguments)
	case *queueUnbind:
		l.name("queue", m.Queue)
		l.binding(m.Exchange, m.RoutingKey, m.Arguments)
	case *exchangeBind:
		l.name("destination", m.Destination)
		l.binding(m.Source, m.RoutingKey, m.Arguments)
	case *exchangeUnbind:
		l.name("destination", m.Destination)
		l.binding(m.Source, m.RoutingKey, m.Arguments)
	case *queueDeclare:
		l.name("queue", m.Queue)
		l.flag("passive", m.Passive)
		l.flag("durable", m.Durable)
		l.flag("exclusive", m.Exclusive)
		l.flag("auto_delete", m.AutoDelete)
		l.arguments(m.Arguments)
	case *exchangeDeclare:
		l.name("exchange", m.Exchange)
		l.name("type", m.Type)
		l.flag("passive", m.Passive)
		l.flag("durable", m.Durable)
		l.flag("auto_delete", m.AutoDelete)
		l.flag("internal", m.Internal)
		l.arguments(m.Arguments)
	case *exchangeDelete:
		l.name("exchange", m.Exchange)
		l.flag("if_unused", m.IfUnused)
	}
}

func (l *line) binding(source, key string, args table) {
	l.name("exchange", source)
	l.key(key)
	l.arguments(args)
}

// properties writes those that a message has.
func (l *line) properties(p *properties) {
	if p == nil {
		return
	}
	p.each(func(name string, v any) {
		switch v := v.(type) {
		case string:
			l.literal(name, word(v))
		default:
			l.literal(name, string(appendJSON(nil, v)))
		}
	})
}

// body writes a body below an empty line: as it is where it is text, else its length and digest.
func (l *line) body(b []byte) {
	if !readable(b) {
		sum := sha256.Sum256(b)
		fmt.Fprintf(&l.text, "\n\n[%d bytes, sha256 ", len(b))
		l.span(hex.EncodeToString(sum[:]))
		l.text.WriteString("]")
		return
	}
	if len(b) > 0 {
		l.text.WriteString("\n\n")
		l.span(string(b))
	}
}

func readable(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' })
}

// word writes a value bare where that is clear, and in quotes otherwise.
func word(s string) string {
	plain := s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || strings.ContainsRune(" \"'\\={}[]", r)
	})
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// appendJSON writes a value of a table. What JSON has no word for is an object of one name that says what it is.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case table:
		dst = append(dst, '{')
		for i := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, v[i].Name), ':')
			dst = appendJSON(dst, v[i].Value)
		}
		return append(dst, '}')
	case list:
		dst = append(dst, '[')
		for i := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, v[i])
		}
		return append(dst, ']')
	case string:
		return appendText(dst, v)
	case []byte:
		return append(append(append(dst, `{"bytes":"`...), base64.StdEncoding.EncodeToString(v)...), `"}`...)
	case decimal:
		return fmt.Appendf(dst, `{"decimal":[%d,%d]}`, v.Value, v.Scale)
	case stamp:
		return fmt.Appendf(dst, `{"time":%d}`, uint64(v))
	case float32, float64:
		return fmt.Appendf(dst, `{"float":"%v"}`, v)
	case nil:
		return append(dst, "null"...)
	}
	return fmt.Appendf(dst, "%v", v) // whole numbers and truth
}

func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		return append(append(append(dst, `{"bytes":"`...), base64.StdEncoding.EncodeToString([]byte(s))...), `"}`...)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a text always has a form
	}
	return append(dst, b...)
}

// looksLikeID reports whether a word of a routing key is rather a value than a name: a number, or long with digits in it.
func looksLikeID(s string) bool {
	digits := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits > 0 && (digits == len(s) || len(s) >= 16 && digits >= 2 || len(s) >= 8 && digits*2 >= len(s))
}
