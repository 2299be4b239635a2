package bypass

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// touched tells, per table of the database and of the catalogue, which row versions there are: whatever is inserted, updated or
// deleted shows, even where the values are the same in the end.
const touched = `
SELECT c.oid::regclass::text, (xpath('//d/text()', query_to_xml(format(
  'SELECT count(*) || '' '' || coalesce(max(xmin::text::bigint), 0) AS d FROM ONLY %s', c.oid::regclass), true, false, '')))[1]::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND (n.nspname = 'pg_catalog' OR n.nspname !~ '^pg_|^information_schema$')
  AND c.relpersistence <> 't' AND c.relname NOT IN ('pg_depend', 'pg_shdepend', 'pg_statistic', 'pg_namespace')
UNION ALL SELECT 'schemas', string_agg(nspname || ' ' || nspowner || coalesce(nspacl::text, ''), ',' ORDER BY nspname) FROM pg_namespace
  WHERE nspname !~ '^pg_(toast_)?temp_'`

// beside is what changes without a row of a table.
const beside = `
SELECT 'next transaction', pg_snapshot_xmax(pg_current_snapshot())::text
UNION ALL SELECT 'sequences', string_agg(seqrelid::regclass || ' ' || coalesce(pg_sequence_last_value(seqrelid)::text, ''), ',') FROM pg_sequence
UNION ALL SELECT 'locks', string_agg(classid || ' ' || objid, ',') FROM pg_locks WHERE locktype = 'advisory'
UNION ALL SELECT 'slots', string_agg(slot_name, ',') FROM pg_replication_slots
UNION ALL SELECT 'prepared transactions', string_agg(gid, ',') FROM pg_prepared_xacts
UNION ALL SELECT 'settings', pg_read_file('postgresql.auto.conf')`

// clients counts the sessions of clients that are still being cleared away, and their temporary tables.
const clients = `SELECT (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
  + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') + (SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active')
  + (SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND xact_start IS NOT NULL)`

// snapshot is the state of one of the two databases and of the folder that the server may write to, part by part.
type snapshot map[string]string

// snap waits until the sessions that have left are cleared away, and takes a snapshot.
func (w *world) snap(t *testing.T, database int) snapshot {
	t.Helper()
	w.settle(t, database)
	s := snapshot{}
	w.parts(t, database, beside, s)
	const next = "next transaction" // where none was given out, no row of any table was written
	if s[next] != w.last[database][next] {
		w.last[database] = snapshot{next: s[next]}
		w.parts(t, database, touched, w.last[database])
	}
	maps.Copy(s, w.last[database])
	delete(s, next)
	entries, err := filepath.Glob(filepath.Join(w.files, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		raw, err := os.ReadFile(f)
		s["file "+f] = fmt.Sprintf("%x %v", raw, err)
	}
	return s
}

// parts adds a query's answer to a snapshot.
func (w *world) parts(t *testing.T, database int, query string, s snapshot) {
	t.Helper()
	rows, err := w.admin[database].Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var part string
		var digest *string
		if err := rows.Scan(&part, &digest); err != nil {
			t.Fatal(err)
		}
		if digest != nil {
			s[part] = *digest
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) settle(t *testing.T, database int) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(tooLong); ; <-tick.C {
		var n int
		if err := w.admin[database].QueryRow(t.Context(), clients).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Error("sessions that have left are still at work, or their temporary tables or locks are still there")
			return
		}
	}
}

// changes lists the parts that differ.
func (s snapshot) changes(after snapshot) string {
	var out []string
	for part, was := range s {
		if now, ok := after[part]; !ok || now != was {
			out = append(out, part)
		}
	}
	for part := range after {
		if _, ok := s[part]; !ok {
			out = append(out, "new: "+part)
		}
	}
	return strings.Join(out, ", ")
}

// undo has a superuser put back what a case may change, statement by statement: where there is nothing to put back it fails.
func (w *world) undo(t *testing.T, s *session, database int, texts []string) {
	t.Helper()
	w.settle(t, database)
	for _, text := range texts {
		_, _ = w.admin[database].PgConn().Exec(t.Context(), s.own(left.fill(text))).ReadAll() // judged by what is there then
	}
	if now := w.rows(t, database); now != w.first[database] {
		t.Fatalf("the case leaves %s; at first it was %s", now, w.first[database])
	}
}

// rows digests the values and columns of what attacks are after, for where row versions may change.
func (w *world) rows(t *testing.T, database int) string {
	t.Helper()
	var digest string
	err := w.admin[database].QueryRow(t.Context(), `SELECT string_agg(relname || ' ' || md5(query_to_xml('SELECT * FROM ' || oid::regclass
		|| ' t ORDER BY t::text', true, false, '')::text), ',' ORDER BY relname) FROM pg_class
		WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace`).Scan(&digest)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}
