package body_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
)

type kindCase struct {
	name  string
	kind  body.Kind
	masks access.DocumentMasks
	in    string
	want  string
	hits  int64
}

func TestKinds(t *testing.T) {
	email := at(redact, "$.email")
	for _, c := range []kindCase{
		{"events of JSON", body.SSE, both(email, detect(redact)), ": hi\nevent: x\ndata: {\"email\":\"a\",\ndata:  \"b\":1}\nid: 7\n\ndata: [DONE]\n\ndata:{\"n\":1}\n\n", ": hi\nevent: x\ndata: {\"email\":\"[redacted]\",\ndata:  \"b\":1}\nid: 7\n\ndata: [DONE]\n\ndata:{\"n\":1}\n\n", 1},
		{"events of text", body.SSE, detect(redact), "data: write to ada@example.com\r\ndata: {now}\r\n\r\nid: 192.168.0.1\r\rdata\rdata:x", "data: write to [redacted]\r\ndata: {now}\r\n\r\nid: [redacted]\r\rdata\rdata:x", 2},
		{"events with escapes", body.SSE, detect(redact), "data: \"ada\\u0040example.com\"\n\n", "data: \"[redacted]\"\n\n", 1},
		{"an event without end", body.SSE, email, "data: {\"email\":1}", "data: {\"email\":\"[redacted]\"}", 1},
		{"other names for data", body.SSE, email, "DATA: {\"email\":1}\ndatax: 2\n\n", "DATA: {\"email\":1}\ndatax: 2\n\n", 0},

		{"columns", body.CSV, both(at(redact, "$[*].email"), detect(redact)), "id,Email,note\r\n1,ada@x.org,\"a \"\"b\"\", 192.168.0.1\"\r\n\r\n2,,\n3", "id,Email,note\r\n1,[redacted],\"a \"\"b\"\", [redacted]\"\r\n\r\n2,[redacted],\n3", 3},
		{"one row", body.CSV, at(null, "$[1].b"), "a;b\n1;2\n3;4\n", "a;b\n1;2\n3;\n", 1},
		{"quotes and line ends", body.CSV, at(partial, "**.b"), "\ufeff\"a\",\"b\"\n\"x\ny\",\"12\n\"\"34567,8\"\n", "\ufeff\"a\",\"b\"\n\"x\ny\",\"*******67,8\"\n", 1},
		{"rows", body.CSV, at(redact, "$[0]"), "a\tb\n1\t2\n3\t4", "a\tb\n[redacted]\t[redacted]\n3\t4", 2},
		{"the table", body.CSV, at(redact, "$"), "a,b\n1,2\n", "[redacted],[redacted]\n[redacted],[redacted]\n", 4},
		{"numbers of a column", body.CSV, both(at(redact, "$[*].x"), detect(redact)), "ssn,n\n123456789,123456789\n", "ssn,n\n[redacted],123456789\n", 1},
		{"columns without paths", body.CSV, detect(redact), "1,ada@example.com\n\"", "1,[redacted]\n\"", 1},

		{"fields", body.Form, both(email, detect(redact)), "a=1&email=ada%40x.org&EM%41IL=2&b=ada%40example.com&c&&d=+%2B1", "a=1&email=%5Bredacted%5D&EM%41IL=%5Bredacted%5D&b=%5Bredacted%5D&c&&d=+%2B1", 3},
		{"fields within fields", body.Form, at(redact, "$.a.email", "$.b[*].c", "$.d[0]"), "a[email]=1&a.email=2&b[0][c]=3&b[][c]=4&b.7.c=5&d=6&d[]=7&d[1]=8&a=9&e[a][email]=0", "a[email]=%5Bredacted%5D&a.email=%5Bredacted%5D&b[0][c]=%5Bredacted%5D&b[][c]=%5Bredacted%5D&b.7.c=%5Bredacted%5D&d=%5Bredacted%5D&d[]=%5Bredacted%5D&d[1]=%5Bredacted%5D&a=9&e[a][email]=0", 8},
		{"names that hold more", body.Form, both(at(null, "$.a"), detect(hash)), "a[b][c]=1&ssn=123456789&ada%40example.com=x", "", 3},

		{"texts and attributes", body.XML, detect(redact), "<?xml version=\"1.0\"?><a m='ada@example.com' n=\"x > 192.168.0.1\">&lt;ada&#64;example.com&gt; b<!-- 4111111111111111 > --><![CDATA[<ada@example.com>]]></a>\n", "<?xml version=\"1.0\"?><a m='[redacted]' n=\"x > [redacted]\">&lt;[redacted]&gt; b<!-- [redacted] > --><![CDATA[<[redacted]>]]></a>\n", 5},
		{"attributes with references", body.XML, detect(redact), "<a m='a &amp; b' n=\"ada&commat;example.com\"/>&amp;", "<a m='a &amp; b' n=\"[redacted]\"/>&amp;", 1},
		{"not quite XML", body.XML, detect(redact), "a < b \"ada@example.com\" <", "a < b \"[redacted]\" <", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, hits, err := whole(t, rules(t, c.masks), c.kind, c.in)
			if err != nil || out != c.want && c.want != "" || hits != c.hits {
				t.Errorf("%q\nbecame %q (%d hits, %v)\nwant   %q (%d)", c.in, out, hits, err, c.want, c.hits)
			}
			if strings.Contains(out, "123456789") && !strings.Contains(c.want, "123456789") {
				t.Error(out)
			}
		})
	}
}

