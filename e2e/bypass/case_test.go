package bypass

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// attack is one named case: a technique over a channel.
type attack struct {
	Technique string
	Channel   string // simple, text, binary, cursor, copy, ...
	Role      string // whose token it has; masking cases run under wide, and under narrow where that may differ
	Guardrail string // the one that ships and binds the connection, for guardrail cases under the role all
	Steps     []step
	Undo      []string // what a superuser does after a run that may change the database for good
	Unproven  string   // why it cannot work even around the gateway, for masking cases that do not
}

func (a attack) name() string { return a.Technique + ", " + a.Channel }

// step is one thing that the client does, and waits for.
type step func(s *session)

// run runs the steps in a fresh session, and returns it, left.
func (a attack) run(t *testing.T, role string, where values) *session {
	t.Helper()
	s := open(t, role, where)
	defer s.leave()
	for _, do := range a.Steps {
		do(s)
	}
	if role != direct && !s.ended && !s.alive() {
		t.Errorf("%s: the session is out of step; heard:\n%s", role, s.heard.String())
	}
	return s
}

// The channels: each turns a text that reads rows into steps. In a text, ${first} and the like is what is in the first database.

func send(messages ...pgproto3.FrontendMessage) step { return func(s *session) { s.say(messages...) } }

// simple sends each text as a simple query of its own.
func simple(texts ...string) []step {
	var all []step
	for _, text := range texts {
		all = append(all, func(s *session) { s.say(query(s.own(left.fill(text)))) })
	}
	return all
}

// own gives what a case makes and calls loot a name per role, so that a catalogue that is a little old names nobody else's.
func (s *session) own(text string) string { return strings.ReplaceAll(text, "loot", "loot_"+s.role) }

// extended prepares, describes, binds and executes a text, for a text or a binary answer.
func extended(text string, binary bool, params ...string) []step {
	return []step{func(s *session) {
		b := bind("", "", params...)
		if binary {
			b = asBinary(b)
		}
		s.say(parse("", left.fill(text)), b, describePortal(""), execute(""))
	}}
}

// blind executes without a Describe, and then the same statement again.
func blind(text string, binary bool) []step {
	return []step{func(s *session) {
		first, second := bind("", "again"), bind("", "again")
		if binary {
			first, second = asBinary(first), asBinary(second)
		}
		s.say(parse("again", left.fill(text)), first, execute(""))
		s.say(second, execute(""))
	}}
}

// portal reads a portal a few rows at a time.
func portal(text string) []step {
	return []step{send(query("BEGIN")), func(s *session) {
		s.say(parse("", left.fill(text)), bind("p", ""), execute("p", 2), execute("p", 1))
		s.say(describePortal("p"), execute("p", 0))
	}, send(query("COMMIT"))}
}

// cursor reads by a cursor of some kind: "", BINARY, SCROLL, INSENSITIVE.
func cursor(kind, text string) []step {
	return simple("BEGIN", "DECLARE c "+kind+" CURSOR FOR "+text, "FETCH 2 FROM c", "MOVE 1 IN c", "FETCH ALL FROM c", "COMMIT")
}

// held reads by a cursor that outlives its transaction.
func held(text string) []step {
	return append(simple("BEGIN", "DECLARE h SCROLL CURSOR WITH HOLD FOR "+text, "COMMIT", "FETCH FIRST FROM h", "FETCH LAST FROM h",
		"FETCH BACKWARD 2 FROM h"), extended("FETCH ALL FROM h", true)...)
}

// prepared reads by PREPARE and EXECUTE.
func prepared(text string) []step { return simple("PREPARE q AS "+text, "EXECUTE q", "EXECUTE q") }

// copied reads by COPY (text) TO STDOUT, with options.
func copied(text, options string) []step { return simple("COPY (" + text + ") TO STDOUT " + options) }

// over makes a case of one text for each channel, which are words: "simple binary copy".
func over(technique, text, channels string) []attack {
	ways := map[string]func() []step{
		"simple":        func() []step { return simple(text) },
		"text":          func() []step { return extended(text, false) },
		"binary":        func() []step { return extended(text, true) },
		"blind":         func() []step { return blind(text, false) },
		"blind-binary":  func() []step { return blind(text, true) },
		"portal":        func() []step { return portal(text) },
		"cursor":        func() []step { return cursor("", text) },
		"scroll":        func() []step { return cursor("SCROLL", text) },
		"binary-cursor": func() []step { return cursor("BINARY", text) },
		"held":          func() []step { return held(text) },
		"prepare":       func() []step { return prepared(text) },
		"copy":          func() []step { return copied(text, "") },
		"csv":           func() []step { return copied(text, "(FORMAT csv, HEADER)") },
		"copy-binary":   func() []step { return copied(text, "(FORMAT binary)") },
		"explain": func() []step {
			return simple("EXPLAIN (ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) " + text)
		},
	}
	var all []attack
	for _, c := range strings.Fields(channels) {
		all = append(all, attack{Technique: technique, Channel: c, Steps: ways[c]()})
	}
	return all
}

// asAdmin has a superuser do something in the same database meanwhile.
func asAdmin(text string) step {
	return func(s *session) {
		i := 0
		if s.where == right {
			i = 1
		}
		if _, err := shared.admin[i].PgConn().Exec(s.t.Context(), s.where.fill(text)).ReadAll(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// again is the same principal in a new session.
func again(s *session) { s.again() }

// refused reports whether what was heard holds a refusal by the gateway.
func refused(heard string) bool { return strings.Contains(heard, "ERROR 42501") }
