package policy

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"gatehouse/internal/access"
)

// truth is the value of a condition: it may be unknown, because it failed or reads what is not known.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

// facts is what one evaluation can read. It is a CEL activation: what it does not hold is not known, which makes CEL
// fail unless the rest of the condition decides without it.
type facts struct {
	caller    *access.Principal
	place     *access.Connection
	statement *access.Statement
	action    *access.Action
	input     *access.Input
	body      any // what the body of input.Request, or of its message, gave
	asked     bool
}

// eval returns the value of a condition; nil is no condition, which is true.
func (c *condition) eval(f *facts) truth {
	if c == nil {
		return yes
	}
	out, _, err := c.program.Eval(f)
	if err != nil {
		return unknown
	}
	switch out {
	case types.True:
		return yes
	case types.False:
		return no
	}
	return unknown
}

// why words the reason why a condition has no value, for the author of the policy. It names variables, never values.
func (c *condition) why(f *facts) string {
	if c.reads&readsInput != 0 && f.input == nil {
		return "it reads what only a running request knows"
	}
	sent := f.input.Request
	switch {
	case c.reads&readsEstimated != 0 && f.input.Estimated == nil:
		return "action.estimated_rows is not known"
	case c.reads&(readsRequest|readsBody) != 0 && sent == nil:
		return "there is no request or message here, or nothing is known of it"
	case c.reads&readsBody != 0 && f.asked && f.body == nil:
		return "the body is not known (there is none, it is too large, or it cannot be read as one document)"
	}
	return "it fails (something that is missing or of another type, or its cost limit)"
}

// Parent implements cel.Activation.
func (f *facts) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (f *facts) ResolveName(name string) (any, bool) {
	switch {
	case strings.HasPrefix(name, "action."):
		return f.resolveAction(name)
	case strings.HasPrefix(name, "connection.") && f.place != nil:
		if name == "connection.name" {
			return types.String(f.place.Name), true
		}
		return types.String(f.place.Type), name == "connection.type"
	case f.input != nil && name == "params":
		return f.input.Params, true
	case f.input != nil && name == "now":
		return types.Timestamp{Time: f.input.Now}, true
	case f.input != nil && f.input.Request != nil && strings.HasPrefix(name, "request."):
		return f.resolveRequest(f.input.Request, name)
	case f.input != nil && f.input.Request != nil && strings.HasPrefix(name, "message."):
		return f.resolveMessage(f.input.Request.Message, name)
	}
	return f.resolveCaller(name)
}

func (f *facts) resolveCaller(name string) (any, bool) {
	if f.caller == nil {
		return nil, false
	}
	switch name {
	case "claims":
		if f.caller.Claims == nil {
			return map[string]any{}, true
		}
		return f.caller.Claims, true
	case "principal.issuer":
		return types.String(f.caller.Issuer), true
	case "principal.subject":
		return types.String(f.caller.Subject), true
	case "principal.kind":
		return types.String(f.caller.Kind), true
	}
	return nil, false
}

func (f *facts) resolveAction(name string) (any, bool) {
	if name == "action.estimated_rows" {
		if f.input == nil || f.input.Estimated == nil {
			return nil, false
		}
		return types.Int(*f.input.Estimated), true
	}
	if f.statement == nil || f.action == nil {
		return nil, false
	}
	switch name {
	case "action.name":
		return types.String(f.action.Name), true
	case "action.resource":
		return types.String(f.action.Resource), true
	case "action.text":
		return types.String(f.statement.Normal), true
	case "action.bounded":
		return types.Bool(f.statement.Bounded), true
	}
	return nil, false
}

// resolveRequest reads what a request says. What the protocol left out is not known; no request is without a method or a path, and
// no message is a request.
func (f *facts) resolveRequest(r *access.Sent, name string) (any, bool) {
	if r.Message != nil {
		return nil, false
	}
	switch name {
	case "request.method":
		return types.String(r.Method), r.Method != ""
	case "request.path":
		return types.String(r.Path), r.Path != ""
	case "request.content_type":
		return types.String(r.ContentType), true
	case "request.size":
		if r.Size == nil {
			return nil, false
		}
		return types.Int(*r.Size), true
	case "request.params":
		return r.Params, r.Params != nil
	case "request.query":
		return r.Query, r.Query != nil
	case "request.headers":
		return r.Headers, r.Headers != nil
	case "request.body":
		return f.readBody(r.Body)
	}
	return nil, false
}

// resolveMessage reads what a message says. What the protocol left out is not known.
func (f *facts) resolveMessage(m *access.Message, name string) (any, bool) {
	if m == nil {
		return nil, false
	}
	switch name {
	case "message.exchange":
		return types.String(m.Exchange), m.Exchange != ""
	case "message.routing_key":
		return types.String(m.RoutingKey), m.Exchange != ""
	case "message.queue":
		return types.String(m.Queue), m.Queue != ""
	case "message.subject":
		return types.String(m.Subject), m.Subject != ""
	case "message.reply_to":
		return types.String(m.ReplyTo), m.ReplyTo != "" || m.Headers != nil
	case "message.content_type":
		return types.String(m.ContentType), m.ContentType != "" || m.Headers != nil
	case "message.content_encoding":
		return types.String(m.ContentEncoding), m.ContentEncoding != "" || m.Headers != nil
	case "message.headers":
		return m.Headers, m.Headers != nil
	case "message.properties":
		return m.Properties, m.Properties != nil
	case "message.body":
		return f.readBody(m.Body)
	}
	switch {
	case name == "message.size" && m.Size != nil:
		return types.Int(*m.Size), true
	case name == "message.redelivered" && m.Redelivered != nil:
		return types.Bool(*m.Redelivered), true
	}
	return nil, false
}

// readBody asks for the body once in a decision, however many conditions read it: reading it is work that a client can make
// large.
func (f *facts) readBody(read func() any) (any, bool) {
	if !f.asked {
		f.asked = true
		if read != nil {
			f.body = read()
		}
	}
	return f.body, f.body != nil
}
