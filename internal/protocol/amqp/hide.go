package amqp

import wired "gatehouse/internal/wire/message"

// hideProperties hides values in the properties and the headers of a message, and returns how many. What says how the body is to be read, and
// what routes or counts, stays: it holds nothing of anybody's. A text that grows beyond what a short string holds is hidden whole.
func hideProperties(h *wired.Hidden, p *properties) (hits int64) {
	if !h.Beside() {
		return 0
	}
	for _, one := range [...]struct {
		name string
		text *string
	}{{"correlation_id", &p.CorrelationID}, {"reply_to", &p.ReplyTo}, {"message_id", &p.MessageID}, {"type", &p.Type},
		{"user_id", &p.UserID}, {"app_id", &p.AppID}, {"cluster_id", &p.ClusterID}} {
		if *one.text == "" {
			continue
		}
		out, n := h.Text(one.name, *one.text)
		if hits += n; n > 0 {
			*one.text = short(out)
		}
	}
	headers, n := hideTable(h, p.Headers)
	p.Headers = headers
	return hits + n
}

// short is a text that fits a short string.
func short(s string) string {
	const most = 255
	if len(s) > most {
		return wired.Redacted
	}
	return s
}

// hideTable hides values in a table, at any depth. Where there are none it returns the table itself, else another one.
func hideTable(h *wired.Hidden, t table) (out table, hits int64) {
	for i, e := range t {
		name, n := h.Name(e.Name)
		v, more := hideValue(h, e.Name, e.Value)
		n += more
		tells := h.Tells(e.Name)
		if tells {
			n++
		}
		if n > 0 && hits == 0 {
			out = append(make(table, 0, len(t)), t[:i]...)
		}
		if hits += n; hits == 0 || tells {
			continue
		}
		if _, twice := out.Get(short(name)); !twice || name == e.Name {
			out = append(out, entry{short(name), v})
		}
	}
	if hits == 0 {
		return t, 0
	}
	return out, hits
}

// hideValue hides values in one value of a table.
func hideValue(h *wired.Hidden, name string, v any) (out any, hits int64) {
	switch x := v.(type) {
	case table:
		if h.Named(name) {
			return wired.Redacted, 1
		}
		if out, hits := hideTable(h, x); hits > 0 {
			return out, hits
		}
		return v, 0
	case list:
		if h.Named(name) {
			return wired.Redacted, 1
		}
		return hideList(h, name, x)
	case stamp:
		if h.Named(name) {
			return wired.Redacted, 1
		}
		return v, 0
	case decimal:
		if out, hits := h.Value(name, plain(x)); hits > 0 {
			return out, hits
		}
		return v, 0
	}
	return h.Value(name, v)
}

func hideList(h *wired.Hidden, name string, l list) (any, int64) {
	var out list
	var hits int64
	for i, v := range l {
		masked, n := hideValue(h, name, v)
		if n > 0 && hits == 0 {
			out = append(list(nil), l...)
		}
		if hits += n; n > 0 {
			out[i] = masked
		}
	}
	if hits == 0 {
		return l, 0
	}
	return out, hits
}
