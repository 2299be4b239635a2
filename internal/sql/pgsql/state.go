package pgsql

import (
	"encoding/json"
	"strings"

	"gatehouse/internal/fault"
)

// StateQuery is the gateway's own probe of what decides how names and strings are read in a session. It answers one row
// with one text column, for ParseState. Every name is qualified, so that no search path changes its meaning.
const StateQuery = `select pg_catalog.json_build_object(
 'path', pg_catalog.to_json(pg_catalog.current_schemas(true)),
 'user', current_user, 'session', session_user, 'role', pg_catalog.current_setting('role'),
 'strings', pg_catalog.current_setting('standard_conforming_strings'),
 'encoding', pg_catalog.current_setting('client_encoding'),
 'temp', (select pg_catalog.json_agg(n.name) from (
   select c.relname as name from pg_catalog.pg_class c where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema()
   union all
   select t.typname from pg_catalog.pg_type t where t.typnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema()
 ) n),
 'tables', (select pg_catalog.json_agg(pg_catalog.json_build_object('o', c.oid::pg_catalog.int8, 'n', c.relname, 'k', c.relkind,
    'c', (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname, a.atttypid::pg_catalog.int8,
         case when a.attnotnull then 2 else 0 end operator(pg_catalog.+)
         case when a.attgenerated operator(pg_catalog.<>) ''::pg_catalog."char" then 4 else 0 end) order by a.attnum)
       from pg_catalog.pg_attribute a
       where a.attrelid operator(pg_catalog.=) c.oid and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped),
    'writes', c.relhastriggers or c.relchecks operator(pg_catalog.>) 0
       or exists (select 1 from pg_catalog.pg_attrdef d where d.adrelid operator(pg_catalog.=) c.oid)
       or exists (select 1 from pg_catalog.pg_index i where i.indrelid operator(pg_catalog.=) c.oid
          and (i.indexprs is not null or i.indpred is not null))) order by c.oid)
   from pg_catalog.pg_class c
   where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() and c.relkind operator(pg_catalog.=) 'r'::pg_catalog."char"
     and not c.relhasrules and not c.relrowsecurity and not c.relhassubclass and not c.relispartition))::pg_catalog.text`

// State is what decides how a text is read in a session.
type State struct {
	Path                      []string // schemas in the order in which the server looks: pg_catalog.current_schemas(true)
	User, SessionUser, Role   string   // Role is what SET ROLE has set
	StandardConformingStrings bool     // off is refused where a text holds a backslash
	ClientEncoding            string   // as the server names it; anything but UTF8 and SQL_ASCII may carry ASCII only
	Temp                      []string // names of the session's own temporary relations and types, which shadow others

	tables []relationJSON // those of Temp that are plain tables
}

type stateJSON struct {
	Path     []string `json:"path"`
	User     string   `json:"user"`
	Session  string   `json:"session"`
	Role     string   `json:"role"`
	Strings  string   `json:"strings"`
	Encoding string   `json:"encoding"`
	Temp     []string `json:"temp"`

	Tables []relationJSON `json:"tables"`
}

const maxState = 1 << 20

// ParseState reads StateQuery's answer. What is missing or too large is an error of kind Backend.
func ParseState(text []byte) (State, error) {
	const op = "pgsql.ParseState"
	if len(text) > maxState {
		return State{}, fault.New(fault.Backend, op, "the session's state is larger than the gateway reads; drop temporary tables or shorten search_path")
	}
	var j stateJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return State{}, fault.Wrap(fault.Backend, op, err, "the database's answer about its session state cannot be read")
	}
	if j.User == "" || j.Encoding == "" || j.Strings == "" {
		return State{}, fault.New(fault.Backend, op, "the database's answer about its session state is incomplete")
	}
	return State{
		Path: j.Path, User: j.User, SessionUser: j.Session, Role: j.Role,
		StandardConformingStrings: strings.EqualFold(j.Strings, "on"),
		ClientEncoding:            j.Encoding, Temp: j.Temp, tables: j.Tables,
	}, nil
}

// Identity is as whom the session runs its statements.
func (s *State) Identity() Identity { return Identity{s.User, s.SessionUser, s.Role} }
