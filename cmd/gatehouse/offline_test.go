package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cli"
	"gatehouse/internal/keys"
	"gatehouse/internal/store"
)

// part is one file of a backup; size lies where it is not 0.
type part struct {
	name string
	body []byte
	size int64
}

func archive(t *testing.T, parts ...part) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range parts {
		if err := w.WriteHeader(&tar.Header{Name: p.name, Mode: 0o600, Size: max(p.size, int64(len(p.body)))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(p.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil && parts[len(parts)-1].size == 0 {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRestoreOfABadBackupChangesNothing: neither the store nor the log of a gateway is touched before the backup is proven.
func TestRestoreOfABadBackupChangesNothing(t *testing.T) {
	good := filepath.Join(t.TempDir(), dbFile)
	s, err := store.Open(t.Context(), good, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		parts []part
		ok    bool
	}{
		"good":                 {parts: []part{{name: backupCheckpoint, body: []byte("c")}, {name: dbFile, body: whole}}, ok: true},
		"not a store":          {parts: []part{{name: dbFile, body: bytes.Repeat([]byte("x"), 8192)}}},
		"an empty store":       {parts: []part{{name: dbFile}}},
		"half a store":         {parts: []part{{name: dbFile, body: whole[:len(whole)/2]}}},
		"cut off":              {parts: []part{{name: dbFile, body: whole[:4096], size: int64(len(whole))}}},
		"too large":            {parts: []part{{name: dbFile, body: whole, size: maxBackup + 1}}},
		"too large checkpoint": {parts: []part{{name: backupCheckpoint, body: make([]byte, maxCheckpoint+1)}, {name: dbFile, body: whole}}},
		"no store":             {parts: []part{{name: backupCheckpoint, body: []byte("c")}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			auditLog(t, filepath.Join(dir, auditDir))
			if err := os.WriteFile(filepath.Join(dir, dbFile), []byte("the old store"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			err := restore(t.Context(), cli.RestoreOptions{State: dir, File: archive(t, c.parts...)})
			if (err == nil) != c.ok {
				t.Fatalf("restored: %v", err)
			}
			if same := tree(t, dir) == before; same == c.ok {
				t.Errorf("before:\n%s\nafter:\n%s", before, tree(t, dir))
			}
		})
	}
}

// auditLog leaves a log that holds one refused login, r1.
func auditLog(t *testing.T, dir string) {
	t.Helper()
	signer, err := keys.LoadOrCreateSigning(filepath.Join(t.TempDir(), signingKey), "gatehouse-test", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(audit.Options{Dir: dir, Mode: audit.Mode("fast"), Window: time.Millisecond, Signer: signer.Signer, Node: "test", Clock: time.Now,
		Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(&access.Event{Kind: access.EventLoginRefused, Time: time.Now(), Ref: "r1"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tree is the files under dir.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		b.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRefusalOfAReaderWhoLeft is an error, not an empty record.
func TestRefusalOfAReaderWhoLeft(t *testing.T) {
	dir := t.TempDir()
	auditLog(t, dir)
	s := apiSessions{dir}
	ctx, cancel := context.WithCancel(t.Context())
	if e, err := s.Refusal(ctx, "r1"); err != nil || e.Event.Ref != "r1" {
		t.Errorf("%+v, %v", e, err)
	}
	cancel()
	if e, err := s.Refusal(ctx, "r1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", e, err)
	}
}
