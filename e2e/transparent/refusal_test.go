package transparent

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/pair"
)

// refusals are scripts in which something touches the schema hidden. The database refuses that to its user, and the gateway
// to the role "limited": both with SQLSTATE 42501.
func refusals() map[string][]step {
	no := func() []pgproto3.FrontendMessage { return whole("SELECT * FROM hidden.things") }
	yes := func() []pgproto3.FrontendMessage { return whole("SELECT 'yes'") }
	insert := func() []pgproto3.FrontendMessage { return whole("INSERT INTO tables.rows VALUES (4242)") }
	const count = "SELECT count(*) FROM tables.rows WHERE id = 4242"
	sync := one(syncs)
	return map[string][]step{
		"idle": queries("SELECT * FROM hidden.things", "SELECT 1", "DELETE FROM hidden.things", "INSERT INTO hidden.things VALUES (1)", "SELECT 1"),
		"in a transaction": queries("BEGIN", "INSERT INTO tables.rows VALUES (4242)", "SELECT * FROM hidden.things", "SELECT 1", "SELECT * FROM hidden.things", "COMMIT", count,
			"BEGIN", "SAVEPOINT a", "SELECT * FROM hidden.things", "ROLLBACK TO a", "SELECT 2", "COMMIT", "SELECT 3"),
		"in a failed transaction": queries("BEGIN", "SELECT 1/0", "SELECT * FROM hidden.things", "ROLLBACK", "SELECT 1"),
		"first in a pipeline":     {in("refused", join(no(), yes(), sync)...), in("goes on", join(yes(), sync)...)},
		"in the middle of a pipeline": {in("refused", join(insert(), yes(), no(), yes(), sync, yes(), sync)...),
			in("all of it is undone", query(count))},
		"last in a pipeline": {in("refused", join(insert(), no(), sync)...), in("all of it is undone", query(count))},
		"in a pipeline, in a transaction": {in("begin", query("BEGIN")), in("refused", join(yes(), no(), yes(), sync, yes(), sync)...),
			in("failed", query("SELECT 1")), in("rollback", query("ROLLBACK")), in("goes on", join(yes(), sync)...)},
		"a pipeline that begins a transaction": {in("refused", join(whole("BEGIN"), insert(), no(), whole("COMMIT"), sync)...),
			in("failed", query("SELECT 1")), in("rollback", query("ROLLBACK")), in("undone", query(count))},
		"two in a pipeline": {in("refused", join(no(), no(), sync, no(), sync)...), in("goes on", query("SELECT 1"))},
		"before a Flush": {upTo("refused", 'E', 1, join(no(), one(flush))...), in("skipped", join(yes(), sync)...), in("goes on", join(yes(), sync)...),
			in("begin", query("BEGIN")), upTo("refused again", 'E', 1, join(no(), one(flush))...), in("skipped again", join(yes(), sync)...), in("rollback", query("ROLLBACK"))},
		"a name that was refused is none": {in("refused", parse("h", "SELECT * FROM hidden.things"), syncs), in("unknown", bind("", "h"), execute("", 0), syncs),
			in("is free", parse("h", "SELECT 1"), bind("", "h"), execute("", 0), syncs)},
		"a name that stays": {in("made", parse("k", "SELECT 5"), syncs), in("refused", join(no(), sync)...), in("runs", bind("", "k"), execute("", 0), syncs)},
		"COPY": slices.Concat(queries("COPY hidden.things TO STDOUT", "COPY hidden.things FROM STDIN", "SELECT 1", "BEGIN", "COPY hidden.things FROM STDIN", "SELECT 1", "ROLLBACK"),
			[]step{in("with its rows behind it", query("COPY hidden.things FROM STDIN"), rows("1\n"), &pgproto3.CopyDone{}, query("SELECT 2"))}),
		"cursors":  queries("BEGIN", "DECLARE c CURSOR FOR SELECT * FROM hidden.things", "FETCH c", "ROLLBACK", "FETCH c"),
		"prepared": queries("PREPARE x AS SELECT * FROM hidden.things", "EXECUTE x", "PREPARE x AS SELECT 1", "EXECUTE x", "DEALLOCATE x"),
	}
}

// TestRefusedLikeTheServer: after a refusal of the gateway everything is as after one of the server, message by message.
// Only the refusal's own words are its own: SQLSTATE 42501, the policy's name, a hint.
func TestRefusedLikeTheServer(t *testing.T) {
	all := refusals()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			plain, _ := dial(t, direct())
			want := plain.play(t, all[name])
			plain.send(t, &pgproto3.Terminate{})
			gated, _ := dial(t, through(t, pair.Limited))
			got := gated.play(t, all[name])
			for i, s := range all[name] {
				for _, m := range got[i] {
					if m.kind == 'E' && strings.Contains(m.body, "C42501\x00") && (!strings.Contains(m.body, "not-the-hidden") || !strings.Contains(m.body, "\x00H")) {
						t.Errorf("%s: the refusal names no policy, or has no hint: %v", s.name, m)
					}
				}
				compare(t, s.name, bare(want[i]), bare(got[i]))
			}
		})
	}
}

// bare is messages in which a refusal has lost its words.
func bare(messages []message) []message {
	out := slices.Clone(messages)
	for i, m := range out {
		if m.kind == 'E' && strings.Contains(m.body, "C42501\x00") {
			out[i].body = "refused"
		}
	}
	return out
}
