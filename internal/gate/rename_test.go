package gate

import (
	"encoding/binary"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// message is one as the tests of renaming spell it: a kind, its length, strings that end with a zero byte.
func message(kind string, strs ...string) string {
	body := strings.Join(strs, "\x00") + "\x00"
	return kind + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

// TestRenaming: a name takes the place of another, and nothing else differs; behind what was staged before.
func TestRenaming(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	first := asked(t, d, g, "first;")
	if err := g.Stage(first); err != nil {
		t.Fatal(err)
	}
	from := g.Client().Offset() + int64(len(g.Client().Unread()))
	p := asked(t, d, g, message("B", "portal", "stmt", "portal stmt"))
	if err := g.StageRenamed(p, Renaming{Length: from + 1, At: from + 5 + 7, Was: "stmt", Is: "own_s1z"}); err != nil {
		t.Fatal(err)
	}
	from = g.Client().Offset() + int64(len(g.Client().Unread()))
	q := asked(t, d, g, message("P", "a longer name", "text"))
	if err := g.StageRenamed(q, Renaming{Length: from + 1, At: from + 5, Was: "a longer name", Is: "x"}); err != nil {
		t.Fatal(err)
	}
	want := "first;" + message("B", "portal", "own_s1z", "portal stmt") + message("P", "x", "text")
	if got := d.flushed(t, g, len(want)); got != want {
		t.Errorf("the backend was sent %q, want %q", got, want)
	}
	if err := g.StageRenamed(q, Renaming{Length: from + 1, At: from + 5, Was: "a longer name", Is: "x"}); err == nil {
		t.Error("a permit was staged twice")
	}
}

// TestRenamingIsNothingElse: what is no name, or is not where it is said to be, is not staged.
func TestRenamingIsNothingElse(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	from, to := d.say(t, g, message("P", "name", "text"))
	good := Renaming{Length: from + 1, At: from + 5, Was: "name", Is: "own"}
	for what, change := range map[string]func(*Renaming){
		"no name":                  func(r *Renaming) { r.Is = "" },
		"a name and a text":        func(r *Renaming) { r.Is = "own\x00DROP" },
		"a text":                   func(r *Renaming) { r.Is = "DROP TABLE t" },
		"letters of other scripts": func(r *Renaming) { r.Is = "ówn" },
		"another name":             func(r *Renaming) { r.Was = "nome" },
		"part of the name":         func(r *Renaming) { r.Was = "nam" },
		"more than the name":       func(r *Renaming) { r.Was = "name\x00text" },
		"a place beside it":        func(r *Renaming) { r.At++ },
		"a place in the length":    func(r *Renaming) { r.At, r.Was = from+3, "" },
		"a place before":           func(r *Renaming) { r.At = from - 1 },
		"a place behind":           func(r *Renaming) { r.At, r.Was = to, "" },
		"a place far behind":       func(r *Renaming) { r.At = 1 << 62 },
		"a length elsewhere":       func(r *Renaming) { r.Length-- },
		"a length before":          func(r *Renaming) { r.Length = from - 4 },
		"a length behind the name": func(r *Renaming) { r.Length = to - 4 },
		"a length far behind":      func(r *Renaming) { r.Length = 1 << 62 },
	} {
		st := statement("text")
		p, err := g.Ask(t.Context(), g.Judge(&st), Request{From: from, To: to})
		if err != nil {
			t.Fatal(err)
		}
		r := good
		change(&r)
		if err := g.StageRenamed(p, r); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v", what, err)
		}
		if g.Staged() > 0 {
			t.Errorf("%s: something was staged", what)
			g.reset()
		}
		if err := g.Done(p, Outcome{}); err != nil {
			t.Fatal(err)
		}
	}
	own, err := g.AskOwn(Own{Name: "test:Own", Text: "own"})
	if err != nil {
		t.Fatal(err)
	}
	if g.StageRenamed(own, good) == nil || g.StageRenamed(Permit{}, good) == nil {
		t.Error("a permit that is none of the client's was staged")
	}
}
