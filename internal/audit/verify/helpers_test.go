package verify_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
)

// The writer is a test's only: the verifier itself shares no code with it.

type pair struct {
	signer note.Signer
	public string
}

func newPair(t testing.TB, name string) pair {
	t.Helper()
	return pairFrom(t, name, rand.Reader)
}

func pairFrom(t testing.TB, name string, r io.Reader) pair {
	t.Helper()
	skey, public, err := note.GenerateKey(r, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return pair{s, public}
}

func options(dir string, k pair) audit.Options {
	return audit.Options{
		Dir: dir, Signer: k.signer, Node: "n1", Clock: time.Now, Rand: rand.Reader, SegmentBytes: 16 << 10,
		CheckpointEvery: time.Hour, // tests sign when they want to
	}
}

func openLog(t testing.TB, o audit.Options) *audit.Log {
	t.Helper()
	l, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func add(t testing.TB, l *audit.Log, e access.Event) uint64 {
	t.Helper()
	seq, err := l.Append(&e)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// session appends n actions, each with an intent and an outcome.
func session(t testing.TB, l *audit.Log, id string, n int) {
	t.Helper()
	add(t, l, access.Event{Kind: access.EventSessionOpened, Session: id, Principal: "https://idp#fn:refund", Connection: "orders-db"})
	for i := range n {
		a := uint64(i + 1)
		add(t, l, access.Event{Kind: access.EventActionIntended, Session: id, Action: a, Text: fmt.Sprintf("select * from orders where id = %d", i), Effect: "allow"})
		add(t, l, access.Event{Kind: access.EventActionEnded, Session: id, Action: a, Status: access.StatusOK, Rows: 1})
	}
	add(t, l, access.Event{Kind: access.EventSessionClosed, Session: id})
}

func sign(t testing.TB, l *audit.Log) []byte {
	t.Helper()
	c, err := l.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c.Note
}

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, dir string, o verify.Options, keys ...string) verify.Report {
	t.Helper()
	r, err := verify.Dir(dir, keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// copyDir copies a log, so that a test can spoil the copy.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}
