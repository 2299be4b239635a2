package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestAttackOnPipelineEnd sets the path for the implicit transaction of a pipeline, in which the gateway reads it, and asks
// after its end, where the path is what it was: a name must mean to the gateway what it means to the server then.
func TestAttackOnPipelineEnd(t *testing.T) {
	gw, _, _ := asTool(t)
	asOwner(t, "CREATE TABLE tools.customers AS SELECT id, name AS email FROM customers")
	conn := connect(t, gw, "fn:tools")
	var b pgx.Batch
	b.Queue("SET LOCAL search_path = tools")
	b.Queue("SELECT email FROM customers LIMIT 1")
	r := conn.SendBatch(t.Context(), &b)
	if _, err := r.Exec(); err != nil {
		t.Fatal(err)
	}
	var inside string
	if err := r.QueryRow().Scan(&inside); err != nil || inside == "" {
		t.Fatalf("in the pipeline the name means the other table: %q, %v", inside, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		rows, err := conn.Query(t.Context(), "SELECT email FROM customers ORDER BY id", mode)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(got) != 20 {
			t.Fatalf("%d rows, %v", len(got), err)
		}
		for _, email := range got {
			lacks(t, email, canaries()...)
		}
	}
}
