package gate

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// detecting is masks by field and by detector.
type detecting struct{ fields }

func (detecting) Detect() []access.Detection {
	return []access.Detection{{Entity: access.EntityEmail, Mask: access.Mask{Strategy: access.MaskRedact}}}
}

// TestLongParameters: a long value is recorded by its beginning, length and digest; one that must not show is a token, however long.
func TestLongParameters(t *testing.T) {
	long := strings.Repeat("ä", maxRecordedParam/2+1)
	d := newDesk()
	d.masks = fields{"db/t.ssn": {Strategy: access.MaskRedact}}
	g := d.open(t)
	st := statement("update")
	st.Params = map[int][]string{3: {"db/t.ssn"}}
	got := g.recordParams(g.Judge(&st), []any{long, long[2:], long})
	if want := "… [1048578 bytes, sha256 " + fmt.Sprintf("%x", sha256.Sum256([]byte(long))) + "]"; got[0] != long[:keptOfParam]+want {
		t.Errorf("recorded %.60q … %q", got[0], got[0][len(got[0])-100:])
	}
	if got[1] != long[2:] {
		t.Error("a value of the longest recorded length was abridged")
	}
	if strings.Contains(got[2], "ä") {
		t.Error("a value that must not show is in the record")
	}
}

// TestRecordedText: the log holds a text exactly, but for literals and parameters that must not show.
func TestRecordedText(t *testing.T) {
	text := "set name = 'ann', mail = 'a@b', ssn = '078'"
	lit := func(s string) access.Span {
		at := strings.Index(text, s)
		return access.Span{Start: at, End: at + len(s)}
	}
	base := statement(text)
	base.Literals = []access.Span{lit("'ann'"), lit("'a@b'"), lit("'078'")}
	base.Bound = []access.Bound{{Span: lit("'ann'"), Fields: []string{"db/t.name"}}, {Span: lit("'078'"), Fields: []string{"db/t.ssn"}}}
	base.Actions = []access.Action{{Name: "test:Update", Resource: "db/t", Fields: []string{"db/t.name", "db/t.mail", "db/t.ssn"}}}
	base.Params = map[int][]string{2: {"db/t.ssn"}}
	params := []any{"free", "078", nil, []byte("x@y"), []byte("plain")}
	ssn := fields{"db/t.ssn": {Strategy: access.MaskRedact}}
	elsewhere := fields{"db/other.x": {Strategy: access.MaskRedact}}
	for _, c := range []struct {
		name   string
		masks  access.Masks
		text   string
		params []string
	}{
		{"nothing is masked", nil, text, []string{"free", "078", "NULL", "x@y", "plain"}},
		{"another field is masked", elsewhere, text, []string{"free", "078", "NULL", "x@y", "plain"}},
		{"the field is masked", ssn, strings.Replace(text, "'078'", "<t>", 1), []string{"free", "<tttt>", "NULL", "x@y", "plain"}},
		{"a detector knows it", detecting{fields{}}, strings.Replace(text, "'a@b'", "<t>", 1), []string{"free", "078", "NULL", "<tttt>", "plain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.masks = c.masks
			g := d.open(t)
			st := base
			h := g.Judge(&st)
			if h.Recorded() != c.text {
				t.Errorf("recorded %q\nwant     %q", h.Recorded(), c.text)
			}
			if _, err := g.Ask(t.Context(), h, Request{Params: params}); err != nil {
				t.Fatal(err)
			}
			if e := d.kinds(access.EventActionIntended)[0]; e.Text != c.text || !reflect.DeepEqual(e.Params, c.params) {
				t.Errorf("recorded %q %q\nwant %q", e.Text, e.Params, c.params)
			}
		})
	}
}

// TestMaskedFieldSteersNothing: what would tell masked values apart is refused, and none of its literals is recorded.
func TestMaskedFieldSteersNothing(t *testing.T) {
	d := newDesk()
	d.masks = fields{"db/t.ssn": {Strategy: access.MaskRedact}}
	g := d.open(t)
	st := statement("where ssn like '078%'")
	st.Literals = []access.Span{{Start: 15, End: 21}}
	st.Tested = []string{"db/t.ssn"}
	if _, err := g.Ask(t.Context(), g.Judge(&st), Request{Params: []any{"078"}}); err == nil || !strings.Contains(err.Error(), "is masked for you") {
		t.Errorf("got %v", err)
	}
	if e := d.kinds(access.EventActionRefused); len(e) != 1 || strings.Contains(e[0].Text+e[0].Params[0], "078") {
		t.Errorf("recorded %+v", e)
	}
}

