package audit

import (
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Limits on how many sessions Sessions returns.
const (
	defaultSessions = 100
	maxSessions     = 10_000
)

// Filter says which sessions. Zero fields do not restrict.
type Filter struct {
	Limit      int       // default 100, at most 10,000: the newest
	Connection string    // exactly
	Principal  string    // a Principal.ID, or its subject alone
	Since      time.Time // opened at or after
}

func (f Filter) admits(e *access.Event) bool {
	if f.Connection != "" && f.Connection != e.Connection {
		return false
	}
	if f.Principal != "" && f.Principal != e.Principal && !strings.HasSuffix(e.Principal, "#"+f.Principal) {
		return false
	}
	return f.Since.IsZero() || !e.Time.Before(f.Since)
}

// SessionSummary is one session in a list.
type SessionSummary struct {
	ID         string    `json:"id"`
	Principal  string    `json:"principal"`
	Roles      []string  `json:"roles,omitempty"`
	Connection string    `json:"connection"`
	Protocol   string    `json:"protocol"`
	Peer       string    `json:"peer,omitempty"`
	Opened     time.Time `json:"opened"`
	Closed     time.Time `json:"closed,omitzero"` // zero while it runs, or where the gateway died
	Reason     string    `json:"reason,omitempty"`
	Actions    int       `json:"actions"`             // intended
	Unknown    int       `json:"unknown,omitempty"`   // intended, without an outcome
	Failed     int       `json:"failed,omitempty"`    // ended otherwise than ok
	Refused    int       `json:"refused,omitempty"`   // refused before they were sent
	Approvals  int       `json:"approvals,omitempty"` // held for a reviewer
	Messages   int64     `json:"messages,omitempty"`  // recorded in windows, each of which is one action
	Rows       int64     `json:"rows,omitempty"`
	Bytes      int64     `json:"bytes,omitempty"`
	Masked     int64     `json:"masked,omitempty"` // cells

	last    uint64              // the highest intent, so that an outcome of none is not counted; what waits for a reviewer may be recorded out of order
	windows map[uint64]struct{} // intents of windows without an outcome
}

func (s *SessionSummary) add(e *access.Event) {
	switch e.Kind {
	case access.EventSessionClosed:
		s.Closed, s.Reason = e.Time, e.Reason
	case access.EventActionIntended:
		s.Actions++
		s.Unknown++
		s.last = max(s.last, e.Action)
		if e.Window != nil {
			if s.windows == nil {
				s.windows = map[uint64]struct{}{}
			}
			s.windows[e.Action] = struct{}{}
		}
	case access.EventActionRefused:
		s.Refused++
	case access.EventApprovalRequested:
		s.Approvals++
	case access.EventActionEnded:
		if e.Action > s.last || s.Unknown == 0 {
			return
		}
		s.Unknown--
		if e.Status != access.StatusOK {
			s.Failed++
		}
		s.Bytes, s.Masked = s.Bytes+e.Bytes, s.Masked+e.Masked
		if _, window := s.windows[e.Action]; window {
			delete(s.windows, e.Action)
			s.Messages += e.Rows
			return
		}
		s.Rows += e.Rows
	}
}

func opened(e *access.Event) *SessionSummary {
	return &SessionSummary{
		ID: e.Session, Principal: e.Principal, Roles: e.Roles, Connection: e.Connection, Protocol: e.Protocol,
		Peer: e.Peer, Opened: e.Time,
	}
}

// Sessions lists the sessions of the log in dir, newest first. It reads the whole log, in memory that depends on Limit
// alone.
func Sessions(dir string, f Filter) ([]SessionSummary, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultSessions
	}
	limit = min(limit, maxSessions)
	byID := make(map[string]*SessionSummary)
	var order []*SessionSummary
	for r, err := range Read(dir, 0) {
		if err != nil {
			return nil, err
		}
		e := &r.Event
		if e.Kind == access.EventSessionOpened && f.admits(e) {
			s := opened(e)
			byID[s.ID] = s
			order = append(order, s)
			if len(order) > limit {
				delete(byID, order[0].ID)
				order = order[1:]
			}
		} else if s := byID[e.Session]; s != nil {
			s.add(e)
		}
	}
	out := make([]SessionSummary, len(order))
	for i, s := range order {
		out[len(order)-1-i] = *s
	}
	return out, nil
}

// Entry is one record of a session. An intent carries its outcome.
type Entry struct {
	Record  Record        `json:"record"`
	Status  access.Status `json:"status,omitempty"`  // of an intent: its outcome's, or unknown where there is none
	Outcome *Record       `json:"outcome,omitempty"` // of an intent
}

// SessionLog is everything that the log holds of one session, in order; outcomes stand with their intents.
type SessionLog struct {
	Summary SessionSummary `json:"summary"`
	Entries []Entry        `json:"entries"`
}

// Session returns one session of the log in dir; fault.NotFound where there is none of that id.
func Session(dir, id string) (SessionLog, error) {
	var out SessionLog
	intents := make(map[uint64]int)
	for r, err := range Read(dir, 0) {
		if err != nil {
			return out, err
		}
		if id == "" || r.Event.Session != id {
			continue
		}
		e := &r.Event
		if e.Kind == access.EventSessionOpened {
			out.Summary = *opened(e)
		} else {
			out.Summary.add(e)
		}
		if i, ok := intents[e.Action]; ok && e.Kind == access.EventActionEnded {
			out.Entries[i].Outcome, out.Entries[i].Status = &r, e.Status
			delete(intents, e.Action)
			continue
		}
		entry := Entry{Record: r}
		if e.Kind == access.EventActionIntended {
			entry.Status = access.StatusUnknown
			intents[e.Action] = len(out.Entries)
		}
		out.Entries = append(out.Entries, entry)
	}
	if len(out.Entries) == 0 {
		return out, fault.New(fault.NotFound, "audit.Session", "no session %q: gatehouse sessions list shows them", id)
	}
	return out, nil
}
