package pgsql

import (
	"encoding/json"

	"gatehouse/internal/fault"
)

// LeftoversQuery is the gateway's own look at what a session has left on its backend, between transactions. It answers one
// row with one text column, for ParseLeftovers. Of the names that begin like the gateway's own, those of statements that were
// prepared by the protocol are told apart: only the gateway can have made them.
const LeftoversQuery = `select pg_catalog.json_build_object(
 'user', current_user, 'session', session_user, 'role', pg_catalog.current_setting('role'),
 'statements', (select pg_catalog.count(*) from pg_catalog.pg_prepared_statements p
   where p.from_sql or p.name operator(pg_catalog.!~) '^gatehouse_'),
 'held', (select pg_catalog.json_agg(p.name) from pg_catalog.pg_prepared_statements p
   where not p.from_sql and p.name operator(pg_catalog.~) '^gatehouse_' and p.name operator(pg_catalog.<>) 'gatehouse_own'),
 'cursors', (select pg_catalog.count(*) from pg_catalog.pg_cursors c where c.is_holdable or c.name operator(pg_catalog.<>) 'gatehouse_own'),
 'channels', (select pg_catalog.count(*) from pg_catalog.pg_listening_channels() l),
 'locks', (select pg_catalog.count(*) from pg_catalog.pg_locks l where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()
   and l.locktype operator(pg_catalog.=) 'advisory'),
 'temporary', (select pg_catalog.count(*) from pg_catalog.pg_depend d
   where d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
   and d.refobjid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
 'settings', (select pg_catalog.json_object_agg(g.name, g.setting) from pg_catalog.pg_settings g
   where g.source operator(pg_catalog.=) 'session'))::pg_catalog.text`

// Leftovers is what a session has left on its backend.
type Leftovers struct {
	Identity
	Statements int               `json:"statements"` // prepared by SQL
	Held       []string          `json:"held"`       // prepared by the gateway, under names of its own
	Cursors    int               `json:"cursors"`    // WITH HOLD
	Channels   int               `json:"channels"`   // listened to
	Locks      int               `json:"locks"`      // advisory
	Temporary  int               `json:"temporary"`  // objects of the session's own: relations, types, functions
	Settings   map[string]string `json:"settings"`   // that were set in the session, in their base units
}

// Identity is as whom a session runs its statements.
type Identity struct {
	User    string `json:"user"`    // current_user
	Session string `json:"session"` // session_user
	Role    string `json:"role"`    // what SET ROLE has set
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

// Objects reports whether anything but settings is left: what cannot be carried from one backend to another. who is as whom
// the backend was logged in to.
func (l *Leftovers) Objects(who Identity) bool {
	return l.Identity != who || l.Statements+l.Cursors+l.Channels+l.Locks+l.Temporary > 0
}

// Clean reports whether nothing at all is left.
func (l *Leftovers) Clean(who Identity) bool {
	return !l.Objects(who) && len(l.Settings)+len(l.Held) == 0
}
