package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxBody bounds one document as JSON, in bytes: more than any file that is read can hold.
const maxBody = 2 << 20

// Entry is a document as it is stored.
type Entry struct {
	Document access.Document
	Revision uint64 // the revision that last changed it
	Created  time.Time
	Updated  time.Time
}

// Change is one change to the documents; Put and Remove make it.
type Change struct {
	kind, name string
	body       []byte // nil removes
	err        error
}

// Put creates or replaces a document.
func Put(doc access.Document) Change {
	body, err := json.Marshal(doc)
	return Change{kind: doc.DocKind(), name: doc.DocName(), body: body, err: err}
}

// Remove deletes a document; Apply returns fault.NotFound where it does not exist.
func Remove(kind, name string) Change { return Change{kind: kind, name: name} }

// Version is one version of a document in its history. Document is nil where the change deleted it.
type Version struct {
	Revision uint64
	Document access.Document
	Author   string // Principal.ID
	At       time.Time
}

// Apply makes all changes or none, provided that the documents are still at revision expect, and returns the revision
// that results: expect itself where every document is already as it should be. Author is the Principal.ID of who asked.
// Errors: fault.Conflict where the documents have moved on, fault.NotFound where a document to remove does not exist,
// fault.Malformed for a document that cannot be stored, fault.Unavailable.
func (s *Store) Apply(ctx context.Context, author string, expect uint64, changes ...Change) (uint64, error) {
	if err := storable(changes); err != nil {
		return 0, err
	}
	now, next := micros(s.clock()), expect
	err := s.inTx(ctx, "Apply", func(tx *sql.Tx) error {
		todo, err := effective(ctx, tx, changes)
		if err != nil {
			return err
		}
		if len(todo) > 0 {
			next = expect + 1
		}
		// The row's lock makes concurrent callers queue here, on any database.
		res, err := tx.ExecContext(ctx, "UPDATE revision SET number = $1 WHERE id = 1 AND number = $2", int64(next), int64(expect)) // a number out of range matches no row
		if err != nil {
			return err
		}
		if err := oneRow(res, conflict(expect)); err != nil {
			return err
		}
		for _, c := range todo {
			if err := c.write(ctx, tx, int64(next), author, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return next, nil
}

func conflict(expect uint64) error {
	return fault.New(fault.Conflict, "store.Apply", "the documents have changed since revision %d: look at the difference again and repeat", expect)
}

func storable(changes []Change) error {
	const op = "store.Apply"
	type id struct{ kind, name string }
	seen := make(map[id]bool, len(changes))
	for _, c := range changes {
		_, known := access.NewDocument(c.kind)
		switch {
		case c.err != nil:
			return fault.Wrap(fault.Malformed, op, c.err, "%s %q cannot be stored", c.kind, c.name)
		case !known || c.name == "":
			return fault.New(fault.Malformed, op, "a document needs a known kind and a name; this one is %q %q", c.kind, c.name)
		case len(c.body) > maxBody:
			return fault.New(fault.Malformed, op, "%s %q is larger than %d bytes: split it", c.kind, c.name, maxBody)
		case seen[id{c.kind, c.name}]:
			return fault.New(fault.Malformed, op, "%s %q is changed twice in one request: name it once", c.kind, c.name)
		}
		seen[id{c.kind, c.name}] = true
	}
	return nil
}

// effective returns the changes that would change something.
func effective(ctx context.Context, tx *sql.Tx, changes []Change) ([]Change, error) {
	var todo []Change
	for _, c := range changes {
		var have string
		err := tx.QueryRowContext(ctx, "SELECT body FROM documents WHERE kind = $1 AND name = $2", c.kind, c.name).Scan(&have)
		switch {
		case errors.Is(err, sql.ErrNoRows) && c.body == nil:
			return nil, notFound(c.kind, c.name)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return nil, err
		case err == nil && c.body != nil && bytes.Equal([]byte(have), c.body):
			continue
		}
		todo = append(todo, c)
	}
	return todo, nil
}

func (c Change) write(ctx context.Context, tx *sql.Tx, revision int64, author string, now int64) error {
	var err error
	history := sql.NullString{String: string(c.body), Valid: c.body != nil}
	if c.body == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM documents WHERE kind = $1 AND name = $2", c.kind, c.name)
	} else {
		_, err = tx.ExecContext(ctx, `INSERT INTO documents (kind, name, body, revision, created, updated) VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, revision = excluded.revision, updated = excluded.updated`,
			c.kind, c.name, string(c.body), revision, now)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO history (revision, kind, name, body, author, at) VALUES ($1, $2, $3, $4, $5, $6)",
		revision, c.kind, c.name, history, author, now)
	return err
}

// Revision returns the number of the newest change to the documents; 0 where there has been none.
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	var n int64
	if err := s.read.QueryRowContext(ctx, "SELECT number FROM revision WHERE id = 1").Scan(&n); err != nil {
		return 0, failed("Revision", err)
	}
	return revision(n)
}

func revision(n int64) (uint64, error) {
	if n < 0 || n == math.MaxInt64 {
		return 0, fault.New(fault.Unavailable, "store.revision", "the store holds an impossible revision: restore it from a backup (gatehouse restore)")
	}
	return uint64(n), nil
}

// Documents returns all documents, ordered by kind and name, and the revision that they are at: one consistent reading.
// A stored document that cannot be understood is an error: half a policy is worse than none.
func (s *Store) Documents(ctx context.Context) ([]access.Document, uint64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT r.number, d.kind, d.name, d.body FROM revision r LEFT JOIN documents d ON 1 = 1
		WHERE r.id = 1 ORDER BY d.kind, d.name`)
	if err != nil {
		return nil, 0, failed("Documents", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var docs []access.Document
	var number int64
	for rows.Next() {
		var kind, name, body sql.NullString
		if err := rows.Scan(&number, &kind, &name, &body); err != nil {
			return nil, 0, failed("Documents", err)
		}
		if !kind.Valid {
			continue // the join's empty row
		}
		doc, err := decode(kind.String, name.String, body.String)
		if err != nil {
			return nil, 0, err
		}
		docs = append(docs, doc)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, failed("Documents", err)
	}
	n, err := revision(number)
	return docs, n, err
}

// Get returns one document; fault.NotFound where it does not exist.
func (s *Store) Get(ctx context.Context, kind, name string) (Entry, error) {
	all, err := s.entries(ctx, "SELECT kind, name, body, revision, created, updated FROM documents WHERE kind = $1 AND name = $2", kind, name)
	if err != nil {
		return Entry{}, err
	}
	if len(all) == 0 {
		return Entry{}, notFound(kind, name)
	}
	return all[0], nil
}

// List returns all documents of a kind, by name.
func (s *Store) List(ctx context.Context, kind string) ([]Entry, error) {
	return s.entries(ctx, "SELECT kind, name, body, revision, created, updated FROM documents WHERE kind = $1 ORDER BY name", kind)
}

func (s *Store) entries(ctx context.Context, query string, args ...any) ([]Entry, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed("entries", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var all []Entry
	for rows.Next() {
		var kind, name, body string
		var number, created, updated int64
		if err := rows.Scan(&kind, &name, &body, &number, &created, &updated); err != nil {
			return nil, failed("entries", err)
		}
		e := Entry{Created: fromMicros(created), Updated: fromMicros(updated)}
		if e.Document, err = decode(kind, name, body); err != nil {
			return nil, err
		}
		if e.Revision, err = revision(number); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, failed("entries", rows.Err())
}

// History returns every version of a document, oldest first; empty where it never existed.
func (s *Store) History(ctx context.Context, kind, name string) ([]Version, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT revision, body, author, at FROM history WHERE kind = $1 AND name = $2 ORDER BY revision", kind, name)
	if err != nil {
		return nil, failed("History", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var all []Version
	for rows.Next() {
		var v Version
		var body sql.NullString
		var number, at int64
		if err := rows.Scan(&number, &body, &v.Author, &at); err != nil {
			return nil, failed("History", err)
		}
		v.At = fromMicros(at)
		if v.Revision, err = revision(number); err != nil {
			return nil, err
		}
		if body.Valid {
			if v.Document, err = decode(kind, name, body.String); err != nil {
				return nil, err
			}
		}
		all = append(all, v)
	}
	return all, failed("History", rows.Err())
}

func decode(kind, name, body string) (access.Document, error) {
	doc, err := access.DecodeDocument(kind, []byte(body))
	if err == nil && doc.DocName() != name {
		err = errors.New("stored under another name")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "store.decode", err, "the stored %s %q cannot be understood: restore the store from a backup (gatehouse restore)", kind, name)
	}
	return doc, nil
}

func notFound(kind, name string) error {
	return fault.New(fault.NotFound, "store", "there is no %s called %q: gatehouse get %s lists what there is", kind, name, kind)
}
