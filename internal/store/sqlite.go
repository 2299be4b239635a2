package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver

	"gatehouse/internal/fault"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

const (
	// applicationID marks the file as a Gatehouse store ("GATE"): SQLite's application_id, set by the first migration.
	applicationID = 0x47415445
	versionTable  = "schema_version"
	readers       = 3
)

// Open opens the SQLite store in the file path, makes it where it does not exist (mode 0600), checks it and brings its
// schema up to date. It refuses (fault.Unavailable, saying what to do) a file that others can read, one that is not a
// store, one that is damaged, and one that a newer Gatehouse has written.
func Open(ctx context.Context, path string, clock func() time.Time) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "store.Open", err, "cannot find the directory of %s", path)
	}
	if err := privateFile(path); err != nil {
		return nil, err
	}
	if err := examine(ctx, path); err != nil {
		return nil, err
	}
	s, err := connect(path, clock)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// privateFile makes an empty file for SQLite to fill, because SQLite itself would let the group and others read it. Its
// journal files take the mode of the database file.
func privateFile(path string) error {
	const op = "store.privateFile"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot make the directory of %s", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	info, serr := os.Stat(path)
	switch {
	case !errors.Is(err, fs.ErrExist), serr != nil:
		return fault.Wrap(fault.Unavailable, op, err, "cannot open the store %s: check its owner and the disk", path)
	case !info.Mode().IsRegular():
		return fault.New(fault.Unavailable, op, "%s is not a regular file: give the store another path", path)
	case info.Mode().Perm()&0o077 != 0:
		return fault.New(fault.Unavailable, op, "the store %s can be read by other users (mode %#o): run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

func connect(path string, clock func() time.Time) (*Store, error) {
	write, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return nil, failed("Open", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(path, "deferred"))
	if err != nil {
		return nil, failed("Open", errors.Join(err, write.Close()))
	}
	read.SetMaxOpenConns(readers)
	return &Store{write: write, read: read, path: path, clock: clock}, nil
}

// dsn asks for a write-ahead log that is synced at every commit, and for deleted content to be overwritten.
func dsn(path, lock string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "secure_delete(1)", "trusted_schema(0)",
	}}
	return uri(path, q)
}

func uri(path string, q url.Values) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// examine refuses what is not a sound store, over a connection that changes nothing: connect would already turn another
// program's database into one with a write-ahead log.
func examine(ctx context.Context, path string) (err error) {
	const op = "store.examine"
	db, err := sql.Open("sqlite", uri(path, url.Values{"_pragma": {"busy_timeout(5000)", "trusted_schema(0)"}}))
	if err != nil {
		return failed("Open", err)
	}
	defer func() { err = errors.Join(err, failed("Open", db.Close())) }()
	var id, tables int64
	var check string
	err = errors.Join(
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
		db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&check))
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "%s cannot be read as a store: restore it from a backup (gatehouse restore)", path)
	}
	if id != applicationID && (id != 0 || tables != 0) {
		return fault.New(fault.Unavailable, op, "%s is another program's database: give the store another path", path)
	}
	if check != "ok" {
		return fault.Wrap(fault.Unavailable, op, errors.New(check), "the store %s is damaged: restore it from a backup (gatehouse restore)", path)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	const op = "store.migrate"
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return fault.Wrap(fault.Internal, op, err, "the migrations are missing from this binary")
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fault.Wrap(fault.Internal, op, err, "the migrations of this binary cannot be read")
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return failed("migrate", err)
	}
	if have > know {
		return fault.New(fault.Unavailable, op,
			"the store %s was written by a newer Gatehouse (schema %d; this one knows %d): start the newer one, or restore a backup made by this one",
			s.path, have, know)
	}
	if _, err := p.Up(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "the store %s cannot be brought to schema %d; nothing was lost: free disk space and start again", s.path, know)
	}
	return nil
}
