package audit

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
)

// newKey makes a signing key pair in note's text forms.
func newKey(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func options(t testing.TB) Options {
	t.Helper()
	s, _ := newKey(t, "test-key")
	return Options{Dir: filepath.Join(t.TempDir(), "audit"), Signer: s, Node: "n1", Clock: time.Now, Rand: rand.Reader}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func intent(session string, action uint64) *access.Event {
	return &access.Event{
		Kind: access.EventActionIntended, Session: session, Action: action, Text: "select id, total from orders where id = $1",
		Fingerprint: "9c1185a5c5e9fc54", Params: []string{"4711"},
		Actions: []access.Action{{Name: "sql:Select", Resource: "orders-db/public.orders", Fields: []string{"orders-db/public.orders.id"}}},
		Effect:  "allow", Because: access.Because{Policy: "refund-function", Statement: 1}, Policy: 7,
	}
}

func outcome(session string, action uint64) *access.Event {
	return &access.Event{
		Kind: access.EventActionEnded, Session: session, Action: action, Status: access.StatusOK, Rows: 1, Bytes: 63,
		Backend: 412 * time.Microsecond,
	}
}

func mustAppend(t testing.TB, l *Log, e *access.Event) uint64 {
	t.Helper()
	seq, err := l.Append(e)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, dir string) []Record {
	t.Helper()
	var out []Record
	for r, err := range Read(dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestWhatIsAppendedIsReadBackAcrossOpens(t *testing.T) {
	for _, mode := range []Mode{ModeFast, ModeStrict} {
		t.Run(string(mode), func(t *testing.T) {
			o := options(t)
			o.Mode, o.SegmentBytes = mode, 4096
			var want uint64
			for round := range 3 {
				l := mustOpen(t, o)
				for i := range 100 {
					want++
					if seq := mustAppend(t, l, intent("s", want)); seq != want {
						t.Fatalf("round %d, record %d: sequence %d, want %d", round, i, seq, want)
					}
					if i%10 == 0 {
						if err := l.Barrier(want); err != nil {
							t.Fatal(err)
						}
					}
				}
				mustClose(t, l)
			}
			got := readAll(t, o.Dir)
			if uint64(len(got)) != want {
				t.Fatalf("%d records, want %d", len(got), want)
			}
			for i, r := range got {
				if r.Seq != uint64(i+1) || r.Event.Action != uint64(i+1) {
					t.Fatalf("record %d reads as sequence %d, action %d", i+1, r.Seq, r.Event.Action)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	l := mustOpen(b, options(b))
	e := intent("01JBENCH", 1)
	b.ReportAllocs()
	for b.Loop() {
		seq, err := l.Append(e)
		if err != nil {
			b.Fatal(err)
		}
		if seq%1024 == 0 { // memory is bounded; the write is part of the figure
			if err := l.Barrier(seq); err != nil {
				b.Fatal(err)
			}
		}
	}
}
