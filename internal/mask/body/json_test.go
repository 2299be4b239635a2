package body_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
)

func TestJSON(t *testing.T) {
	const shop = `{ "id" : 7, "customers":[ {"name":"Ada","email":"ada@x.org"}, {"email":null,"name":"Bob"} ],"email":"x" }`
	for _, c := range []struct {
		name  string
		masks access.DocumentMasks
		in    string
		want  string
		hits  int64
	}{
		{"a path", at(redact, "$.customers[*].email"), shop, `{ "id" : 7, "customers":[ {"name":"Ada","email":"[redacted]"}, {"email":"[redacted]","name":"Bob"} ],"email":"x" }`, 2},
		{"anywhere", at(null, "**.email"), shop, `{ "id" : 7, "customers":[ {"name":"Ada","email":null}, {"email":null,"name":"Bob"} ],"email":null }`, 3},
		{"an element", at(redact, "$.customers[1].name", "$.customers[0].*.*"), shop, `{ "id" : 7, "customers":[ {"name":"Ada","email":"ada@x.org"}, {"email":null,"name":"[redacted]"} ],"email":"x" }`, 1},
		{"whole objects", at(redact, "$.customers[0]"), shop, `{ "id" : 7, "customers":[ "[redacted]", {"email":null,"name":"Bob"} ],"email":"x" }`, 1},
		{"whole arrays", at(null, "$.customers"), shop, `{ "id" : 7, "customers":null,"email":"x" }`, 1},
		{"the document", at(redact, "$"), shop, `"[redacted]"`, 1},
		{"everything", at(redact, "**"), shop, `"[redacted]"`, 1},
		{"each member", at(partial, "$.*"), `{"a":"12345678","b":12345678,"c":[1],"d":true,"e":null,"f":""}`, `{"a":"*****678","b":"*****678","c":"[redacted]","d":"[redacted]","e":null,"f":""}`, 6},
		{"dates", at(month, "$[*]"), `["2024-05-06","2024-05-06T07:08:09Z","x",5,null]`, `["2024-05-01","2024-05-01T00:00:00Z","[redacted]","[redacted]",null]`, 5},
		{"names in disguise", at(redact, "$.email"), `{"\u0065m\u0061il":"a","EMAIL":"b","Email":{"email":[]},"e-mail":"c","ema\u0131l":"d"}`, `{"\u0065m\u0061il":"[redacted]","EMAIL":"[redacted]","Email":"[redacted]","e-mail":"c","ema\u0131l":"d"}`, 3},
		{"letters that fold to others", at(redact, "$.ssn", "$.key"), `{"ſſn":1,"\u212aey":2}`, `{"ſſn":"[redacted]","\u212aey":"[redacted]"}`, 2},
		{"names twice", at(redact, "$.a"), `{"a":1,"a":2,"a":[3]}`, `{"a":"[redacted]","a":"[redacted]","a":"[redacted]"}`, 3},
		{"odd names", at(redact, `$["a.b"]`, `$[""]`, `$["\""]`), `{"a.b":1,"":2,"\"":3,"a":{"b":4}}`, `{"a.b":"[redacted]","":"[redacted]","\"":"[redacted]","a":{"b":4}}`, 3},
		{"below any number of steps", at(redact, "$.a.**.b"), `{"a":{"b":1,"x":{"b":2,"y":[{"b":3}]}},"b":4}`, `{"a":{"b":"[redacted]","x":{"b":"[redacted]","y":[{"b":"[redacted]"}]}},"b":4}`, 3},
		{"the stronger of two", both(at(partial, "$.a"), access.DocumentMasks{Paths: nil}), `{"a":"12345678"}`, `{"a":"*****678"}`, 1},
		{"values with escapes", at(partial, "$.a"), `{"a":"\u00e9\"\\\n12345678"}`, `{"a":"********5678"}`, 1},
		{"detectors", detect(redact), `{"a":"write to ada@example.com!","n":4111111111111111,"x":[4111111111111112,-4111111111111111.00]}`, `{"a":"write to [redacted]!","n":"[redacted]","x":[4111111111111112,"-[redacted]"]}`, 3},
		{"detectors see through escapes", detect(redact), `{"a":"ada\u0040example.com \u0034111\n4111 1111\u00a01111 1111"}`, `{"a":"[redacted] 4111\u000a[redacted]"}`, 2},
		{"detectors see names", detect(redact), `{"ada@example.com":{"x":1}}`, `{"[redacted]":{"x":1}}`, 1},
		{"numbers that their name gives away", detect(redact), `{"ssn":"123456789","SSN":123456789,"order":123456789,"x":{"ssn":[123456789]}}`, `{"ssn":"[redacted]","SSN":"[redacted]","order":123456789,"x":{"ssn":[123456789]}}`, 2},
		{"what is left alone", both(at(redact, "$.x"), detect(redact)), " {\"a\" :\t\"\\/\\u00e9\\ud83d\\ude00 é\",\r\n\"n\":-0.10e+5 , \"t\":[true,false , null,[],{}]} \n", " {\"a\" :\t\"\\/\\u00e9\\ud83d\\ude00 é\",\r\n\"n\":-0.10e+5 , \"t\":[true,false , null,[],{}]} \n", 0},
		{"a word alone", at(redact, "$.a"), `"a"`, `"a"`, 0},
		{"a number alone", at(redact, "$"), `12`, `"[redacted]"`, 1},
		{"nothing", at(redact, "$"), "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, hits, err := whole(t, rules(t, c.masks), body.JSON, c.in)
			if err != nil || out != c.want || hits != c.hits {
				t.Errorf("%s\nbecame %s (%d hits, %v)\nwant   %s (%d)", c.in, out, hits, err, c.want, c.hits)
			}
		})
	}
}

