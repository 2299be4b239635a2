package transparent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/e2e/pair"
)

// TestKnownDifferences: what docs/guides/postgres.md lists under "What differs" is so, and no worse.
func TestKnownDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  string // direct
		got   string // through the gateway
	}{
		"a portal of the protocol is not fetched by SQL":         {[]step{in("", query("BEGIN"), parse("", "SELECT 1"), bind("p", ""), syncs, query("FETCH p"))}, "CZT12ZTTDCZT", "CZT12ZTE34000ZE"},
		"a setting and what follows it in one message":           {queries("SET search_path = tables; SELECT count(*) FROM things"), "CTDCZI", "E0A000ZI"},
		"a refusal within several statements is for all of them": {queries("SELECT 1; SELECT * FROM hidden.things"), "TDCE42501ZI", "E42501ZI"},
		"a query among the rows of a COPY ends the session": {[]step{upTo("copy", 'G', 1, query("COPY tables.rows FROM STDIN")), upTo("query", end, 1, query("SELECT 1"))},
			"GE08P01E08P01.", "GE08P01."},
		"the fast path": {[]step{upTo("", 'Z', 2, &pgproto3.FunctionCall{Function: 1398}, syncs)}, "E08P01ZIZI", "E0A000ZIZI"},
	} {
		t.Run(name, func(t *testing.T) {
			plain, _ := dial(t, direct())
			gated, _ := dial(t, through(t, pair.Limited))
			if want, got := letters(plain.play(t, c.steps)), letters(gated.play(t, c.steps)); want != c.want || got != c.got {
				t.Errorf("direct %s, want %s; through the gateway %s, want %s", want, c.want, got, c.got)
			}
		})
	}
}

// letters is messages by their types, with the SQLSTATE of errors and the state of the transaction.
func letters(steps [][]message) string {
	var b strings.Builder
	for _, m := range slices.Concat(steps...) {
		switch m.kind {
		case end:
			b.WriteByte('.')
		case 'E':
			_, code, _ := strings.Cut(m.body, "\x00C")
			fmt.Fprintf(&b, "E%.5s", code)
		case 'Z':
			b.WriteString("Z" + m.body)
		default:
			b.WriteByte(m.kind)
		}
	}
	return b.String()
}
