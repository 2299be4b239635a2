package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// locksQuery asks what every backend of this database has locked of a user's relations, in a few words each, by its process
// number: so its text is always the same. Every name and operator is qualified.
const locksQuery = `select pg_catalog.json_object_agg(x.pid, x.t) from (
 select y.pid, pg_catalog.string_agg(y.t, ', ' order by y.t) as t from (
  select distinct l.pid, pg_catalog.concat(l.mode, ' on ', n.nspname, '.', c.relname) as t
  from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) l.relation
  join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
  join pg_catalog.pg_database d on d.oid operator(pg_catalog.=) l.database
  where l.granted and l.pid is not null and d.datname operator(pg_catalog.=) pg_catalog.current_database()
   and c.relkind operator(pg_catalog.=) any ('{r,p,f,m,S}'::pg_catalog."char"[])
   and n.nspname operator(pg_catalog.!~) '^pg_') y group by y.pid) x`

// mostLocks bounds what a reviewer is shown of them, in bytes.
const mostLocks = 1000

// locksDue is how long the question may take: an action that waits for a reviewer does not wait for it.
const locksDue = 5 * time.Second

// locks tells what the session's open transaction has locked. It asks on a backend beside: the session's own may be in the
// middle of a pipeline.
func (s *session) locks(ctx context.Context) string {
	const unknown = "they could not be read"
	if s.m == nil {
		return unknown
	}
	ctx, done := context.WithTimeout(ctx, locksDue)
	defer done()
	beside, err := s.g.Aside(s.g.Caller().Session + "/locks/" + strconv.FormatUint(s.p.catalogues.serial.Add(1), 10))
	if err != nil {
		return unknown
	}
	all, err := readLocks(ctx, beside, s.g.Lease())
	beside.Close([]byte{msgTerminate, 0, 0, 0, 4}, err)
	text := all[strconv.FormatUint(uint64(s.m.pid), 10)]
	switch {
	case err != nil:
		return unknown
	case text == "":
		return "none"
	case len(text) > mostLocks:
		return strings.ToValidUTF8(text[:mostLocks], "") + " and more"
	}
	return text
}

// readLocks returns what every backend has locked.
func readLocks(ctx context.Context, beside *gate.Gate, lease gate.Lease) (map[string]string, error) {
	l, stop, err := aside(ctx, beside, lease)
	if err != nil {
		return nil, err
	}
	defer stop()
	text, err := l.own(ctx, ownLocks, msgSync)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	all := map[string]string{}
	return all, json.Unmarshal(text, &all)
}
