package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/access"
)

// source is where a statement stands: its span of a scanned text.
type source struct {
	text       string
	tokens     []*pg.ScanToken
	start, end int
}

type work struct {
	c   *Catalogue
	src source
}

func newWork(c *Catalogue, _ *State, src source, _ *int) *work { return &work{c: c, src: src} }

func (w *work) statement(*pg.Node) *Analysis {
	n := normal(w.src.text, w.src.tokens, w.src.start, w.src.end)
	return &Analysis{Statement: access.Statement{
		Text: w.src.text[w.src.start:w.src.end], Normal: n, Fingerprint: fingerprint(n),
		Literals: literals(w.src.tokens, w.src.start, w.src.end), Bounded: true,
		Actions: []access.Action{{Name: Prefix + verbOpaque, Resource: access.Resource(w.c.connection)}},
	}, Offset: w.src.start, Verb: verbOpaque}
}
