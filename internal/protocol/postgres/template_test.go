package postgres

import (
	"testing"

	"gatehouse/internal/access"
)

// TestTemplate: texts that a literal could make mean something else have no template, and literals are found exactly.
func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		text, key string
	}{
		{"SELECT a FROM t WHERE id = 12345;", "SELECT a FROM t WHERE id = \x01;"},
		{"select a from t where n='it''s' and m>=1.5", "select a from t where n=\x02 and m>=\x01"},
		{"insert into t values (1,'a',-2)", "insert into t values (\x01,\x02,-\x01)"},
		{"select t1.a from t1", "select t1.a from t1"},
		{"select 1 -- x", ""}, {"select /* 1 */ 2", ""}, {`select "1"`, ""}, {"select $1", ""}, {"select $$a$$", ""},
		{"select E'a'", ""}, {"select U&'a'", ""}, {"select x'1f'", ""}, {`select = 'a\'`, ""}, {"select = 'a", ""},
		{"select 1e5", ""}, {"select 0x1f", ""}, {"select 1_000", ""}, {"select 1.", ""}, {"select .5", ""}, {"select 1a", ""},
		{"select a = 'x'::regclass", ""}, {"select a = regclass 'x'", ""}, {"select a = cast('x' as regclass)", ""},
		{"select a = 'x'\n'y'", ""}, {"select a = 'x'y", ""}, {"select 'x'", ""}, {"select a = 'é'", ""}, {"select a = 'x\x00'", ""},
	} {
		key, spans, ok := template([]byte(c.text), nil, nil)
		if ok != (c.key != "") || ok && string(key) != c.key {
			t.Errorf("%q: template %q, %v; want %q", c.text, key, ok, c.key)
		}
		for _, s := range spans {
			if s.Start < 0 || s.End > len(c.text) || s.Start >= s.End {
				t.Errorf("%q: literal %v", c.text, s)
			}
		}
	}
	_, spans, _ := template([]byte("a = 'x''y' and b = 12"), nil, nil)
	if len(spans) != 2 || spans[0] != (access.Span{Start: 4, End: 10}) || spans[1] != (access.Span{Start: 19, End: 21}) {
		t.Errorf("literals at %v", spans)
	}
}
