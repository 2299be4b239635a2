package bypass

import (
	"fmt"
	"slices"
)

// maskingEndings use what changes in the middle of a message or a pipeline: names, paths and cursors of a transaction that is over;
// and what fails only where there is a value.
func maskingEndings() []attack {
	const reach = "SELECT email || '' AS email FROM customers ORDER BY id"
	opened := func(technique string, before []step, after step) attack {
		return attack{Technique: technique, Channel: "cursor", Steps: concat(before, simple("SELECT opened('c')"), []step{after}, simple("COMMIT"))}
	}
	declared := simple("BEGIN", "DECLARE c CURSOR FOR SELECT name FROM customers ORDER BY id")
	fetch := simple("FETCH ALL FROM c")[0]
	chosen := func(technique string, texts ...string) attack {
		return attack{Technique: technique, Channel: "cursor", Steps: concat(simple("SET search_path = other, public", "BEGIN",
			"DECLARE f CURSOR FOR SELECT set_config('search_path', 'public', false)", reach), simple(texts...), simple("COMMIT"))}
	}
	return slices.Concat([]attack{
		opened("cursor of a function under the name of one that is over", concat(declared, simple("COMMIT; BEGIN")), fetch),
		opened("cursor of a function under the name of one that is over, pipelined", concat(declared, []step{piped("COMMIT", "BEGIN")}), fetch),
		opened("cursor of a function under the name of a portal that is over", concat(simple("BEGIN"), []step{
			send(parse("", "SELECT name FROM customers ORDER BY id"), bind("c", ""), execute("c", 1))}, simple("COMMIT; BEGIN")), send(execute("c"))),
		chosen("path that a cursor chooses in the same message", "FETCH ALL FROM f; "+reach),
		chosen("path that a cursor chooses in the same message, moved", "MOVE ALL IN f; "+reach),
	},
		missing("a bad length", "substr(phone, 1, -1)"), missing("a bad expression", "phone ~ '['"),
		missing("a bad expression's replacement", "regexp_replace(phone, '[', '')"), missing("a bad part", "split_part(phone, 'x', 0)"),
		missing("a long padding", "lpad(phone, 2000000000)"), missing("a loose collation", "strpos(phone COLLATE loose, '1')"),
		over("length by a loose collation", "SELECT strpos(email COLLATE loose, repeat('x', 37)) FROM customers WHERE id = 1", "simple text"),
	)
}

// missing asks of row after row for what fails wherever there is a telephone number.
func missing(technique, expression string) []attack {
	var texts []string
	for id := 1; id < 7; id++ {
		texts = append(texts, fmt.Sprintf("SELECT %s FROM customers WHERE id = %d", expression, id))
	}
	return []attack{{Technique: "missing values by " + technique, Channel: "simple", Steps: simple(texts...)}}
}

// piped runs each text in one pipeline.
func piped(texts ...string) step {
	return func(s *session) {
		for _, text := range texts {
			s.conn.Frontend.Send(parse("", text))
			s.conn.Frontend.Send(bind("", ""))
			s.conn.Frontend.Send(execute(""))
		}
		s.say()
	}
}
