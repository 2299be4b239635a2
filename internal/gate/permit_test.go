package gate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// asked judges a text that the client said, and asks for it.
func asked(t *testing.T, d *desk, g *Gate, text string) Permit {
	t.Helper()
	from, to := d.say(t, g, text)
	st := statement(text)
	p, err := g.Ask(t.Context(), g.Judge(&st), Request{From: from, To: to})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPermitIsForOneUse: nothing but a fresh permit of this session stages anything, and only once.
func TestPermitIsForOneUse(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	p := asked(t, d, g, "one")
	if err := g.Stage(p); err != nil {
		t.Fatal(err)
	}
	other := newDesk()
	foreign := other.open(t)
	for range 3 { // its permits have slots and generations that this session has too
		asked(t, other, foreign, "x")
	}
	q := asked(t, other, foreign, "y")
	own, err := g.AskOwn(Own{Name: "test:Own", Text: "own"})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"staged twice":            g.Stage(p),
		"the zero permit":         g.Stage(Permit{}),
		"of another session":      g.Stage(q),
		"a guess":                 g.Stage(Permit{0, 7}),
		"own, as a client's":      g.Stage(own),
		"own, as another rewrite": g.StageRewrite(own, RewriteName, []byte("evil")),
		"a client's, as own":      g.StageRewrite(asked(t, d, g, "two"), RewriteOwn, []byte("evil")),
		"an unlisted rewrite":     g.StageRewrite(asked(t, d, g, "three"), RewriteName+1, []byte("evil")),
		"no rewrite":              g.StageRewrite(asked(t, d, g, "four"), 0, []byte("evil")),
		"follow before staging":   g.Follow(asked(t, d, g, "five"), 0, 1),
		"follow nobody":           g.Follow(Permit{}, 0, 1),
		"done twice":              errors.Join(g.Done(asked(t, d, g, "six"), Outcome{}), g.Done(Permit{6, 1}, Outcome{}), g.Done(Permit{6, 1}, Outcome{})),
	} {
		if fault.KindOf(err) != fault.Internal || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := d.flushed(t, g, 3); got != "one" {
		t.Errorf("the backend was sent %q", got)
	}
}

// TestPermitOfAPastGeneration: a slot that is used again does not honour the permit that had it before.
func TestPermitOfAPastGeneration(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	p := asked(t, d, g, "one")
	if err := errors.Join(g.Stage(p), g.Done(p, Outcome{Status: access.StatusOK})); err != nil {
		t.Fatal(err)
	}
	q := asked(t, d, g, "two")
	if q.slot != p.slot || q.gen == p.gen {
		t.Fatalf("%v %v", p, q)
	}
	for name, err := range map[string]error{"stage": g.Stage(p), "follow": g.Follow(p, 0, 1), "done": g.Done(p, Outcome{})} {
		if err == nil {
			t.Errorf("%s took a permit of the past", name)
		}
	}
	if g.Masked(p) {
		t.Error("a permit of the past carries something")
	}
}

// TestTooManyPermits bounds what a session may have open.
func TestTooManyPermits(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	for i := range testLimits.Actions {
		asked(t, d, g, fmt.Sprint(i))
	}
	st := statement("more")
	if _, err := g.Ask(t.Context(), g.Judge(&st), Request{}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	ended := map[uint64]int{}
	go func() { _, _ = io.Copy(io.Discard, d.backend) }()
	g.Close([]byte("bye"), nil)
	for _, e := range d.kinds(access.EventActionEnded) {
		ended[e.Action]++
		if e.Status != access.StatusCancelled {
			t.Errorf("%+v", e)
		}
	}
	for _, e := range d.kinds(access.EventActionIntended) {
		if ended[e.Action] != 1 {
			t.Errorf("intent %d has %d outcomes", e.Action, ended[e.Action])
		}
	}
}

// TestBatches: what leaves is what was taken, in order, in one write, however ranges and copies mix.
func TestBatches(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	text := "aaaabbbbccccdddd"
	from, to := d.say(t, g, text)
	st := statement("x")
	h := g.Judge(&st)
	ask := func(a, b int64) Permit {
		p, err := g.Ask(t.Context(), h, Request{From: from + a, To: from + b})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, same := ask(0, 4), ask(8, 12), ask(8, 12)
	own, err := g.AskOwn(Own{Name: "test:Own", Text: "own"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(g.Stage(a), g.Control(from+4, from+8), g.StageRewrite(own, RewriteOwn, []byte("<own>")),
		g.Stage(b), g.Stage(same), g.ControlOwn([]byte("!")), g.Follow(b, from+12, to))
	if err != nil {
		t.Fatal(err)
	}
	g.Client().Skip(len(text))
	if got := d.flushed(t, g, 30); got != "aaaabbbb<own>cccc!dddd" {
		t.Errorf("the backend was sent %q", got)
	}
	if last := d.barriers[len(d.barriers)-1]; int(last) != len(d.events) {
		t.Errorf("the barrier covered %d of %d records", last, len(d.events))
	}
}

// TestNoRecordNoBytes: whatever was staged stays here when the record fails.
func TestNoRecordNoBytes(t *testing.T) {
	down := fault.New(fault.Unavailable, "test", "the audit log cannot be written")
	d := newDesk()
	g := d.open(t)
	p := asked(t, d, g, "one")
	if err := g.Stage(p); err != nil {
		t.Fatal(err)
	}
	d.untouched(t, func() {
		d.failBarrier = down
		if err := g.Flush(); !errors.Is(err, down) {
			t.Errorf("flush: %v", err)
		}
		d.failBarrier = nil
		if err := g.Flush(); !errors.Is(err, down) || !errors.Is(g.Failed(), down) || g.Staged() != 0 {
			t.Errorf("what was refused is sent later: %v", err)
		}
		g.failed = nil
		d.failAppend = down
		st := statement("two")
		if _, err := g.Ask(t.Context(), g.Judge(&st), Request{}); !errors.Is(err, down) {
			t.Errorf("ask: %v", err)
		}
		if _, err := g.AskOwn(Own{}); !errors.Is(err, down) {
			t.Errorf("own: %v", err)
		}
		if err := g.RefuseText(errors.New("why"), 1); !errors.Is(err, down) {
			t.Errorf("a refusal that is not on record was told: %v", err)
		}
	})
}

// TestLeash: whoever kept the raw connection of a login can do nothing with it.
func TestLeash(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	raw := g.backend.conn
	d.untouched(t, func() {
		if _, err := raw.Write([]byte("evil")); !errors.Is(err, errLeash) {
			t.Errorf("a write around the gate: %v", err)
		}
	})
}

// TestMaskedPermitIsNeverSpliced is what keeps a protocol's mistake from becoming a leak.
func TestMaskedPermitIsNeverSpliced(t *testing.T) {
	d := newDesk()
	d.masks = fields{"db/thing.secret": {Strategy: access.MaskRedact}}
	g := d.open(t)
	p := asked(t, d, g, "one")
	if !g.Masked(p) || g.Reply(p, []byte("row")) == nil || g.Stream(p, 3) == nil {
		t.Error("an answer under a mask was spliced")
	}
	st := statement("two")
	clear, err := g.Ask(t.Context(), g.Judge(&st), Request{Clear: true})
	if err != nil || g.Masked(clear) {
		t.Errorf("%v", err)
	}
}

// TestSpansOutsideTheBuffer: a range that is not held is refused, not read from wherever it points.
func TestSpansOutsideTheBuffer(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	from, to := d.say(t, g, strings.Repeat("x", 100))
	st := statement("x")
	for _, r := range [][2]int64{{from - 1, to}, {from, to + 1}, {to, from}, {-5, -1}, {1 << 40, 1<<40 + 5}} {
		p, err := g.Ask(t.Context(), g.Judge(&st), Request{From: r[0], To: r[1]})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(g.ControlOwn([]byte("!")), g.Stage(p)); err == nil {
			t.Errorf("%v was staged", r)
		}
		_ = g.Done(p, Outcome{Status: access.StatusSkipped})
		g.reset()
	}
}

// fields is a set of masks by field.
type fields map[string]access.Mask

func (f fields) Field(r string) (access.Mask, bool)             { m, ok := f[r]; return m, ok }
func (f fields) Fields() bool                                   { return len(f) > 0 }
func (fields) Detect() []access.Detection                       { return nil }
func (fields) Document(string, access.Way) access.DocumentMasks { return access.DocumentMasks{} }

// TestInterruptEndsWrites: a side that does not read holds no session past its end.
func TestInterruptEndsWrites(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	p := asked(t, d, g, "one")
	if err := g.Stage(p); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- g.Show(make([]byte, 1<<20)) }()
	go func() { ended <- g.backend.send(make([]byte, 1<<20)) }()
	for range 1000 { // before, while, and after the writes begin
		g.Interrupt()
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
}
