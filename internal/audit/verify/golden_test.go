package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
)

const golden = "testdata/golden"

// stream is randomness that is the same each time: SHA-256 of a seed and a counter.
type stream struct {
	seed string
	n    uint64
	rest []byte
}

func (s *stream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.n))
		s.n++
		s.rest = sum[:]
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// writeGolden writes the golden log: a fixed clock, fixed salts, fixed keys, two epochs, a rotation, several segments.
func writeGolden(t *testing.T, dir string) (public string) {
	t.Helper()
	k1, k2 := pairFrom(t, "golden-1", &stream{seed: "key 1"}), pairFrom(t, "golden-2", &stream{seed: "key 2"})
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	o := audit.Options{
		Dir: dir, Signer: k1.signer, Node: "golden", Rand: &stream{seed: "salts"}, SegmentBytes: 2 << 10, CheckpointEvery: time.Hour, Window: time.Hour,
		Clock:   func() time.Time { now = now.Add(time.Millisecond); return now },
		Elapsed: func() time.Duration { return time.Duration(now.UnixNano()) },
	}
	l := openLog(t, o)
	put := func(e access.Event) {
		if err := l.Barrier(add(t, l, e)); err != nil {
			t.Fatal(err)
		}
	}
	put(access.Event{Kind: access.EventGatewayStarted, Principal: "gatehouse#gatehouse", Detail: map[string]string{"version": "1"}})
	put(access.Event{Kind: access.EventSessionOpened, Session: "s1", Principal: "https://idp#fn:refund", Claims: map[string]any{"aud": []any{"gatehouse"}, "n": int64(7)}, Roles: []string{"refund"}, Connection: "orders-db", Peer: "127.0.0.1:5000"})
	sign(t, l)
	null := (*string)(nil)
	cell := "a***@example.org"
	for i := range 12 {
		put(access.Event{
			Kind: access.EventActionIntended, Session: "s1", Action: uint64(i + 1), Text: "select email from customers -- caf\xe9", Fingerprint: "f1",
			Params: []string{"4711"}, Actions: []access.Action{{Name: "sql:Select", Resource: "orders-db/public.customers", Fields: []string{"orders-db/public.customers.email"}}},
			Effect: "allow", Because: access.Because{Policy: "refund-function", Statement: 1, Guardrail: i%2 == 1}, Policy: 3,
		})
		if i == 11 {
			break // its outcome is unknown
		}
		put(access.Event{
			Kind: access.EventActionEnded, Session: "s1", Action: uint64(i + 1), Status: access.StatusOK, Rows: 2, Bytes: 90, Masked: 1, Backend: time.Millisecond,
			Result: &access.Result{Columns: []string{"email"}, Rows: [][]*string{{&cell}, {null}}},
		})
	}
	if err := l.Rotate(context.Background(), k2.signer, k2.public); err != nil {
		t.Fatal(err)
	}
	put(access.Event{Kind: access.EventLoginRefused, Ref: "7f3k", Reason: "token expired"})
	closeLog(t, l)
	if err := audit.BeginEpoch(dir, nil); err != nil {
		t.Fatal(err)
	}
	o.Signer = k2.signer
	l = openLog(t, o)
	put(access.Event{Kind: access.EventGatewayStarted, Principal: "gatehouse#gatehouse", Detail: map[string]string{"version": "1"}})
	closeLog(t, l)
	return k1.public
}

// TestTheGoldenLogStaysReadable holds today's reader and verifier to a log that was written when the format was made.
// GATEHOUSE_GOLDEN=write writes it anew, which is right only together with a new version of the format.
func TestTheGoldenLogStaysReadable(t *testing.T) {
	if os.Getenv("GATEHOUSE_GOLDEN") == "write" {
		rewriteGolden(t)
	}
	r, records := readGolden(t)
	for name, got := range map[string][]byte{"report.json": r, "records.json": records} {
		want, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%s: the golden log reads differently now:\n%s", name, got)
		}
	}
}

func rewriteGolden(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(golden); err != nil {
		t.Fatal(err)
	}
	public := writeGolden(t, filepath.Join(golden, "audit"))
	if err := os.Remove(filepath.Join(golden, "audit", "lock")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(golden, "key.pub"), []byte(public+"\n"))
	r, records := readGolden(t)
	write(t, filepath.Join(golden, "report.json"), r)
	write(t, filepath.Join(golden, "records.json"), records)
}

