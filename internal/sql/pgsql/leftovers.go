package pgsql

import (
	"encoding/json"

	"gatehouse/internal/fault"
)

// LeftoversQuery is the gateway's own look at what a session has left on its backend, between transactions. It answers one
// row with one text column, for ParseLeftovers. Names that begin like the gateway's own are not counted.
const LeftoversQuery = `select pg_catalog.json_build_object(
 'user', current_user, 'session', session_user,
 'statements', (select pg_catalog.count(*) from pg_catalog.pg_prepared_statements p where p.name operator(pg_catalog.!~) '^gatehouse_'),
 'cursors', (select pg_catalog.count(*) from pg_catalog.pg_cursors c where c.name operator(pg_catalog.!~) '^gatehouse_'),
 'channels', (select pg_catalog.count(*) from pg_catalog.pg_listening_channels() l),
 'locks', (select pg_catalog.count(*) from pg_catalog.pg_locks l where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()
   and l.locktype operator(pg_catalog.=) 'advisory'),
 'temporary', (select pg_catalog.count(*) from pg_catalog.pg_class c
   where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
 'settings', (select pg_catalog.json_object_agg(g.name, g.setting) from pg_catalog.pg_settings g
   where g.source operator(pg_catalog.=) 'session'))::pg_catalog.text`

// Leftovers is what a session has left on its backend.
type Leftovers struct {
	User       string            `json:"user"`       // the current role
	Session    string            `json:"session"`    // the session's role
	Statements int               `json:"statements"` // prepared by SQL
	Cursors    int               `json:"cursors"`    // WITH HOLD
	Channels   int               `json:"channels"`   // listened to
	Locks      int               `json:"locks"`      // advisory
	Temporary  int               `json:"temporary"`  // relations of the session's own
	Settings   map[string]string `json:"settings"`   // that were set in the session, in their base units
}

// ParseLeftovers reads LeftoversQuery's answer. What is missing or too large is an error of kind Backend.
func ParseLeftovers(text []byte) (Leftovers, error) {
	const op = "pgsql.ParseLeftovers"
	var l Leftovers
	if len(text) > maxState {
		return l, fault.New(fault.Backend, op, "the session has left more than the gateway reads")
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fault.Wrap(fault.Backend, op, err, "the database's answer about what a session left cannot be read")
	}
	if l.User == "" || l.Session == "" {
		return l, fault.New(fault.Backend, op, "the database's answer about what a session left is incomplete")
	}
	return l, nil
}

// Objects reports whether anything but settings is left: what cannot be carried from one backend to another.
func (l *Leftovers) Objects() bool {
	return l.User != l.Session || l.Statements+l.Cursors+l.Channels+l.Locks+l.Temporary > 0
}

// Clean reports whether nothing at all is left.
func (l *Leftovers) Clean() bool { return !l.Objects() && len(l.Settings) == 0 }
