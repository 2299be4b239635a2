package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// text is a string as records hold it: a JSON string, or {"base64":"…"} where it is not UTF-8.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var o struct {
		Base64 *string `json:"base64"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o.Base64 == nil {
		return fmt.Errorf("%q is neither a string nor base64", b)
	}
	raw, err := base64.StdEncoding.DecodeString(*o.Base64)
	*t = text(raw)
	return err
}

func plain(list []text) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

type recordedAction struct {
	Name     text   `json:"name"`
	Resource text   `json:"resource"`
	Fields   []text `json:"fields"`
	Wild     bool   `json:"wild"`
}

type recordedResult struct {
	Columns   []text    `json:"columns"`
	Rows      [][]*text `json:"rows"`
	Truncated bool      `json:"truncated"`
}

type recordedBecause struct {
	Policy    text `json:"policy"`
	Statement int  `json:"statement"`
	Guardrail bool `json:"guardrail"`
}

// recorded is the payload of a record. Keys that it does not know are ignored: the format is added to.
type recorded struct {
	Kind        text             `json:"kind"`
	Time        time.Time        `json:"time"`
	Session     text             `json:"session"`
	Action      uint64           `json:"action"`
	Principal   text             `json:"principal"`
	Claims      map[string]any   `json:"claims"`
	Roles       []text           `json:"roles"`
	Connection  text             `json:"connection"`
	Protocol    text             `json:"protocol"`
	Peer        text             `json:"peer"`
	Text        text             `json:"text"`
	Fingerprint text             `json:"fingerprint"`
	Params      []text           `json:"params"`
	Actions     []recordedAction `json:"actions"`
	Effect      text             `json:"effect"`
	Because     recordedBecause  `json:"because"`
	Policy      uint64           `json:"policy"`
	Catalogue   text             `json:"catalogue"`
	Phase       text             `json:"phase"`
	Window      *recordedWindow  `json:"window"`
	Approval    text             `json:"approval"`
	Status      text             `json:"status"`
	Rows        int64            `json:"rows"`
	Bytes       int64            `json:"bytes"`
	Masked      int64            `json:"masked"`
	Digest      text             `json:"digest"`
	Code        text             `json:"code"`
	BackendNs   int64            `json:"backend_ns"`
	Result      *recordedResult  `json:"result"`
	Ref         text             `json:"ref"`
	Reason      text             `json:"reason"`
	Detail      map[string]text  `json:"detail"`
}

type recordedWindow struct {
	Messages int   `json:"messages"`
	WithinNs int64 `json:"within_ns"`
}

// decodeEvent reads a payload back into the event it was made from.
func decodeEvent(payload []byte) (access.Event, error) {
	var r recorded
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return access.Event{}, fault.Wrap(fault.Internal, "audit.decodeEvent", err, "a record's payload cannot be read: run gatehouse audit verify")
	}
	e := access.Event{
		Kind: access.EventKind(r.Kind), Time: r.Time, Session: string(r.Session), Action: r.Action,
		Principal: string(r.Principal), Roles: plain(r.Roles), Connection: string(r.Connection),
		Protocol: string(r.Protocol), Peer: string(r.Peer), Text: string(r.Text), Fingerprint: string(r.Fingerprint),
		Params: plain(r.Params), Effect: string(r.Effect), Policy: r.Policy,
		Catalogue: string(r.Catalogue), Phase: string(r.Phase),
		Because:  access.Because{Policy: string(r.Because.Policy), Statement: r.Because.Statement, Guardrail: r.Because.Guardrail},
		Approval: string(r.Approval), Status: access.Status(r.Status), Rows: r.Rows, Bytes: r.Bytes, Masked: r.Masked,
		Digest: string(r.Digest), Code: string(r.Code), Backend: time.Duration(r.BackendNs), Ref: string(r.Ref), Reason: string(r.Reason),
	}
	if r.Claims != nil {
		e.Claims, _ = numbers(r.Claims).(map[string]any)
	}
	for _, a := range r.Actions {
		e.Actions = append(e.Actions, access.Action{Name: string(a.Name), Resource: string(a.Resource), Fields: plain(a.Fields), Wild: a.Wild})
	}
	if w := r.Window; w != nil {
		e.Window = &access.Window{Messages: w.Messages, Within: time.Duration(w.WithinNs)}
	}
	e.Result = result(r.Result)
	if r.Detail != nil {
		e.Detail = make(map[string]string, len(r.Detail))
		for k, v := range r.Detail {
			e.Detail[k] = string(v)
		}
	}
	return e, nil
}

func result(r *recordedResult) *access.Result {
	if r == nil {
		return nil
	}
	out := &access.Result{Columns: plain(r.Columns), Truncated: r.Truncated, Rows: make([][]*string, len(r.Rows))}
	for i, row := range r.Rows {
		out.Rows[i] = make([]*string, len(row))
		for j, cell := range row {
			if cell != nil {
				out.Rows[i][j] = (*string)(cell)
			}
		}
	}
	return out
}

// numbers gives claims the types that identity gives them: integers as int64, other numbers as float64.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}