func goldenKey(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(golden, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func readGolden(t *testing.T) (report, records []byte) {
	t.Helper()
	dir := filepath.Join(golden, "audit")
	report, err := json.MarshalIndent(check(t, dir, verify.Options{}, goldenKey(t)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range audit.Read(dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		records = append(append(records, line...), '\n')
	}
	return append(report, '\n'), records
}

// TestTheGoldenLogIsWrittenTheSame: the writer, given the same, writes the same bytes.
func TestTheGoldenLogIsWrittenTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	writeGolden(t, dir)
	want, got := tree(t, filepath.Join(golden, "audit")), tree(t, dir)
	for name, b := range want {
		if !bytes.Equal(b, got[name]) {
			t.Errorf("%s is written differently now", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "lock" {
			return err
		}
		out[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inNode runs the second verifier, which is written in another language.
func inNode(t *testing.T, dir, key string) (ok bool, records uint64, fault string) {
	t.Helper()
	out, err := exec.Command("node", "testdata/verify.mjs", dir, key).Output()
	var r struct {
		OK      bool
		Records uint64
		Fault   string
	}
	if jerr := json.Unmarshal(out, &r); jerr != nil {
		t.Fatalf("node: %v, %v: %s", err, jerr, out)
	}
	return r.OK, r.Records, r.Fault
}

// TestTheVerifierInAnotherLanguageAgrees runs it over the golden log, a larger one, and spoilt copies.
func TestTheVerifierInAnotherLanguageAgrees(t *testing.T) {
	if ok, n, fault := inNode(t, filepath.Join(golden, "audit"), goldenKey(t)); !ok || n == 0 {
		t.Fatalf("the golden log: %d records, %s", n, fault)
	}
	dir, k, _ := tamperLog(t, 5)
	mine := check(t, dir, verify.Options{}, k.public)
	if ok, n, fault := inNode(t, dir, k.public); !ok || n != mine.Records {
		t.Fatalf("%d records, %s; here %d", n, fault, mine.Records)
	}
	if ok, _, _ := inNode(t, dir, newPair(t, "k1").public); ok {
		t.Error("a foreign key verified the log")
	}
	segments, err := filepath.Glob(filepath.Join(dir, "epoch-000001", "segments", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	spoil := map[string]func(path string, b []byte){
		"a record rewritten": func(path string, b []byte) {
			head, all := frames(t, path)
			all[3][len(all[3])-3] ^= 1
			write(t, path, reframe(head, all, binary.BigEndian.Uint64(all[0][9:])))
		},
		"a byte flipped": func(path string, b []byte) { b[len(b)/2] ^= 1; write(t, path, b) },
		"cut short":      func(path string, b []byte) { write(t, path, b[:len(b)/2]) },
	}
	for name, f := range spoil {
		path := segments[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f(path, bytes.Clone(b))
		node, _, fault := inNode(t, dir, k.public)
		if r := check(t, dir, verify.Options{}, k.public); node || r.OK {
			t.Errorf("%s: found here: %v; found there: %v %s", name, !r.OK, !node, fault)
		}
		write(t, path, b)
	}
}

// TestWindowsHoldNoMoreThanTheirIntent: both verifiers count what an intent let through.
func TestWindowsHoldNoMoreThanTheirIntent(t *testing.T) {
	for _, c := range []struct {
		most, rows int64
		ok         bool
	}{{1000, 812, true}, {1000, 1000, true}, {1000, 1001, false}} {
		dir, k := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
		l := openLog(t, options(dir, k))
		session(t, l, "before", 2) // 1 row each, and no windows
		add(t, l, access.Event{Kind: access.EventActionIntended, Session: "s", Action: 1, Effect: "allow", Window: &access.Window{Messages: int(c.most), Within: time.Second}})
		add(t, l, access.Event{Kind: access.EventActionEnded, Session: "s", Action: 1, Status: access.StatusOK, Rows: c.rows})
		sign(t, l)
		closeLog(t, l)
		r := check(t, dir, verify.Options{}, k.public)
		node, _, fault := inNode(t, dir, k.public)
		if r.OK != c.ok || node != c.ok {
			t.Errorf("%d of %d: here %v, there %v (%s)\n%s", c.rows, c.most, r.OK, node, fault, r)
		}
		if want := fmt.Sprintf("Messages: %d in 1 windows", c.rows); c.ok != strings.Contains(r.String(), want) {
			t.Errorf("no %q in\n%s", want, r)
		}
	}
}

// TestAnErasedPayloadStillVerifies replaces a payload by what it was committed to, as retention does.
func TestAnErasedPayloadStillVerifies(t *testing.T) {
	dir, k, _ := tamperLog(t, 0)
	path := filepath.Join(dir, "epoch-000001", "segments", "00000000000000000001.seg")
	head, all := frames(t, path)
	for i := 0; i < len(all); i += 3 {
		commit := sha256.Sum256(append([]byte("gatehouse audit commitment v1\n"), all[i][17:]...))
		all[i] = append(append([]byte{0, 0, 0, 41, 0, 0, 0, 0, 2}, all[i][9:17]...), commit[:]...)
	}
	write(t, path, reframe(head, all, 1))
	r := check(t, dir, verify.Options{}, k.public)
	if !r.OK || r.Erased == 0 {
		t.Fatalf("%s", r)
	}
	if ok, _, fault := inNode(t, dir, k.public); !ok {
		t.Error("in the other language: ", fault)
	}
	erased := 0
	for rec, err := range audit.Read(dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Erased {
			erased++
		}
	}
	if uint64(erased) != r.Erased {
		t.Errorf("%d read as erased, %d verified", erased, r.Erased)
	}
}

// BenchmarkVerify is how long an auditor waits.
func BenchmarkVerify(b *testing.B) {
	dir, k := filepath.Join(b.TempDir(), "audit"), newPair(b, "k1")
	o := options(dir, k)
	o.SegmentBytes = 64 << 20
	l := openLog(b, o)
	for i := range 500 {
		session(b, l, string(rune('a'+i)), 99)
	}
	if err := l.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	var records uint64
	b.ResetTimer()
	for b.Loop() {
		r := check(b, dir, verify.Options{}, k.public)
		if !r.OK {
			b.Fatal(r)
		}
		records += r.Records
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