// still is a recorder that does nothing, for measuring the gate alone.
type still struct{ seq uint64 }

func (s *still) Append(*access.Event) (uint64, error) { s.seq++; return s.seq, nil }
func (*still) Barrier(uint64) error                   { return nil }

// asking is a gate whose statement is decided by itself, and what asks it.
func asking(tb testing.TB, r Recorder) (*Gate, func() Permit) {
	d := newDesk()
	s := d.services()
	s.Recorder = r
	p := &access.Principal{Issuer: "i", Subject: "s"}
	g, err := Open(tb.Context(), s, Caller{Session: "s1", Principal: p}, "db", statement("connect"), nil, testLimits)
	if err != nil {
		tb.Fatal(err)
	}
	st := statement("select name from customers where id = 1")
	h := g.Judge(&st)
	ctx := tb.Context()
	return g, func() Permit {
		p, err := g.Ask(ctx, h, Request{From: 1, To: 2})
		if err != nil {
			tb.Fatal(err)
		}
		return p
	}
}

// TestAskAllocatesNothing is DESIGN.md's claim about the hot path.
func TestAskAllocatesNothing(t *testing.T) {
	g, ask := asking(t, &still{})
	n := testing.AllocsPerRun(1000, func() {
		if err := g.Done(ask(), Outcome{Status: access.StatusOK}); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("Ask and Done allocate %v times", n)
	}
}

// BenchmarkAsk measures an Ask whose decision is known, alone, with its Done, and with the real audit log behind both.
func BenchmarkAsk(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		g, ask := asking(b, &still{})
		b.ReportAllocs()
		for b.Loop() {
			p := ask()
			g.slots[p.slot].stage = free
			g.vacant = append(g.vacant, p.slot)
		}
	})
	both := func(b *testing.B, r Recorder) {
		g, ask := asking(b, r)
		b.ReportAllocs()
		for b.Loop() {
			if err := g.Done(ask(), Outcome{Status: access.StatusOK}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("and done", func(b *testing.B) { both(b, &still{}) })
	b.Run("and done, audited", func(b *testing.B) {
		seed := make([]byte, 32)
		private, _, err := note.GenerateKey(bytes.NewReader(seed), "bench")
		if err != nil {
			b.Fatal(err)
		}
		signer, err := note.NewSigner(private)
		if err != nil {
			b.Fatal(err)
		}
		l, err := audit.Open(audit.Options{Dir: b.TempDir(), Signer: signer, Node: "bench", Clock: time.Now, Rand: rand.Reader})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = l.Close(b.Context()) }()
		both(b, l)
	})
}

// renumbered is an authority that counts sets of policies by other numbers than their documents' revision.
type renumbered struct {
	*desk
	number uint64
}

func (c *renumbered) Version() (uint64, error) { return c.number, nil }

func (c *renumbered) Rules(p *access.Principal, name string) (Rules, *access.Connection, error) {
	r, conn, err := c.desk.Rules(p, name)
	return revisedRules{r, c.desk.version}, conn, err
}

type revisedRules struct {
	Rules
	revision uint64
}

func (r revisedRules) Version() uint64 { return r.revision }

// TestRecordsNameTheRevision: what is decided anew is told by the authority's number, where the documents' revision is as it was; records
// name the revision.
func TestRecordsNameTheRevision(t *testing.T) {
	d := newDesk()
	d.version = 7
	s, a := d.services(), &renumbered{d, 1}
	s.Authority = a
	s.Origins = NewOrigins(s.Clock)
	v, err := Visited(t.Context(), s, Caller{Session: "s1", Principal: &access.Principal{Issuer: "i", Subject: "s"}, Protocol: "test"}, "db", statement("connect"), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	x, err := v.Exchange(func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Leave()
	before := x.Connection()
	if err := x.Refresh(); err != nil || x.Connection() != before {
		t.Errorf("nothing has changed: %v", err)
	}
	a.number++
	if err := x.Refresh(); err != nil || x.Connection() == before || x.Version() != 2 {
		t.Errorf("the policies are those before: %v", err)
	}
	st := statement("x")
	if err := x.Refuse(x.Judge(&st), nil, ErrEnded); err == nil {
		t.Fatal(err)
	}
	for _, e := range d.events {
		if e.Policy != 7 {
			t.Errorf("%s is of policies %d", e.Kind, e.Policy)
		}
	}
}