// TestJSONTokens: equal values have equal tokens, whatever escapes and spaces they are written with, and others do not.
func TestJSONTokens(t *testing.T) {
	r := rules(t, at(hash, "$[*]"))
	out, _, err := whole(t, r, body.JSON, `["ada","\u0061da",{"a" : [1, "x y"]},{"a":[1,"x y"]},"b",true,null]`)
	v := strings.Split(strings.Trim(out, "[]"), ",")
	if err != nil || len(v) != 7 || v[0] != v[1] || v[2] != v[3] || v[0] == v[2] || v[0] == v[4] || !strings.HasPrefix(v[5], `"tok_`) || v[6] != "null" {
		t.Fatalf("%v, %v", v, err)
	}
	long, _, err := run(r, body.JSON, body.Options{Held: 16}, []byte(`["`+strings.Repeat("a", 20)+`",{"a":"`+strings.Repeat("a", 20)+`"},"b"]`), oneByOne)
	if err != nil || !strings.HasPrefix(string(long), `["[redacted]","[redacted]","tok_`) {
		t.Fatalf("what is too large for a token became %s, %v", long, err)
	}
}

func TestJSONRefuses(t *testing.T) {
	r := rules(t, both(at(redact, "**.email"), detect(redact)))
	for _, in := range []string{
		"{", "[", `"`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, "[1,]", "[,1]", "[1 2]", `{"a" 1}`, `{a:1}`, `{'a':1}`, "['a']", "[1}", `{"a":1]`, "]", "}", ",", ":",
		"1 2", "{}{}", "[]\n[]", "nul", "True", "NaN", "Infinity", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_000", "tru e", "--1", "1.2.3", "truefalse",
		"\ufeff{}", "\xff\xfe{\x00}\x00", "{\x00}", "\x00", "[1]\x00", "// x\n{}", "/* x */{}", `{"a":1}//`, "[1]x", "undefined",
		"\"\n\"", "\"\t\"", "\"\x00\"", `"\x41"`, `"\u12"`, `"\u12g4"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ude00"`, `"\ud83d\ud83d"`, `"\ud83d\u0041"`, `"\`, `"\u`,
		"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", `{"ssn\u0000x":1}`, "\v1", "\u00a01",
		strings.Repeat("[", 513) + strings.Repeat("]", 513), strings.Repeat(`{"a":`, 513) + "1" + strings.Repeat("}", 513), "1" + strings.Repeat("0", 5000),
		`{"` + strings.Repeat("a", 70000) + `":1}`, `{"email":{"a":tru}}`, `{"email":[1,]}`, `{"email":"` + "\xff" + `"}`, `{"email":{"a":[}]}}`,
	} {
		out, _, err := whole(t, r, body.JSON, in)
		if !errors.Is(err, body.ErrUnreadable) {
			t.Errorf("%.80q was read: %.80q, %v", in, out, err)
		}
	}
	deep := strings.Repeat("[", 512) + strings.Repeat("]", 512)
	if out, _, err := whole(t, r, body.JSON, deep); err != nil || out != deep {
		t.Errorf("512 levels: %v", err)
	}
}

// TestJSONSaysNothingOfItself: an error holds nothing of the document, and nothing that is hidden stands before it.
func TestJSONSaysNothingOfItself(t *testing.T) {
	r := rules(t, at(redact, "$.email"))
	for _, in := range []string{`{"email":"canary`, `{"email":"canary\x`, `{"email":["canary",}`, `{"a":canary}`, `{"email":"canary"} canary`} {
		out, _, err := whole(t, r, body.JSON, in)
		if err == nil || strings.Contains(err.Error()+out, "canary") {
			t.Errorf("%s: %s, %v", in, out, err)
		}
	}
}

func TestNDJSON(t *testing.T) {
	r := rules(t, both(at(redact, "$.email"), detect(redact)))
	in := "{\"email\":\"a\"}\r\n\n4111111111111111\n[{\"email\":\"b\"}]\n{\"email\":1}"
	want := "{\"email\":\"[redacted]\"}\r\n\n\"[redacted]\"\n[{\"email\":\"b\"}]\n{\"email\":\"[redacted]\"}"
	if out, hits, err := whole(t, r, body.NDJSON, in); err != nil || out != want || hits != 3 {
		t.Errorf("%q, %d, %v; want %q", out, hits, err, want)
	}
	for _, in := range []string{"{}{}", "{} {}", "[1,\n2]", "{\"a\":\n1}", "1\n{", "\x1e{}\n", "1 2\n"} {
		if out, _, err := whole(t, r, body.NDJSON, in); !errors.Is(err, body.ErrUnreadable) {
			t.Errorf("%q was read: %q, %v", in, out, err)
		}
	}
}
