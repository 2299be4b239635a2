//go:build !race

// The race detector makes sync.Pool forget on purpose, so allocations are counted without it.

package body_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
)

// TestWritesAllocateNothing: once a document is under way, what is written costs no memory.
func TestWritesAllocateNothing(t *testing.T) {
	one := `{"id":1,"name":"Ada","note":"\u00e9t\u00e9 12","tags":[1.5,true],"email":"x"},`
	for name, c := range map[string]struct {
		kind body.Kind
		r    *body.Rules
		head string
		next string
	}{
		"a path":         {body.JSON, rules(t, at(redact, "$[*].email", "**.ssn")), "[", one},
		"detectors":      {body.JSON, rules(t, detect(redact)), "[", one},
		"split strings":  {body.JSON, rules(t, both(at(hash, "$[*].email"), detect(redact))), "[", `"b",{"email":"a"},`},
		"text":           {body.Text, rules(t, detect(redact)), "", "2026-05-06 07:08:09 INFO shipped\nand"},
		"events":         {body.SSE, rules(t, both(at(redact, "$.email"), detect(redact))), "", "id: 1\ndata: {\"email\":\"x\",\"n\":1}\n\n"},
		"rows":           {body.CSV, rules(t, at(redact, "$[*].x")), "a,b\n", "1,2\n"},
		"hidden and big": {body.JSON, rules(t, at(redact, "$.a")), `{"a":[`, `"a long string",[{"x":1}],`},
	} {
		m, err := c.r.New(c.kind, body.Options{})
		if err != nil {
			t.Fatal(err)
		}
		in, dst := []byte(c.next), make([]byte, 0, 1<<10)
		if dst, err = m.Write(dst, []byte(c.head)); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := m.Write(dst[:0], in[:len(in)/2]); err != nil {
				t.Fatal(name, err)
			}
			if _, err := m.Write(dst[:0], in[len(in)/2:]); err != nil {
				t.Fatal(name, err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestHoldsLittle streams documents of 64 MiB, and sees what was allocated on the way.
func TestHoldsLittle(t *testing.T) {
	part := []byte(strings.Repeat("abcdefg, ", 7<<10))
	for name, c := range map[string]struct {
		kind       body.Kind
		r          *body.Rules
		head, tail string
	}{
		"a long string":                     {body.JSON, rules(t, detect(redact)), `["`, `"]`},
		"a long hidden string":              {body.JSON, rules(t, at(redact, "$[0]")), `["`, `"]`},
		"a long hashed string":              {body.JSON, rules(t, at(hash, "$[0]")), `["`, `"]`},
		"a long string that no mask is for": {body.JSON, rules(t, at(redact, "$.a")), `["`, `"]`},
		"a long line":                       {body.Text, rules(t, detect(redact)), "", ""},
		"a large document":                  {body.Text, rules(t, access.DocumentMasks{Whole: &hash}), "", ""},
	} {
		m, err := c.r.New(c.kind, body.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		out := make([]byte, 0, 256<<10)
		sum := 0
		runtime.ReadMemStats(&before)
		write := func(in []byte) {
			out, err = m.Write(out[:0], in)
			if err != nil {
				t.Fatal(name, err)
			}
			sum += len(out)
		}
		write([]byte(c.head))
		for range 1 << 10 {
			write(part)
		}
		write([]byte(c.tail))
		if out, err = m.Close(out[:0]); err != nil {
			t.Fatal(name, err)
		}
		sum += len(out)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s: %d KiB allocated", name, grown>>10)
		}
		if shown := sum == len(c.head)+len(c.tail)+len(part)<<10; shown == (bytes.Contains(out, []byte("redacted")) || sum < 100) {
			t.Errorf("%s: %d bytes came out", name, sum)
		}
	}
}
