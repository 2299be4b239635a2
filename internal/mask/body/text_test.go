package body_test

import (
	"bytes"
	"errors"
	"math/rand"
	"strings"
	"testing"

	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

func TestText(t *testing.T) {
	r := rules(t, detect(redact))
	for in, want := range map[string]string{
		"":                                  "",
		"plain":                             "plain",
		"a\nada@example.com\nb":             "a\n[redacted]\nb",
		"x 4111 1111\n1111 1111\n":          "x 4111 1111\n1111 1111\n",
		"ssn:\n123456789\nssn: 123456789\n": "ssn:\n123456789\nssn: [redacted]\n",
		"4111 1111 1111 1111":               "[redacted]",
		"\xff 192.168.0.1 \xff\r\n":         "\xff [redacted] \xff\r\n",
	} {
		if out, _, err := whole(t, r, body.Text, in); err != nil || out != want {
			t.Errorf("%q became %q, %v; want %q", in, out, err, want)
		}
	}
	if out, _, err := whole(t, r, body.Text, "4\x001\x001\x00"); !errors.Is(err, body.ErrUnreadable) {
		t.Errorf("UTF-16 was read: %q", out)
	}
	if _, err := rules(t, at(redact, "$.a")).New(body.Text, body.Options{}); !errors.Is(err, body.ErrUnreadable) {
		t.Errorf("paths were promised in a text: %v", err)
	}
}

// fill makes n bytes without end of line in which nothing is to be found.
func fill(n int, from string) []byte {
	r, b := rand.New(rand.NewSource(7)), make([]byte, n)
	for i := range b {
		b[i] = from[r.Intn(len(from))]
	}
	return b
}

const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// planted are things to find, as they stand in long lines.
var planted = []string{" 4111 1111 1111 1111 ", " ada@example.com ", " +1 415-555-2671 ", ",DE89 3704 0044 0532 0130 00,", " 2001:db8::1 ", " \"" + strings.Repeat("a ", 30) + "\"@example.com ",
	" " + strings.Repeat("x", 60) + "@" + strings.Repeat("abcdefgh.", 26) + "com ", " 4\u200b1\u200b1\u200b1\u200b1111\u200b11111111\u200b "}

// TestLongLines plants something at every place near where a line is cut, and sees that it is hidden, and nothing else.
func TestLongLines(t *testing.T) {
	r := rules(t, detect(redact))
	s, err := mask.NewScanner(detect(redact).Detect, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]byte{fill(70<<10, "abc, def; ghi"), fill(70<<10, base64), bytes.Repeat([]byte("é"), 35<<10)} {
		for i, secret := range planted {
			for place := 61<<10 - 300; place < 62<<10+300; place += 61 + i {
				in := append(append(bytes.Clone(line[:place&^1]), secret...), line[place&^1:]...)
				want, _ := s.Mask(nil, in)
				out, hits, err := run(r, body.Text, body.Options{}, in, atOnce)
				if err != nil || hits != 1 || !bytes.Equal(out, want) {
					t.Fatalf("%q at %d: %d hits, %v", secret, place, hits, err)
				}
				quoted := append(append([]byte{'"'}, in...), '"')
				if bytes.Contains(in, []byte(`"`)) {
					quoted = append(append([]byte{'"'}, bytes.ReplaceAll(in, []byte(`"`), []byte(`\"`))...), '"')
				}
				if out, hits, err = run(r, body.JSON, body.Options{}, quoted, atOnce); err != nil || hits != 1 || string(out) != `"`+string(want)+`"` {
					t.Fatalf("in a string, %q at %d: %d hits, %v", secret, place, hits, err)
				}
			}
		}
	}
}

// TestLongLinesInParts does so in parts, with escapes.
func TestLongLinesInParts(t *testing.T) {
	r := rules(t, detect(redact))
	seed := rand.New(rand.NewSource(3))
	for _, kind := range []body.Kind{body.Text, body.JSON} {
		for range 6 {
			in := fill(300<<10, base64)
			for _, p := range planted {
				copy(in[len(in)/2+seed.Intn(len(in)/2-len(p)):], p)
			}
			if kind == body.JSON {
				in = bytes.ReplaceAll(bytes.ReplaceAll(in, []byte(`"`), []byte(`\"`)), []byte("Q"), []byte(`\u0051`))
				in = append(append([]byte{'"'}, in...), '"')
			}
			one, hits, err := run(r, kind, body.Options{}, in, atOnce)
			two, more, errToo := run(r, kind, body.Options{}, in, func() int { return 1 + seed.Intn(9000) })
			if err != nil || errToo != nil || hits != more || hits < 4 || !bytes.Equal(one, two) {
				t.Fatalf("%d hits, %v, and in parts %d, %v", hits, err, more, errToo)
			}
			if kind == body.JSON && !bytes.Contains(one, []byte(`\u0051`)) {
				t.Fatal("what was left alone was written anew")
			}
		}
	}
}

// TestNowhereToCut: where a line has no place to be cut, it is left out rather than shown.
func TestNowhereToCut(t *testing.T) {
	r := rules(t, detect(redact))
	in := []byte(strings.Repeat("\u200b\u200b\u200b\u200b4111", 40<<10) + " 4111111111111111\nok 4111111111111111\n")
	out, hits, err := run(r, body.Text, body.Options{}, in, oneByOne)
	if err != nil || hits != 2 || string(out) != "[redacted]\nok [redacted]\n" {
		t.Fatalf("%.200q, %d, %v", out, hits, err)
	}
	in = append(append([]byte(`["`), bytes.ReplaceAll(in, []byte("\n"), []byte("\\n"))...), `","4111"]`...)
	if out, _, err = run(r, body.JSON, body.Options{}, in, func() int { return 1000 }); err != nil || bytes.Contains(out[:len(out)-8], []byte("4111")) || !bytes.HasSuffix(out, []byte(`,"4111"]`)) {
		t.Fatalf("%.200q, %v", out, err)
	}
	in = append([]byte(strings.Repeat("\u200b\u200b\u200b\u200b4111", 40<<10)), fill(200<<10, "abc, ")...)
	if out, _, err = run(r, body.Text, body.Options{}, in, atOnce); err != nil || bytes.Contains(out, []byte("4111")) || len(out) < 100<<10 {
		t.Fatalf("%.200q, %v", out, err)
	}
}
