package gate

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// TestWindows: a budget is used up within its window, by one key alone, and is whole again when the window has ended.
func TestWindows(t *testing.T) {
	var b Budgets
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	limit := access.Budget{Count: 3, Per: time.Hour}
	mine, other := budgetKey{"p", "c", "f"}, budgetKey{"q", "c", "f"}
	took := func(k budgetKey, n int64, at time.Duration) (int64, time.Time) {
		return b.take(k, limit, n, now.Add(at))
	}
	for i, want := range []int64{2, 1, 0, -1, -1} {
		if left, ends := took(mine, 1, time.Duration(i)*time.Minute); left != want || !ends.Equal(now.Add(time.Hour)) {
			t.Errorf("take %d: left %d until %s, want %d", i, left, ends, want)
		}
	}
	if left, _ := took(other, 2, time.Minute); left != 1 {
		t.Errorf("another principal has %d left", left)
	}
	if left, _ := took(other, 2, time.Minute); left != -1 {
		t.Errorf("more was taken than is there: %d", left)
	}
	if left, _ := took(other, 1, time.Minute); left != 0 {
		t.Errorf("what was refused was taken: %d", left)
	}
	if left, ends := took(mine, 1, time.Hour); left != 2 || !ends.Equal(now.Add(2*time.Hour)) {
		t.Errorf("in the next window: %d until %s", left, ends)
	}
	tighter := access.Budget{Count: 1, Per: 2 * time.Hour}
	if left, ends := b.take(other, tighter, 1, now.Add(90*time.Minute)); left >= 0 || !ends.Equal(now.Add(121*time.Minute)) {
		t.Errorf("under a tighter policy: %d until %s", left, ends)
	}
}

// TestWindowsAreBounded: where too many windows are under way the next is refused, until some have ended.
func TestWindowsAreBounded(t *testing.T) {
	var b Budgets
	now := time.Now()
	limit := access.Budget{Count: 1, Per: time.Minute}
	for i := range maxWindows {
		b.take(budgetKey{what: strconv.Itoa(i)}, limit, 1, now)
	}
	if left, _ := b.take(budgetKey{what: "one more"}, limit, 1, now.Add(time.Second)); left >= 0 || len(b.used) != maxWindows {
		t.Errorf("one more was let in: %d windows", len(b.used))
	}
	if left, _ := b.take(budgetKey{what: "later"}, limit, 1, now.Add(2*time.Minute)); left != 0 || len(b.used) != 1 {
		t.Errorf("ended windows stay: %d left, %d windows", left, len(b.used))
	}
}

// lookingUp is a statement that looks rows up by one masked field.
func lookingUp() *access.Statement {
	st := statement("find 'a@b'")
	st.Looked = []string{"db/t.mail"}
	st.Actions = []access.Action{{Name: "test:Select", Resource: "db/t", Fields: []string{"db/t.mail"}}}
	st.Literals = []access.Span{{Start: 5, End: 10}}
	st.Bound = []access.Bound{{Span: st.Literals[0], Fields: []string{"db/t.mail"}}}
	st.Params = map[int][]string{1: {"db/t.mail"}}
	return &st
}

// TestLookupsAreBudgeted: a masked field is looked up by where its mask allows it, as often as it says, by one principal in
// all of its sessions; only what would run counts, and its values are tokens on record.
func TestLookupsAreBudgeted(t *testing.T) {
	d := newDesk()
	now := time.Now()
	d.masks = fields{"db/t.mail": {Strategy: access.MaskRedact, Lookup: access.Budget{Count: 2, Per: time.Hour}}}
	g := d.open(t)
	g.clock = func() time.Time { return now }
	h := g.Judge(lookingUp())
	ask := func(r Request) error {
		p, err := g.Ask(t.Context(), h, r)
		if err == nil {
			err = g.Done(p, Outcome{})
		}
		return err
	}
	for range 5 {
		if err := ask(Request{Prepare: true}); err != nil {
			t.Fatalf("preparing: %v", err)
		}
	}
	for range 2 {
		if err := ask(Request{Params: []any{"a@b"}}); err != nil {
			t.Fatal(err)
		}
	}
	err := ask(Request{})
	if say, _ := fault.Say(err); fault.KindOf(err) != fault.Denied || !strings.Contains(say, now.Add(time.Hour).UTC().Format(time.RFC3339)) {
		t.Fatalf("the third: %v", err)
	}
	for _, e := range d.events {
		if strings.Contains(e.Text, "a@b") || len(e.Params) > 0 && e.Params[0] == "a@b" {
			t.Errorf("the record tells the value: %q %q", e.Text, e.Params)
		}
	}
	now = now.Add(time.Hour)
	if err := ask(Request{}); err != nil {
		t.Errorf("in the next window: %v", err)
	}
}

