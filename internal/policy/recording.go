package policy

import (
	"fmt"
	"time"

	"gatehouse/internal/access"
)

// recordEach is how documents write that each message is recorded by itself.
const recordEach = "each"

// compileRecord compiles how the messages that an allow lets through are recorded. What it leaves out is the default.
func (s *statementChecker) compileRecord() {
	w := s.doc.Record
	if w == nil {
		return
	}
	path, out := s.path+".record", access.DefaultRecording()
	if !s.stored && len(s.doc.Actions) > 0 && !s.vocabulary.carries(s.out.actions) {
		s.add(path, "record is about messages, and none of the actions is of a connection type that carries any: leave it out")
	}
	if w.Word != "" {
		if w.Word != recordEach {
			s.add(path, "unknown word %q; each, or an object such as {above: 100, messages: 1000, within: 1s}%s", w.Word, didYouMean(w.Word, []string{recordEach}))
		}
		s.out.record = access.Recording{Each: true}
		return
	}
	if w.Above != nil {
		out.Above = *w.Above
	}
	if w.Messages != 0 {
		out.Messages = w.Messages
	}
	if w.Within != 0 {
		out.Within = time.Duration(w.Within)
	}
	if out.Above < 0 || out.Above > mostMessages {
		s.add(path+".above", "above is from 0 to %d messages in a second", mostMessages)
	}
	if out.Messages < 1 || out.Messages > mostMessages {
		s.add(path+".messages", "a window holds from 1 to %d messages", mostMessages)
	}
	if out.Within < shortestRecord || out.Within > longestRecord {
		s.add(path+".within", "a window lasts from %s to %s", shortestRecord, longestRecord)
	}
	s.out.record = out
}

// carries reports whether any of the actions is of a type that carries messages.
func (v *vocabulary) carries(actions actionSet) bool {
	for _, k := range v.types {
		if k.messages && k.actions.overlaps(actions) {
			return true
		}
	}
	return false
}

// recording writes into a verdict how the allow statements that apply to any of the actions want messages recorded, merged to
// the strictest.
func (r *Rules) recording(f *facts, v *access.Verdict) (open reads) {
	said := false
	for _, b := range r.records {
		applies := false
		for i := range f.statement.Actions {
			f.action = &f.statement.Actions[i]
			number, _ := r.number(f.action) // known: it was admitted
			holds, more := b.holds(f, number)
			applies, open = applies || holds, open|more
		}
		switch {
		case !applies:
		case said:
			v.Record = closer(v.Record, b.record)
		default:
			v.Record, said = b.record, true
		}
	}
	return open
}

// closer returns the recording that tells at least as much as either.
func closer(a, b access.Recording) access.Recording {
	if a.Each || b.Each {
		return access.Recording{Each: true}
	}
	return access.Recording{Above: max(a.Above, b.Above), Messages: min(a.Messages, b.Messages), Within: min(a.Within, b.Within)}
}

// sayRecording words a recording; "" where nobody says.
func sayRecording(r access.Recording) string {
	switch {
	case r == (access.Recording{}):
		return ""
	case r.Each:
		return "each message by itself"
	}
	return fmt.Sprintf("each message by itself up to %d a second, beyond in windows of up to %d messages within %s", r.Above, r.Messages, r.Within)
}
