package body_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
)

// shop is a document as APIs answer it, of about a size.
func shop(size int) []byte {
	r := rand.New(rand.NewSource(1))
	b := []byte(`{"customers":[`)
	for i := 0; len(b) < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"name":"Customer %d","city":"Utrecht","note":"left with a neighbour, ring twice at number %d","created":"2026-%02d-%02dT07:%02d:09Z","total":%.2f,"tags":["a","b"],"active":true}`,
			i, r.Intn(1e6), r.Intn(300), 1+i%12, 1+i%28, i%60, r.Float64()*1000)
	}
	return append(b, "]}"...)
}

// list is the document of bench/web.go: small members, of which two are hidden in each element.
func list(size int) []byte {
	b := []byte(`{"items":[`)
	for i := 0; len(b) < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"name":"Customer Number %d","email":"c%d@example.org","city":"Utrecht","placed":"2026-01-01T00:00:%02dZ","amount":%d.50,"state":"open"}`,
			i, i, i, i%60, i*7)
	}
	return append(b, `],"next":null}`...)
}

// lined is the elements of list, each between two texts.
func lined(before, behind string) []byte {
	all := bytes.TrimSuffix(bytes.TrimPrefix(list(100<<10), []byte(`{"items":[`)), []byte(`],"next":null}`))
	return append([]byte(before), append(bytes.ReplaceAll(all, []byte("},{"), []byte("}"+behind+before+"{")), behind...)...)
}

func BenchmarkBody(b *testing.B) {
	words := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog, again and again;\n"), 1600)
	log := bytes.Repeat([]byte("2026-05-06 07:08:09 INFO order 8812 shipped by truck 12 at 3.5 kg, took 12ms status=200\n"), 1200)
	rows := append([]byte("id,name,email,city,placed,amount\n"), bytes.Repeat([]byte("812,Customer Number,customer@example.org,Utrecht,2026-01-01,12.50\n"), 1600)...)
	fields := bytes.Repeat([]byte("id=812&name=Customer+Number&email=customer%40example.org&city=Utrecht&placed=2026-01-01&amount=12.50&"), 1000)
	for _, c := range []struct {
		name  string
		kind  body.Kind
		masks access.DocumentMasks
		in    []byte
	}{
		{"json/paths/clean", body.JSON, at(redact, "$.orders[*].email", "**.ssn"), shop(100 << 10)},
		{"json/path/top", body.JSON, at(redact, "$.orders[*].email"), shop(100 << 10)},
		{"json/paths/found", body.JSON, at(redact, "$.customers[*].name"), shop(100 << 10)},
		{"json/two fields", body.JSON, access.DocumentMasks{Paths: append(at(partial, "$.items[*].email").Paths, at(redact, "**.name").Paths...)}, list(100 << 10)},
		{"json/detectors", body.JSON, detect(redact), shop(100 << 10)},
		{"json/detectors/found", body.JSON, detect(redact), list(100 << 10)},
		{"ndjson/two fields", body.NDJSON, at(redact, "$.email", "**.name"), lined("", "\n")},
		{"events/two fields", body.SSE, at(redact, "$.email", "**.name"), lined("data: ", "\n\n")},
		{"rows/two fields", body.CSV, at(redact, "$[*].email", "$[*].name"), rows},
		{"form/two fields", body.Form, at(redact, "$.email", "$.name"), fields},
		{"rows/detectors", body.CSV, detect(redact), rows},
		{"form/detectors", body.Form, detect(redact), fields},
		{"events/detectors", body.SSE, detect(redact), lined("data: ", "\n\n")},
		{"text/words", body.Text, detect(redact), words},
		{"text/log", body.Text, detect(redact), log},
	} {
		r := rules(b, c.masks)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			dst := make([]byte, 0, 2*len(c.in))
			for b.Loop() {
				m, err := r.New(c.kind, body.Options{})
				if err != nil {
					b.Fatal(err)
				}
				out := dst[:0]
				for in := c.in; len(in) > 0; {
					n := min(len(in), 16<<10)
					if out, err = m.Write(out, in[:n]); err != nil {
						b.Fatal(err)
					}
					in = in[n:]
				}
				if _, err = m.Close(out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