// TestLookupsNeedPermission: without it a lookup is an oracle, as it is where the field is tested too; and no estimate is
// made of what tells masked values.
func TestLookupsNeedPermission(t *testing.T) {
	tested := lookingUp()
	tested.Tested = []string{"db/t.mail"}
	allowed := access.Mask{Strategy: access.MaskRedact, Lookup: access.Budget{Count: 9, Per: time.Hour}}
	for name, c := range map[string]struct {
		st   *access.Statement
		mask access.Mask
	}{
		"not allowed": {lookingUp(), access.Mask{Strategy: access.MaskRedact}},
		"tested too":  {tested, allowed},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			d.masks = fields{"db/t.mail": c.mask}
			g := d.open(t)
			d.estimates = true
			st := *c.st
			st.Text = "dynamic " + st.Text
			_, err := g.Ask(t.Context(), g.Judge(&st), Request{Estimate: func() *int64 { t.Error("it was estimated"); return nil }})
			if say, _ := fault.Say(err); fault.KindOf(err) != fault.Denied || !strings.Contains(say, "db/t.mail is masked for you and can only be read as it is") {
				t.Errorf("want a refusal, got %v", err)
			}
		})
	}
}

// TestResultsAreBudgeted: what leaves under a permit counts against each limit of its verdict, together with what leaves of
// other sessions; where one is used up nothing more may leave, nor may what would answer with rows be asked.
func TestResultsAreBudgeted(t *testing.T) {
	d := newDesk()
	limit := func(rows, bytes int64, n int) access.ResultLimit {
		return access.ResultLimit{Rows: access.Budget{Count: rows, Per: time.Hour}, Bytes: access.Budget{Count: bytes, Per: time.Hour},
			Because: access.Because{Policy: "few", Statement: n}}
	}
	d.decide = func(*access.Statement, *access.Input) access.Verdict {
		return access.Verdict{Effect: access.Allow, Results: []access.ResultLimit{limit(0, 100, 1), limit(3, 0, 2)}}
	}
	g := d.open(t)
	now := time.Now()
	g.clock = func() time.Time { return now }
	st := statement("read")
	h := g.Judge(&st)
	ask := func(r Request) Permit {
		t.Helper()
		p, err := g.Ask(t.Context(), h, r)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := ask(Request{}); g.Budgeted(p) || g.Spend(p, 99, 999) != nil {
		t.Error("what answers with no rows is counted")
	}
	if p := ask(Request{Rows: true, Prepare: true}); g.Budgeted(p) {
		t.Error("what is prepared only is counted")
	}
	one, two := ask(Request{Rows: true}), ask(Request{Rows: true})
	if !g.Budgeted(one) || g.Spend(one, 1, 40) != nil || g.Spend(two, 1, 40) != nil || g.Spend(one, 1, 10) != nil {
		t.Error("what the budget holds does not leave")
	}
	if err := g.Spend(two, 1, 1); !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "3 rows") {
		t.Errorf("the fourth row: %v", err)
	}
	if _, err := g.Ask(t.Context(), h, Request{Rows: true}); !errors.Is(err, ErrBudget) {
		t.Errorf("asked again: %v", err)
	}
	if p := ask(Request{}); p.Zero() {
		t.Error("what answers with no rows is refused")
	}
	now = now.Add(time.Hour)
	p := ask(Request{Rows: true})
	if err := g.Spend(p, 1, 101); !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "100 bytes") {
		t.Errorf("too many bytes: %v", err)
	}
	if err := g.Spend(p, 1, 1); !errors.Is(err, ErrBudget) {
		t.Errorf("the next row leaves after one that was held back: %v", err)
	}
}
