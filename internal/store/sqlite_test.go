package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look into files behind the store's back

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, storetest.Clock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB, clock func() time.Time) *store.Store {
		dir, err := os.MkdirTemp(t.TempDir(), "s")
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(context.Background(), filepath.Join(dir, "state.db"), clock)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// behind runs SQL on a store's file without the store.
func behind(t *testing.T, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(query, args...)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *store.Store, expect uint64, name string) {
	t.Helper()
	if _, err := s.Apply(t.Context(), "author", expect, store.Put(&access.Policy{Name: name})); err != nil {
		t.Fatal(err)
	}
}

// TestFiles: nobody else reads the store or its journal, whatever the umask and the path.
func TestFiles(t *testing.T) {
	for _, name := range []string{"state.db", "with space?and=1&#%41.db", "-wal"} {
		path := filepath.Join(t.TempDir(), "state dir", name)
		s := open(t, path)
		put(t, s, 0, "a")
		files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		if err != nil || len(files) < 2 {
			t.Fatalf("%q: %v %v", name, files, err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", f, info.Mode(), err)
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the directory: %v %v", info.Mode(), err)
		}
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first := open(t, path)
	put(t, first, 0, "a")
	// A second process, while the first one runs, and then in its place.
	put(t, open(t, path), 1, "b")
	if docs, n, err := first.Documents(t.Context()); err != nil || n != 2 || len(docs) != 2 {
		t.Fatalf("%d documents at %d: %v", len(docs), n, err)
	}
}

// TestRefusals: what Open must not touch, it leaves as it is and says what to do.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"a newer schema": {func(t *testing.T, p string) {
			behind(t, p, "INSERT INTO schema_version (version_id, is_applied) VALUES (999, 1)")
		}, "start the newer one, or restore a backup"},
		"another's file":    {func(t *testing.T, p string) { behind(t, p, "PRAGMA application_id = 7") }, "another program's database"},
		"not a database":    {func(t *testing.T, p string) { write(t, p, bytes.Repeat([]byte("hello "), 1000)) }, "restore it from a backup"},
		"cut":               {func(t *testing.T, p string) { truncate(t, p, 8192) }, "restore it from a backup"},
		"damaged":           {func(t *testing.T, p string) { damage(t, p) }, "restore it from a backup"},
		"readable by group": {func(t *testing.T, p string) { chmod(t, p, 0o640) }, "chmod 600"},
		"readable by all":   {func(t *testing.T, p string) { chmod(t, p, 0o604) }, "chmod 600"},
		"a directory": {func(t *testing.T, p string) {
			if err := errors.Join(os.Remove(p), os.Mkdir(p, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			s := open(t, path)
			for i := range uint64(50) { // enough for several pages
				put(t, s, i, fmt.Sprintf("policy-%d-%s", i, strings.Repeat("x", 100)))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.prepare(t, path)
			before, _ := os.ReadFile(path)
			_, err := store.Open(t.Context(), path, storetest.Clock())
			if say, _ := fault.Say(err); fault.KindOf(err) != fault.Unavailable || !strings.Contains(say, c.want) {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, n int64) {
	t.Helper()
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites the second half of every page after the first.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 4096; page < len(b); page += 4096 {
		for i := page; i < page+64 && i < len(b); i++ {
			b[i] ^= 0xff
		}
	}
	write(t, path, b)
}

// TestUnreadableDocument: a stored document that this gateway does not understand closes, it does not get skipped.
func TestUnreadableDocument(t *testing.T) {
	for name, body := range map[string]string{
		"a newer key":  `{"name":"a","statements":[],"severity":"high"}`,
		"another name": `{"name":"b","statements":[]}`,
		"broken":       `{"name":"a"`,
		"two":          `{"name":"a","statements":[]}{}`,
		"nothing":      ``,
	} {
		path := filepath.Join(t.TempDir(), "state.db")
		s := open(t, path)
		put(t, s, 0, "a")
		put(t, s, 1, "z")
		behind(t, path, "UPDATE documents SET body = $1 WHERE name = 'a'", body)
		docs, _, err := s.Documents(t.Context())
		if err == nil || docs != nil || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v %v", name, docs, err)
		}
		if _, err := s.Get(t.Context(), access.KindPolicy, "a"); err == nil {
			t.Errorf("%s: Get gave it out", name)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "state.db"))
	put(t, s, 0, "a")
	if err := s.Secrets().Put(t.Context(), "secret", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "it's a backup.db")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, "later")
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup: %v %v", info, err)
	}
	if err := s.Backup(t.Context(), backup); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a backup was overwritten: %v", err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "none", "b.db")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	restored := filepath.Join(dir, "restored.db")
	if err := store.Restore(t.Context(), backup, restored, storetest.Clock()); err != nil {
		t.Fatal(err)
	}
	r := open(t, restored)
	docs, n, err := r.Documents(t.Context())
	if err != nil || n != 1 || len(docs) != 1 || docs[0].DocName() != "a" {
		t.Errorf("%v at %d: %v", docs, n, err)
	}
	if sealed, err := r.Secrets().Get(t.Context(), "secret"); err != nil || string(sealed) != "sealed" {
		t.Errorf("%q %v", sealed, err)
	}
	if err := store.Restore(t.Context(), backup, restored, storetest.Clock()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a store was overwritten: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".restore-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestRestoreRefuses: a backup that is not sound never becomes the store.
func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{"not a database": bytes.Repeat([]byte("x"), 10000), "cut": []byte("SQLite format 3\x00")} {
		src, dst := filepath.Join(dir, "src.db"), filepath.Join(dir, "dst.db")
		write(t, src, b)
		if err := store.Restore(t.Context(), src, dst, storetest.Clock()); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: left a store behind", name)
		}
	}
	if err := store.Restore(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "dst.db"), storetest.Clock()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestClosed: a store that is closed refuses, in words for the client.
func TestClosed(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), storetest.Clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}