func TestKindsRefuse(t *testing.T) {
	r := rules(t, both(at(redact, "**.email"), detect(redact)))
	for kind, docs := range map[body.Kind][]string{
		body.SSE:  {"data: x\n\n", "data: {\ndata: x\n\n", "data: {}{}\n\n", "\ufeffdata: {}\n\n", "data: {\x00}\n\n", "data: [DONE]x\n\n", "id: a\x00\n\n"},
		body.CSV:  {"a,b;c\n", "1,2\n", "a,\n", "a,b@c\n", "a,b\n1,2,3\n", "a,b\n1,x\"y\n", "a,b\n1,\"x\"y\n", "a,b\n1,\"x\\\",\"\n", "a,b\n1,x\ry\n", "a,b\n1,\"", "a,b\n\x00", "a\n1,2\n", "-a\n"},
		body.Form: {"a=%", "a=%4", "a=%zz", "%=a", "a=1;email=2"},
	} {
		for _, in := range docs {
			if out, _, err := whole(t, r, kind, in); !errors.Is(err, body.ErrUnreadable) {
				t.Errorf("kind %d: %q was read: %q, %v", kind, in, out, err)
			}
		}
	}
	d := rules(t, detect(redact))
	if out, _, err := whole(t, d, body.XML, "<\x00a\x00>"); !errors.Is(err, body.ErrUnreadable) {
		t.Errorf("UTF-16 was read: %q", out)
	}
	for _, in := range []string{"<!DOCTYPE a [<!ENTITY c '4111'>]><a>&c;111111111111</a>", "<!doctype a\n[\n]>", "<!ENTITY % c '4111'>",
		`<?xml version="1.0" encoding="UTF-7"?><a/>`, "<?xml version='1.0' encoding = 'cp037' ?>"} {
		for _, next := range []func() int{atOnce, oneByOne} {
			if out, _, err := run(d, body.XML, body.Options{}, []byte(in), next); !errors.Is(err, body.ErrUnreadable) {
				t.Errorf("%s was read: %q", in, out)
			}
		}
	}
	for _, in := range []string{"<!DOCTYPE html><p>a", `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><p>a`,
		`<?xml version="1.0" encoding="utf-8" standalone="yes"?><a/>`, "<?xml version='1.0' encoding='US-ASCII'?><a/>", "<?php encoding='x' ?>"} {
		if out, _, err := whole(t, d, body.XML, in); err != nil || out != in {
			t.Errorf("%s: %q, %v", in, out, err)
		}
	}
	if _, err := r.New(body.XML, body.Options{}); !errors.Is(err, body.ErrUnreadable) {
		t.Errorf("paths were promised in XML: %v", err)
	}
	large := strings.Repeat("a", 200)
	for kind, in := range map[body.Kind]string{body.SSE: "data: " + large, body.CSV: "a,b\n" + large, body.Form: "a=" + large, body.XML: "<" + large} {
		on := r
		if kind == body.XML {
			on = d
		}
		for _, next := range []func() int{atOnce, oneByOne} {
			if out, _, err := run(on, kind, body.Options{Held: 100}, []byte(in+"\n\n&>"), next); !errors.Is(err, body.ErrUnreadable) {
				t.Errorf("kind %d: what is too large was read: %q", kind, out)
			}
		}
	}
}

// TestSlowAndLarge writes what must be held four bytes at a time. It takes no time, unless what is held is moved or looked at again
// for each write: then it takes minutes.
func TestSlowAndLarge(t *testing.T) {
	large := strings.Repeat("abc; d ", 140<<10) // not quite a MiB
	for _, c := range []kindCase{
		{"a string", body.JSON, at(hash, "$[0]"), `["` + large + `"]`, "", 1},
		{"an object", body.JSON, at(hash, "$[0]"), `[{"a":"` + large + `"}]`, "", 1},
		{"an event", body.SSE, at(redact, "$.a"), "data: {\"a\":\"" + large + "\"}\n\n", "", 1},
		{"a row", body.CSV, at(redact, "$[0].b"), "a,b\n1,\"" + large + "\"\n", "", 1},
		{"a field", body.Form, at(redact, "$.a"), "a=" + strings.ReplaceAll(large, ";", "+"), "", 1},
		{"a tag", body.XML, detect(redact), "<a b='" + large + "192.168.0.1'>", "", 1},
		{"a comment", body.XML, detect(redact), "<!--" + large + "192.168.0.1-->", "", 1},
		{"a text", body.XML, detect(redact), large + "192.168.0.1", "", 1},
	} {
		out, hits, err := run(rules(t, c.masks), c.kind, body.Options{}, []byte(c.in), func() int { return 4 })
		if err != nil || hits != c.hits || strings.Contains(string(out), "192.168") || c.kind != body.XML && strings.Contains(string(out), "abc") {
			t.Errorf("%s: %d bytes, %d hits, %v", c.name, len(out), hits, err)
		}
	}
}
